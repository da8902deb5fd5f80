#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What optcache_close_delimited does not store: where the connection was reset,
# has timed out or is one of TLS; what is in a transfer coding still; and what
# says itself when it ends.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Socket qw/ SOL_SOCKET SO_LINGER /;

my $t = Test::Nginx->new(log => 'info')
    ->has(qw/ http_proxy http_uwsgi http_scgi http_fastcgi http_ssl /);

my $head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n";
my $body = 'x' x 8;
my $chunks = "8\r\n$body\r\n0\r\n\r\n";

# the fields of a response, its body, and whether it is stored, while the
# directive is off and on; before 1.23, what nginx does not know is passed on

my %codings = (
    'foo' => ['Transfer-Encoding: foo', $body, 0, 1],
    'foo-twice' => ["Transfer-Encoding: foo\r\nTransfer-Encoding: bar;q=1",
                    $body, 0, 1],
    'gzip' => ['Transfer-Encoding: gzip', $body, 0, 0],
    'x-gzip' => ['Transfer-Encoding: X-GZip', $body, 0, 0],
    'deflate' => ['Transfer-Encoding: deflate', $body, 0, 0],
    'compress' => ['Transfer-Encoding: compress', $body, 0, 0],
    'x-compress' => ['Transfer-Encoding: x-compress ;q=1', $body, 0, 0],
    'gzip-foo' => ['Transfer-Encoding: gzip, foo', $body, 0, 0],
    'gzip-length' => ["Transfer-Encoding: gzip\r\nContent-Length: 8", $body,
                      0, 0],
    'foo-length' => ["Transfer-Encoding: foo\r\nContent-Length: 8", $body,
                     0, 0],
    'chunked' => ['Transfer-Encoding: Chunked', $chunks, 1, 1],
    'gzip-chunked' => ['Transfer-Encoding: gzip, chunked', $chunks, 0, 0],
    'gzip-chunked-lines' => ["Transfer-Encoding: gzip\r\n"
                             . 'Transfer-Encoding: chunked', $chunks, 0, 0],
    'foo-chunked' => ['Transfer-Encoding: foo, chunked', $chunks, 0, 1],
    'chunked-gzip' => ['Transfer-Encoding: chunked, gzip', $chunks, 0, 0],
    'chunked-foo' => ['Transfer-Encoding: chunked, foo', $chunks, 0, 0],
    'chunked-twice' => ['Transfer-Encoding: chunked, chunked', $chunks, 0, 0],
    'xchunked' => ['Transfer-Encoding: xchunked', $chunks, 0, 0],
    'chunked-with' => ['Transfer-Encoding: chunked;q=1', $chunks, 0, 0],
    'no-length' => ['Content-Length: x', $body, 0, 0],
    'two-lengths' => ['Content-Length: 8, 8', $body, 0, 0],
);

# applications that speak of chunks, in whatever they say it

my %said = (
    'a' => '',
    'chunked' => "Transfer-Encoding: chunked\r\n",
    'gzip' => "Transfer-Encoding: gzip\r\n",
);

my %how = ('reset' => 0, 'stall' => 0, 'close' => 1);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache c;
    optcache_close_delimited on;
    optcache_valid 10m;

    proxy_http_version 1.1;
    proxy_read_timeout 1s;
    proxy_ssl_session_reuse off;
    uwsgi_read_timeout 1s;
    scgi_read_timeout 1s;

    uwsgi_param REQUEST_URI $request_uri;
    scgi_param REQUEST_URI $request_uri;
    fastcgi_param REQUEST_URI $request_uri;
    fastcgi_param REQUEST_METHOD $request_method;

    ssl_certificate %%TESTDIR%%/localhost.crt;
    ssl_certificate_key %%TESTDIR%%/localhost.key;

    server {
        listen 127.0.0.1:8080;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /off/ {
            optcache_close_delimited off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /unbuffered/ {
            proxy_buffering off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /uwsgi/ {
            uwsgi_pass 127.0.0.1:8083;
        }

        location /uwsgi/unbuffered/ {
            uwsgi_buffering off;
            uwsgi_pass 127.0.0.1:8083;
        }

        location /scgi/ {
            scgi_pass 127.0.0.1:8084;
        }

        location /scgi/unbuffered/ {
            scgi_buffering off;
            scgi_pass 127.0.0.1:8084;
        }

        location /fastcgi/ {
            fastcgi_pass 127.0.0.1:8085;
        }

        location /fastcgi/unbuffered/ {
            fastcgi_buffering off;
            fastcgi_pass 127.0.0.1:8085;
        }

        location /plain/ {
            proxy_http_version 1.0;
            proxy_pass http://127.0.0.1:8086;
        }

        location /tls/ {
            proxy_http_version 1.0;
            proxy_pass https://127.0.0.1:8443;
        }

        location /tls/unbuffered/ {
            proxy_http_version 1.0;
            proxy_buffering off;
            proxy_pass https://127.0.0.1:8443;
        }

        location /tls/variable/ {
            set $scheme_of https;
            proxy_http_version 1.0;
            proxy_pass $scheme_of://127.0.0.1:8443;
        }
    }

    server {
        listen 127.0.0.1:8086;
        listen 127.0.0.1:8443 ssl;

        optcache off;

        location / {
            proxy_pass http://127.0.0.1:8081/close?;
        }
    }
}

EOF

$t->make_cert('localhost');

sub die_as {
    my ($s, $name) = @_;

    # when nginx has taken what there is

    select undef, undef, undef, 0.1 if $name eq 'reset';
    sleep 3 if $name eq 'stall';

    setsockopt $s, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0 if $name eq 'reset';

    return undef;
}

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $s = $req->{socket};
    my ($name) = $req->{uri} =~ m{/([^/?]*)\??[^/]*$};

    if ($name eq 'http-09') {
        print $s $body;

    } elsif ($codings{$name}) {
        my ($fields, $data) = @{ $codings{$name} };
        print $s "$head$fields\r\n\r\n$data";

    } else {
        print $s "$head\r\n$body";
    }

    return die_as($s, $name);
});

