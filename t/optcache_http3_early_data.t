#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Early data of QUIC (RFC 8470): what is safe is answered, and others do not
# get what upstream tells one that came too early; APIs refuse to write.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::HTTP3;

# 0-RTT by the OpenSSL that nginx uses since 1.29.1

my $t = Test::Nginx->new()->has(qw/ http_v3 http_proxy /)
    ->has_version('1.29.1')->has_program('openssl');
my $h3 = Test::Nginx::HTTP3->new(8443);

$t->plan(11);
$t->make_cert('localhost');

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate %%TESTDIR%%/localhost.crt;
    ssl_certificate_key %%TESTDIR%%/localhost.key;
    ssl_early_data on;

    optcache_zone c:1m;
    optcache_key $request_uri;
    ratelimit_redis_zone $arg_a zone=a:1m rate=2r/d;

    server {
        listen 127.0.0.1:8443 quic;
        listen 127.0.0.1:8080;

        access_log %%TESTDIR%%/seen.log;

        location / {
            ratelimit_redis zone=a;
            optcache c;
            proxy_set_header Early-Data $ssl_early_data;
            proxy_pass http://127.0.0.1:8081;
        }

        location /cache/ {
            optcache_api write=on;
        }

        location /limits/ {
            ratelimit_redis_api write=on;
        }
    }
}

EOF

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    if ($req->{uri} =~ /late/ && $req->{headers}{'early-data'}) {
        wait_for(sub { -e $t->testdir() . '/gate' }, 15);
        return [425, [], ''];
    }

    return [200, ['Cache-Control: max-age=600'], "answer $req->{count}"];
});

$t->run();
$h3->connect();
$h3->get('/x');

###############################################################################

my @requests = (
    ['/x'],
    ['/y?a=1'],
    ['/y?a=1'],
    ['/y?a=1'],
    ['/cache/purge', method => 'POST', body => '{"uri": "/x"}',
        headers => { 'Content-Type' => 'application/json' }],
    ['/limits/subjects/a/1', method => 'DELETE'],
);

my @ids = $h3->connect(@requests);

wait_for(sub { (() = $t->read_file('seen.log') =~ /HTTP.3/g) == 7 }, 5);

SKIP: {
    skip 'no early data of this OpenSSL', 11 unless $h3->release();

    my @r = map { $h3->response($_) } @ids;

    is(header($r[0], 'X-Cache'), 'HIT', 'HIT');
    is(join(' ', sort map { status($_) } @r[1 .. 3]), '200 200 429', 'limits');
    is(status($r[4]), 425, 'a purge is refused');
    is(status($r[5]), 425, 'and a reset');
    is(header(http_get('/x'), 'X-Cache'), 'HIT', 'nothing was purged');
    is(status(http_get('/y?a=1')), 429, 'and nothing reset');

    # upstream wants it after the handshake, and others have had that

    my ($id) = $h3->connect(['/late']);    # before the handshake all along

    wait_for(sub { $backend->count(qr{/late}) }, 15);

    my $other = http_get('/late', start => 1);

    $t->write_file('gate', '');
    $h3->release();

    is(status($h3->response($id)), 425, 'an answer to early data');
    $other = http_end($other);
    is(status($other), 200, 'who waited for it asks');
    is(header($other, 'X-Cache'), 'MISS', 'for himself');
    is(header($h3->get('/late'), 'X-Cache'), 'HIT', 'which is stored');
    is(status($h3->get('/limits/subjects/a/1', method => 'DELETE')), 204,
        'a reset after the handshake');
}

$h3->close();
