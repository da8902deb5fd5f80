#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Paths that a cache and what is behind it read differently: what somebody is
# given by one of them is nobody else's, and none of them changes what another
# path gets.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my @paths = (
    '/account/x.css', '/account%2fx.css', '/account%2Fx.css',
    '/account%252fx.css', '/account%25%32%66x.css', '/account%5cx.css',
    '/account%5c..%5cx.css', '/account\\x.css', '/account/x.css?',
    '/account?x.css', '/account?/x.css', '/account%3fx.css', '/account%23.css',
    '/account#x.css', '/account;x.css', '/account;/x.css', '/account%3bx.css',
    '/account;jsessionid=x.css', '/account/;/x.css', '/account!x.css',
    '/account&x.css', '/account,x.css', '/account:x.css', '/account@x.css',
    '/account~x.css', '/account$x.css', '/account|x.css', '/account^x.css',
    '/account.', '/account..', '/account...', '/account./x.css', '/account%2e',
    '/account.css', '/account.css/', '/account/.', '/account/./x.css',
    '/account/..', '/account/../account', '/account%20', '/account%20.css',
    '/account%09x.css', '/account%0ax.css', '/account%0d%0aX-A:%20b',
    '/account%2500.css', '/account%c0%afx.css', '/account%ef%bc%8fx.css',
    '//account', '///account//x.css', '/%2faccount', '/./account',
    '/%61ccount', '/%2561ccount', '/ACCOUNT', '/static/../account',
    '/static/..%2faccount', '/static/%2e%2e/account',
    '/static/%2e%2e%2faccount', '/static/%252e%252e%252faccount',
    '/static/..;/account',
    '/static/.%2e/account', '/static/x.css/../../account',
    '/static//../account', '/static/x.css%2f..%2f..%2faccount',
    '/static/x.css;/../account', '/static/' . 'x' x 3000 . '/../account.css',
);

my $t = Test::Nginx->new()->has(qw/ http_proxy http_v2 /)
        ->plan(2 * @paths + 17);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:8m;
    optcache_valid any 1m;

    proxy_set_header X-Raw $request_uri;

    # as it came

    server {
        listen 127.0.0.1:8080;
        merge_slashes off;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }
    }

    # as nginx reads it, from either protocol

    server {
        listen 127.0.0.1:8090;
        listen 127.0.0.1:8091 http2;
        server_name other;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081/;
        }

        location ~ \.css$ {
            # of nobody, so that is what upstream is told, too
            optcache c;
            optcache_user "";
            proxy_set_header Cookie "";
            proxy_set_header Authorization "";
            proxy_set_header X-Raw $request_uri;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $h = $req->{headers};

    return join ' ', "<$h->{'x-raw'}>",
                     map { $_ // '' } @$h{qw/ authorization cookie /};
});

$t->run();

###############################################################################

my @victims = (
    { Authorization => 'Bearer victim' }, { Cookie => 'session=victim' },
    { Authorization => 'Bearer victim', Cookie => 'session=victim' },
);
my %attacker = (Authorization => 'Bearer attacker', Cookie => 'session=b');

for my $path (@paths) {
    my $name = length $path < 80 ? $path : substr($path, 0, 40) . '..';

    is(leaks(8080, $path), '', "$name, as it came");
    is(leaks(8090, $path), '', "$name, as it is read");
}

# all of them there, and what is meant is still there, too

for my $path ('/account', '/static/app.css', '/x.css') {
    for my $port (8080, 8090) {
        http_get($path, port => $port, host => 'other');
        my $r = http_get($path, port => $port, host => 'other');

        is(header($r, 'X-Cache'), 'HIT', "$path is kept for all");
        like(body($r), qr/^<\Q$path\E>  $/, 'as it was made for it');
    }
}

# a user has all of this

http_get('/account/x.css', headers => $victims[0]);
is(header(http_get('/account/x.css', headers => $victims[0]), 'X-Cache'),
    'HIT', 'a user has a cache');

# what is no path is not told to anybody

for my $path ('/account%00.css', '/../account', '/account%zz.css',
              "/account\x00.css")
{
    is(status(http_get($path)), 400, 'no path: ' . $path =~ s/\0/NUL/r);
}

###############################################################################

# What strangers see of what others asked for, by all ways there are.

sub leaks {
    my ($port, $path) = @_;

    my @ask = (\&http_get);
    my $leaks = '';

    # the fragment is no part of a path there
    push @ask, sub { http2_get(@_, port => 8091) }
        if $port == 8090 && $path !~ /#/;

    for my $get (@ask) {
        my @seen;

        $get->($path, port => $port, host => 'other', headers => $_)
            for @victims;

        push @seen, $get->($path, port => $port, host => 'other',
                           headers => $_)
            for {}, \%attacker, { Authorization => '' };

        for my $r (@seen) {
            $leaks .= $r
                if $r =~ /victim/ || $r =~ /^</m && $r !~ /^<\Q$path\E>/m;
        }
    }

    return $leaks;
}

###############################################################################
