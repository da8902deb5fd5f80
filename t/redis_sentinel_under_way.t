#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What is under way to a master that is replaced is lost, not sent again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(7);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:26379 sentinel=mymaster
                           connections=6 timeout=30s connect_timeout=5s;

    ratelimit_redis_zone $arg_a zone=a:1m rate=1000r/h;

    add_header X-Limit $ratelimit_redis_status;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=a;
        }
    }
}

EOC

$t->write_file('x', 'SEE-THIS');

# the first never answers a command, and is a master all the time

my $two = $t->run_fake_redis(port => 6380,
    behind => $t->run_redis(port => 6381));
my $one = $t->run_fake_redis(port => 6379, reply => {
    EVALSHA => '', ROLE => "*3\r\n\$6\r\nmaster\r\n:0\r\n*0\r\n",
});
my $sentinel = $t->run_fake_redis(port => 26379,
    reply => { SENTINEL => at(6379) });

$t->run();

###############################################################################

my @s = map { http_get("/x?a=$_", start => 1) } 1 .. 6;

ok(wait_for(sub { asked($one) == 6 }), 'under way');

my %under_way = map { $_ => 1 } asked($one);

$sentinel->set(reply => { SENTINEL => at(6380) });

is(join(' ', map { limit_of(http_end($_)) } @s),
    join(' ', ('LOCAL_PASSED') x 6), 'lost');

is($one->connections(), 0, 'no connection to the old master');
is(limit_of(scalar http_get('/x?a=7')), 'PASSED', 'the next one by the new');

is(join(' ', grep { $under_way{$_} } map { "@$_" } $two->log()), '',
    'which was sent none of the others');

is($t->log_count(qr/\[notice\].*redis "sentinel=mymaster" is 127\.0\.0\.1/),
    1, 'told');
is($t->log_count(qr/is down/), 0, 'it is no outage');

###############################################################################

sub at {
    my $port = port($_[0]);
    return "*2\r\n\$9\r\n127.0.0.1\r\n\$" . length($port) . "\r\n$port\r\n";
}


# The commands about the six subjects, as text.

sub asked { grep { /:\{?[1-6]\}? / } map { "@$_" } $_[0]->log('EVALSHA') }


sub limit_of { header($_[0], 'X-Limit') // '' }

###############################################################################
