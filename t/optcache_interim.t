#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Interim responses go to the client that has waited for them, and are neither
# stored nor taken for the response.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Time::HiRes qw/ sleep /;

my $t = Test::Nginx->new()
    ->has(qw/ http_proxy http_ssi http_v2 rewrite /)->plan(47);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache c;
    optcache_headers all;

    proxy_http_version 1.1;
    proxy_set_header Connection "";

    log_format status $upstream_status;

    upstream kept {
        server 127.0.0.1:8081;
        keepalive 4;
    }

    upstream two {
        server 127.0.0.1:8081 max_fails=0;
        server 127.0.0.1:8081 max_fails=0;
    }

    server {
        listen 127.0.0.1:8080;
        listen 127.0.0.1:8082 http2;

        location / {
            access_log %%TESTDIR%%/status.log status;
            proxy_pass http://kept;
        }

        location /plain/ {
            optcache_valid 1m;
            proxy_buffering off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /slow/ {
            limit_rate 200;
            proxy_buffering off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /next/ {
            proxy_pass http://two;
        }

        location /named/ {
            error_page 503 = @other;
            proxy_intercept_errors on;
            proxy_pass http://127.0.0.1:8081;
        }

        location @other {
            return 200 other;
        }

        location /page {
            ssi on;
            ssi_types *;
            optcache off;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $many = 16;

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $s = $req->{socket};
    my $uri = $req->{uri};
    my @fields = ('X-Own: final', 'Cache-Control: max-age='
                  . ($uri =~ /update/ ? '1, stale-while-revalidate=60' : 60));

    return [200, {}, '<!--#include virtual="/102/part" -->'] if $uri eq '/page';

    if ($uri =~ /split/) {
        for my $byte (split //, "HTTP/1.1 102 Wait\r\nX-A: b\r\n\r\n") {
            print $s $byte;
            sleep 0.002;
        }
    }

    print $s "HTTP/1.1 $1 Wait\r\nX-Hint: a\r\nX-Own: hint\r\n"
             . "Cache-Control: max-age=3600\r\nETag: \"hint\"\r\n\r\n"
        if $uri =~ /(10[0-9])/;

    print $s "HTTP/1.1 102 Wait\r\nX-Accel-Redirect: /other\r\nX-Hint: b\r\n"
             . "Transfer-Encoding: chunked\r\nSet-Cookie: a=b\r\n"
             . "Keep-Alive: a\r\nServer: s\r\n\r\n"
             . "HTTP/1.1 102 Wait\r\nContent-Length: 7\r\nX-Hint: c\r\n\r\n"
        if $uri =~ /fields/;

    print $s "HTTP/1.1 102 Wait\r\nX-Hint: c\r\nConnection: X-Hint\r\n\r\n"
        if $uri =~ /named-field/;

    print $s "HTTP/1.1 102 Wait\r\n\r\n" x $many if $uri =~ /many/;
    print $s "HTTP/1.1 102 Wait\r\n\r\n" if $uri =~ /more/;
    print $s "HTTP/1.1 103 Hint\r\n\r\n" x ($many + 1) if $uri =~ /hints/;
    print $s ("HTTP/1.1 103 Hint\r\nLink: " . 'a' x 3000 . "\r\n\r\n") x 8
        if $uri =~ /long/;
    print $s "HTTP/1.1 102 Wait\r\nX-A: " . ('a' x 9000) if $uri =~ /large/;
    return undef if $uri =~ /cut/ || $uri =~ /next/ && $req->{count} == 1;

    return [503, [], 'sorry'] if $uri =~ /named\//;
    return [200, \@fields, "of $uri"];
});

$t->run();

###############################################################################

my $r = http_get('/102/a');

like($r, qr{^HTTP/1\.1\ 102\ Wait\r\n
            X-Hint:\ a\r\nX-Own:\ hint\r\nCache-Control:\ max-age=3600\r\n
            ETag:\ "hint"\r\n\r\n
            HTTP/1\.1\ 200\ }x, 'goes first');

$r = final($r);

is(header($r, 'X-Own'), 'final', 'fields of the response');
is(header($r, 'Cache-Control'), 'max-age=60', 'are its own');
is(header($r, 'ETag'), undef, 'all');
is(header($r, 'X-Cache'), 'MISS', 'and');
is(body($r), 'of /102/a', 'so is the body');

$r = http_get('/102/a');

is(status($r), 200, 'stored is');
is(header($r, 'X-Cache'), 'HIT', 'what came last');
is(header($r, 'X-Own'), 'final', 'with its field');
is(header($r, 'X-Hint'), undef, 'and no other');
is(body($r), 'of /102/a', 'and body');

# whatever there is, and however it comes

for my $uri ('/103/b', '/split/c', '/102/split/d', '/many/e', '/plain/102/f',
             '/fields/g', '/long/w')
{
    $r = final(http_get($uri));
    is(status($r) . body($r), "200of $uri", $uri);
    is(header(http_get($uri), 'X-Cache'), 'HIT', "$uri is stored");
}

like(http_get('/split/h'), qr{^HTTP/1\.1 102 Wait\r\nX-A: b\r\n\r\nHTTP},
     'byte by byte');
like(http_get('/many/i'), qr{^(?:HTTP/1\.1 102 Wait\r\n\r\n){16}HTTP/1\.1 200},
     'many');
like(http_get('/102/split/j'),
     qr{^(?:HTTP/1\.1 102 (?:.+\r\n)+\r\n){2}HTTP/1\.1 200}, 'two');

is(body(final(http_get('/slow/102/v'))), 'of /slow/102/v',
     'where a limit of the rate delays what is written next');

# not all of it is for the client

like(http_get('/fields/k'), qr{^HTTP/1\.1 102 Wait\r\nX-Hint: b\r\n\r\nHTTP},
     'fields of the connection, of nginx, and cookies stay here');
like(http_get('/named-field/l'), qr{^HTTP/1\.1 102 Wait\r\n\r\nHTTP},
     'as does what is named as one');
is(status(http_get('/100/m')), 200, 'nobody has asked to continue');
is(status(http_get('/102/n', version => '1.0')), 200, 'HTTP/1.0 has none');
like(http2_get('/102/o', port => 8082), qr{200}, 'a stream gets none');
is(body(final(http_get('/page'))), 'of /102/part', 'nor does a part');

# errors

$r = final(http_get('/many/more/p'));

is(status($r), 502, 'too many');
is(header($r, 'Cache-Status'), undef, 'are no answer');
ok($t->log_count(qr/upstream sent too many interim responses/), 'is said');
is(status(final(http_get('/hints/x'))), 502, 'too many hints');
is(status(final(http_get('/102/large/q'))), 502, 'too large');
is(status(final(http_get('/102/cut/r'))), 502, 'with nothing behind it');

$r = final(http_get('/named/102/s'));
is(status($r) . body($r), '200other', 'before an error page');

$r = final(http_get('/next/102/u'));
is(status($r) . body($r), '200of /next/102/u', 'of the next server');
is(header(http_get('/next/102/u'), 'X-Cache'), 'HIT', 'is stored');

# what nobody waits for

http_get('/102/update/t');
sleep 1.1 until header(http_get('/102/update/t'), 'X-Cache') ne 'HIT';

ok(wait_for(sub { $backend->count(qr{/update/}) >= 2 }), 'an update');
is(status(http_get('/102/update/t')), 200, 'hears no hint');

$t->stop();

unlike($t->read_file('status.log'), qr/^10\d/m, 'the status is that of
    the response');

###############################################################################

# what comes after the interim responses

sub final {
    my ($r) = @_;

    1 while $r =~ s{^HTTP/1\.1 1\d\d .*?\r\n\r\n}{}s;
    return $r;
}

###############################################################################
