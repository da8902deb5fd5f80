#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Other modules of nginx in the same location: what they do with a response
# they do with a stored one, and never to it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Compress::Zlib ();

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()
        ->has(qw/ http_proxy http_charset http_gunzip http_gzip_static
                  http_dav http_slice http_mirror http_sub http_realip /)
        ->plan(47);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    proxy_cache_path %%TESTDIR%%/cache keys_zone=disk:1m;

    optcache_zone c:2m;
    optcache_valid 200 201 204 1m;

    charset_map koi8-r windows-1251 {
        C1 E0;
    }

    server {
        listen 127.0.0.1:8080;

        optcache c;

        location /charset/ {
            charset windows-1251;
            source_charset koi8-r;
            override_charset on;
            charset_types *;
            proxy_pass http://127.0.0.1:8081;
        }

        location /gunzip/ {
            gunzip on;
            proxy_pass http://127.0.0.1:8081;
        }

        location /static/ {
            gzip_static on;
        }

        location /vary/ {
            gzip_static on;
            gzip_vary on;
            alias %%TESTDIR%%/static/;
        }

        location /dav/ {
            dav_methods PUT DELETE;
        }

        location /slice/ {
            slice 10;
            optcache_key $uri$slice_range;
            proxy_set_header Range $slice_range;
            proxy_pass http://127.0.0.1:8081;
        }

        location /mirror/ {
            mirror /copy;
            proxy_pass http://127.0.0.1:8081;
        }

        location = /copy {
            internal;
            optcache off;
            proxy_pass http://127.0.0.1:8081/copy;
        }

        location /disk/ {
            proxy_cache disk;
            proxy_cache_valid 1m;
            proxy_pass http://127.0.0.1:8081;
        }

        location /rate/ {
            limit_rate 100k;
            proxy_pass http://127.0.0.1:8081;
        }

        location /trailer/ {
            add_trailer X-Layer $optcache_layer;
            proxy_pass http://127.0.0.1:8081;
        }

        location /realip/ {
            set_real_ip_from 127.0.0.1;
            optcache_user $remote_addr;
            proxy_set_header X-Addr $remote_addr;
            proxy_pass http://127.0.0.1:8081;
        }

        location /action/ {
            post_action /after;
            proxy_pass http://127.0.0.1:8081;
        }

        location /after {
            proxy_pass http://127.0.0.1:8081;
        }

        location /empty {
            empty_gif;
        }
    }
}

EOF

my $packed = Compress::Zlib::memGzip('plain text ' x 100);

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    return [200, { 'Content-Type' => 'text/plain', ETag => '"a"',
                   'Content-Encoding' => 'gzip' }, $packed]
        if $req->{uri} =~ /gunzip/;

    if ($req->{uri} =~ /slice/) {
        my ($from, $to) = $req->{headers}{range} =~ /(\d+)-(\d+)/;
        my $all = join '', map { $_ % 10 } 0 .. 24;

        $to = 24 if $to > 24;
        return [206, { 'Content-Range' => "bytes $from-$to/25", ETag => '"a"' },
                substr $all, $from, $to - $from + 1];
    }

    return $req->{headers}{'x-addr'} if $req->{uri} =~ /realip/;
    return 'x' x 1000 if $req->{uri} =~ /rate/;
    return [200, { 'Content-Type' => 'text/plain' }, "\xc1 $req->{count}"];
});

mkdir $t->testdir() . "/$_" for qw/ static dav /;
$t->write_file('static/a', 'plain');
$t->write_file('static/a.gz', Compress::Zlib::memGzip('packed'));
$t->write_file('dav/a', 'before');

$t->run();

###############################################################################

# a filter that writes into what it is given

is(body(http_get('/charset/')), "\xe0 1", 'charset');
is(body(http_get('/charset/')), "\xe0 1", 'on a hit') for 1 .. 3;

# what came compressed goes to who takes that, and is no answer to others

my %gzip = (headers => { 'Accept-Encoding' => 'gzip' });

