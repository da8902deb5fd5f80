#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A server of a cluster that lies of where slots are: nothing is followed
# without end, and a map that cannot be true is none.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my @maps = (
    ['a string', "+OK\r\n"],
    ['nil', "*-1\r\n"],
    ['numbers', "*2\r\n:0\r\n:1\r\n"],
    ['a slot too many', map_of([0, 16384])],
    ['a negative slot', map_of([-1, 10])],
    ['slots backwards', map_of([10, 9])],
    ['slots twice', map_of([0, 10], [10, 16383])],
    ['no slots', "*0\r\n"],
    ['no host', "*1\r\n*3\r\n:0\r\n:16383\r\n*1\r\n:1\r\n"],
    ['a host that is none',
     "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n\$5\r\n/tmp/\r\n:7000\r\n"],
    ['port 0', "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n\$1\r\na\r\n:0\r\n"],
    ['an array without end', "*2147483647\r\n*3\r\n"],
    ['a string without end', "\$999999999\r\nabc"],
    ['deep arrays', "*1\r\n" x 20],
    ['garbage', "HTTP/1.1 400 Bad Request\r\n\r\n"],
    ['an error', "-ERR This instance has cluster support disabled\r\n"],
    ['loading', "-LOADING Redis is loading\r\n"],
);

my $t = Test::Nginx->new(log => 'info')->has_program('redis-server')
        ->plan(7 + 2 * @maps);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:7000 cluster
                           timeout=400ms connect_timeout=400ms;
    ratelimit_redis_zone $arg_a zone=a:1m rate=1000r/h;

    add_header X-Limit $ratelimit_redis_status always;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=a;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_redis(port => 6379);
my $port = port(7000);
my $good = map_of([0, 16383]);

# the first of the maps is what it starts with

my $fake = $t->run_fake_redis(
    port => 7000, behind => $redis, reply => { CLUSTER => $maps[3][1] },
);

$t->run();

###############################################################################

ok($t->wait_for_log(qr/does not tell where slots are/), 'a lie at the start');
is(limit(), 'LOCAL_PASSED', 'no map: locally');
is(scalar($fake->log('EVALSHA')) + $fake->log('EVAL'), 0, 'not asked');

$fake->set(reply => { CLUSTER => $good });
ok(wait_for(sub { limit() eq 'PASSED' }), 'the truth is found');
ok($t->wait_for_log(qr/tells where slots are again after \d+ms/), 'logged');

# a bad map does not take the place of a good one

for my $bad (@maps) {
    my $n = refused();

    $fake->set(reply => { CLUSTER => $bad->[1] });
    $fake->drop();

    ok(wait_for(sub { limit(); refused() > $n }), "$bad->[0]: refused");
    ok(wait_for(sub { limit() eq 'PASSED' }), 'and the map stays');
}

$fake->set(reply => { CLUSTER => $good });
ok(wait_for(sub { limit() eq 'PASSED' }), 'the truth again');

my $asked = $fake->log('CLUSTER');
select undef, undef, undef, 2.5;
my $calm = $fake->log('CLUSTER') - $asked;

cmp_ok($calm, '<=', 3, 'not asked without need');

###############################################################################

sub limit {
    my ($subject) = @_;

    $subject //= rand;
    return header(scalar http_get("/x?a=$subject"), 'X-Limit') // '';
}


sub refused { $t->log_count(qr/does not tell where slots are/) }


sub map_of {
    my (@ranges) = @_;

    my $master = '*2' . "\r\n\$9\r\n127.0.0.1\r\n:" . port(7000) . "\r\n";

    return '*' . @ranges . "\r\n"
           . join '', map { "*3\r\n:$_->[0]\r\n:$_->[1]\r\n$master" } @ranges;
}


###############################################################################
