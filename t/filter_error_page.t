#!/usr/bin/perl

# Copyright (C) The Optcache authors

# An error page that a filter asks for, as for an If-Match, cannot wait: nginx
# would close the connection without an answer.  So Redis is not asked there,
# neither by the cache nor by a limit, nor for a token, which is refused then.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(15);

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

        location /tokens/ {
            error_page 412 = /page/tokens;
            alias %%TESTDIR%%/;
        }

        location /allowed/ {
            error_page 412 = /page/allowed;
            alias %%TESTDIR%%/;
        }

        location /page/tokens {
            token_blacklist on;
            alias %%TESTDIR%%/file;
        }

        location /page/allowed {
            token_blacklist on;
            token_blacklist_on_error allow;
            alias %%TESTDIR%%/file;
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

# Redis is not asked for a token, which is not let in by that

is(failed('/tokens/file', 't'), 412, 'without a token');
is(failed('/tokens/file', 't', 'good'), 503, 'with one');
is(failed('/allowed/file', 't', 'good'), 503, 'though it is no failure');
is(status(http_get('/page/tokens', headers => bearer('good'))), 200,
    'which Redis does not refuse');
is(failed('/tokens/file', 't', 'good'), 412, 'and is known to be good');

###############################################################################

sub failed { return status(ask(@_)) }


sub ask {
    my ($uri, $key, $token) = @_;

    return http_get($uri, headers => { 'If-Match' => '"other"',
                                       'X-Key' => $key,
                                       $token ? bearer($token)->%* : () });
}


sub bearer { return { Authorization => "Bearer $_[0]" } }

###############################################################################
