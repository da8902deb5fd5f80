#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Where a token is taken from, and what is one: the scheme in any case, one
# field only, b64token only; or whatever token_source says.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(37);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    server {
        listen 127.0.0.1:8080;

        large_client_header_buffers 4 80k;
        token_blacklist on;
        add_header X-Digest $token_digest always;
        add_header X-Status $token_status always;

        location / {
        }

        location /required {
            token_required on;
        }

        location /query {
            token_source $arg_token;
            token_required on;
        }

        location /cookie {
            token_source $cookie_session;
        }

        location /off {
            token_blacklist off;
            token_source $cookie_session;
        }
    }
}

EOF

$t->write_file($_, 'SEE-THIS') for qw/ x required query cookie off /;

my $redis = $t->run_redis();

$t->run();

###############################################################################

# the default

for my $ok ('Bearer a', 'bearer a', 'BEARER a', 'Bearer  a', 'bEARER   a')
{
    my $r = get('/x', $ok);
    is(status($r) . header($r, 'X-Digest'), 200 . sha256_hex('a'), "\"$ok\"");
}

for my $token ('a.b-c_d~e+f/g==', 'x' x 65000) {
    my $r = get('/x', "Bearer $token");
    is(header($r, 'X-Digest'), sha256_hex($token), substr $token, 0, 20);
}

for my $none ('Basic YTpi', 'xBearer', 'Digest a="Bearer"', 'a', '') {
    my $r = get('/x', $none);
    is(status($r) . ' ' . header($r, 'X-Status'), '200 none', "\"$none\"");
}

for my $bad ('Bearer', 'Bearerx', 'Bearer =', 'Bearer a b', 'Bearer a,b', "Bearer a\x80",
             'Bearer a=b', "Bearer\ta", 'Bearer "a"', "Bearer \x01",
             'Bearer a, Bearer a')
{
    my $r = get('/x', $bad);
    is(status($r) . ' ' . (header($r, 'X-Status') // '')
       . (header($r, 'X-Digest') // ''), '401 malformed',
       "\"$bad\"" =~ s/[^ -~]/?/gr);
}

# two fields: which one a backend believes nobody knows

my $r = http_get('/x', headers => ['Authorization: Bearer a',
                                   'Authorization: Bearer b']);
is(status($r), 400, 'two tokens');
$r = http_get('/x', headers => ['Authorization: Basic a',
                                'authorization: Bearer b']);
is(status($r), 400, 'two schemes');

# required

$r = http_get('/required');
is(status($r), 401, 'required');
is(header($r, 'WWW-Authenticate'), 'Bearer', 'no error is told');
is(status(get('/required', 'Bearer a')), 200, 'and there');
is(header(get('/required', 'Bearer a b'), 'WWW-Authenticate'),
    'Bearer error="invalid_token"', 'or bad');

# other sources

$r = http_get('/query?token=a:b');
is(header($r, 'X-Digest'), sha256_hex('a:b'), 'an argument, as it is');
is(status(http_get('/query?token=')), 401, 'an empty one is none');
is(status(get('/query', 'Bearer a')), 401, 'Authorization is not asked');

$r = http_get('/cookie', headers => { Cookie => 'x=y; session=s; z=1' });
is(header($r, 'X-Digest'), sha256_hex('s'), 'a cookie');

$redis->cmd('SETEX', 'blacklist:' . sha256_hex('s'), 60, 1);
is(status(http_get('/cookie', headers => { Cookie => 'session=s' })), 401,
    'that is revoked');

$r = http_get('/off', headers => { Cookie => 'session=s' });
is(status($r), 200, 'off');
is(header($r, 'X-Digest'), sha256_hex('s'), 'but the digest is there');
is(header($r, 'X-Status'), undef, 'and no status');

###############################################################################

sub get {
    my ($uri, $value) = @_;
    return http_get($uri, headers => { Authorization => $value });
}

###############################################################################
