#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What nginx has taken over from who redirected to a cached location is of that
# one response: it is not stored, so that nobody gets the file name, or the
# challenge, that another one was sent.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_flv /)->plan(29);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;

    server {
        listen 127.0.0.1:8080;

        location /type {
            proxy_pass http://127.0.0.1:8081;
        }

        location /files/ {
            internal;
            optcache c;
            optcache_user "";
            optcache_valid 1m;
            optcache_key file;
            types { image/png png; }
            root %%TESTDIR%%/html;
        }

        location /flv/ {
            internal;
            optcache c;
            optcache_user "";
            optcache_valid 1m;
            optcache_key flv;
            types { video/x-flv flv; }
            flv;
            root %%TESTDIR%%/html;
        }

        location /send {
            proxy_pass http://127.0.0.1:8081;
        }

        location /file {
            proxy_pass http://127.0.0.1:8081;
        }

        location /internal/ {
            internal;
            optcache c;
            optcache_user "";
            proxy_pass http://127.0.0.1:8081;
        }

        location /secret {
            proxy_intercept_errors on;
            error_page 401 = /login;
            proxy_pass http://127.0.0.1:8081;
        }

        location /login {
            optcache c;
            optcache_user "";
            optcache_valid 1m;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my ($user) = ($req->{headers}{authorization} // '');
    my $n = $req->{count};

    return [200, ["X-Accel-Redirect: /internal$req->{uri}",
                  "Content-Disposition: inline; filename=\"$user\"",
                  "Cache-Control: public, max-age=3600"], '']
        if $req->{uri} =~ m{^/file};

    return [401, ["WWW-Authenticate: Digest realm=\"r\", nonce=\"$n\""], '']
        if $req->{uri} =~ m{^/secret};

    return 'login' if $req->{uri} eq '/login';

    return [200, ["X-Accel-Redirect: /internal$req->{uri}",
                  "Content-Type: $user"], '']
        if $req->{uri} =~ m{^/type};

    return [200, ["X-Accel-Redirect: $1", $2 ? "Content-Type: $2" : ()], '']
        if $req->{uri} =~ m{^/send(.*)\?(.*)};

    return [503, ['Content-Type: text/error'], '']
        if $req->{uri} =~ /failing/ && $n > 1;

    return [304, ['Cache-Control: public, max-age=100', 'X-Seen: yes']]
        if $req->{headers}{'if-none-match'};

    # stale when it comes, as the other Age says, if it is to be asked about

    return [200, ['Cache-Control: public, max-age=100', 'ETag: "1"',
                  'Content-Disposition: attachment',
                  $req->{uri} =~ /own/ ? 'Content-Type: image/png' : (),
                  $req->{uri} =~ /stale|failing/
                      ? ('Age: 4000', 'Cache-Control: stale-if-error=9000')
                      : ()],
            "text $n"];
});

mkdir $t->testdir() . '/html';
mkdir $t->testdir() . '/html/files';
mkdir $t->testdir() . '/html/flv';
$t->write_file('html/flv/a.flv', 'FLV');
$t->write_file('html/files/a.png', 'image');

$t->run();

###############################################################################

my $r = get('/file/a', 'alice');
like($r, qr/filename="alice"/, 'a field of who redirects');
like($r, qr/attachment/, 'and of the response');
like($r, qr/^X-Cache: MISS/m, 'that is stored');

$r = get('/file/a', 'bob');
like($r, qr/^X-Cache: HIT/m, 'and found');
like($r, qr/filename="bob"/, 'by another one who redirects');
like($r, qr/attachment/, 'with what it said itself');
unlike($r, qr/alice/, 'and not what the first one did');

# what a 304 freshens

get('/file/stale', 'alice');
$r = get('/file/stale', 'carol');
like($r, qr/^X-Cache: REVALIDATED/m, 'asked about');
like($r, qr/filename="carol"/, 'for somebody');
is($backend->count(qr{ /internal/file/stale}), 2, 'of the upstream');

$r = get('/file/stale', 'dave');
like($r, qr/^X-Cache: HIT/m, 'fresh');
like($r, qr/^X-Seen: yes/m, 'as the 304 said');
like($r, qr/filename="dave"/, 'for another one');
like($r, qr/attachment/, 'with what is stored');
unlike($r, qr/alice|carol/, 'of nobody else');

# and the type, which is no field to nginx

get('/type/a', 'text/a');
is(header(get('/type/a', 'text/b'), 'Content-Type'), 'text/b',
    'a type of who redirects');

get('/type/stale', 'text/a');
is(header(get('/type/stale', 'text/b'), 'Content-Type'), 'text/b',
    'is of this response, freshened, too');

get('/type/own/stale', 'text/a');
is(header(get('/type/own/stale', 'text/b'), 'Content-Type'), 'image/png',
    'one that was stored');
$r = get('/type/own/stale', 'text/c');
like($r, qr/^X-Cache: HIT/m, 'and freshened');
is(header($r, 'Content-Type'), 'image/png', 'is as it was');

get('/type/failing', 'text/a');
$r = get('/type/failing', 'text/b');
like($r, qr/^X-Cache: STALE/m, 'in place of an error');
is(header($r, 'Content-Type'), 'text/b', 'it is that of this response, too');

is(sent('/files/a.png', 'text/a'), 'MISS text/a', 'before a file');
is(sent('/files/a.png', 'text/b'), 'HIT text/b', 'as on each hit');
is(sent('/files/a.png'), 'HIT image/png', 'with a type of its own');

is(sent('/flv/a.flv', 'text/a'), 'MISS text/a', 'before another handler');
is(sent('/flv/a.flv'), 'HIT video/x-flv', 'which has its own as well');

# a challenge before the page for it

get('/secret', '');
$r = get('/secret', '');
like($r, qr/^X-Cache: HIT/m, 'a page for who is not let in');
is(() = $r =~ /nonce=/g, 1, 'has one challenge');

###############################################################################

sub sent {
    my ($file, $type) = @_;

    my $r = get("/send$file?" . ($type // ''), '');

    return join ' ', map { header($r, $_) // 'none' } 'X-Cache', 'Content-Type';
}


sub get {
    my ($uri, $user) = @_;
    return http_get($uri, headers => { $user ? (Authorization => $user) : () });
}

###############################################################################
