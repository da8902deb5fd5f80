#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Without Redis the shared memory is the limit, with the same rules, for all
# workers.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->plan(17);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    log_format limits $ratelimit_redis_status:$ratelimit_redis_zone;
    access_log %%TESTDIR%%/limits.log limits;

    ratelimit_redis_zone $arg_a zone=a:1m rate=3r/2s rate=5r/h;
    ratelimit_redis_zone $arg_b zone=b:1m rate=2r/m;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=a;
        }

        location /both {
            ratelimit_redis zone=b;
            ratelimit_redis zone=a;
        }

        location /dry {
            ratelimit_redis zone=b dry_run;
        }
    }
}

EOF

$t->write_file($_, 'SEE-THIS') for qw/ x both dry /;
$t->run();

###############################################################################

my @r = map { http_get('/x?a=1') } 1 .. 4;

is(join(' ', map { status($_) } @r), '200 200 200 429', 'three, and no more');
is(join(' ', map { header($_, 'X-RateLimit-Limit') } @r), '3 3 3 3', 'limit');
is(join(' ', map { header($_, 'X-RateLimit-Remaining') } @r), '2 1 0 0',
    'remaining');
is(header($r[0], 'X-RateLimit-Reset'), 2, 'reset');
like(header($r[3], 'Retry-After'), qr/^[12]$/, 'retry');

is(status(http_get('/x?a=2')), 200, 'another subject');
is(status(http_get('/x?a=')), 200, 'an empty key');

select undef, undef, undef, 2.1;

is(join(' ', map { status(http_get('/x?a=1')) } 1 .. 3), '200 200 429',
    'a new window, and the longer one goes on');
like(header(http_get('/x?a=1'), 'Retry-After'), qr/^3\d\d\d$/, 'for an hour');

# two zones as one

is(join(' ', map { status(http_get('/both?a=3&b=3')) } 1 .. 3), '200 200 429',
    'one of two refuses');
is(header(http_get('/x?a=3'), 'X-RateLimit-Remaining'), 0,
    'and the other was charged for two');

is(join(' ', map { status(http_get('/dry?b=4')) } 1 .. 3), '200 200 200',
    'dry run');

# the workers share it, and a worker that dies takes nothing along

http_get('/x?a=5');
$t->kill_worker();
is(header(http_get('/x?a=5'), 'X-RateLimit-Remaining'), 1, 'a worker dies');

# many at once

my @s = map { http_get('/both?b=6&a=6', start => 1) } 1 .. 40;
my @passed = grep { status(http_end($_)) == 200 } @s;
is(scalar @passed, 2, 'as many as are allowed, of many at once');

$t->stop();

my $log = $t->read_file('limits.log');
like($log, qr/^PASSED:a$/m, 'status of one that passed');
like($log, qr/^REJECTED:b$/m, 'status of one that was refused');
unlike($log, qr/LOCAL/, 'there is nothing else it could be');

###############################################################################
