#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A limit admits exactly what it says; several rates on one zone pass as one,
# and every response tells where the client stands.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(27);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    ratelimit_redis_zone $arg_k zone=many:1m rate=60r/m rate=500r/h
                                             rate=2000r/d;
    ratelimit_redis_zone $arg_k zone=short:1m rate=2r/2s rate=4r/h;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=many;
        }

        location /short {
            ratelimit_redis zone=short;
        }
    }
}

EOF

$t->write_file('index.html', 'SEE-THIS');
$t->write_file('short', 'SEE-THIS');

my $redis = $t->run_redis();

$t->run();

###############################################################################

my $r = http_get('/?k=a');
is(status($r), 200, 'the first passes');
is(header($r, 'X-RateLimit-Limit'), 60, 'the rate closest to exhaustion');
is(header($r, 'X-RateLimit-Remaining'), 59, 'remaining');
is(header($r, 'X-RateLimit-Reset'), 60, 'reset');
is(header($r, 'Retry-After'), undef, 'nothing to retry');

my $passed = 1;

for (2 .. 60) {
    $r = http_get('/?k=a');
    $passed++ if status($r) == 200;
}

is($passed, 60, '60 requests pass');
is(header($r, 'X-RateLimit-Remaining'), 0, 'nothing remains');

my $asked = $redis->calls('evalsha');

$r = http_get('/?k=a');
is(status($r), 429, 'the 61st is refused');
is(header($r, 'X-RateLimit-Limit'), 60, 'by 60r/m');
is(header($r, 'X-RateLimit-Remaining'), 0, 'of which nothing remains');
like(header($r, 'X-RateLimit-Reset'), qr/^(5[0-9]|60)$/, 'for a minute');
is(header($r, 'Retry-After'), header($r, 'X-RateLimit-Reset'), 'retry then');
is(header($r, 'Content-Type'), 'application/problem+json', 'a problem');
is(body($r), '{"type":"https://iana.org/assignments/http-problem-types'
    . '#quota-exceeded","title":"Request cannot be satisfied as assigned '
    . 'quota has been exceeded","status":429,"violated-policies":["many-1m"]}'
    . "\n", 'that names the zone');

is($redis->calls('evalsha'), $asked, 'a refused one does not ask Redis');

is(status(http_get('/?k=b')), 200, 'another subject has its own');
is(status(http_get('/?k=')), 200, 'an empty key is not limited');
is(header(http_get('/'), 'X-RateLimit-Limit'), undef, 'and told nothing');

# one key in Redis, that expires by itself

is_deeply([sort @{ $redis->cmd('KEYS', 'rl:many:*') }],
    ['rl:many:{a}', 'rl:many:{b}'], 'one key for a subject');
ok($redis->cmd('PTTL', 'rl:many:{a}') > 86300000, 'until its last window ends');
ok($redis->cmd('STRLEN', 'rl:many:{a}') <= 50, 'and short');

# the shorter window ends and begins anew, the longer one goes on

is(join(' ', map { status(http_get('/short?k=a')) } 1 .. 3), '200 200 429',
    'two in two seconds');

select undef, undef, undef, 2.1;

is(join(' ', map { status(http_get('/short?k=a')) } 1 .. 2), '200 200',
    'and two more');

$r = http_get('/short?k=a');
is(status($r), 429, 'the fifth of the hour is refused');
is(header($r, 'X-RateLimit-Limit'), 4, 'by the hour');
like(header($r, 'Retry-After'), qr/^3[56]\d\d$/, 'for the rest of it');

ok($t->log_count(qr{\[error\].*limiting requests, rate: 4r/3600s, retry:})
   && $t->log_count(qr{retry: 3[56]\d\ds, by zone "short", client: 127}),
   'it is logged');

###############################################################################
