#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What is invalidated softly is there, but not fresh any more: it is sent while
# it is updated, and when no other answer can be had, up to the end that its
# freshness would have had; unless the response forbids stale use.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
        ->plan(19);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    add_header X-Layer $optcache_layer;

    server {
        listen 127.0.0.1:8080;

        optcache c;
        optcache_purge 1;
        optcache_use_stale http_503;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /strict/ {
            optcache_use_stale off;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $redis = $t->run_redis();

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $uri = $req->{uri};

    return [503, [], 'no'] if $uri =~ /fails/ && $req->{count} > 1;

    my @say = ('ETag: "a"', 'Cache-Control: max-age=100'
               . ($uri =~ /must/ ? ', must-revalidate' : ''));

    return [304, \@say, ''] if $req->{headers}{'if-none-match'};
    return [200, \@say, "answer $req->{count}"];
});

$t->run();

###############################################################################

# updated in the background, and validated by that

stored('/a');
purge('/a');
is(got('/a'), 'UPDATING answer 1', 'sent while it is updated');
ok(wait_for(sub { got('/a') =~ /HIT/ }), 'and fresh again');
is(got('/a'), 'HIT answer 1', 'as it was validated');
is($backend->count(qr{GET /a$}), 2, 'once');

# when nothing better can be had

stored('/fails');
purge('/fails');
is(got('/fails'), 'UPDATING answer 1', 'the upstream fails');
is(got('/fails'), 'UPDATING answer 1', 'again');
is(got('/fails', 'Cache-Control: no-cache'), 'BYPASS no', 'but who wants none');

stored('/strict/a');
purge('/strict/a');
is(got('/strict/a'), 'UPDATING answer 1', 'while it would be fresh');

# what must not be used stale

stored('/must/a');
purge('/must/a');
is(got('/must/a'), 'REVALIDATED answer 1', 'must-revalidate: asked for first');
is(got('/must/a'), 'HIT answer 1', 'and fresh again');

stored('/must/fails');
purge('/must/fails');
is(got('/must/fails'), 'EXPIRED no', 'must-revalidate: no stale answer');

# a hard one ends it

stored('/both');
purge('/both');
purge('/both', 0);
is(got('/both'), 'MISS answer 2', 'hard after soft');

stored('/other');
purge('/other', 0);
purge('/other');
is(got('/other'), 'MISS answer 2', 'soft after hard');

# of what Redis has

stored('/redis');
stored('/must/redis');
stored('/gone');
wait_for(sub { $redis->cmd('DBSIZE') >= 3 });

purge($_) for '/redis', '/must/redis';
purge('/gone', 0);

$t->stop();
$t->run();

is(got('/redis'), 'UPDATING answer 1', 'from Redis');
ok(wait_for(sub { got('/redis') =~ /HIT/ }), 'and fresh again');
is(got('/must/redis'), 'REVALIDATED answer 1', 'from Redis, to be validated');
is(got('/gone'), 'MISS answer 2', 'not from Redis');

is(header(http_get('/redis'), 'X-Layer'), 'L1', 'it is kept in memory');
is($t->log_count(qr/\[(warn|error|crit)\]/), 0, 'nothing goes wrong');

###############################################################################

sub stored {
    my ($uri) = @_;

    http_get($uri);
    die "$uri is not stored\n" if got($uri) !~ /^HIT/;
}


sub got {
    my ($uri, @fields) = @_;

    my $r = http_get($uri, headers => \@fields);
    return (header($r, 'X-Cache') // '') . ' ' . body($r);
}


sub purge {
    my ($uri, $soft) = @_;

    my $r = http_request('PURGE', $uri,
                         headers => ['Fastly-Soft-Purge: ' . ($soft // 1)]);
    die "not purged: $r" if status($r) != 200;
}

###############################################################################
