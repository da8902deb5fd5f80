#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Who has a revoked token makes no other of it: neither by a form that a
# backend decodes, trims or unquotes, nor by a second argument, cookie or
# field.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(50);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    server {
        listen 127.0.0.1:8080;

        token_blacklist on;
        add_header X-Status $token_status always;

        location /query {
            token_source $arg_token;
        }

        location /braces {
            token_source ${arg_token};
        }

        location /capitals {
            token_source $ARG_token;
        }

        location /cookie {
            token_source $cookie_session;
        }

        location /cookie/capitals {
            token_source ${Cookie_my_session};
        }

        location /field {
            token_source $http_x_token;
        }

        location /field/capitals {
            token_source $HTTP_x_token;
        }
    }
}

EOF

mkdir $t->testdir() . "/$_" for qw/ cookie field /;
$t->write_file($_, 'SEE-THIS') for qw! query braces capitals cookie/x field/x
                                       cookie/capitals field/capitals !;

my $redis = $t->run_redis();

$t->run();

###############################################################################

$redis->cmd('SETEX', 'blacklist:' . sha256_hex('abc'), 60, 1);

for my $uri ('/query', '/braces') {
    is(get("$uri?token=abc"), '401 revoked', "$uri, revoked");
    is(get("$uri?token=%61bc"), '401 malformed', 'encoded');
}

is(get('/query?token=x&token=abc'), '401 malformed', 'the last of two');
is(get('/query?token=&a=1&token=abc'), '401 malformed', 'or of none');
is(get('/query?Token=x&token=abc'), '401 malformed', 'in another case');
is(get('/query?%74oken=abc'), '401 malformed', 'by an encoded name');
is(get('/query?token=&a=token=abc&tokens=abc&token'), '200 none', 'none');
is(get('/query?%u0074oken=abc'), '401 malformed', 'encoded as scripts do');
is(get('/query?token=x&toke%u006E=abc'), '401 malformed', 'beside another');
is(get('/query?token=x&%u65e5=abc&%u0061=y'), '200 ok', 'others so encoded');
is(get('/query?token=x&tok=abc&b'), '200 ok', 'one');

# names that are one to a backend, and what separates them

is(get("/query?token=x&$_=abc"), '401 malformed', "an argument \"$_\"")
    for 'a=1;token', '+token', '%20token', 'token+', 'token%00x', 'token[]',
        '[token]', '%5Btoken%5D',
        'token%5B0%5D';
is(get('/query??token=abc&token=x'), '401 malformed', 'a second "?"');
is(get('/query?token=abc;x'), '401 malformed', 'a semicolon ends it, or not');
is(get('/query?token=abc+'), '401 malformed', 'a plus is a space, or not');
is(get('/query?token=x&to.ken=y&a=token;b&c'), '200 ok', 'others');

# what nginx leaves out of $args, and sends

is(get('/query?token=x#&token=abc'), '401 malformed', 'behind a "#"');
is(get('/query#?token=abc'), '401 malformed', 'or all of it');

is(get('/capitals?token=x&token=abc'), '401 malformed', '$ARG_, two');
is(get('/capitals?token=x'), '200 ok', '$ARG_, one');

is(cookie('session=abc'), '401 revoked', 'a cookie');
is(cookie('session=x; session=abc'), '401 malformed', 'the last of two');
is(join(' ', map { cookie("session=$_") } '"abc"', 'abc ;', "a\\bc", "\xe1"),
    join(' ', ('401 malformed') x 4), 'quoted, trimmed, escaped');
is(cookie('a=b; sessions=abc;session=x'), '200 ok', 'one');

# a blank does to some, and some read on behind an empty name

is(cookie('session=x; y=1 session=abc'), '401 malformed', 'behind a blank');
is(cookie('y=1 session=abc'), '401 malformed', 'or alone');
is(cookie('session=x; =session=abc'), '401 malformed', 'without a name');

# a comma ends a cookie to nginx, and to hardly anybody else

is(cookie('x=1,session=x; session=abc'), '401 malformed', 'behind a comma');
is(cookie('session=x; y=1,session=abc'), '401 malformed', 'or the other one');
is(cookie('y=1,session=x'), '401 malformed', 'or alone');
is(join(' ', map { cookie("session=$_") } 'abc,x', 'x,session=abc', ',abc'),
    join(' ', ('401 malformed') x 3), 'before a comma');
is(cookie('a=b,c; d=e, f; g=h,sessions=i; session=x'), '200 ok',
    'commas in others');

is(get('/cookie/capitals', "Cookie: my_session=x; $_=abc"), '401 malformed',
    "\$Cookie_, and \"$_\"")
    for 'my_session', 'my.session', 'my[session';

is(join(' ', map { get('/field/x', "X-Token: $_") } "a\tb", 'a b', 'a:b,c'),
    '401 malformed 401 malformed 200 ok', 'a field');
is(get('/field/x', 'X-Token: x', 'x-token: abc'), '401 malformed',
    'the last of two');
is(get('/field/x', 'X-Token:', 'X-Token: abc'), '401 malformed', 'or of none');
is(get('/field/capitals', 'X-Token: x', 'x-token: abc'), '401 malformed',
    '$HTTP_');
is(get('/field/x', 'X-Token: x', 'X-Tokens: abc', 'Token: abc'), '200 ok',
    'one');

###############################################################################

sub cookie { return get('/cookie/x', "Cookie: $_[0]") }


sub get {
    my ($uri, @fields) = @_;
    my $r = http_get($uri, headers => \@fields);
    return status($r) . ' ' . (header($r, 'X-Status') // '');
}

###############################################################################
