#!/usr/bin/perl

# Copyright (C) The Optcache authors

# rediss:// with sentinel=: the sentinels and the master by TLS, verified.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_ssl')->has_program('redis-server')
    ->has_program('openssl')->plan(6);

my $conf = <<'EOC';

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server rediss://SENTINEL sentinel=mymaster
                           tls_ca=%%TESTDIR%%/ca.crt
                           timeout=5s connect_timeout=5s;

    ratelimit_redis_zone $arg_a zone=a:1m rate=1000r/m;

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

my $dir = $t->testdir();
my $redis = $t->run_redis(tls => 1, tls_name => '127.0.0.1');
my $other = $t->run_redis(port => 6380, tls => 1, tls_port => 6391,
    tls_name => 'localhost');

sentinel('127.0.0.1', 26379, 26390, $redis);
sentinel('localhost', 26380, 26391, $redis);
sentinel('127.0.0.1', 26381, 26392, $other);

configure('127.0.0.1:26390');
$t->run();

###############################################################################

is(limit(), 'PASSED', 'for the address that the sentinel tells');
is(with('localhost:' . port(26391)), 'PASSED', 'a sentinel for its name');

refused('127.0.0.1:26391', qr/IP address mismatch/, 'the sentinel is another');
refused('127.0.0.1:26392', qr/127\.0\.0\.1:\d+ is not accepted.*mismatch/,
    'the master is another');

is($other->calls('role') + $other->calls('evalsha'), 0,
    'which was told nothing');

is(with('localhost:' . port(26391) . ' tls_name=localhost'), 'LOCAL_PASSED',
    'one name is for all');

###############################################################################

sub sentinel {
    my ($name, $port, $tls, $master) = @_;

    Test::Nginx::Redis::make_cert($dir, $name);

    return Test::Nginx::Sentinel->one(dir => $dir, port => $port,
        master => $master->tls_port(), conf => join("\n",
        'tls-port ' . port($tls), "tls-cert-file $dir/$name.crt",
        "tls-key-file $dir/$name.key", "tls-ca-cert-file $dir/ca.crt",
        'tls-auth-clients no', 'tls-replication yes'));
}


sub configure {
    my ($sentinel) = @_;

    $t->write_file_expand('nginx.conf', $conf =~ s/SENTINEL/$sentinel/r);
}


sub with {
    configure(@_);
    $t->reload(wait_old => 1);

    return limit();
}


sub refused {
    my ($sentinel, $reason, $name) = @_;

    my $lines = qr/\[error\].*redis "sentinel=mymaster" of ".*" is down: .*$reason/;
    my $n = $t->log_count($lines);

    with($sentinel);
    is($t->log_count($lines) - $n, 1, $name);
}


sub limit { header(scalar http_get('/x?a=1'), 'X-Limit') // '' }

###############################################################################
