#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A client that leaves, in its body or afterwards, is let go; what it has asked
# for whole is revoked all the same.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_v2')->has_program('redis-server')
    ->plan(8);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=9s connect_timeout=5s;

    log_format api $uri:$status;
    access_log %%TESTDIR%%/api.log api;

    server {
        listen 127.0.0.1:8080;
        listen 127.0.0.1:8081 http2;

        location / {
            token_blacklist on;
        }

        location /api/ {
            ratelimit_redis_api write=on;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_redis();

$t->run();

###############################################################################

is(status(http_end(post('here'))), 204, 'a client that stays');

# in the middle of its body

my $s = http("POST /api/revocations HTTP/1.1\r\nHost: localhost\r\n"
             . "Content-Type: application/json\r\nContent-Length: 99\r\n\r\n"
             . '{"token":', start => 1);

my $h2 = Test::Nginx::HTTP2->connect(port => 8081);
my $half = $h2->send('/api/revocations', method => 'POST', open => 1,
                     headers => ['content-type: application/json'],
                     body => '{"token":"half"');

ok(wait_for(sub { $t->log_count(qr/http finalize request: -4,/) == 3 }),
    'bodies are waited for');

close $s;
$h2->reset($half);

ok(wait_for(sub { left() == 2 }), 'are gone in the middle');

# nobody has an answer while Redis stands still

$redis->suspend();

my @s = map { post("gone-$_") } 1 .. 2;
my @streams = map {
    $h2->send('/api/revocations', method => 'POST',
              headers => ['content-type: application/json'],
              body => qq/{"token":"gone-$_","ttl":600}/)
} 3 .. 4;
my $stays = post('stays');

ok(wait_for(sub { $t->log_count(qr/http finalize request: -4,/) == 8 }),
    'all wait');

$h2->reset($streams[0]);
$h2->close();
close $_ for @s;

ok(wait_for(sub { left() == 6 }), 'are gone before there is an answer');

$redis->cont();

is(status(http_end($stays)), 204, 'one who stays has an answer');
is(join(' ', map {
    $redis->cmd('EXISTS', 'blacklist:' . sha256_hex("gone-$_"))
} 1 .. 4), '1 1 1 1', 'what others asked for is done');
is(status(http_get('/x', headers => { Authorization => 'Bearer half' })), 200,
    'but nothing that was not whole');

###############################################################################

sub post {
    my ($token) = @_;

    return http_post('/api/revocations', start => 1,
                     body => qq/{"token":"$token","ttl":600}/,
                     headers => { 'Content-Type' => 'application/json' });
}

sub left {
    my $n = () = $t->read_file('api.log') =~ /:(499|400)$/mg;
    return $n;
}

###############################################################################
