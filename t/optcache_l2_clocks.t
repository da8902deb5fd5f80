#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A host whose clock is behind does not take what others have stored for fresh,
# again and again, as long as Redis has it: how old that is, it cannot tell.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::XXH64 qw/ xxh64 /;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
        ->plan(16);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;
    optcache_zone c:4m;

    add_header X-Layer $optcache_layer;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $redis = $t->run_redis();

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $uri = $req->{uri};
    my @fields = ('Cache-Control: max-age=1000'
                  . ($uri =~ /while/ ? ', stale-while-revalidate=1000' : ''));

    push @fields, 'ETag: "a"' if $uri =~ /etag|while/;
    push @fields, 'Vary: X-Lang' if $uri =~ /vary/;

    return [304, \@fields, ''] if $req->{headers}{'if-none-match'};
    return [200, \@fields, "answer $req->{count}"];
});

$t->run();

###############################################################################

is(stored('/near', 2), 'HIT answer 1', 'a clock that is a little apart');
is(stored('/past', -600), 'HIT answer 1', 'of a host that is behind');

is(stored('/far', 600), 'MISS answer 2', 'of one that is ahead: not fresh');
is(told('/far'), 'HIT answer 2', 'but what is stored here is');

is(stored('/etag', 600), 'REVALIDATED answer 1', 'it is validated');
is(told('/etag'), 'HIT answer 1', 'once');

is(stored('/while', 600), 'UPDATING answer 1', 'used while it is updated');
ok(wait_for(sub { told('/while') eq 'HIT answer 1' }), 'once');

# what answers depend on does not get old

is(stored('/vary', 600), 'MISS answer 2', 'a variant of a host that is ahead');
is($redis->entries(), 2, 'is stored in its place');

# the clock of this one has arrived

is(stored('/later', 600), 'MISS answer 2', 'ahead');
wait_for(sub { grep { /answer 2/ } values_there() });
moved(-900);
forget_here();
is(told('/later'), 'HIT answer 2', 'and then no longer');

# an age that is more than its lifetime stays

is(stored('/old', 600, 5000), 'MISS answer 2', 'old, and ahead');

# by HEAD and by a client that takes stale answers

is(stored('/head', 600, 0, 'HEAD'), 'MISS ', 'HEAD');
is(stored('/taken', 600, 0, 'GET', 'Cache-Control' => 'max-stale'),
    'MISS answer 2', 'it is of no use, and so not taken');
is(stored('/taken/etag', 600, 0, 'GET', 'Cache-Control' => 'max-stale'),
    'STALE answer 1', 'or is, when there is a validator');

###############################################################################

# The answer from Redis alone, after the values there were stored by a clock
# that is ahead.

sub stored {
    my ($uri, $ahead, $age, $method, %headers) = @_;

    $redis->forget();
    http_get($uri);
    wait_for(sub { $redis->entries() == ($uri =~ /vary/ ? 2 : 1) });
    moved($ahead, $age);
    forget_here();

    return told($uri, $method, %headers);
}


sub moved {
    my ($ahead, $age) = @_;

    for my $name (@{ $redis->entry_names() }) {
        my $v = $redis->cmd('GET', $name);

        substr $v, 12, 4, pack 'V', $age if $age;
        substr $v, 20, 8, pack 'Q<', unpack('Q<', substr $v, 20, 8) + $ahead;
        substr $v, 4, 4, pack 'V', xxh64(substr $v, 8) & 0xffffffff;
        $redis->cmd('SET', $name, $v);
    }
}


sub values_there {
    return map { $redis->cmd('GET', $_) } @{ $redis->entry_names() };
}


sub forget_here {
    $t->stop();
    $t->run();
}


sub told {
    my ($uri, $method, %headers) = @_;

    my $r = http_request($method // 'GET', $uri, headers => \%headers);
    return header($r, 'X-Cache') . ' ' . body($r);
}

###############################################################################
