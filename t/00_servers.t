#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Tests of the test library: the real servers that stand around nginx.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_v2 http_ssl /)
    ->has_program(qw/ redis-server redis-cli postgres psql curl openssl /)
    ->plan(17);

$t->make_cert('localhost');

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:8080 http2;
        listen 127.0.0.1:8443 ssl;

        ssl_certificate %%TESTDIR%%/localhost.crt;
        ssl_certificate_key %%TESTDIR%%/localhost.key;

        location /long {
        }

        location / {
            add_header X-Body-Length $content_length;
            return 200 "$server_protocol $http_x_field";
        }
    }
}

EOF

my $long = join ' ', 1 .. 100000;
$t->write_file('long', $long);

$t->run();

my $dir = $t->testdir();

###############################################################################

# HTTP/2

my $r = http2_get('/', headers => { 'X-Field' => 'x' });

is(status($r), 200, 'http2 status');
is(body($r), 'HTTP/2.0 x', 'http2 body and field');

$r = http2_get('/', method => 'POST', body => 'four');
is(header($r, 'x-body-length'), 4, 'http2 request body');
is(status(http2_get('/', method => 'HEAD')), 200, 'http2 HEAD');

my $h2 = Test::Nginx::HTTP2->connect();
my @ids = map { $h2->send('/long') } 1 .. 3;
$h2->reset($ids[1]);
is(body($h2->response($ids[2])), $long, 'http2 streams side by side');
is(body($h2->response($ids[0])), $long, 'one of them reset');

# the certificate

my $url = 'https://localhost:' . port(8443) . '/';

is(`curl -s --cacert $dir/ca.crt $url`, 'HTTP/1.1 ', 'a certificate of ours');
is(`curl -s $url`, '', 'that nobody else knows');

# Redis

my $redis = $t->run_redis(unix => 1, tls => 1, args => ['--requirepass', 'p']);

is($redis->cmd('AUTH', 'p'), 'OK', 'redis takes arguments');
$redis->cmd('SET', 'k', 'v');

my $unix = $redis->unix();
my $tls = $redis->tls_port();

is(`redis-cli -s $unix -a p get k 2>&-`, "v\n", 'redis by its unix socket');
is(`redis-cli --tls --cacert $dir/ca.crt -h localhost -p $tls -a p get k 2>&-`,
    "v\n", 'redis by TLS');
cmp_ok($redis->calls('get'), '>=', 2, 'commands are counted');

# PostgreSQL

my $pg = $t->run_postgres();

is($pg->query('CREATE TABLE a (b int); INSERT INTO a VALUES (1), (2);'
              . 'SELECT * FROM a'), "1\n2", 'postgres');
is(eval { $pg->query('SELECT nonsense') }, undef, 'an error dies');
like($@, qr/column "nonsense" does not exist/, 'with the words of postgres');
is($pg->restart()->query('SELECT count(*) FROM a'), 2,
    'it keeps its data over a crash');
$pg->kill();
ok(!$pg->alive(), 'and can be killed');

###############################################################################