is(body(http_get('/gunzip/')), 'plain text ' x 100, 'gunzip');
my $r = http_get('/gunzip/');
is(body($r), 'plain text ' x 100, 'each time');
is(header($r, 'ETag'), 'W/"a"', 'with a weak ETag');
$r = http_get('/gunzip/', %gzip);
is(header($r, 'X-Cache'), 'HIT', 'what is stored');
ok(body($r) eq $packed, 'is compressed');
is(header($r, 'ETag'), '"a"', 'with the ETag it had');

# files that are there in both forms

is(gunzip(body(http_get('/static/a', %gzip))), 'packed', 'gzip_static');
is(body(http_get('/static/a')), 'plain', 'for who does not take gzip');
is(body(http_get('/static/a')), 'plain', 'and again');

# and say so, on a hit as well

for my $name ('MISS', 'HIT', 'HIT') {
    for my $packed (1, 0) {
        $r = http_get('/vary/a', $packed ? %gzip : ());
        is(header($r, 'X-Cache') . ' '
           . ($packed ? gunzip(body($r)) : body($r)),
           $packed ? "$name packed" : "$name plain",
           $packed ? 'gzip_vary' : 'for who does not take gzip');
        is(join(',', header($r, 'Vary')), 'Accept-Encoding', "of a $name");
    }
}

$r = http_get('/vary/a', headers => { 'Accept-Encoding' => 'gzip, br' });
is(gunzip(body($r)), 'packed', 'another list of codings');
is(join(',', header($r, 'Vary')), 'Accept-Encoding', 'that takes gzip');

# who writes to a file removes what was stored of it

http_get('/dav/a');
is(header(http_get('/dav/a'), 'X-Cache'), 'HIT', 'a file');
like(http_request('PUT', '/dav/a', body => 'after'), qr/ 20[14] /, 'PUT');
is(body(http_get('/dav/a')), 'after', 'is seen at once');
like(http_request('DELETE', '/dav/a'), qr/ 204 /, 'DELETE');
is(status(http_get('/dav/a')), 404, 'as well');

# a response that is put together of pieces

my $whole = join '', map { $_ % 10 } 0 .. 24;

is(body(http_get('/slice/')), $whole, 'slices');
is(body(http_get('/slice/')), $whole, 'once more');

# requests that nobody waits for

http_get('/mirror/');
http_get('/mirror/');
is($backend->count(qr{ /mirror/}), 1, 'a hit is a hit');
ok(wait_for(sub { $backend->count(qr{ /copy}) }), 'beside a mirror');

# the other cache

http_get('/disk/');
$r = http_get('/disk/');
is(header($r, 'X-Cache'), 'HIT', 'in front of proxy_cache');
http_get('/disk/', headers => { Authorization => 'a' });
$r = http_get('/disk/', headers => { Authorization => 'a' });
is(header($r, 'X-Cache'), 'HIT', 'for a user too');

http_get('/rate/');
is(length body(http_get('/rate/')), 1000, 'limit_rate');

like(http_get('/trailer/'), qr/0\r\nX-Layer: \r\n|0\r\n\r\n/, 'a trailer');
like(http_get('/trailer/'), qr/0\r\nX-Layer: L1\r\n/, 'of a hit');

my %from = map { $_ => { headers => { 'X-Real-IP' => $_ } } }
               '192.0.2.1', '192.0.2.2';

for my $addr (sort keys %from) {
    is(body(http_get('/realip/', %{ $from{$addr} })), $addr,
        "the address of $addr");
}
is(body(http_get('/realip/', %{ $from{'192.0.2.1'} })), '192.0.2.1',
    'on a hit');

http_get('/after');
http_get('/action/');
like(http_get('/action/'), qr/^HTTP\/1.1 200 .*HIT\r.*\r\n\r\n\xc1 1$/s,
    'something to do afterwards');

http_get('/empty');
is(header(http_get('/empty'), 'X-Cache'), 'HIT', 'a picture from memory');
is(length body(http_get('/empty')), 43, 'whole');

###############################################################################
