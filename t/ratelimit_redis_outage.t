#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Redis is killed, or frozen, and comes back, under load: no request fails or
# waits for long, and those that were refused stay refused.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(12);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=100ms
                           connect_timeout=100ms;

    log_format limits $uri:$status:$ratelimit_redis_status;
    access_log %%TESTDIR%%/limits.log limits;

    ratelimit_redis_zone $arg_a zone=a:1m rate=3r/m;
    ratelimit_redis_zone $arg_a zone=b:1m rate=1r/m;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=a;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_redis();

$t->run();

###############################################################################

# the host has told of itself: it will know a Redis that has forgotten it

wait_for(sub { $redis->cmd('ZCARD', 'rl:{fleet}') });

is(join(' ', map { status(http_get('/x?a=warm')) } 1 .. 2), '200 200',
    'before');

# what Redis last said is where local limits begin

$redis->kill();

is(join(' ', map { status(http_get('/x?a=warm')) } 1 .. 3), '200 429 429',
    'killed: the third passes, the fourth does not');
is(status(http_get('/x?a=cold')), 200, 'others pass');
like(status_of_last(), qr/^LOCAL_PASSED$/, 'locally');

$redis->launch();

ok(wait_for(sub { http_get('/x?a=' . rand) && status_of_last() eq 'PASSED' }),
    'asked again');

# it looks once a second, and then tells all it knows

$t->wait_for_log(qr/has forgotten the limits/);
wait_for(sub { $redis->cmd('EXISTS', 'rl:a:{warm}') });

is(status(http_get('/x?a=warm')), 429, 'who was refused stays refused');

# frozen, with requests on their way

$redis->suspend();

my @s = map { http_get("/x?a=f$_", start => 1) } 1 .. 20;
my @r = map { http_end($_) } @s;

is(scalar(grep { status($_) == 200 } @r), 20, 'frozen: all are answered');

# the breaker is open by now: nobody waits any more

ok(wait_for(sub {
    http_get('/x?a=' . rand);
    return status_of_last() eq 'LOCAL_PASSED';
}), 'locally');

@s = map { http_get('/x?a=frozen', start => 1) } 1 .. 20;
@r = map { http_end($_) } @s;

is(scalar(grep { status($_) == 200 } @r), 3, 'frozen: the limit holds');

$redis->cont();

ok(wait_for(sub { http_get('/x?a=' . rand) && status_of_last() eq 'PASSED' }),
    'asked again');
is(status(http_get('/x?a=frozen')), 429, 'who was refused stays refused');
is($t->log_count(qr/\[(alert|crit|emerg)\]/), 0, 'without alarm');

###############################################################################

sub status_of_last {
    my ($status) = $t->read_file('limits.log') =~ /:(\w*)\n\z/;
    return $status // '';
}

###############################################################################
