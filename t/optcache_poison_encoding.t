#!/usr/bin/perl

# Copyright (C) The Optcache authors

# One client's Accept-Encoding, or its HEAD, does not choose what others get:
# nobody gets a coding that he does not take, nor a head for a body.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

# the codings upstream uses when it is asked for any, as lines of its answer

my @codings = (
    ['br'], ['gzip'], ['x-gzip'], ['GZIP'], ['deflate'], ['zstd'],
    ['compress'],
    ['gzip, br'], ['br, gzip'], ['br', 'gzip'], ['gzip', 'br'], [',br'],
    ['', 'br'], ['identity', 'br'], ['br,', ''], ["gzip,\tbr"],
);

# and what does not take all of any of them

my @clients = (undef, '', 'identity', 'gzip;q=0, br;q=0', '*;q=0',
               'gzip;q=0, *;q=0', 'brr, gzipp, x-br', 'br;q=0.000,gzip;q=0');

my $t = Test::Nginx->new()->has('http_proxy')->plan(2 * @codings + 32);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache c;
    optcache_valid any 1m;

    proxy_http_version 1.1;

    server {
        listen 127.0.0.1:8080;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /gzip/ {
            optcache_gzip on;
            optcache_gzip_min_length 1;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $h = $req->{headers};
    my ($n) = $req->{uri} =~ m{(\d+)$};

    return [200, ['Transfer-Encoding: chunked', 'Trailer: X-Evil, Set-Cookie'],
            "4\r\nbody\r\n0\r\nX-Evil: evil\r\nSet-Cookie: a=evil\r\n\r\n"]
        if $req->{uri} =~ /trailer/;

    if ($req->{uri} =~ /refuse/) {
        my $asked = $h->{'accept-encoding'} // '';
        my ($coding) = $asked =~ /\b(br|gzip)\b/;

        return [406, ['Vary: Accept-Encoding'], 'none']
            if !$coding && $asked =~ /(?:identity|\*);q=0/;

        return [200, ['Vary: Accept-Encoding',
                      $coding ? "Content-Encoding: $coding" : ()],
                $coding // 'plain'];
    }

    return [200, ['X-Method: ' . $req->{method}, 'ETag: "a"',
                  $req->{method} eq 'HEAD' ? ('Content-Length: 3') : ()],
            'body of ' . $req->{method}]
        if !defined $n;

    return [200, ['Vary: Accept-Encoding'], 'plain'] if $req->{uri} =~ /plain/;

    return [200, [map({ "Content-Encoding: $_" } @{ $codings[$n] })],
            'coded ' x 50]
        if ($h->{'accept-encoding'} // '') =~ /any/;

    return [200, [], 'plain ' x 50];
});

$t->run();

###############################################################################

for my $n (0 .. $#codings) {
    my $name = join ' and ', map { "\"$_\"" } @{ $codings[$n] };

    for my $where ('', '/gzip') {
        my @wrong;

        for my $i (0 .. $#clients) {
            my $uri = "$where/$i/$n";
            my $accept = $clients[$i];

            get($uri, 'any, gzip, br') for 1 .. 2;

            my $r = get($uri, $accept);

            push @wrong, 'to ' . ($accept // 'none') . ": $r"
                if body($r) ne 'plain ' x 50
                   || defined header($r, 'Content-Encoding');
        }

        is(join("\n", @wrong), '', "$name$where");
    }
}

# who takes one of two takes neither

get('/both/4', 'any, gzip, br');
is(body(get('/both/4', 'gzip')), 'plain ' x 50, 'half of a coding');
get('/both/3', 'any, gzip, br');
is(body(get('/both/3', 'br')), 'plain ' x 50, 'or the other half');

# what one takes one has

get('/0', 'any, br');
is(header(get('/0', 'br'), 'X-Cache'), 'HIT', 'a coding for who takes it');
is(header(get('/0', 'br'), 'Content-Encoding'), 'br', 'with its name');
is(header(get('/0', 'gzip'), 'X-Cache'), 'MISS', 'and for nobody else');

# one form made here, whoever asked first

get('/gzip/0/x1', undef);
is(body(get('/gzip/0/x1', undef)), 'plain ' x 50, 'plain');
is(gunzip(body(get('/gzip/0/x1', 'gzip'))), 'plain ' x 50, 'or not');
is(body(get('/gzip/0/x1', 'gzip;q=0')), 'plain ' x 50, 'as one likes');

# who takes nothing does not choose that for others

for my $none ('identity;q=0', '*;q=0', 'x, identity;q=0') {
    my $uri = '/refuse/' . unpack 'H*', $none;

    get($uri, $none);
    is(body(get($uri, undef)), 'plain', "others than $none");
    is(status(get($uri, $none)), 406, 'who asked');
    like(get($uri, 'identity'), qr/HIT.*plain/s, 'one for all');
}

# an upstream that does not heed it has one form for all

get('/plain/x1', 'gzip, identity;q=0');
is(header(get('/plain/x1', undef), 'X-Cache'), 'HIT', 'what has no coding');

get('/refuse/lines', 'x', 'identity;q=0');
is(body(get('/refuse/lines', 'x')), 'plain', 'nor in a line of its own');

# several lines are one value

get('/refuse/two', 'x', 'br');
like(get('/refuse/two', 'x', 'br'), qr/HIT.*br$/s, 'a coding in the second');
like(get('/refuse/two', 'br'), qr/HIT.*br$/s, 'as in the first');

# HEAD

http_head('/head') for 1 .. 3;
my $r = http_get('/head');
is(header($r, 'X-Cache'), 'MISS', 'a HEAD is not kept');
is(body($r), 'body of GET', 'for a GET');
is(header($r, 'Content-Length'), 11, 'nor is its length');

$r = http_head('/head');
is(header($r, 'X-Cache'), 'HIT', 'a GET is kept for a HEAD');
is(header($r, 'Content-Length'), 11, 'with its length');
is(body($r), '', 'and no body');

http_head('/head/x', headers => ['If-None-Match: "a"', 'Range: bytes=0-1']);
$r = http_get('/head/x');
is(status($r) . body($r), '200body of GET', 'a HEAD with conditions');
http_head('/head/x', headers => ['If-None-Match: "a"', 'Range: bytes=0-1']);
$r = http_get('/head/x');
is(status($r) . body($r), '200body of GET', 'neither before nor after');

# what comes after a body is not kept

http_get('/trailer');
$r = http_get('/trailer');
is(header($r, 'X-Cache'), 'HIT', 'an answer with trailers');
unlike($r, qr/evil/, 'without them');
is(body($r), 'body', 'whole');

###############################################################################

sub get {
    my ($uri, @accept) = @_;

    return http_get($uri, headers => [map { "Accept-Encoding: $_" }
                                      grep { defined } @accept]);
}

###############################################################################
