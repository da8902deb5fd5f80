#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What Redis refuses one worker /health of all workers tells, and the metrics,
# for ten seconds.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw/ time sleep /;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(13);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 4;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=500ms
                           connect_timeout=500ms;

    ratelimit_redis_zone $arg_a zone=a:1m rate=1000r/m;

    server {
        listen 127.0.0.1:8080 reuseport;

        location / {
            ratelimit_redis zone=a on_error=deny;
        }

        location /token {
            token_blacklist on;
        }

        location /api/ {
            add_header X-Pid $pid always;
            ratelimit_redis_api;
        }
    }
}

EOF

$t->write_file($_, 'SEE-THIS') for qw/ x token /;

my $redis = $t->run_redis();

$t->run();

###############################################################################

is(told('health', qr/"healthy"/), '4 of 4', 'all is well');

# one request, and one worker it was

$redis->cmd('LPUSH', 'rl:a:{bad}', 1);

is(status(http_get('/x?a=bad')), 503, 'a limit');

my $refused = time();

is(told('health', qr/"limits: redis refuses to count"/), '4 of 4', 'health');
is(told('metrics', qr/^ratelimit_redis_degraded\{reason="limits"\} 1$/m),
    '4 of 4', 'metrics');
is(told('health', qr/tokens:/), '0 of 4', 'and nothing of tokens');
is($t->log_count(qr/refused the script of limits/), 1, 'one has logged it');

# that others are served does not end it

$redis->cmd('DEL', 'rl:a:{bad}');
sleep 1.5;
http_get("/x?a=$_") for 1 .. 50;

is(told('health', qr/limits:/), '4 of 4', 'of ten seconds');

ok(wait_for(sub { told('health', qr/"healthy"/) eq '4 of 4' }, 15), 'over');
cmp_ok(time() - $refused, '>', 9.9, 'after ten seconds');

$redis->cmd('ACL', 'SETUSER', 'default', '-exists');

is(status(http_get('/token', headers => { Authorization => 'Bearer a' })), 503,
    'a token');
is(told('health', qr/"tokens: redis does not tell which are revoked"/),
    '4 of 4', 'health');
is(told('metrics', qr/^ratelimit_redis_degraded\{reason="tokens"\} 1$/m),
    '4 of 4', 'metrics');
is(told('health', qr/limits:/), '0 of 4', 'and nothing of limits');

###############################################################################

# of the workers that were asked, until all were, who said so

sub told {
    my ($what, $re) = @_;
    my %told;

    for (1 .. 200) {
        my $r = http_get("/api/$what");
        $told{header($r, 'X-Pid')} = body($r) =~ $re ? 1 : 0;
        last if keys %told == 4;
    }

    return grep({ $_ } values %told) . ' of ' . keys %told;
}

###############################################################################