sub application {
    my ($s, $params, $re) = @_;

    my ($name) = $params =~ $re;

    print $s $head, $said{$name} // '', "\r\n",
             $name eq 'chunked' ? $chunks : $body;
    return die_as($s, $name);
}

# a request of uwsgi is a size and as many bytes, one of SCGI says it in words

my @applications = ($t->run_fake(8083, sub {
    my ($s) = @_;

    read $s, my $in, 4;
    read $s, my $params, unpack 'x v', $in;
    application($s, $params, qr{/uwsgi/(?:unbuffered/)?([a-z]+)});

}), $t->run_fake(8084, sub {
    my ($s) = @_;

    local $/ = ':';
    read $s, my $params, 1 + <$s> =~ s/://r;
    application($s, $params, qr{/scgi/(?:unbuffered/)?([a-z]+)});

}), $t->run_fake(8085, sub {
    my ($s) = @_;

    # FastCGI: one record of the output, of request 1, and no end of it

    sysread $s, my $in, 65536;
    my $out = "Cache-Control: max-age=60\r\n\r\n$body";
    print $s pack('C2 n2 C2', 1, 6, 1, length $out, 0, 0), $out;
}));

my @ways = map { ("/$_", "/$_/unbuffered") } qw/ uwsgi scgi /;

$t->plan(2 * keys(%codings) + 3 * (2 + @ways) + 2 * @ways + 8);

$t->run();

###############################################################################

# all at once: each of those that stall takes a while

my @uris;

for my $name (sort keys %how) {
    push @uris, map { "$_/$name" } '', '/unbuffered', @ways;
}

my @got = map { [map { http_end($_) }
                            map { http_get($_, start => 1) } @uris] } 1 .. 2;

for my $i (0 .. $#uris) {
    my ($name) = $uris[$i] =~ m{([a-z]+)$};
    is(cache($got[1][$i]), $how{$name} ? 'HIT' : 'MISS', $uris[$i]);
}

# nginx since 1.23 answers 502 to codings it does not know

my $passes = qx{${\$t->binary()} -v 2>&1} =~ m{/1\.22\.};

for my $name (sort keys %codings) {
    my (undef, undef, $off, $on) = @{ $codings{$name} };

    ($off, $on) = (0, 0) if !$passes && $name ne 'chunked';

    is(twice("/off/$name"), $off ? 'HIT' : 'MISS', "off, $name");
    is(twice("/$name"), $on ? 'HIT' : 'MISS', "on, $name");
}

for my $way (@ways) {
    is(twice("$way/chunked"), 'MISS', "$way, chunks of its own");
    is(twice("$way/gzip"), 'MISS', "$way, gzip of its own");
}

is(twice('/http-09'), 'MISS', 'no header at all');

is(twice('/fastcgi/a'), 'MISS', 'FastCGI says when it ends');
is(twice('/fastcgi/unbuffered/a'), 'MISS', 'unbuffered');

is(twice('/plain/a'), 'HIT', 'over TCP');
is(twice('/tls/a'), 'MISS', 'over TLS');
is(twice('/tls/unbuffered/a'), 'MISS', 'over TLS, unbuffered');
is(twice('/tls/variable/a'), 'MISS', 'over TLS, by a variable');

is(body(http_get('/tls/a')), $body, 'which is passed on');

###############################################################################

# an error can leave nothing at all for the client

sub twice {
    my ($uri) = @_;

    http_get($uri);
    return cache(http_get($uri));
}


sub cache { return header($_[0], 'X-Cache') // 'MISS' }

###############################################################################
