#!/usr/bin/perl

# Copyright (C) The Optcache authors

# An update for a user that brings what may not be stored removes what this user
# has, in Redis, too, and nothing of another user or of all.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my @whats = qw/ no-store forbidden gone any set-cookie /;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
    ->plan(8 * @whats);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            optcache_user $http_x_user;
            optcache_use_stale updating;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $redis = $t->run_redis();

# The first answer to each is stale; what the first user is told then the URI
# says.

my %said = (
    'no-store' => [200, ['Cache-Control: no-store']],
    forbidden => [403, []],
    gone => [404, []],
    any => [200, ['Cache-Control: max-age=60', 'Vary: *']],
    'set-cookie' => [200, ['Cache-Control: max-age=60', 'Set-Cookie: a=1']],
);

my @stale = ('Cache-Control: max-age=60', 'ETag: "a"', 'Age: 100');

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my ($what) = $req->{uri} =~ m{([^/]+)$};
    my $user = $req->{headers}{'x-user'} // 'nobody';

    return [200, \@stale, "old of $user"]
        if $req->{count} <= 3 || $user ne 'first';

    return [@{$said{$what}}, 'new of first'];
});

$t->run();

###############################################################################

for my $what (@whats) {
    my $before = $redis->entries();

    for my $user (qw/ first second nobody /) {
        is(get("/$what", $user), "MISS old of $user", "$what: stale");
    }

    ok(wait_for(sub { $redis->entries() == $before + 3 }), 'also in Redis');

    is(get("/$what", 'first'), 'UPDATING old of first', 'sent to the user');
    ok(wait_for(sub { $redis->entries() == $before + 2
                      && get("/$what", 'first') eq 'MISS new of first' }),
        'and gone for this user');

    for my $user (qw/ second nobody /) {
        is(get("/$what", $user), "UPDATING old of $user", 'others have theirs');
    }
}

###############################################################################

sub get {
    my ($uri, $user) = @_;

    my $r = http_get($uri, headers => [
        $user eq 'nobody' ? () : "X-User: $user"
    ]);

    return header($r, 'X-Cache') . ' ' . body($r);
}

###############################################################################
