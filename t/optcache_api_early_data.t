#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Early data (RFC 8470) may be sent again by whoever sees it: what changes
# something here by an API or by PURGE has to come after the handshake, and is
# refused by 425 till then.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Select;
use Test::More;
use Test::Nginx;
use Test::Nginx::Port qw/ port /;

my $t = Test::Nginx->new()->has(qw/ http_ssl http_proxy /)
    ->has_program('openssl')->plan(17);

$t->make_cert('localhost');

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate %%TESTDIR%%/localhost.crt;
    ssl_certificate_key %%TESTDIR%%/localhost.key;
    ssl_protocols TLSv1.3;
    ssl_early_data on;

    optcache_zone c:1m;
    ratelimit_redis_zone $arg_a zone=a:1m rate=1r/d;

    server {
        listen 127.0.0.1:8443 ssl;
        listen 127.0.0.1:8080;

        add_header X-Early "$ssl_early_data." always;

        location / {
            optcache c;
            optcache_key $request_uri;
            optcache_purge 1;
            proxy_pass http://127.0.0.1:8081;
        }

        location /one {
            ratelimit_redis zone=a;
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

$t->run_http_backend(8081, sub {
    return [200, ['Cache-Control: max-age=600'], "answer $_[0]->{count}"];
});

# A client that hears of nginx only when nginx has closed, or says no more than
# its part of the handshake: it cannot complete that before it is answered.

$t->run_fake(8444, sub {
    my ($client) = @_;

    my $server = http_connect(port => 8443);
    my $select = IO::Select->new($client, $server);
    my $held = '';

    while (my @ready = $select->can_read(5)) {

        for my $s (@ready) {
            my $end = !sysread $s, my $data, 65536;

            if ($s == $client) {
                return if $end;
                syswrite $server, $data;
                next;
            }

            $held .= $data;
            next if !$end;

            $select->remove($server);
            syswrite $client, $held;
            $held = '';
        }
    }

    # no early data was taken
    syswrite $client, $held;
});

$t->run();

###############################################################################

my $json = ['Content-Type: application/json', 'Content-Length: 13'];

http_get('/x');
http_get('/one?a=1');

my $r = early('GET /x');

SKIP: {
    skip 'no early data of this OpenSSL', 10
        if (header($r, 'X-Early') // '') ne '1.';

    is(header($r, 'X-Cache'), 'HIT', 'what is safe is answered');

    $r = early('POST /cache/purge', $json, '{"uri": "/x"}');

    is(status($r), 425, 'a purge is refused');
    is(header($r, 'Content-Type'), 'application/problem+json', 'told why');
    is(header($r, 'Cache-Control'), 'no-store', 'and not stored');
    is(status(early('PURGE /x')), 425, 'PURGE');
    is(status(early('DELETE /limits/subjects/a/1')), 425, 'a reset');
    is(header(http_get('/x'), 'X-Cache'), 'HIT', 'nothing was purged');
    is(status(http_get('/one?a=1')), 429, 'and nothing reset');
    is(status(early('GET /cache/status')), 200, 'a status is told');
    is(status(early('GET /one?a=1')), 429, 'limits apply');
}

# a proxy in front has had the handshake, and says so by whatever value

for my $value ('1', '0', '') {
    is(status(http_request('PURGE', '/x', headers => ["Early-Data: $value"])),
        425, "a proxy in front: \"$value\"");
}

is(status(http_request('DELETE', '/limits/subjects/a/1',
                       headers => ['Early-Data: 1'])), 425, 'and a reset');
is(header(http_get('/x', headers => ['Early-Data: 1']), 'X-Cache'), 'HIT',
    'what is safe');
is(status(http_request('DELETE', '/limits/subjects/a/1')), 204,
    'a reset after the handshake');
is(status(http_request('PURGE', '/x')), 200, 'and PURGE');

###############################################################################

# The response to a request in early data of a connection that is resumed, or
# whatever there is instead.

sub early {
    my ($line, $fields, $body) = @_;

    my $dir = $t->testdir();
    my $client = 'timeout 30 openssl s_client -quiet -ign_eof -connect '
                 . '127.0.0.1:';
    my ($direct, $held) = map { $client . port($_) } 8443, 8444;

    my @fields = ('Host: localhost', 'Connection: close');

    $t->write_file('first', join "\r\n", 'GET /cache/health HTTP/1.1', @fields,
                                         '', '');
    $t->write_file('early', join "\r\n", "$line HTTP/1.1", @fields,
                                         @{ $fields || [] }, '', $body // '');

    system("$direct -sess_out $dir/session < $dir/first > $dir/out 2>&1");

    return `$held -sess_in $dir/session -early_data $dir/early \\
            </dev/null 2>$dir/err`;
}
