#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A client that has asked with a condition gets its 304, and the cache all that
# there is: the condition is evaluated here, upstream is not told of it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $modified = 'Mon, 01 Jan 2001 00:00:00 GMT';
my $text = 'words and more ' x 60000;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_v2 /)->plan(59);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:16m;
    optcache c;
    proxy_buffers 4 4k;
    proxy_buffer_size 4k;

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

        location /size/ {
            optcache_max_size 100k;
            proxy_pass http://127.0.0.1:8081;
        }

        location /no-store/ {
            optcache_no_store 1;
            proxy_pass http://127.0.0.1:8081;
        }

        location /bypass/ {
            optcache_bypass 1;
            proxy_pass http://127.0.0.1:8081;
        }

        location /off/ {
            optcache off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /static/ {
            optcache_valid 1m;
        }
    }
}

EOF

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $uri = $req->{uri};
    my $asked = join ',', grep { defined $req->{headers}{$_} }
                qw/ if-none-match if-modified-since if-match if-range range
                    if-unmodified-since /;
    my $body = $uri =~ /long/ ? $text : "answer $req->{count}";
    my @fields = ('Cache-Control: max-age=60', "X-Asked: $asked",
                  'Content-Type: text/plain');

    $fields[0] = 'Cache-Control: no-store' if $uri =~ /said/;
    push @fields, 'ETag: "a"' if $uri !~ /date|nothing/;
    push @fields, "Last-Modified: $modified" if $uri =~ /date|both/;

    if ($uri =~ /chunked/) {
        push @fields, 'Transfer-Encoding: chunked';
        $body = join '', map { sprintf "%x\r\n%s\r\n", length $_, $_ }
                unpack('(a5000)*', $body), '';
    }

    return [404, \@fields, 'not here'] if $uri =~ /404/;
    return [206, [@fields, 'Content-Range: bytes 0-1/8'], 'an']
        if $uri =~ /part/ && $req->{headers}{range};

    return [200, \@fields, $body];
});

mkdir $t->testdir() . '/static';
$t->write_file('static/file', $text);

$t->run();

###############################################################################

# who asks first asks with a condition

my @etag = ('If-None-Match' => 'W/"a", "b"');

for my $uri ('/a', '/long', '/long/chunked', '/unbuffered/long',
             '/unbuffered/long/chunked', '/gzip/long')
{
    my $r = get($uri, @etag);
    is(told($r), 'MISS 304 ', "$uri: a 304");
    is(header($r, 'ETag'), '"a"', "$uri: with the validator");
    is(header($r, 'X-Asked'), '', "$uri: that upstream has not made");

    $r = get($uri);
    is(told($r) =~ s/long/answer 1/r, 'HIT 200 answer 1',
        "$uri: all of it is stored");
    is($backend->count(qr{^GET $uri$}), 1, "$uri: asked for once");
}

is(gunzip(body(get('/gzip/long', 'Accept-Encoding' => 'gzip'))), $text,
    'gzip too');

is(told(get('/date', 'If-Modified-Since' => $modified)), 'MISS 304 ', 'a date');
is(told(get('/date')), 'HIT 200 answer 1', 'is as good');

# RFC 9110, 13.1.3: a date is ignored beside a validator

is(told(get('/both', 'If-None-Match' => '"x"',
            'If-Modified-Since' => $modified)), 'MISS 200 answer 1',
    'a validator that does not match, and a date that does');
is(told(get('/both/2', 'If-None-Match' => '"a"', 'If-Modified-Since' =>
            'Mon, 01 Jan 1990 00:00:00 GMT')), 'MISS 304 ',
    'and the other way round');

is(told(get('/any', 'If-None-Match' => '*')), 'MISS 304 ', 'any');
is(told(get('/nothing', @etag)), 'MISS 200 answer 1', 'nothing to compare');
is(told(get('/other', 'If-None-Match' => '"b"')), 'MISS 200 answer 1',
    'another');
is(told(get('/404', @etag)), 'MISS 404 not here', 'an error is no 304');

# what upstream alone can evaluate

is(header(get('/match', 'If-Match' => '"a"'), 'X-Asked'), 'if-match',
    'If-Match');
is(header(get('/unmodified', 'If-Unmodified-Since' => $modified), 'X-Asked'),
    'if-unmodified-since', 'If-Unmodified-Since');
my $r = get('/part', Range => 'bytes=0-1', 'If-Range' => '"a"');
is(status($r) . header($r, 'X-Asked'), '206if-range,range', 'If-Range');
is(told(get('/part')), 'MISS 200 answer 2', 'of which nothing is stored');

# nothing is stored, but the client gets its 304

for my $uri ('/size/long', '/size/long/chunked', '/no-store/a', '/said/a') {
    is(told(get($uri, @etag)), 'MISS 304 ', "$uri: a 304");
    like(told(get($uri)), qr/^MISS 200/, "$uri: not stored");
}

is(told(get('/bypass/a', @etag)), 'BYPASS 304 ', 'a bypass');
is(told(get('/off/a', @etag)), ' 200 answer 1', 'not where it is off');

$r = get('/static/file');
is(told(get('/static/file', 'If-None-Match' => header($r, 'ETag'))),
    'HIT 304 ', 'a file');

# connections

my $s = http_connect();
for my $n (1, 2) {
    $r = http_get('/keep/long', socket => $s, keepalive => 1,
                  headers => { @etag });
    is(told($r), $n == 1 ? 'MISS 304 ' : 'HIT 304 ', 'on a connection');
}

my $h2 = Test::Nginx::HTTP2->connect(port => 8082);
my $id = $h2->send('/h2/long', headers => ['if-none-match: "a"']);
is(told($h2->response($id)), 'MISS 304 ', 'HTTP/2');
is(told(get('/h2/long')), 'HIT 200 long', 'stored all the same');

# a client that has its 304 and leaves

$s = http_get('/gone/long', start => 1, headers => { @etag });
http_read($s);
close $s;
like(told(get('/gone/long')), qr/^(HIT|MISS) 200 long$/, 'one that leaves');

###############################################################################

sub get {
    my ($uri, %headers) = @_;
    return http_get($uri, headers => \%headers);
}


sub told {
    my ($r) = @_;

    my $body = body($r) // '';

    return join ' ', header($r, 'X-Cache') // '', status($r),
                $body eq $text ? 'long' : substr $body, 0, 80;
}

###############################################################################
