#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What is stale is asked about by its validators; a 304 makes it fresh again,
# anything else takes its place (RFC 9111, 4.3; RFC 9110, 13.1).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $modified = 'Mon, 01 Jan 2001 00:00:00 GMT';
my $text = 'words and more ' x 20000;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_v2 /)->plan(56);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:16m;
    optcache_headers all;
    optcache c;

    server {
        listen 127.0.0.1:8080;
        listen 127.0.0.1:8082 http2;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /unbuffered/ {
            proxy_buffering off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /gzip/ {
            optcache_gzip on;
            proxy_pass http://127.0.0.1:8081;
        }

        location /off/ {
            optcache_revalidate off;
            proxy_pass http://127.0.0.1:8081;

            location /off/in/ {
                proxy_pass http://127.0.0.1:8081;
            }

            location /off/on/ {
                optcache_revalidate on;
                proxy_pass http://127.0.0.1:8081;
            }
        }
    }
}

EOF

# the first answer is stale when it comes; a condition that holds gets a 304

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $uri = $req->{uri};
    my $asked = join ' ', map { $req->{headers}{$_} // '-' }
                'if-none-match', 'if-modified-since';
    my @stale = ('Cache-Control: max-age=60', 'Age: 100',
                 'Content-Type: text/plain');

    push @stale, 'ETag: "a"' unless $uri =~ /date|none/;
    push @stale, "Last-Modified: $modified" if $uri =~ /date|both/;
    $stale[0] = 'Cache-Control: no-cache' if $uri =~ /no-cache/;
    $stale[0] = 'Cache-Control: max-age=0' if $uri =~ /zero/;

    if ($req->{count} > 1 && $uri !~ /replace|none/
        && $asked =~ /"a"|$modified/)
    {
        my @fresh = $uri =~ /no-cache/ ? 'Cache-Control: no-cache'
                                       : 'Cache-Control: max-age=60';

        return [304, [@fresh, 'ETag: "a"', "X-Asked: $asked",
                      "X-Range: @{[ $req->{headers}{range} // '-' ]}"], ''];
    }

    return [412, ["X-Asked: $asked"], 'no']
        if ($req->{headers}{'if-match'} // '') eq '"x"';

    my $body = $uri =~ /long|gzip/ ? $text : "answer $req->{count}";

    return [200, [@stale, "X-Asked: $asked"], $body] if $req->{count} == 1;
    return [200, ['Cache-Control: max-age=60', 'Age: 20', 'ETag: "b"',
                  "X-Asked: $asked"], $body];
});

$t->run();

###############################################################################

# what is asked

for (['etag', '"a" -'], ['date', "- $modified"], ['both', "\"a\" $modified"],
     ['zero', '"a" -'])
{
    my ($uri, $asked) = @$_;

    is(told(get("/$uri")), 'MISS 200 answer 1', "$uri: stored, though stale");

    my $r = get("/$uri");
    is(told($r), 'REVALIDATED 200 answer 1', "$uri: validated");
    is(header($r, 'X-Asked'), $asked, "$uri: by what it had");
    is(told(get("/$uri")), 'HIT 200 answer 1', "$uri: and is fresh again");
}

is($backend->count(), 8, 'asked twice each');

get('/status');
is(header(get('/status'), 'Cache-Status'),
    'Optcache; fwd=stale; fwd-status=304; stored', 'Cache-Status');
like(header(get('/status'), 'Cache-Status'),
    qr/^Optcache; hit; ttl=(60|59|58|5\d); detail=L1$/, 'of the hit after it');

# what cannot be validated is not stored

get('/none');
is(told(get('/none')), 'MISS 200 answer 2', 'nothing to validate by');

# another answer takes the place of what was stale

get('/replace');
is(told(get('/replace')), 'EXPIRED 200 answer 2', 'a 200 is passed on');
is(told(get('/replace')), 'HIT 200 answer 2', 'and stored');
is(header(get('/replace'), 'ETag'), '"b"', 'with its validator');

# no-cache: stored, and asked about each time

get('/no-cache');
is(told(get('/no-cache')), 'REVALIDATED 200 answer 1', 'no-cache');
is(told(get('/no-cache')), 'REVALIDATED 200 answer 1', 'each time');
is($backend->count(qr{/no-cache}), 3, 'three times');

# conditions of the client are its own

