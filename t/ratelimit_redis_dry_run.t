#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A dry run refuses nobody, tells clients nothing, does not stand in the way
# of other zones, and shows in variables and log what would have been.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(14);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    log_format limits '$uri:$status:$ratelimit_redis_status:'
                      '$ratelimit_redis_zone:$ratelimit_redis_remaining';
    access_log %%TESTDIR%%/limits.log limits;

    ratelimit_redis_zone $arg_a zone=a:1m rate=1r/m;
    ratelimit_redis_zone $arg_a zone=b:1m rate=3r/m;

    server {
        listen 127.0.0.1:8080;

        ratelimit_redis_log_level notice;

        location /rule {
            ratelimit_redis zone=a dry_run;
            ratelimit_redis zone=b;
        }

        location /all {
            ratelimit_redis zone=a;
            ratelimit_redis_dry_run on;
        }
    }
}

EOF

$t->write_file($_, 'SEE-THIS') for qw/ rule all /;

my $redis = $t->run_redis();

$t->run();

###############################################################################

my @r = map { http_get('/rule?a=1') } 1 .. 4;

is(join(' ', map { status($_) } @r), '200 200 200 429',
    'the other one decides');
is(join(' ', map { header($_, 'X-RateLimit-Limit') } @r), '3 3 3 3',
    'and is told of');
is(join(' ', map { header($_, 'X-RateLimit-Remaining') } @r), '2 1 0 0',
    'as it counts');

ok($t->log_count(qr/\[notice\].*limiting requests, dry run, .* "a"/), 'logged');
ok($t->log_count(qr/\[notice\].*limiting requests, rate: .* "b"/), 'both');

@r = map { http_get('/all?a=2') } 1 .. 3;
is(join(' ', map { status($_) } @r), '200 200 200', 'nothing is refused');
is(header($r[0], 'X-RateLimit-Limit'), undef, 'nor told of');
is($redis->calls('evalsha') + $redis->calls('eval'), 6,
    'what is known to be over asks nobody');

# decided by Redis, too: what is known here is forgotten

$t->stop();
$t->run();

is(status(http_get('/all?a=2')), 200, 'after a restart');
is($redis->calls('evalsha'), 5, 'Redis is asked');
ok($t->log_count(qr/dry run, rate: 1r/) >= 5, 'and refuses in vain');
is(status(http_get('/rule?a=2')), 200, 'the other zone counts');
is($redis->cmd('EXISTS', 'rl:b:{2}'), 1, 'although this one would refuse');

$t->stop();

is($t->read_file('limits.log'), <<'EOF', 'variables');
/rule:200:PASSED:a:0
/rule:200:REJECTED_DRY_RUN:a:0
/rule:200:REJECTED_DRY_RUN:a:0
/rule:429:REJECTED:b:0
/all:200:PASSED:a:0
/all:200:REJECTED_DRY_RUN:a:0
/all:200:REJECTED_DRY_RUN:a:0
/all:200:REJECTED_DRY_RUN:a:0
/rule:200:REJECTED_DRY_RUN:a:0
EOF

###############################################################################
