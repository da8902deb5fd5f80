#!/usr/bin/perl

# Copyright (C) The Optcache authors

# An unsafe request whose answer is a redirect within nginx, to a file or to a
# page for what upstream has said, has been answered all the same: its URI is
# invalidated.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_rewrite /)
    ->plan(16);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache_valid 1m;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }

        location /kept/ {
            optcache c;
            optcache_invalidate_on_write off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /keyed/ {
            optcache c;
            optcache_key "keyed";
            proxy_pass http://127.0.0.1:8081;
        }

        location /page/ {
            optcache c;
            proxy_intercept_errors on;
            error_page 302 = /ok;
            error_page 404 = /ok;
            proxy_pass http://127.0.0.1:8081;
        }

        location /ok {
            return 200 ok;
        }

        location /mirrored {
            mirror /mirror;
            proxy_pass http://127.0.0.1:8081/kept;
        }

        location = /mirror {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }

        location /files/ {
            internal;
            alias %%TESTDIR%%/;
        }

        location /plain/ {
            internal;
            proxy_pass http://127.0.0.1:8081/mirror;
        }

        location /cached/ {
            internal;
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }

        location @named {
            return 200 named;
        }
    }
}

EOF

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    return [200, {}, "$req->{uri} $req->{count}"]
        if $req->{method} eq 'GET' && $req->{uri} !~ /group/;

    return [200, { 'Cache-Groups' => '"g"' }, "$req->{uri} $req->{count}"]
        if $req->{method} eq 'GET';

    my ($where) = $req->{headers}{'x-where'} // '';

    return [302, { Location => '/other' }, ''] if $where eq '302';
    return [404, {}, ''] if $where eq '404';
    return [500, { 'X-Accel-Redirect' => '/files/file' }, '']
        if $where eq '500';
    return [500, { 'X-Accel-Redirect' => '/plain/x' }, '']
        if $where eq '500 on';

    return [200, { 'X-Accel-Redirect' => $where,
                   'Content-Location' => '/named-there',
                   'Cache-Group-Invalidation' => '"g"' }, ''];
});

$t->write_file('file', 'a file');
$t->run();

###############################################################################

is(write_to('/a', '/files/file'), 'a file, invalidated', 'to a file');
is(write_to('/b', '@named'), 'named, invalidated', 'to what rewrite answers');
like(write_to('/c', '/cached/x'), qr{^/cached/x \d, invalidated$},
    'to where there is a cache');
is(write_to('/keyed/a', '/files/file'), 'a file, invalidated', 'by its key');

is(write_to('/page/a', '302'), 'ok, invalidated', 'to a page for a 302');
is(write_to('/page/b', '404'), 'ok, kept', 'not to one for an error');
is(write_to('/e', '500'), 'a file, kept', 'nor does an error that redirects');
like(write_to('/g', '500 on'), qr/, kept$/, 'whatever is asked after that');
is(write_to('/kept/a', '/files/file'), 'a file, kept', 'nor where it is off');

# what the answer names

http_get($_) for '/named-there', '/group';
is(header(http_get('/named-there'), 'X-Cache'), 'HIT', 'another URI');
is(header(http_get('/group'), 'X-Cache'), 'HIT', 'and a group');

http_post('/f', body => 'x', headers => { 'X-Where' => '/files/file' });

is(header(http_get('/named-there'), 'X-Cache'), 'MISS', 'is invalidated');
is(header(http_get('/group'), 'X-Cache'), 'MISS', 'as well');

http_get('/other');
http_post('/page/c', body => 'x', headers => { 'X-Where' => '302' });
is(header(http_get('/other'), 'X-Cache'), 'MISS', 'the Location of a 302');

# a subrequest, whose URI the redirect changes

http_get('/mirror') for 1 .. 2;
http_post('/mirrored', body => 'x', headers => { 'X-Where' => '/files/file' });
ok(wait_for(sub { header(http_get('/mirror'), 'X-Cache') eq 'MISS' }),
    'what a mirror has written');

like(http_get('/files/file'), qr/404/, 'the file is internal');

###############################################################################

sub write_to {
    my ($uri, $where) = @_;

    http_get($uri);

    die "$uri is not stored" if header(http_get($uri), 'X-Cache') ne 'HIT';

    my $r = http_post($uri, body => 'x', headers => { 'X-Where' => $where });
    my $found = header(http_get($uri), 'X-Cache') eq 'HIT';

    return body($r) . ', ' . ($found ? 'kept' : 'invalidated');
}

###############################################################################
