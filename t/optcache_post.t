#!/usr/bin/perl

# Copyright (C) The Optcache authors

# optcache_methods POST: a POST that asks is told from others by its body, and
# answered like a GET.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_v2 http_rewrite /)
        ->has_program('redis-server')->plan(97);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;
    optcache_zone c:4m;
    optcache c;
    optcache_methods GET HEAD POST;
    optcache_key $scheme://$host$uri|$optcache_body;
    optcache_max_size 300k;

    client_max_body_size 400k;
    client_body_buffer_size 8k;

    add_header X-Body $optcache_body;
    add_header X-Layer $optcache_layer;

    server {
        listen 127.0.0.1:8080;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /unbuffered/ {
            proxy_request_buffering off;
            proxy_http_version 1.1;
            proxy_pass http://127.0.0.1:8081;
        }

        location /file/ {
            client_body_in_file_only clean;
            proxy_pass http://127.0.0.1:8081;
        }

        location /valid/ {
            optcache_valid 1m;
            proxy_pass http://127.0.0.1:8081;
        }

        location /early/ {
            # known too early, and by another name
            set $early $optcache_body;
            optcache_key $uri|$early$optcache_body;
            proxy_pass http://127.0.0.1:8081;
        }

        location /get/ {
            optcache_methods GET HEAD;
            optcache_key $uri|$optcache_body;
            proxy_pass http://127.0.0.1:8081;
        }

        location /shared/ {
            optcache_share_public on;
            proxy_pass http://127.0.0.1:8081;
        }

        location /mirrored/ {
            mirror /mirror;
            proxy_pass http://127.0.0.1:8081;
        }

        location /mirror {
            optcache off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /moved/ {
            rewrite ^ /to/$http_x_to break;
            proxy_pass http://127.0.0.1:8081;
        }

        location /again/ {
            optcache off;
            proxy_pass http://127.0.0.1:8082;
            error_page 502 = @again;
        }

        location @again {
            proxy_pass http://127.0.0.1:8081;
        }
    }

    server {
        listen 127.0.0.1:8083 http2;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $redis = $t->run_redis();

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my @fields = ('Cache-Control: '
                  . ($req->{headers}{'x-control'} // 'max-age=60'),
                  'ETag: "x"', 'Last-Modified: Mon, 01 Jan 2018 00:00:00 GMT');

    shift @fields if $req->{uri} =~ m{/(valid|guess)};

    return [200, \@fields, join ' ', $req->{method}, length $req->{body},
            sha256_hex($req->{body}), $req->{headers}{'content-type'} // '-',
            $req->{headers}{'if-none-match'} // '-'];
});

# this one takes the body, and says nothing

$t->run_http_backend(8082, sub { return undef });

$t->run();

###############################################################################

my $r = post('/a', 'one');
is(cache($r), 'MISS', 'a question');
like(body($r), answer('one'), 'is passed on whole');
is(header($r, 'X-Body'), sha256_hex('one'), 'its digest');

$r = post('/a', 'one');
is(cache($r), 'HIT', 'the same question');
like(body($r), answer('one'), 'has the same answer');
is(header($r, 'X-Body'), sha256_hex('one'), 'and digest');
is(header($r, 'Accept-Ranges'), undef, 'of which there are no parts');

is(cache(post('/a', 'two')), 'MISS', 'another question');
is(cache(post('/a', 'one')), 'HIT', 'leaves the first alone');
is(cache(http_get('/a')), 'MISS', 'a GET is something else');
is(header(http_get('/a'), 'X-Body'), undef, 'that has no body');
is(cache(post('/a', 'one')), 'HIT', 'and leaves it alone, too');
is(cache(http_get('/a')), 'HIT', 'a POST invalidates nothing');
is(cache(http_request('HEAD', '/a')), 'HIT', 'HEAD is of the GET');

is(cache(post('/a', 'one', Authorization => 'A')), 'MISS', 'of a user');
is(cache(post('/a', 'one', Authorization => 'A')), 'HIT', 'who has his own');
is(cache(post('/a', 'one', Authorization => 'B')), 'MISS', 'others do not');

# a key that looks like another

my $digest = sha256_hex('one');

is(cache(http_get("/a|$digest")), 'MISS', 'a URI with a digest');
is(cache(http_get("/a|$digest")), 'HIT', 'is only a URI');

# where the URI is another one than was asked for

post('/moved/', 'one', 'X-To' => 'a');
is(cache(post('/moved/', 'one', 'X-To' => 'b')), 'MISS', 'sent elsewhere');
is(cache(post('/moved/', 'one', 'X-To' => 'a')), 'HIT', 'sent there again');

# what the body is

is(cache(post('/a', 'one', 'Content-Type' => 'text/plain')), 'MISS', 'a type');
is(cache(post('/a', 'one', 'content-type' => 'text/plain')), 'HIT',
    'the same type');
is(cache(post('/a', 'one', 'Content-Type' => 'text/html')), 'MISS',
    'another type');
is(cache(post('/a', 'one', 'Content-Encoding' => 'text/plain')), 'MISS',
    'a coding');
is(cache(post('/a', 'one', 'Content-Language' => 'text/plain')), 'MISS',
    'a language');
is(cache(post('/a', 'one', 'content-language' => 'text/plain')), 'HIT',
    'the same language');
is(cache(post('/a', 'one', 'Content-Language' => 'de')), 'MISS',
    'another language');
is(cache(post('/a', 'one', 'Content-Type' => '')), 'MISS', 'an empty type');
is(cache(post('/a', 'one')), 'HIT', 'none at all');

# bodies of all kinds

for my $uri ('/empty', '/unbuffered/empty', '/file/empty') {
    is(cache(post($uri, '')), 'MISS', "$uri: an empty body");
    is(cache(post($uri, '')), 'HIT', 'again');
}

is(header(post('/empty', ''), 'X-Body'), sha256_hex(''), 'has a digest');
is(cache(http("POST /empty HTTP/1.0\r\nHost: localhost\r\n\r\n")), 'HIT',
    'as has none');

for my $size (7000, 9000, 300 * 1024) {
    my $body = join '', map { chr(rand 256) } 1 .. $size;

    for my $uri ('/size', '/unbuffered/size', '/file/size') {
        like(body(post($uri, $body)), answer($body), "$uri: $size bytes");

        $r = chunked($uri, $body, $size / 3 + 1);
        is(cache($r) . header($r, 'X-Body'), 'HIT' . sha256_hex($body),
            'the same in chunks');
    }
}

like(body(chunked('/chunks', 'abc', 1)), answer('abc'), 'chunks of a miss');
is(cache(post('/chunks', 'abc')), 'HIT', 'and not in chunks');

# one that comes slowly

my $s = http("POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n"
             . "Connection: close\r\n\r\no", start => 1);
is(cache(post('/a', 'one')), 'HIT', 'while a body is on its way');
is(cache(http('ne', socket => $s)), 'HIT', 'it arrives');

# one that never arrives

for my $head ("Content-Length: 3\r\n\r\no",
              "Transfer-Encoding: chunked\r\n\r\n3\r\no",
              "Transfer-Encoding: chunked\r\n\r\nzz\r\n")
{
    $s = http("POST /left HTTP/1.1\r\nHost: localhost\r\n$head", start => 1);
    like(http('', socket => $s), qr/ 400 /, 'no chunk') if $head =~ /zz/;
    close $s;
}

is(cache(post('/left', 'o')), 'MISS', 'a body that broke off');

# too large

my $large = 'x' x (300 * 1024 + 1);

for (1, 2) {
    $r = post('/large', $large);
    is(cache($r), 'BYPASS', 'larger than what is cached');
}

like(body($r), answer($large), 'it is passed on');
is(cache(chunked('/large', $large, 65536)), 'BYPASS', 'in chunks, too');
is(status(post('/large', 'x' x (400 * 1024 + 1))), 413, 'larger than allowed');
is(status(chunked('/large', 'x' x (400 * 1024 + 1), 65536)), 413,
    'in chunks, too');

# what is for the origin

is(cache(post('/a', 'one', 'If-None-Match' => '"x"')), 'BYPASS',
    'a precondition');
is(cache(post('/a', 'one', 'Range' => 'bytes=0-1')), 'BYPASS', 'a range');

# RFC 9110, 9.3.3

post('/guess', 'one');
is(cache(post('/guess', 'one')), 'MISS', 'no lifetime is guessed');
http_get('/guess');
is(cache(http_get('/guess')), 'HIT', 'but for a GET');
post('/valid/', 'one');
is(cache(post('/valid/', 'one')), 'HIT', 'one of the configuration');
post('/no', 'one', 'X-Control' => 'no-store');
is(cache(post('/no', 'one', 'X-Control' => 'no-store')), 'MISS', 'no-store');

# of no use without being validated

for my $control ('no-cache', 'public, no-cache', 'max-age=0') {
    post('/never', 'one', 'X-Control' => $control);
    is(cache(post('/never', 'one', 'X-Control' => $control)), 'MISS',
        "$control: not stored");
}

# what is public

my $public = 'public, max-age=60';

post('/shared/', 'one', Authorization => 'A', 'X-Control' => $public);
is(cache(post('/shared/', 'one', Authorization => 'B')), 'HIT', 'shared');
is(cache(post('/shared/', 'two', Authorization => 'B')), 'MISS',
    'but not another body');

# stale

my %soon = ('X-Control' => 'max-age=1, stale-while-revalidate=1000');

post('/stale', 'one', %soon);
ok(wait_for(sub { cache($r = post('/stale', 'one', %soon)) ne 'HIT' }),
    'stale');
is(cache($r), 'EXPIRED', 'it is asked for anew');
like(body($r), qr/^POST .* -$/, 'without a condition, which is for GET');

# where it is known too early, it still decides

post('/early/', 'one');
like(body(post('/early/', 'two')), answer('two'), 'a variable known too early');

# where POST is none of the methods

http_get('/get/');
is(cache(post('/get/', 'one')), 'BYPASS', 'not among the methods');
is(cache(http_get('/get/')), 'MISS', 'it invalidates');

# another method that is not safe

post('/write', 'one');
http_request('PUT', '/write', body => 'two');
is(cache(post('/write', 'one')), 'MISS', 'a PUT invalidates it');

# read by another module, or sent once in vain

post('/mirrored/', 'one');
is(cache(post('/mirrored/', 'one')), 'HIT', 'beside a mirror');
like(body(post('/again/', 'one')), answer('one'), 'a second upstream');
like(body(post('/again/', 'two')), answer('two'), 'another body');
is(cache(post('/again/', 'one')), 'HIT', 'again');

# HTTP/2

for my $body ('', 'one', 'y' x 40000) {
    $r = http2('/h2', $body);
    like(body($r), answer($body), 'HTTP/2: ' . length $body);
    is(cache(http2('/h2', $body)), 'HIT', 'again');
}

# from Redis

wait_for(sub { $redis->entries() > 10 });
$t->stop();
$t->run();

is(header(post('/a', 'one'), 'X-Layer'), 'L2', 'from Redis');

###############################################################################

sub cache { return header($_[0], 'X-Cache') // '' }


sub answer {
    my ($body) = @_;

    my ($size, $digest) = (length $body, sha256_hex($body));
    return qr/^POST $size $digest /;
}


sub post {
    my ($uri, $body, %headers) = @_;
    return http_request('POST', $uri, body => $body, headers => \%headers);
}


sub chunked {
    my ($uri, $body, $size) = @_;

    my $chunks = join '', map { sprintf("%x\r\n", length $_) . "$_\r\n" }
                          unpack '(a' . int($size) . ')*', $body;

    return http("POST $uri HTTP/1.1\r\nHost: localhost\r\n"
                . "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
                . "${chunks}0\r\n\r\n");
}


sub http2 {
    my ($uri, $body) = @_;

    return http2_get($uri, port => 8083, method => 'POST', body => $body);
}

###############################################################################
