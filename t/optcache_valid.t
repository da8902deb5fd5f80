#!/usr/bin/perl

# Copyright (C) The Optcache authors

# optcache_valid gives a lifetime to responses that say nothing about it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(32);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache c;

    proxy_intercept_errors off;

    server {
        listen 127.0.0.1:8080;

        location /none/ {
            proxy_pass http://127.0.0.1:8081/;
        }

        location /time/ {
            optcache_valid 1m;
            proxy_pass http://127.0.0.1:8081/;
        }

        location /codes/ {
            optcache_valid 404 500 1m;
            optcache_valid 200 2m;
            proxy_pass http://127.0.0.1:8081/;
        }

        location /any/ {
            optcache_valid any 1m;
            proxy_pass http://127.0.0.1:8081/;
        }

        location /but/ {
            optcache_valid 200 0;
            optcache_valid any 1m;
            proxy_pass http://127.0.0.1:8081/;
        }

        location /second/ {
            optcache_valid 1s;
            proxy_pass http://127.0.0.1:8081/;
        }
    }

    server {
        listen 127.0.0.1:8082;

        optcache_valid 1m;

        location / {
            proxy_pass http://127.0.0.1:8081/;

            location /own/ {
                optcache_valid 404 1m;
                proxy_pass http://127.0.0.1:8081/;
            }
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my ($status) = $req->{uri} =~ m{^/(\d+)};
    my ($fields) = $req->{uri} =~ m{\?(.*)};
    my @fields = map { s/%20/ /gr } split /&/, $fields // '';

    push @fields, 'Location: /' if $status =~ /^30[12]/;

    return [$status, \@fields, "answer $req->{count}"];
});

$t->run();

###############################################################################

is(twice('/none/200'), 'MISS', 'no lifetime, not stored');

is(twice("/time/$_"), 'HIT', "time: $_") for 200, 301, 302;
is(twice("/time/$_"), 'MISS', "time: not $_") for 203, 404, 500;

is(twice("/codes/$_"), 'HIT', "codes: $_") for 200, 404, 500;
is(twice("/codes/$_"), 'MISS', "codes: not $_") for 301, 403;

is(twice("/any/$_"), 'HIT', "any: $_") for 200, 203, 403, 404, 500, 502;
is(twice("/any/$_"), 'MISS', "any: not $_") for 206, 304, 429;

is(twice('/but/200'), 'MISS', 'a code before any');
is(twice('/but/404'), 'HIT', 'and any');

# a response that speaks for itself

is(twice('/time/200?Cache-Control:max-age=0'), 'MISS', 'max-age=0 wins');
is(twice('/time/200?Cache-Control:no-store'), 'MISS', 'no-store wins');
is(twice('/time/200?Cache-Control:no-cache'), 'MISS', 'no-cache wins');
is(twice('/time/200?Cache-Control:private'), 'MISS', 'private wins');
is(twice('/time/200?Expires:0'), 'MISS', 'Expires wins');
is(twice('/time/200?Cache-Control:public'), 'HIT', 'public says no lifetime');

http_get('/second/200?Cache-Control:max-age=60');
http_get('/second/200');
ok(wait_for(sub { cache(http_get('/second/200')) eq 'EXPIRED' }),
    'the lifetime ends');
is(cache(http_get('/second/200?Cache-Control:max-age=60')), 'HIT',
    'that of max-age does not');

is(twice('/200', port => 8082) . twice('/own/200', port => 8082), 'HITMISS',
    'inherited, unless there is one');

###############################################################################

sub cache { return header($_[0], 'X-Cache') // '' }


sub twice {
    http_get(@_);
    return cache(http_get(@_));
}

###############################################################################
