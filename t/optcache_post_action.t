#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A client leaves while Redis is asked for its answer, and the request goes on
# without it as its post_action: what Redis says then does not disturb it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
    ->plan(5);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_redis_server redis://127.0.0.1:6379 timeout=5s
                          connect_timeout=5s;
    optcache_zone c:1m;
    optcache_valid 1m;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            post_action @after;
            proxy_pass http://127.0.0.1:8081;
        }

        location @after {
            optcache off;
            proxy_pass http://127.0.0.1:8081;
        }

        location @cached {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }

        location /cached {
            optcache c;
            post_action @cached;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $fake = $t->run_fake_redis(behind => $t->run_redis(port => 6380));

my $backend = $t->run_http_backend(8081, sub {
    select undef, undef, undef, 2 if $_[0]->{uri} =~ /slow/;
    return [200, [], 'after'];
});

$t->run();

###############################################################################

is(status(http_get('/')), 200, 'a client that stays');

$fake->set(delay => 1);

for my $uri ('/slow', '/cached/slow', '/cached/fast') {
    leave($uri);
    is($backend->count(qr/\Q$uri\E/), 1, "$uri goes on once");
}

$fake->set(delay => undef);

is(status(http_get('/new')), 200, 'and all is well');

###############################################################################

sub leave {
    my ($uri) = @_;

    my $asked = $fake->log();
    my $s = http_get($uri, start => 1);

    wait_for(sub { $fake->log() > $asked });
    close $s;

    wait_for(sub { $backend->count(qr/\Q$uri\E/) });
    select undef, undef, undef, 1.5;
}

###############################################################################
