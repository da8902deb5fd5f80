#!/usr/bin/perl

# Copyright (C) The Optcache authors

# While a request waits for Redis a mirrored copy of it may read the token as
# another location says: what the request was refused for is not forgotten.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Token;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(10);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;
    ratelimit_redis_zone $arg_key zone=one:1m rate=1000r/m;

    limit_req_zone $server_port zone=slow:1m rate=2r/s;

    log_format status '$uri $token_status';

    server {
        listen 127.0.0.1:8080;

        token_required on;
        token_blacklist_key "jti:$token_claim_jti";
        access_log %%TESTDIR%%/status.log status;

        location /first {
            token_required off;
            mirror /mirror;
            proxy_pass http://127.0.0.1:8081/none;
            proxy_intercept_errors on;
            error_page 404 = /verified$is_args$args;

            location /first/listed {
                error_page 404 = /listed$is_args$args;
            }

            # the copy has read it before the request comes to where it is judged

            location /first/copied {
                mirror /mirror/again;
                proxy_pass http://127.0.0.1:8081/none;
            }
        }

        location = /mirror {
            internal;
            proxy_pass http://127.0.0.1:8081/slow;
            proxy_intercept_errors on;
            error_page 404 = /mirror/again;
        }

        location = /mirror/again {
            internal;
            proxy_set_header X-Digest $token_digest;
            proxy_pass http://127.0.0.1:8081/seen;
        }

        location /verified {
            token_jwt_keys %%TESTDIR%%/keys.json;
            ratelimit_redis zone=one;
        }

        location /listed {
            token_jwt_keys %%TESTDIR%%/keys.json;
            token_blacklist on;
            ratelimit_redis zone=one;
        }
    }

    server {
        listen 127.0.0.1:8081;

        location /slow {
            limit_req zone=slow burst=10;
        }

        location /seen {
            access_log %%TESTDIR%%/seen.log;
            return 204;
        }
    }
}

EOF

my ($key, $other) = map { Test::Nginx::Token->new('HS256') } 1, 2;

$t->write_file('keys.json', jwks($key));
$t->write_file($_, 'SEE-THIS') for qw/ verified listed /;

my $redis = $t->run_redis();

$t->run();

###############################################################################

# the copy is slowed down from now on

get('/first?key=0', $key);

for my $path (qw{ /first /first/listed }) {

    is(get($path, $key), 200, "$path: good");

    my $seen = seen();

    $redis->cmd('CLIENT', 'PAUSE', 2500);
    is(get($path, $other), 401, "$path: forged");

    ok(seen() > $seen, "$path: the copy read it meanwhile");
}

is(get('/first/copied', $key), 200, 'read by the copy before: good');
is(get('/first/copied', $other), 401, 'read by the copy before: forged');

###############################################################################

$t->stop();

my @lines = split /\n/, $t->read_file('status.log');
is($lines[-1], '/verified signature', 'what it was refused for');
unlike($t->read_file('error.log'), qr/exited on signal/, 'no worker died');

###############################################################################

sub get {
    my ($path, $with) = @_;

    our $n++;

    return status(http_get("$path?key=$n", headers => {
        Authorization => 'Bearer ' . $with->token({ sub => 'a' })
    })) // 'none';
}


sub seen {
    my $log = -e $t->testdir() . '/seen.log' ? $t->read_file('seen.log') : '';

    return scalar(() = $log =~ /\n/g);
}

###############################################################################
