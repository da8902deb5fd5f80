#!/usr/bin/perl

# Copyright (C) The Optcache authors

# HTTP/3: what is cached is the same by all versions; who waits for another's
# answer may leave, and so may who has asked for it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::HTTP3;

my $t = Test::Nginx->new()->has(qw/ http_v3 http_proxy /)
    ->has_program(qw/ openssl redis-server /);
my $h3 = Test::Nginx::HTTP3->new(8443);

$t->plan(19);
$t->make_cert('localhost');

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate %%TESTDIR%%/localhost.crt;
    ssl_certificate_key %%TESTDIR%%/localhost.key;

    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;
    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    optcache_zone c:1m;
    ratelimit_redis_zone $arg_a zone=a:1m rate=2r/d;

    server {
        listen 127.0.0.1:8443 quic;
        listen 127.0.0.1:8080;

        optcache c;
        optcache_key $host$request_uri;
        optcache_gzip on;
        optcache_gzip_types *;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /post {
            optcache_methods GET HEAD POST;
            optcache_key $request_uri:$optcache_body;
            proxy_pass http://127.0.0.1:8081;
        }

        location /limited {
            ratelimit_redis zone=a;
            optcache_methods GET HEAD POST;
            optcache_key $request_uri:$optcache_body;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $redis = $t->run_redis();
my $gate = $t->testdir() . '/gate';

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    wait_for(sub { -e $gate }, 15) if $req->{uri} =~ /slow/;

    return [200, ['Cache-Control: max-age=600', 'ETag: "v"'],
            "$req->{count}:$req->{body}:" . 'x' x 2000];
});

$t->run();
$h3->connect();

###############################################################################

my $whole = body($h3->get('/x'));

is(cache($h3->get('/x')), 'HIT', 'HIT');
is(body($h3->get('/x')), $whole, 'and what it gives');
is(cache(http_get('/x')), 'HIT', 'by HTTP/1.1, too');
is(body($h3->get('/x', method => 'HEAD')), '', 'HEAD');
is(status($h3->get('/x', headers => { 'If-None-Match' => '"v"' })), 304,
    'If-None-Match');
is(body($h3->get('/x', headers => { Range => 'bytes=2-5' })),
    substr($whole, 2, 4), 'Range');
is(gunzip(body($h3->get('/x', headers => { 'Accept-Encoding' => 'gzip' }))),
    $whole, 'gzip');

my $body = 'b' x 100000;

like(body($h3->get('/post', method => 'POST', body => $body)), qr/^\d+:$body:/,
    'POST');
is(cache($h3->get('/post', method => 'POST', body => $body)), 'HIT',
    'the same body');
is(cache($h3->get('/post', method => 'POST', body => "a$body")), 'MISS',
    'another body');

# a refusal does not wait for the body, which goes on to come

is(join(' ', map { status($h3->get('/limited?a=1', method => 'POST',
                                   body => $body)) } 1 .. 3),
    '200 200 429', 'limits');

# who waits leaves

my @ids = map { $h3->send('/slow1') } 1 .. 4;

wait_for(sub { $backend->count(qr{/slow1}) }, 15);
$h3->reset($ids[$_]) for 1, 2;
open my $fh, '>', $gate;

is(cache($h3->response($ids[0])), 'MISS', 'who asked');
is(cache($h3->response($ids[3])), 'HIT', 'who waited');
is($backend->count(qr{/slow1}), 1, 'one request');

# who has asked leaves

unlink $gate;
@ids = map { $h3->send('/slow2') } 1 .. 3;
wait_for(sub { $backend->count(qr{/slow2}) }, 15);
$h3->reset($ids[0]);
open $fh, '>', $gate;

is(join(' ', map { status($h3->response($_)) } @ids[1, 2]), '200 200',
    'others have an answer');
is(cache($h3->get('/slow2')), 'HIT', 'and it is stored');

# leaving while Redis is asked, and the connection after that

$redis->suspend();
@ids = map { $h3->send("/y$_") } 1 .. 20;
push @ids, map { $h3->send("/limited?a=$_", method => 'POST', body => 'x',
                           open => 1) } 2 .. 20;
$h3->reset($_) for @ids[grep { $_ % 2 } 0 .. $#ids];
$redis->cont();

is(scalar(grep { $_ % 2 == 0 && status($h3->response($ids[$_])) == 200 }
          0 .. 19), 10, 'who stayed when Redis is back');

@ids = map { $h3->send("/z$_") } 1 .. 5;
$redis->suspend();
push @ids, map { $h3->send("/w$_") } 1 .. 5;
$h3->close();
$redis->cont();
$h3->connect();

is(cache($h3->get('/x')), 'HIT', 'a connection that was closed');
is(cache($h3->get('/v')), 'MISS', 'and nothing is held by it');

$h3->close();

###############################################################################

sub cache { return header($_[0], 'X-Cache') }
