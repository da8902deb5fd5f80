#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A Redis that has lost everything is told of a subject with its next request.
# If the client of that leaves before there is an answer, it is told all the same,
# and the request counts.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(5);

$t->write_file_expand('nginx.conf', <<'EOT');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s
                           connect_timeout=5s;

    ratelimit_redis_zone $arg_a zone=plan:1m rate=${arg_r}r/h;

    log_format limits "$uri:$status:";
    access_log %%TESTDIR%%/limits.log limits;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=plan;
        }

        location /api/ {
            ratelimit_redis_api;
        }
    }
}

EOT

$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_redis();

$t->run();

###############################################################################

is(left(8), '9 8 7 6 5 4 3 2', 'all but two');

my ($era) = known('era');

$redis->kill();
$redis->restart();

ok(wait_for(sub { known('state') eq '"up"' && known('era') > $era }, 20),
    'a Redis that knows nothing, not even the script');

# it does not know the script of a question whose asker has left

$redis->{process}->suspend();

my $s = http_get('/x?a=1&r=10', start => 1);
select undef, undef, undef, 0.3;
close $s;

ok(wait_for(sub { $t->read_file('limits.log') =~ /^\/x:499:/m }),
    'a client has left');

$redis->{process}->resume();

is(left(1), '0', 'the last one');
is(left(1), '!0', 'and no more');

###############################################################################

sub known {
    my ($name) = @_;

    return (body(http_get('/api/status')) =~ /"$name":\s*([^,]*),/)[0] // '';
}


sub left {
    my ($n) = @_;

    return join ' ', map {
        my $r = http_get('/x?a=1&r=10');
        (status($r) == 200 ? '' : '!') . header($r, 'X-RateLimit-Remaining');
    } 1 .. $n;
}

###############################################################################
