#!/usr/bin/perl

# Copyright (C) The Optcache authors

# $ratelimit_redis_addr is whom an address stands for: an IPv4 host, the /64 of
# an IPv6 one, as realip has it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::IP;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_realip ipv6 /)->plan(19);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_zone $ratelimit_redis_addr zone=addr:1m rate=2r/h;

    server {
        listen 127.0.0.1:8080;
        listen [::1]:%%PORT_8081%% ipv6only=on;
        listen unix:%%TESTDIR%%/sock;

        set_real_ip_from 127.0.0.1;
        set_real_ip_from unix:;
        real_ip_header X-Forwarded-For;

        location / {
            return 200 $ratelimit_redis_addr;
        }

        location /limited {
            ratelimit_redis zone=addr;
        }

        location /early {
            set $early $ratelimit_redis_addr;
            set_real_ip_from 127.0.0.1;
            real_ip_header X-Other;
            add_header X-Addr $ratelimit_redis_addr;
        }
    }
}

EOF

$t->write_file($_, 'SEE-THIS') for qw/ limited early /;

my $conf = $t->read_file('nginx.conf');
my $port = port(8081);
$t->write_file('nginx.conf', $conf =~ s/%%PORT_8081%%/$port/r);

$t->run();

###############################################################################

is(body(http_get('/')), '127.0.0.1', 'IPv4');
is(body(http_get('/', unix => $t->testdir() . '/sock')), 'unix:',
    'a unix socket');

for (['192.0.2.7', '192.0.2.7'],
     ['::ffff:192.0.2.7', '192.0.2.7'],
     ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
     ['2001:db8:1:2::', '2001:db8:1:2::/64'],
     ['2001:db8:1:3::1', '2001:db8:1:3::/64'],
     ['2001:DB8:0:0:1::', '2001:db8::/64'],
     ['::1', '::/64'],
     ['::', '::/64'],
     ['::192.0.2.7', '::/64'],
     ['64:ff9b::192.0.2.7', '64:ff9b::/64'],
     ['fe80::1', 'fe80::/64'],
     ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'ffff:ffff:ffff:ffff::/64'])
{
    my ($addr, $want) = @$_;

    is(body(http_get('/', headers => { 'X-Forwarded-For' => $addr })), $want,
        $addr);
}

is(body(http_get('/', headers => { 'X-Forwarded-For' => 'x' })), '127.0.0.1',
    'no address');

# realip may change it between two uses

is(header(http_get('/early', headers => { 'X-Other' => '192.0.2.8' }),
          'X-Addr'), '192.0.2.8', 'it is what realip made of it last');

# an address cannot get round its limit within its network

is(limited(map { "2001:db8::$_" } 1 .. 3), '200 200 429', 'one network');
is(limited('2001:db8:0:1::1', '192.0.2.7', '::ffff:192.0.2.7', '192.0.2.7'),
    '200 200 200 429', 'and others');

SKIP: {
    my $s = IO::Socket::IP->new(PeerHost => '::1', PeerPort => $port);
    skip 'no connection by IPv6', 1 unless $s;

    is(body(http_get('/', socket => $s)), '::/64', 'IPv6');
}

###############################################################################

sub limited {
    return join ' ', map {
        status(http_get('/limited', headers => { 'X-Forwarded-For' => $_ }))
    } @_;
}

###############################################################################
