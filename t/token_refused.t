#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Redis answers, and does not tell whether a token is revoked, as its user has
# lost a right: the log and /health tell, once, and when it is over.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(11);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=500ms
                           connect_timeout=500ms;

    server {
        listen 127.0.0.1:8080;

        token_blacklist on;

        location / {
        }

        location /allow {
            token_blacklist_on_error allow;
        }

        location /api/ {
            token_blacklist off;
            ratelimit_redis_api health=503;
        }
    }
}

EOF

$t->write_file($_, 'SEE-THIS') for qw/ x allow /;

my $redis = $t->run_redis();

$t->run();

###############################################################################

is(get('/x', 'a'), 200, 'all is well');
is(status(http_get('/api/health')), 200, 'healthy');

$redis->cmd('ACL', 'SETUSER', 'default', '-exists');

is(join(' ', map { get('/x', "b$_") } 1 .. 5), '503 503 503 503 503', 'deny');
is(get('/allow', 'c'), 200, 'allow');

my $r = http_get('/api/health');
is(status($r), 503, 'not healthy');
like(body($r), qr/"tokens: redis does not tell which are revoked"/, 'why');
like(body(http_get('/api/metrics')),
    qr/^ratelimit_redis_degraded\{reason="tokens"\} 1$/m, 'metrics');
is($t->log_count(qr/\[error\].* does not tell of revoked tokens: "NOPERM"/), 1,
    'the log, once');

$redis->cmd('ACL', 'SETUSER', 'default', '+exists');

my $n = 0;

ok(wait_for(sub {
    get('/x', 'd' . $n++);
    return $t->log_count(qr/tells of revoked tokens again after \d+ms/);
}), 'over');
is(get('/x', 'e'), 200, 'all is well again');
ok(wait_for(sub { status(http_get('/api/health')) == 200 }, 15),
    'healthy again');

###############################################################################

sub get {
    my ($uri, $token) = @_;
    return status(http_get($uri,
                           headers => { Authorization => "Bearer $token" }));
}

###############################################################################
