#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A Redis that answers, but not what was asked for: the request goes upstream.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my @bad = (
    ['loading', all("-LOADING Redis is loading\r\n")],
    ['no password', all("-NOAUTH Authentication required.\r\n")],
    ['a replica', reply => { SET => "-READONLY You can't write\r\n",
                             DEL => "-READONLY You can't write\r\n" }],
    ['full', reply => { SET => "-OOM command not allowed\r\n" }],
    ['busy', all("-BUSY Redis is busy\r\n")],
    ['moved', all("-MOVED 1 127.0.0.1:1\r\n")],
    ['an empty error', all("-\r\n")],
    ['an integer', all(":1\r\n")],
    ['a status', all("+OK\r\n")],
    ['an array', all("*2\r\n\$1\r\na\r\n\$1\r\nb\r\n")],
    ['an empty array', all("*0\r\n")],
    ['a null array', all("*-1\r\n")],
    ['an empty string', all("\$0\r\n\r\n")],
    ['a huge string', all("\$2000000000\r\nabc")],
    ['a huge array', all("*2000000000\r\n:1\r\n")],
    ['a wrong length', all("\$-7\r\n")],
    ['two replies', all("\$-1\r\n\$-1\r\n")],
    ['deep arrays', all("*1\r\n" x 1000 . ":1\r\n")],
    ['garbage', only => 'GETRANGE', garbage => "\x16\x03\x01\0\xff\r\n\r\n"],
    ['HTTP', only => 'GETRANGE', garbage => "HTTP/1.1 400 Bad Request\r\n\r\n"],
    ['a banner', garbage => "220 smtp ready\r\n"],
    ['nothing', stall_after => 0],
    ['nothing more', only => 'GETRANGE', stall_after => 3],
    ['half a reply', only => 'GETRANGE', half => 'stall'],
    ['half a reply and a close', only => 'GETRANGE', half => 'close'],
    ['a close', only => 'GETRANGE', close_after => 3],
    ['a close at once', close_after => 0],
    ['a refusal', refuse => 1],
);

# these are what a request meets, not what a connection begins with

sub all {
    my ($reply) = @_;
    return (reply => { map { $_ => $reply } qw/ GET SET DEL / });
}

my $t = Test::Nginx->new()->has('http_proxy')->plan(3 * @bad + 2);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache_redis_server redis://127.0.0.1:6379 timeout=100ms;

    optcache_valid 1m;
    add_header X-Layer $optcache_layer;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub { return "answer $_[0]{uri}" });

my $redis = $t->run_fake_redis();

$t->run();

###############################################################################

is(status(http_get('/good')), 200, 'a good one');

for (@bad) {
    my ($name, %settings) = @$_;
    my $uri = "/$name" =~ s/ /_/gr;

    # anew, so that what came before is not why Redis is not asked
    $t->stop();
    $redis->set(%settings);
    my $asked = $redis->log();
    $t->run();

    my @s = map { http_get("$uri/$_", start => 1) } 1 .. 8;
    my @r = map { scalar http_end($_) } @s;

    is(scalar(grep { status($_) eq '200' && body($_) =~ /^answer/ } @r), 8,
        "$name: all are answered");
    ok($redis->log() > $asked || $settings{refuse}, 'Redis was asked');

    my $r = http_post("$uri/1");
    my $get = http_get("$uri/1");
    is(status($r) . header($get, 'X-Cache'), '200MISS',
        'and what was removed is gone');

    $redis->set(map { $_ => undef } keys %settings);
}

my $n = 0;

ok(wait_for(sub {
    $n++;
    http_get("/after/$n");
    return grep { $_->[2] && $_->[2] =~ m{/after/} } $redis->log('SET');
}, 20), 'a good one again is used');

###############################################################################
