#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A Redis that answers, and refuses to revoke or to reset, is not said to be
# silent: the log has the word for why, and not once for each request.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->plan(14);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

worker_processes 1;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s
                           connect_timeout=5s;
    ratelimit_redis_zone $remote_addr zone=a:1m rate=1r/h;

    server {
        listen 127.0.0.1:8080;

        location / {
            token_blacklist on;
        }

        location = /logout {
            token_revoke;
        }

        location /api/ {
            ratelimit_redis_api write=on;
        }
    }
}

EOC

my $redis = $t->run_fake_redis(port => 6379, reply => {
    EVAL => "-OOM command not allowed \x{1b}[31m\r\n",
    DEL => "-NOPERM this user has no permissions\r\n",
});

$t->run();

###############################################################################

my @r = map { logout("t$_") } 1 .. 20;

is(join(' ', map { status($_) } @r), join(' ', (503) x 20), 'not revoked');
is($t->log_count(qr/redis does not take revocations: "OOM"/), 1,
    'why is told, once');

my $r = http_post('/api/revocations', body => '{"token":"other"}',
                  headers => ['Content-Type: application/json']);

is(status($r), 503, 'nor by the api');
like($r, qr/Redis has not taken it/, 'which is told');
ok($t->log_count(qr/has not taken it, what was revoked by the api \(a token/),
    'and logged');

$r = http_request('DELETE', '/api/subjects/a/127.0.0.1');

is(status($r), 503, 'not reset');
like($r, qr/Redis has not taken it/, 'which is told');
ok($t->log_count(qr/redis does not reset limits: "NOPERM"/), 'and why');

is($t->log_count(qr/does not answer|is down/), 0, 'nobody says it is silent');

# the hosts differ in what is revoked

like(body(http_get('/api/health')),
    qr/"revoking: redis does not take what is revoked"/, 'health');
like(body(http_get('/api/metrics')),
    qr/^ratelimit_redis_degraded\{reason="revoking"\} 1$/m, 'metrics');

$redis->set(reply => { EVAL => "+OK\r\n" });

ok(wait_for(sub { status(logout('last')) == 204 }), 'it takes them');
ok(wait_for(sub {
       logout('again');
       $t->log_count(qr/redis takes revocations again after \d+ms/);
   }), 'which is told');

ok(wait_for(sub { body(http_get('/api/health')) !~ /revoking/ }, 15),
    'health has nothing to tell, in ten seconds');

###############################################################################

sub logout {
    my ($token) = @_;
    return http_post('/logout', headers => ["Authorization: Bearer $token"]);
}

###############################################################################
