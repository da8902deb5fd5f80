#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What a refusal tells without a question to Redis is what Redis would tell:
# where others may have taken of what was left, it is asked.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my @ports = (8080, 8081);
my @hosts = map { Test::Nginx->new() } @ports;

$hosts[0]->has_program('redis-server')->plan(17);

my $conf = <<'EOF';

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    ratelimit_redis_zone $arg_a zone=fixed:1m rate=10r/d cost=$arg_c;
    ratelimit_redis_zone $arg_a zone=sliding:1m rate=10r/d
                         algorithm=sliding_window cost=$arg_c;
    ratelimit_redis_zone $arg_a zone=gcra:1m rate=10r/d burst=9
                         algorithm=gcra cost=$arg_c;
    ratelimit_redis_zone $arg_a zone=minute:1m rate=1r/m;
    ratelimit_redis_zone $arg_a zone=advance:1m rate=4r/h cost=3
                         charge=$arg_t;

    server {
        listen 127.0.0.1:8080;

        ratelimit_redis_headers all;

        location /fixed {
            ratelimit_redis zone=fixed;
            alias %%TESTDIR%%/x;
        }

        location /sliding {
            ratelimit_redis zone=sliding;
            alias %%TESTDIR%%/x;
        }

        location /gcra {
            ratelimit_redis zone=gcra nodelay;
            alias %%TESTDIR%%/x;
        }

        location /two {
            ratelimit_redis zone=minute;
            ratelimit_redis zone=advance;
            alias %%TESTDIR%%/x;
        }
    }
}

EOF

for my $i (0 .. $#ports) {
    $hosts[$i]->write_file('x', 'SEE-THIS');
    $hosts[$i]->write_file_expand('nginx.conf',
        $conf =~ s/127\.0\.0\.1:8080\b/127.0.0.1:$ports[$i]/r);
}

my $redis = $hosts[0]->run_redis();
$_->run() for @hosts;

###############################################################################

for my $name (qw/ fixed sliding gcra /) {

    # two are left as the first host knows, and then the other one takes them

    is(ask(0, "/$name?a=1&c=8")->{left}, 2, "$name: some are left");
    is(ask(1, "/$name?a=1&c=2")->{left}, 0, "$name: another host takes them");

    my $here = ask(0, "/$name?a=1&c=4");
    my $there = ask(1, "/$name?a=1&c=4");

    is($here->{left}, 0, "$name: nothing is left for the first, either");
    cmp_ok(abs($here->{after} - $there->{after}), '<=', 2,
        "$name: which is told the same time");

    # who has nothing left is not asked for, nor who costs too much

    my $calls = $redis->calls('evalsha');
    ask(0, "/$name?a=1&c=$_") for 1, 4, 11;

    is($redis->calls('evalsha') - $calls, 0, "$name: that is known");
}

# two zones, of which one would be asked for

ask(0, '/two?a=1');
my $two = ask(0, '/two?a=1');

cmp_ok($two->{after}, '>', 3000, 'of two zones the one that refuses longest');
like($two->{body}, qr/\["advance","minute"\]/, 'and both are named');

###############################################################################

sub ask {
    my ($host, $uri) = @_;

    my $r = http_get($uri, port => $ports[$host]);

    return {
        left => header($r, 'X-RateLimit-Remaining'),
        after => header($r, 'Retry-After') // -1,
        body => $r,
    };
}

###############################################################################
