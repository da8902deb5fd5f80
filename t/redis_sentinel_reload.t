#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Reload and exit, whatever the sentinels and the master are doing.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(9);

my $conf = <<'EOC';

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:26379 redis://127.0.0.1:26380
                           sentinel=mymaster connections=2
                           timeout=TIMEOUT connect_timeout=1h;

    optcache_redis_server redis://127.0.0.1:26380 sentinel=mymaster;
    optcache_zone c:1m;

    ratelimit_redis_zone $arg_a zone=a:1m rate=60000r/m;

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

my $port = port(6379);
my $at = "*2\r\n\$9\r\n127.0.0.1\r\n\$" . length($port) . "\r\n$port\r\n";

my $redis = $t->run_redis();
my $one = $t->run_fake_redis(port => 26379, reply => { SENTINEL => $at });
my $two = $t->run_fake_redis(port => 26380, reply => { SENTINEL => $at });

configure('5s');
$t->run();

###############################################################################

is(limit(), 'PASSED', 'by the master');
ok($t->reload(wait_old => 1), 'reload');
is(limit(), 'PASSED', 'by the master');

# an hour is left to each answer, and no worker waits for one

$_->set(reply => { SENTINEL => '' }) for $one, $two;

ok(wait_for(sub { $one->log('SENTINEL') >= 1 }), 'asked');
ok($t->reload(wait_old => 1), 'reload while sentinels are silent');

# a request waits for its timeout, and its worker for the request

configure('1s');
ok($t->reload(wait_old => 1), 'reload while nothing is known of the master');

my $s = http_get('/x?a=1', start => 1);

ok($t->reload(wait_old => 1), 'reload while a request waits');
is(header(http_end($s), 'X-Limit'), 'LOCAL_PASSED', 'which was answered');

# nor while the master is silent

$_->set(reply => { SENTINEL => $at }) for $one, $two;
$redis->suspend();
$t->reload();
select undef, undef, undef, 0.3;

ok($t->reload(wait_old => 1), 'reload while the master is silent');

###############################################################################

sub configure {
    my ($timeout) = @_;

    $t->write_file_expand('nginx.conf', $conf =~ s/TIMEOUT/$timeout/r);
}


sub limit { header(scalar http_get('/x?a=1'), 'X-Limit') // '' }

###############################################################################
