#!/usr/bin/perl

# Copyright (C) The Optcache authors

# gcra admits a burst and then what leaks away, in Redis as without it; a
# zone of several rates keeps to all of them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(29);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    %%SERVER%%

    ratelimit_redis_zone $arg_a zone=slow:1m rate=6r/m
                         algorithm=gcra burst=2;
    ratelimit_redis_zone $arg_a zone=fast:1m rate=1r/s
                         algorithm=gcra burst=1;
    ratelimit_redis_zone $arg_a zone=none:1m rate=1r/h algorithm=gcra;
    ratelimit_redis_zone $arg_a zone=both:1m rate=60r/m rate=1r/h
                         algorithm=gcra burst=1;

    server {
        listen 127.0.0.1:8080;

        location /slow {
            ratelimit_redis zone=slow nodelay;
        }

        location /fast {
            ratelimit_redis zone=fast nodelay;
        }

        location /none {
            ratelimit_redis zone=none;
        }

        location /both {
            ratelimit_redis zone=both nodelay;
        }
    }
}

EOF

$t->write_file($_, 'SEE-THIS') for qw/ slow fast none both /;

my $conf = $t->read_file('nginx.conf');
my $redis = $t->run_redis();

###############################################################################

for my $server ('', 'ratelimit_redis_server redis://127.0.0.1:6379'
                    . ' timeout=5s connect_timeout=5s;')
{
    my $how = $server ? ', in Redis' : ', here';

    $t->write_file('nginx.conf',
                   $t->expand($conf =~ s/%%SERVER%%/$server/r));
    $t->run();

    my @r = map { http_get('/slow?a=1') } 1 .. 4;

    is(join(' ', map { status($_) } @r), '200 200 200 429',
        'one and a burst of two' . $how);
    is(join(' ', map { header($_, 'X-RateLimit-Limit') } @r), '6 6 6 6',
        'of the rate' . $how);
    is(join(' ', map { header($_, 'X-RateLimit-Remaining') } @r), '2 1 0 0',
        'remaining is what is let in at once' . $how);
    like(join(' ', map { header($_, 'X-RateLimit-Reset') } @r[0 .. 2]),
        qr/^(10|9) (20|19) (30|29|28)$/, 'reset is when all has leaked' . $how);
    like(header($r[3], 'Retry-After'), qr/^([5-9]|10)$/,
        'retry when one has' . $how);
    is(header($r[3], 'X-RateLimit-Reset'), header($r[3], 'Retry-After'),
        'which is the reset of a refusal' . $how);
    is(status(http_get('/slow?a=2')), 200, 'another subject' . $how);

    is(join(' ', map { status(http_get('/fast?a=1')) } 1 .. 3),
        '200 200 429', 'two in a second' . $how);

    select undef, undef, undef, 1.1;

    is(status(http_get('/fast?a=1')), 200, 'one leaks in a second' . $how);

    select undef, undef, undef, 2.1;

    is(join(' ', map { status(http_get('/fast?a=1')) } 1 .. 3),
        '200 200 429', 'and never more than the burst' . $how);

    is(join(' ', map { status(http_get('/none?a=1')) } 1 .. 2), '200 429',
        'without a burst' . $how);

    @r = map { http_get('/both?a=1') } 1 .. 3;

    is(join(' ', map { status($_) } @r), '200 200 429',
        'two rates have one burst' . $how);
    is(header($r[2], 'X-RateLimit-Limit'), 1, 'the slower refuses' . $how);
    cmp_ok(header($r[2], 'Retry-After'), '>', 3500, 'for longer' . $how);

    $t->stop();
}

is($redis->cmd('STRLEN', 'rl:slow:{1}'), 17, 'one short key in Redis');

###############################################################################