get('/own');
my $r = get('/own', 'If-None-Match' => '"x"');
is(told($r), 'REVALIDATED 200 answer 1', 'a condition that does not hold');
is(header($r, 'X-Asked'), '"a" -', 'upstream does not see it');

get('/own-304');
$r = get('/own-304', 'If-None-Match' => '"x", W/"a"');
is(told($r), 'REVALIDATED 304 ', 'a condition that holds');
is(header($r, 'ETag'), '"a"', 'with the validator');
is(told(get('/own-304')), 'HIT 200 answer 1', 'all of it is stored');

get('/own-date');
$r = get('/own-date', 'If-Modified-Since' => $modified);
is(told($r), 'REVALIDATED 304 ', 'a date that holds');

get('/own-replace');
$r = get('/own-replace', 'If-None-Match' => '"b"');
is(told($r), 'EXPIRED 304 ', 'the client has the new one');
is(told(get('/own-replace')), 'HIT 200 answer 2', 'which is stored');

get('/own-match');
$r = get('/own-match', 'If-Match' => '"x"');
is(told($r), 'EXPIRED 412 no', 'If-Match is for upstream to evaluate');
is(header($r, 'X-Asked'), '- -', 'with nothing of ours');

# an age that the client does not take

get('/young-replace');
get('/young-replace');
is(told(get('/young-replace', 'Cache-Control' => 'max-age=10')),
    'EXPIRED 200 answer 3', 'max-age asks about what is fresh');

# ranges and HEAD

get('/range');
$r = get('/range', Range => 'bytes=0-2');
is(told($r), 'REVALIDATED 206 ans', 'a range of what was validated');
is(header($r, 'Content-Range'), 'bytes 0-2/8', 'of all there is');
is(told(get('/range')), 'HIT 200 answer 1', 'which is still whole');

get('/head');
$r = http_head('/head');
is(status($r) . body($r), '200', 'HEAD of what is stale');
$r = get('/head');
is(told($r), 'REVALIDATED 200 answer 1', 'stores nothing, removes nothing');

# bodies in many pieces

get('/long');
$r = get('/long');
is(header($r, 'X-Cache') . (body($r) eq $text), 'REVALIDATED1', 'a long body');
$r = get('/long');
is(header($r, 'X-Cache') . (body($r) eq $text), 'HIT1', 'and a hit of it');

get('/unbuffered/long');
$r = get('/unbuffered/long');
is(header($r, 'X-Cache') . (body($r) eq $text), 'REVALIDATED1', 'unbuffered');

# the gzip form is kept

get('/gzip/long', 'Accept-Encoding' => 'gzip');
$r = get('/gzip/long', 'Accept-Encoding' => 'gzip');
is(header($r, 'X-Cache') . (gunzip(body($r)) eq $text), 'REVALIDATED1',
    'gzip of what was validated');
$r = get('/gzip/long', 'Accept-Encoding' => 'gzip');
is(header($r, 'X-Cache') . (gunzip(body($r)) eq $text), 'HIT1',
    'and of the hit');
is(body(get('/gzip/long')) eq $text, 1, 'beside the other form');

# HTTP/2

http2_get('/h2-long', port => 8082);
$r = http2_get('/h2-long', port => 8082);
is(header($r, 'X-Cache') . (body($r) eq $text), 'REVALIDATED1', 'HTTP/2');

# off, and how it is inherited

for my $uri ('/off/a', '/off/in/a') {
    get($uri);
    is(told(get($uri)), 'MISS 200 answer 2', "$uri: not stored");
    is(header(get($uri), 'X-Cache'), 'HIT', "$uri: what is fresh is");
}

get('/off/on/a');
is(told(get('/off/on/a')), 'REVALIDATED 200 answer 1', 'on again');

# a connection goes on

get('/keep');
my $s = http_connect();
$r = http_get('/keep', socket => $s, keepalive => 1);
is(told($r), 'REVALIDATED 200 answer 1', 'on a connection');
is(told(http_get('/keep', socket => $s, keepalive => 1)), 'HIT 200 answer 1',
    'that is used again');

###############################################################################

sub get {
    my ($uri, %headers) = @_;
    return http_get($uri, headers => \%headers);
}


sub told {
    my ($r) = @_;
    return join ' ', header($r, 'X-Cache') // '', status($r), body($r) // '';
}

###############################################################################
