#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A request is redirected within nginx when upstream has been asked: what the
# client asked for is what is evaluated where it has come to, and nothing that
# was asked in its place gets there.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(11);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }

        location /file/ {
            internal;
        }

        location /proxied/ {
            internal;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $uri = $req->{uri};
    my $asked = $req->{headers}{'if-none-match'} // '';
    my @fields = ('Cache-Control: max-age=60', 'Age: 100', 'ETag: "stale"');

    return [200, ['X-Accel-Redirect: /file/a'], '']
        if $uri eq '/to-file' && $req->{count} > 1;
    return [200, ['X-Accel-Redirect: /proxied/x'], '']
        if $uri eq '/to-proxy' && $req->{count} > 1;
    return [200, ['X-Accel-Redirect: /file/a'], ''] if $uri eq '/miss';

    return [304, ['ETag: "stale"'], ''] if $asked eq '"stale"'
                                           && $uri eq '/proxied/x';
    return [200, ['ETag: "x"', "X-Asked: $asked"], 'proxied']
        if $uri eq '/proxied/x';

    return [200, \@fields, 'body'];
});

mkdir "${\ $t->testdir() }/file";
$t->write_file('file/a', 'file');

$t->run();

###############################################################################

# the ETag of the file, as it is without a cache

my $etag = header(http_get('/miss'), 'ETag');
ok($etag, 'a file');

is(status(asked('/miss', $etag)), 304, 'a miss that is redirected to it');
is(status(asked('/miss', '"other"')), 200, 'with another condition');

# an entry that is stale is asked about, and the answer is a redirect

http_get('/to-file');
is(status(asked('/to-file', $etag)), 304, 'what is stale, to a file');
is(body(asked('/to-file', '"stale"')), 'file', 'which is another one');
is(body(http_get('/to-file')), 'file', 'without a condition');

http_get('/to-proxy');
my $r = http_get('/to-proxy');
is(status($r), 200, 'to another upstream');
is(body($r), 'proxied', 'which is not asked about what was stale');
is(header($r, 'X-Asked') // '', '', 'at all');

$r = asked('/to-proxy', '"mine"');
is(header($r, 'X-Asked'), '"mine"', 'but about what the client has');

is(body(http_get('/else')), 'body', 'nothing else is changed');

###############################################################################

sub asked {
    my ($uri, $etag) = @_;

    return http_get($uri, headers => { 'If-None-Match' => $etag });
}

###############################################################################
