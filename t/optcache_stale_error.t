#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What is stale is sent in place of an error, where that is allowed, and as if
# there had been none (RFC 9111, 4.2.4; RFC 5861, 4).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Time::HiRes qw/ sleep /;

my $large = 'an error ' x 30000;
my $text = 'words and more ' x 20000;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_v2 /)->plan(74);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    log_format told '$request_uri $status $optcache_status';

    upstream u {
        server 127.0.0.1:8081 max_fails=0;
        keepalive 4;
    }

    optcache_zone c:16m;
    optcache c;

    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_read_timeout 800ms;
    proxy_buffers 4 4k;

    server {
        listen 127.0.0.1:8080;
        listen 127.0.0.1:8082 http2;

        access_log %%TESTDIR%%/told.log told;

        location / {
            proxy_pass http://u;
        }

        location /statuses/ {
            optcache_use_stale http_500 http_502 http_503 http_504 http_403
                               http_404 http_429;
            proxy_pass http://u;
        }

        location /unbuffered/ {
            optcache_use_stale http_503;
            proxy_buffering off;
            proxy_pass http://u;
        }

        location /invalid/ {
            optcache_use_stale invalid_header;
            proxy_pass http://u;
        }

        location /off/ {
            optcache_use_stale off;
            proxy_pass http://u;

            location /off/in/ {
                proxy_pass http://u;
            }
        }

        location /user/ {
            optcache_user $arg_user;
            proxy_pass http://u;
        }

        location /until/ {
            optcache_until $arg_until;
            proxy_pass http://u;
        }

        location /refused/ {
            optcache_key refused;
            proxy_pass http://127.0.0.1:$arg_port;
        }
    }
}

EOF

# the second time something fails, as the first part of the query says

my %fields = (
    must => 'Cache-Control: max-age=60, must-revalidate',
    proxy => 'Cache-Control: max-age=60, proxy-revalidate',
    smaxage => 'Cache-Control: s-maxage=60',
    nocache => 'Cache-Control: no-cache',
    sie => 'Cache-Control: max-age=60, stale-if-error=3000',
    siemust => 'Cache-Control: max-age=60, stale-if-error=3000, '
               . 'must-revalidate',
    sieshort => 'Cache-Control: max-age=60, stale-if-error=30',
    old => 'Cache-Control: max-age=60, stale-if-error=200000',
);

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my ($how, $what) = $req->{uri} =~ /\?(\w+)(?:&(\w+))?/;
    my $s = $req->{socket};

    if ($req->{count} == 1 && $req->{method} eq 'GET') {
        my $body = ($what // '') =~ /long/ ? $text : 'stored';
        my $age = ($what // '') eq 'old' ? 86400 + 2 * 60 : 100;

        return [200, [$fields{$what // ''} // 'Cache-Control: max-age=60',
                      "Age: $age", 'ETag: "a"'], $body];
    }

    if ($how eq 'close') {
        return undef;
    }

    if ($how eq 'header') {
        print $s "HTTP/1.1 200 OK\r\nX-Some: ";
        return undef;
    }

    if ($how eq 'invalid') {
        print $s "HTTP/1.1 200 OK\r\nX-\0: 1\r\n\r\n";
        return undef;
    }

    if ($how eq 'timeout') {
        sleep 2;
        return undef;
    }

    if ($how eq 'empty') {
        print $s "HTTP/1.1 503 Down\r\nContent-Length: 10\r\n\r\n";
        return undef;
    }

    if ($how eq 'chunked') {
        print $s "HTTP/1.1 503 Down\r\nTransfer-Encoding: chunked\r\n\r\n",
                 "5\r\nerror\r\n";
        sleep 0.1;
        print $s "5\r\nerror\r\n0\r\n\r\n";
        return undef;
    }

    if ($how eq 'stalled') {
        print $s "HTTP/1.1 503 Down\r\nContent-Length: 10\r\n\r\n";
        sleep 5;
        return undef;
    }

    return [$how =~ s/^s//r, ['X-Error: 1', 'Set-Cookie: error=1',
                              'Content-Type: text/error'], $large];
});

$t->run();

###############################################################################

# the defaults: nobody answers, not at all, not in time

for my $how (qw/ close header timeout /) {
    is(twice("/a?$how"), 'STALE 200 stored', "$how");
}

get("/refused/?sie&port=@{[ port(8081) ]}");
is(told(get("/refused/?sie&port=@{[ port(8083) ]}")), 'STALE 200 stored',
    'nobody listens');
is(twice('/a?invalid'), 'STALE 200 stored', 'or not in HTTP');
is(twice('/invalid/a?invalid'), 'STALE 200 stored', 'but one of its own');
is(twice('/invalid/a?close'), 'EXPIRED 502', 'that is not the other');

for my $status (500, 502, 503, 504, 403, 404, 429) {
    is(twice("/a?s$status"), "EXPIRED $status", "status $status");
    is(twice("/statuses/a?s$status"), 'STALE 200 stored', "http_$status");
    is(twice("/statuses/a?s$status&long"), 'STALE 200 long',
        "http_$status, long");
}

