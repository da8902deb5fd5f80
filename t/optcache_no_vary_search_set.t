#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What No-Vary-Search says is said of the URI that upstream was asked for.  Where
# that is not the client's, as its arguments were set, or by try_files, nothing
# is found by it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_rewrite http_map /)
    ->plan(8);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone            c:1m;
    optcache                 c;
    optcache_no_vary_search  on;

    map $http_x_user $file {
        default  /a;
        ~.       /b;
    }

    server {
        listen 127.0.0.1:8080;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /set/ {
            set $args user=$http_x_user;
            proxy_pass http://127.0.0.1:8081;
        }

        location /try/ {
            root %%TESTDIR%%;
            try_files $file =404;
            proxy_pass http://127.0.0.1:8081$uri;
        }
    }
}

EOC

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    return [200, { 'Cache-Control' => 'max-age=60',
                   'No-Vary-Search' => 'params' }, "$req->{uri}"];
});

$t->write_file($_, $_) for qw/ a b /;
$t->run();

###############################################################################

is(get('/plain?a=1'), 'MISS /plain?a=1', 'as the client asks');
is(get('/plain?a=2'), 'HIT /plain?a=1', 'arguments mean nothing');

is(get('/set/x?a=1', 1), 'MISS /set/x?user=1', 'arguments that are set');
is(get('/set/x?a=2', 2), 'MISS /set/x?user=2', 'to something else');
is(get('/set/x?a=1', 1), 'HIT /set/x?user=1', 'the first is found again');

is(get('/try/x?a=1'), 'MISS /a', 'a file');
is(get('/try/x?a=2', 1), 'MISS /b', 'another one');
is(get('/try/x?a=2', 1), 'HIT /b', 'is found again');

###############################################################################

sub get {
    my ($uri, $user) = @_;

    my $r = http_get($uri, headers => { 'X-User' => $user // '' });

    return header($r, 'X-Cache') . ' ' . body($r);
}

###############################################################################
