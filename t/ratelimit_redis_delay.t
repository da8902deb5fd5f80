#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Requests of a gcra zone wait for their turn as those of limit_req do: all of
# a burst, those above "delay", none with "nodelay".

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Time::HiRes qw/ time /;

my $t = Test::Nginx->new(log => 'info')->has('http_v2')
    ->has_program('redis-server')->plan(23);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s
                           connect_timeout=5s;

    log_format limits $uri:$status:$ratelimit_redis_status;
    access_log %%TESTDIR%%/limits.log limits;

    ratelimit_redis_zone $arg_a zone=a:1m rate=1r/s algorithm=gcra burst=3;
    ratelimit_redis_zone $arg_a zone=n:1m rate=2r/m algorithm=gcra burst=3;
    ratelimit_redis_zone $arg_b zone=b:1m rate=4r/s algorithm=gcra burst=3;
    ratelimit_redis_zone $arg_c zone=c:1m rate=4r/s algorithm=gcra burst=8
                         cost=4;

    server {
        listen 127.0.0.1:8080;
        listen 127.0.0.1:8081 http2;

        location / {
            ratelimit_redis zone=a;
            ratelimit_redis zone=b;
            ratelimit_redis zone=c;
            ratelimit_redis_log_level warn;
        }

        location /delay {
            ratelimit_redis zone=a delay=1;
        }

        location /nodelay {
            ratelimit_redis zone=n nodelay;
            ratelimit_redis_log_level info;
        }

        location /dry {
            ratelimit_redis zone=n dry_run;
        }

        location /soft {
            ratelimit_redis zone=n;
            ratelimit_redis_dry_run on;
        }
    }
}

EOF

$t->write_file($_, 'SEE-THIS') for qw/ x y delay nodelay dry soft /;

my $redis = $t->run_redis();

$t->run();

###############################################################################

# each begins a second after the one before it

my $began = time();
my @s = map { http_get('/x?a=1', start => 1) } 1 .. 4;

ok(wait_for(sub { $t->log_count(qr/delaying request/) == 3 }),
    'three of four wait');
is(status(http_get('/x?a=1')), 429, 'and a fifth has no room');
is(logged(), '/x:200:PASSED /x:429:REJECTED', 'while they wait');

is(join(' ', map { status(http_end($_)) } @s), '200 200 200 200',
    'all are answered');
cmp_ok(time() - $began, '>', 2.9, 'in their time');
is(logged(), '/x:200:PASSED /x:429:REJECTED' . ' /x:200:DELAYED' x 3,
    'delayed');

is($t->log_count(qr/\[notice\].*delaying request, delay: \d+ms, by zone "a"/),
    3, 'logged one level below refusals');
is($t->log_count(qr/\[warn\].*limiting requests, .* by zone "a"/), 1,
    'which are logged as configured');

# of two zones the longer wait, and what costs more waits longer

http_get('/y?a=2');

$began = time();
is(status(http_get('/y?a=2&b=2')), 200, 'two zones');
cmp_ok(time() - $began, '>', 0.6, 'the slower one is waited for');

http_get('/y?c=2');
$began = time();
is(status(http_get('/y?c=2')), 200, 'a cost');
cmp_ok(time() - $began, '>', 0.6, 'is waited for');

# HTTP/2

http_get('/x?a=3');
is(status(http2_get('/x?a=3', port => 8081)), 200, 'HTTP/2');
ok(wait_for(sub { logged() =~ /DELAYED$/ }), 'waits');

# delay, nodelay

logged(1);

@s = map { http_get('/delay?a=4', start => 1) } 1 .. 3;
is(join(' ', map { status(http_end($_)) } @s), '200 200 200', 'delay=1');
is(logged(), '/delay:200:PASSED /delay:200:PASSED /delay:200:DELAYED',
    'the first unit of excess is not waited for');

logged(1);

is(join(' ', map { status(http_get('/nodelay?a=5')) } 1 .. 5),
    '200 200 200 200 429', 'nodelay');
is(logged(), '/nodelay:200:PASSED ' x 4 . '/nodelay:429:REJECTED',
    'nothing is waited for');

# in a dry run nobody waits: it would be for half a minute

logged(1);

is(join(' ', map { status(http_get("/$_?a=6")) } qw/ dry dry soft /),
    '200 200 200', 'dry run');
is(logged(), '/dry:200:PASSED /dry:200:DELAYED_DRY_RUN '
    . '/soft:200:DELAYED_DRY_RUN', 'nobody waits');
is($t->log_count(qr/delaying request, dry run, delay: \d+ms, by zone "n"/), 2,
    'but it is logged');

# Redis gone: this host's limits are waited for

$redis->kill();
logged(1);

http_get('/x?a=7') for 1, 2;
http_get('/dry?a=7') for 1, 2;
is(logged(), '/x:200:LOCAL_PASSED /x:200:LOCAL_DELAYED '
    . '/dry:200:LOCAL_PASSED /dry:200:LOCAL_DELAYED_DRY_RUN', 'without Redis');
ok($t->log_count(qr/delaying request, without redis, delay: /),
    'which is logged');

###############################################################################

my $from;

# what was logged since it was last called with a true argument

sub logged {
    my ($begin) = @_;

    my @lines = split /\n/, $t->read_file('limits.log');

    $from = @lines if $begin;

    return join ' ', @lines[($from // 0) .. $#lines];
}

###############################################################################