is(twice('/statuses/a?s410'), 'EXPIRED 410', 'any other is an answer');
is(twice('/off/a?close'), 'EXPIRED 502', 'off');
is(twice('/off/in/a?close'), 'EXPIRED 502', 'off, inherited');

my $r = get('/statuses/a?s503');
is(header($r, 'X-Error'), undef, 'no field of the error');
is(header($r, 'Set-Cookie'), undef, 'no cookie');
isnt(header($r, 'Content-Type'), 'text/error', 'not its type');
is(header($r, 'ETag'), '"a"', 'but those stored');
cmp_ok(header($r, 'Age'), '>=', 100, 'and the age');
is(scalar(my @x = header($r, 'X-Cache')), 1, 'X-Cache once');

# answers that do not end as they should

for my $uri ('/statuses/', '/unbuffered/') {
    is(twice("${uri}b?s503&long"), 'STALE 200 long', "$uri, a large error");
    is(twice("${uri}a?empty&long"), 'STALE 200 long', "$uri without its body");
    is(twice("${uri}a?chunked&long"), 'STALE 200 long', "$uri in chunks");

    get("${uri}a?stalled&long");
    my $s = http_get("${uri}a?stalled&long", start => 1);
    $r = http_read($s, timeout => 0.6);
    is(body($r) eq $text, 1, "$uri that does not come is not waited for");
}

# stale-if-error, of the response and of the request

is(twice('/off/a?s503&sie'), 'STALE 200 stored', 'stale-if-error');
is(twice('/off/a?close&sie'), 'STALE 200 stored', 'where nobody answers');
is(twice('/off/a?s404&sie'), 'EXPIRED 404', 'for no other status');
is(twice('/off/a?s503&sieshort'), 'EXPIRED 503', 'not for longer');
is(twice('/off/a?s500&siemust'), 'EXPIRED 500', 'not where it must not be');
is(twice('/off/b?s500', 'Cache-Control' => 'stale-if-error=300'),
    'STALE 200 stored', 'in a request');
is(twice('/off/c?s500', 'Cache-Control' => 'stale-if-error=3'),
    'EXPIRED 500', 'not for longer');
is(twice('/off/b?s500&must', 'Cache-Control' => 'stale-if-error=300'),
    'EXPIRED 500', 'not where it must not be');

# what may not be sent

for my $what (qw/ must proxy smaxage nocache /) {
    unlike(twice("/a?close&$what"), qr/stored/, "$what");
}

is(twice('/user/a?close&proxy&user=u'), 'STALE 200 stored',
    'proxy-revalidate is nothing to a private cache');
unlike(twice('/user/a?close&must&user=u'), qr/stored/, 'must-revalidate is');
unlike(twice('/a?close', Pragma => 'no-cache'), qr/stored/, 'Pragma');
unlike(twice('/a?close', 'Cache-Control' => 'no-cache'), qr/stored/,
    'no-cache of a request');
is(twice('/statuses/b?s404&old'), 'EXPIRED 404', 'nor after a day');
is(twice('/b?s503&old'), 'STALE 200 stored', 'but as stale-if-error says');

my ($until, $uri, $told);

for my $seconds (1 .. 5) {
    $until = time() + $seconds;
    $uri = "/until/$seconds?close&until=$until";
    $told = twice($uri);

    last if time() < $until;
}

is($told, 'STALE 200 stored', 'before optcache_until');
wait_for(sub { time() > $until });
unlike(told(get($uri)), qr/stored/, 'not after it');

# conditions and ranges are those of the client

$r = get('/statuses/a?s503', 'If-None-Match' => '"a"');
is(told($r), 'STALE 304', 'a 304');
$r = get('/statuses/a?s503', Range => 'bytes=1-2');
is(status($r) . body($r), '206to', 'a range');
$r = http_head('/statuses/a?s503');
is(status($r) . header($r, 'X-Cache'), '200STALE', 'HEAD');

http2_get('/statuses/h2?s503&long', port => 8082);
$r = http2_get('/statuses/h2?s503&long', port => 8082);
is(told($r), 'STALE 200 long', 'HTTP/2');

# connections go on, both of them

my $s = http_connect();
for my $uri ('/statuses/a?s503', '/a?close', '/statuses/a?chunked&long',
             '/statuses/a?s503')
{
    $r = http_get($uri, socket => $s, keepalive => 1);
    like(told($r), qr/^STALE 200 (stored|long)$/, "$uri on a connection");
}

like($t->read_file('told.log'), qr{^/a\?close 200 STALE$}m, 'log');

###############################################################################

sub get {
    my ($uri, %headers) = @_;
    return http_get($uri, headers => \%headers);
}


sub twice {
    my ($uri, %headers) = @_;

    get($uri);
    return told(get($uri, %headers));
}


sub told {
    my ($r) = @_;

    my $body = body($r) // '';
    my $name = $body eq 'stored' ? ' stored' : $body eq $text ? ' long' : '';

    return (header($r, 'X-Cache') // '') . ' ' . status($r) . $name;
}

###############################################################################
