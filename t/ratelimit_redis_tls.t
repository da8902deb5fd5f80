#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Redis by TLS: verified, or not spoken to.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_ssl')->has_program('redis-server')
    ->has_program('openssl')->plan(16);

my $conf = <<'EOF';

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server rediss://SERVER timeout=5s connect_timeout=5s;

    ratelimit_redis_zone $arg_a zone=a:1m rate=1000r/m;

    add_header X-Limit $ratelimit_redis_status;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=a;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_redis(tls => 1);
my $tls = $redis->tls_port();
my $ca = 'tls_ca=' . $t->testdir() . '/ca.crt';

configure("localhost:$tls $ca");
$t->run();

###############################################################################

is(limit(), 'PASSED', 'by name');

# more than a record or a buffer holds

my $long = 'k' x 6000;
my @s = map { http_get("/x?a=$_$long", start => 1) } 1 .. 50;
my @r = map { http_end($_) } @s;

is(scalar(grep { header($_, 'X-Limit') eq 'PASSED' } @r), 50, 'much at once');

is(with("localhost:$tls $ca connections=3"), 'PASSED', 'several connections');
is(with("127.0.0.1:$tls $ca tls_name=localhost"), 'PASSED', 'name given');
is(with("localhost:$tls tls_verify=off"), 'PASSED', 'unverified if so wished');

my $before = $redis->info('total_commands_processed');

refused("127.0.0.1:$tls $ca", qr/IP address mismatch/, 'by address');
refused("localhost:$tls $ca tls_name=other.example", qr/hostname mismatch/,
    'another name');
refused("localhost:$tls $ca tls_name=127.0.0.1", qr/IP address mismatch/,
    'another address');
refused("localhost:$tls", qr/self-signed|unable to get/i, 'unknown authority');

# INFO itself is one

is($redis->info('total_commands_processed') - $before, 1,
    'nothing was said to it');

is(with("localhost:$tls $ca"), 'PASSED', 'once more');

$redis->restart();

ok(wait_for(sub { limit() eq 'PASSED' }), 'restarted');

###############################################################################

sub configure {
    my ($server) = @_;

    $t->write_file_expand('nginx.conf', $conf =~ s/SERVER/$server/r);
}


sub with {
    configure(@_);
    $t->reload(wait_old => 1);

    return limit();
}


sub refused {
    my ($server, $reason, $name) = @_;

    my $lines = qr/\[error\].*redis "rediss:.*" is down: .*$reason/;
    my $n = $t->log_count($lines);

    is(with($server), 'LOCAL_PASSED', $name);
    is($t->log_count($lines) - $n, 1, "$name is told once");
}


sub limit { header(scalar http_get('/x?a=1'), 'X-Limit') // '' }

###############################################################################
