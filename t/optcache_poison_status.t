#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Answers to what one client asked of his own: a part, a condition, a field
# that is too large.  They are no answers for others, whatever they say about
# caching.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $when = 'Mon, 01 Jan 2001 00:00:00 GMT';

# what is asked, and what upstream makes of it

my @cases = (
    ['a part', ['Range: bytes=0-3'], 206, ['Content-Range: bytes 0-3/10']],
    ['parts', ['Range: bytes=0-1,3-4'], 206,
        ['Content-Type: multipart/byteranges; boundary=x']],
    ['a part that says it is all', ['Range: bytes=0-3'], 200,
        ['Content-Range: bytes 0-3/10']],
    ['a part of none', ['Range: bytes=90-'], 416,
        ['Content-Range: bytes */10']],
    ['a part if', ['Range: bytes=0-3', 'If-Range: "a"'], 206,
        ['Content-Range: bytes 0-3/10']],
    ['nothing new, by tag', ['If-None-Match: *'], 304, ['ETag: "evil"']],
    ['nothing new, by date', ["If-Modified-Since: $when"], 304, []],
    ['not matched', ['If-Match: "evil"'], 412, []],
    ['modified', ["If-Unmodified-Since: $when"], 412, []],
    ['an expectation', ['X-Expect: evil'], 417, []],
    ['a slow request', ['X-Slow: evil'], 408, []],
    ['no length', ['X-Length: evil'], 411, []],
    ['a large request', ['X-Large: evil'], 413, []],
    ['a coding', ['Content-Encoding: evil'], 415, []],
    ['a connection', ['X-Host: evil'], 421, []],
    ['early data', ['Early-Data: 1'], 425, []],
    ['a protocol', ['Connection: close, upgrade', 'Upgrade: evil'], 426,
        ['Upgrade: h2c']],
    ['too often', ['X-Often: evil'], 429, ['Retry-After: 1']],
    ['large fields', ['X-Echo: ' . 'evil' x 1000], 431, []],
    ['no proxy', ['Proxy-Authorization: evil'], 407,
        ['Proxy-Authenticate: Basic']],
    ['going on', ['X-Early: evil'], 100, []],
    ['still at it', ['X-Early: evil'], 102, []],
    ['hints', ['X-Early: evil'], 103, ['Link: </evil.js>; rel=preload']],
    ['another protocol', ['X-Early: evil'], 101, ['Upgrade: evil']],
    ['a status that is none', ['X-None: evil'], 600, []],
    ['a status of two', ['X-None: evil'], 20, []],
);

my $t = Test::Nginx->new()->has('http_proxy')->plan(2 * @cases + 2);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache c;
    optcache_valid any 1m;

    server {
        listen 127.0.0.1:8080;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my ($n) = $req->{uri} =~ m{^/(\d+)} or return 'plain';
    my (undef, $asked, $status, $fields) = @{ $cases[$n] };
    my ($name) = lc($asked->[0]) =~ /^([^:]*)/;
    my @say = $req->{uri} =~ /said/
              ? 'Cache-Control: public, max-age=60, s-maxage=60' : ();

    # nginx does not tell all of what it was asked
    return [200, ['ETag: "a"', @say], 'plain']
        if !defined $req->{headers}{$name} && $name ne 'connection'
           || $name eq 'connection' && ($req->{headers}{upgrade} // '') eq '';

    return [$status, [@say, @$fields], $status == 304 ? '' : 'evil'];
});

$t->run();

###############################################################################

for my $n (0 .. $#cases) {
    my ($name, $asked) = @{ $cases[$n] };

    for my $how ('unsaid', 'said') {
        my $uri = "/$n/$how";
        my @wrong;

        http_get($uri, headers => $asked) for 1 .. 2;

        for my $more ([], ['Authorization: a'], ['Cookie: b=c']) {
            my $r = http_get($uri, headers => $more);
            push @wrong, $r if status($r) ne 200 || body($r) ne 'plain'
                               || $r =~ /evil|Content-Range|Upgrade/i;
        }

        is(join("\n", @wrong), '', "$name, $how");
    }
}

# a plain answer is for all, and for who asks for a part of it

http_get('/plain');
is(header(http_get('/plain'), 'X-Cache'), 'HIT', 'a plain one is kept');
is(body(http_get('/plain', headers => ['Range: bytes=1-2'])), 'la',
    'and so are its parts');

###############################################################################
