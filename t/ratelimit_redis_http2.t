#!/usr/bin/perl

# Copyright (C) The Optcache authors

# HTTP/2: streams wait for Redis side by side, and a body does not stall.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_v2 http_proxy /)
    ->has_program(qw/ redis-server curl /)->plan(6);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=2s
                           connect_timeout=5s;

    ratelimit_redis_zone $arg_a zone=a:1m rate=2r/m;
    ratelimit_redis zone=a;

    server {
        listen 127.0.0.1:8080 http2;

        location / {
        }

        location /post {
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

my $fake = $t->run_fake_redis(behind => $t->run_redis(port => 6380),
    delay => 0.3);

$t->run_http_backend(8081, sub { return [200, [], length $_[0]->{body}] });
$t->run();

###############################################################################

my @s = map { http2_get('/x?a=1', start => 1) } 1 .. 4;
my @r = map { http_end($_) } @s;

is(join(' ', sort map { status($_) } @r), '200 200 429 429', 'side by side');

my ($refused) = grep { status($_) == 429 } @r;

is(header($refused, 'x-ratelimit-limit'), 2, 'headers');
like(body($refused), qr/quota-exceeded/, 'and body of a refusal');

my $r = http2_get('/post?a=2', method => 'POST', body => 'x' x 100000);
is(status($r), 200, 'a large body while the limiter waits');
is(body($r), 100000, 'is whole');

$r = http2_get('/post?a=1', method => 'POST', body => 'x' x 100000);
is(status($r), 429, 'a large body of a refused one');

###############################################################################
