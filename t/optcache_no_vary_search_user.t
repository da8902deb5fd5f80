#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The key that a response gets by its No-Vary-Search is of the user, and made of
# the captures, that the request was looked up with: a subrequest may have set a
# variable since, and a regular expression have matched what upstream said.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()
        ->has(qw/ http_proxy http_rewrite http_mirror /)->plan(13);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache_no_vary_search on;

    server {
        listen 127.0.0.1:8080;

        set $user $cookie_session;

        location /page {
            optcache c;
            optcache_user $user;
            mirror /mirror;
            proxy_pass http://127.0.0.1:8081;
        }

        location = /mirror {
            internal;
            set $user "";
            proxy_pass http://127.0.0.1:8081;
        }

        location ~ ^/go/(.*)$ {
            optcache c;
            optcache_user "";
            optcache_key go/$1;
            proxy_redirect ~^/go/(.*)$ /went/$1;
            proxy_pass http://127.0.0.1:8081;
        }

        location ~ ^/again/(.*)$ {
            optcache c;
            optcache_user $user;
            optcache_key again/$1/$arg_id;
            mirror /mirror;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my ($user) = ($req->{headers}{cookie} // '') =~ /session=(\w+)/;
    my @nvs = ('No-Vary-Search: params=("utm")');

    return '' if $req->{uri} eq '/mirror';

    return [302, ['Cache-Control: max-age=100', @nvs,
                  'Location: ' . ($req->{uri} =~ /to=(.*)/ ? $1 : '/go/x')],
            $req->{uri}]
        if $req->{uri} =~ m{^/go};

    return [200, ['Cache-Control: private, max-age=100', @nvs],
            "$req->{uri} $req->{count} for " . ($user // 'nobody')];
});

$t->run();

###############################################################################

is(get('/page?a=1', 'alice'), 'MISS /page?a=1 1 for alice', 'a user');
is(get('/page?a=1', ''), 'MISS /page?a=1 2 for nobody', 'is not nobody');
is(get('/page?a=1', 'bob'), 'MISS /page?a=1 3 for bob', 'nor another');
is(get('/page?a=1', 'alice'), 'HIT /page?a=1 1 for alice', 'and finds his own');
is(get('/page?a=1&utm=x', 'alice'), 'HIT /page?a=1 1 for alice',
    'whatever makes no difference');

my $r = http_get('/go/login?to=/go/home');
like($r, qr{Location: .*/went/home}, 'a field that is rewritten');

$r = http_get('/go/home');
is(header($r, 'X-Cache'), 'MISS', 'is not what the key is made of');
like($r, qr{Location: .*/went/x}, 'of another URI');

$r = http_get('/go/login?to=/go/home');
is(header($r, 'X-Cache'), 'HIT', 'it is found where it was asked for');

is(get('/again/a?id=1', 'alice'), 'MISS /again/a?id=1 1 for alice',
    'captures and arguments');
is(get('/again/b?id=1', 'alice'), 'MISS /again/b?id=1 1 for alice',
    'another capture');
is(get('/again/a?id=2', 'alice'), 'MISS /again/a?id=2 1 for alice',
    'another argument');
is(get('/again/a?utm=x&id=1', 'alice'), 'HIT /again/a?id=1 1 for alice',
    'the same');

###############################################################################

sub get {
    my ($uri, $user) = @_;

    my $r = http_get($uri,
        headers => { $user ? (Cookie => "session=$user") : () });

    return header($r, 'X-Cache') . ' ' . body($r);
}

###############################################################################
