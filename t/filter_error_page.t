#!/usr/bin/perl

# Copyright (C) The Optcache authors

# An error page that a filter asks for, as for an If-Match, cannot wait: nginx
# would close the connection without an answer.  So Redis is not asked there,
# neither by the cache nor by a limit.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(10);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_redis_server         redis://127.0.0.1:6379;
    optcache_zone                 c:1m;
    optcache_valid                any 1m;

    ratelimit_redis_server        redis://127.0.0.1:6379;
    ratelimit_redis_zone          $http_x_key zone=page:1m rate=2r/m;
    ratelimit_redis_zone          $http_x_key zone=turn:1m rate=1r/m burst=1
                                  algorithm=gcra;

    server {
        listen 127.0.0.1:8080;

        location /cached/ {
            error_page 412 = /page/cached;
            alias %%TESTDIR%%/;
        }

        location /limited/ {
            error_page 412 = /page/limited;
            alias %%TESTDIR%%/;
        }

        location /late/ {
            error_page 412 = /page/late;
            alias %%TESTDIR%%/;
        }

        location /before/ {
            ratelimit_redis zone=page;
            error_page 412 = /page/limited;
            alias %%TESTDIR%%/;
        }

        location /page/cached {
            optcache c;
            alias %%TESTDIR%%/file;
        }

        location /page/limited {
            ratelimit_redis zone=page;
            ratelimit_redis zone=turn;
            alias %%TESTDIR%%/file;
        }

        location /page/late {
            ratelimit_redis zone=page stage=precontent;
            alias %%TESTDIR%%/file;
        }
    }
}

EOF

$t->write_file('file', 'a file');
$t->run_redis();
$t->run();

###############################################################################

for my $place (qw/ cached limited late /) {
    is(failed("/$place/file", $place), 412, "$place, an error page");
    is(failed("/$place/file", $place), 412, 'again');
}

is(status(http_get('/page/limited', headers => { 'X-Key' => 'limited' })), 200,
    'the page has not been counted');

is(failed('/before/file', 'b'), 412, 'what is counted before it');
is(failed('/before/file', 'b'), 412, 'is counted once');
is(failed('/before/file', 'b'), 429, 'and refused');

###############################################################################

sub failed {
    my ($uri, $key) = @_;

    return status(http_get($uri, headers => { 'If-Match' => '"other"',
                                              'X-Key' => $key }));
}

###############################################################################
