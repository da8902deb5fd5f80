#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What Redis said of one token of a request is no answer for another one, which
# a location it is redirected to reads: the same key refuses it by its time.  Nor
# is it one for another key of the same token.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Token;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(6);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    server {
        listen 127.0.0.1:8080;

        token_jwt_keys %%TESTDIR%%/keys.json;
        token_blacklist on;
        token_blacklist_key $token_claim_jti;
        token_blacklist_since_key since:$token_sub;

        location /first {
            token_source $arg_first;
            try_files /none /second$is_args$args;
        }

        location /second {
            token_source $arg_second;
        }

        # another key of the same length

        location /third {
            token_source $arg_first;
            token_blacklist_key 3:$token_sub;
            try_files /none /fourth$is_args$args;
        }

        location /fourth {
            token_source $arg_first;
            token_blacklist_key 4:$token_sub;
        }
    }
}

EOF

my $key = Test::Nginx::Token->new('HS256');
my ($old, $new) = map { $key->token({ sub => 'a', iat => $_ }) }
                  time() - 1000, time();

$t->write_file('keys.json', jwks($key));
$t->write_file($_, 'SEE-THIS') for qw/ second fourth /;

my $redis = $t->run_redis();
$redis->cmd('SET', 'since:a', time() - 500);

$t->run();

###############################################################################

is(get("/second?second=$new"), 200, 'a new one');
is(get("/second?second=$old"), 401, 'an old one');
is(get("/first?first=$new&second=$new"), 200, 'a new one, twice');
is(get("/first?first=$new&second=$old"), 401, 'a new one, then an old one');

is(get("/third?first=$new"), 200, 'asked for by two keys');
$redis->cmd('SET', '4:a', 1);
is(get("/third?first=$new"), 401, 'of which the second is listed');

###############################################################################

sub get {
    return status(http_get($_[0]));
}

###############################################################################
