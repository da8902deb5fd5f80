#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Rates that come from variables: each request has its own, what was used
# stays used when they change, and what is no rate lets nobody in.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(48);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    %%SERVER%%

    map $arg_plan $plan {
        free     2r/m;
        paid     5r/m;
        none     0r/m;
        wrong    lots;
        default  "";
    }

    ratelimit_redis_zone $arg_a zone=plan:1m rate=$plan;
    ratelimit_redis_zone $arg_a zone=two:1m rate=3r/h rate=${arg_n}r/h;
    ratelimit_redis_zone $arg_a zone=more:1m rate=$arg_r rate=$arg_s;
    ratelimit_redis_zone $arg_a zone=many:1m rate=$arg_r rate=90r/s rate=90r/2s
                                rate=90r/3s rate=90r/4s rate=90r/5s rate=90r/m
                                rate=2r/h;
    ratelimit_redis_zone $arg_a zone=gcra:1m rate=$arg_r algorithm=gcra
                                             burst=1;

    server {
        listen 127.0.0.1:8080;

        location /plan {
            ratelimit_redis zone=plan;
            ratelimit_redis_headers all;
        }

        location /two {
            ratelimit_redis zone=two;
        }

        location /more {
            ratelimit_redis zone=more;
            ratelimit_redis_headers all;
        }

        location /many {
            ratelimit_redis zone=many;
        }

        location /gcra {
            ratelimit_redis zone=gcra nodelay;
        }
    }
}

EOF

$t->write_file($_, 'SEE-THIS') for qw/ plan two more many gcra /;

my $conf = $t->read_file('nginx.conf');
$t->run_redis();

###############################################################################

for my $server ('', 'ratelimit_redis_server redis://127.0.0.1:6379'
                    . ' timeout=5s connect_timeout=5s;')
{
    my $how = $server ? ', in Redis' : ', here';

    $t->write_file('nginx.conf',
                   $t->expand($conf =~ s/%%SERVER%%/$server/r));
    $t->run();

    # a plan that changes within its window

    is(get('/plan?a=1&plan=free', 3), '200 200 429', 'a plan' . $how);
    is(get('/plan?a=1&plan=paid', 4), '200 200 200 429',
        'a greater one counts at once' . $how);
    is(get('/plan?a=1&plan=free', 1), '429', 'so does a smaller one' . $how);

    my $r = http_get('/plan?a=2&plan=paid');
    is(header($r, 'X-RateLimit-Limit'), 5, 'the limit is told' . $how);
    is(header($r, 'RateLimit-Policy'), '"plan";q=5;w=60',
        'and the policy' . $how);

    # no rate, a rate of nothing, and what is no rate

    is(get('/plan?a=1&plan=', 3), '200 200 200', 'no rate: no limit' . $how);
    is(header(http_get('/plan?a=1'), 'X-RateLimit-Limit'), undef,
        'and nothing to tell' . $how);

    $r = http_get('/plan?a=3&plan=none');
    is(status($r), 429, '0r/m admits nothing' . $how);
    is(header($r, 'X-RateLimit-Remaining'), 0, 'nothing remains' . $how);
    is(header($r, 'Retry-After'), undef, 'and never will' . $how);
    is(header($r, 'X-RateLimit-Reset'), undef, 'nor is there a reset' . $how);
    is(header($r, 'RateLimit'), '"plan";r=0', 'without a time' . $how);
    is(get('/plan?a=3&plan=free', 1), '200', 'until the plan changes' . $how);

    is(get('/plan?a=3&plan=wrong', 2), '500 500', 'no rate at all' . $how);

    # two of the same time: the smaller one

    is(get('/two?a=1&n=2', 3), '200 200 429', 'the smaller is variable' . $how);
    is(get('/two?a=2&n=9', 4), '200 200 200 429',
        'the smaller is not' . $how);

    # rates that come and go

    is(get('/more?a=1&r=2r/m&s=3r/h', 3), '200 200 429', 'two rates' . $how);
    $r = http_get('/more?a=1&s=4r/h');
    is(header($r, 'X-RateLimit-Remaining'), 1,
        'one goes, the other stays used' . $how);
    is(header($r, 'RateLimit-Policy'), '"more-1h";q=4;w=3600',
        'and has the same name' . $how);
    is(get('/more?a=1&r=9r/m&s=9r/h', 1), '200', 'and comes back' . $how);

    is(get('/many?a=1&r=9r/d', 3), '200 200 429', 'eight rates' . $how);

    is(get('/gcra?a=1&r=1r/m', 3), '200 200 429', 'a bucket' . $how);
    is(get('/gcra?a=2&r=0r/s', 1), '429', 'that is shut' . $how);

    $t->stop();
}

is($t->log_count(qr/invalid value of "rate=\$plan" of zone "plan"/),
    4, 'wrong rates are logged');
is($t->log_count(qr/lots.*client:/), 0, 'without their value');

###############################################################################

sub get {
    my ($uri, $n) = @_;
    return join ' ', map { status(http_get($uri)) } 1 .. $n;
}

###############################################################################
