#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What responses say about limits: the older fields, those of the IETF's draft
# as structured fields, all, or none.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_v2 /)
    ->has_program('redis-server')->plan(51);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s
                           connect_timeout=5s;

    ratelimit_redis_zone $arg_a zone=one:1m rate=3r/m;
    ratelimit_redis_zone $arg_b zone=three:1m rate=5r/m rate=9r/h rate=2r/d;
    ratelimit_redis_zone $arg_c zone=odd:1m rate=9r/90s rate=9r/36h rate=9r/2d
                         rate=9r/48s rate=9r/120m;
    ratelimit_redis_zone $arg_d "zone=a\"b\\c ü:1m" rate=1r/m rate=1r/h;
    ratelimit_redis_zone $arg_e zone=big:1m rate=1000000000000r/31d;
    ratelimit_redis_zone $arg_f zone=bucket:1m rate=1r/m
                         algorithm=gcra burst=4;
    ratelimit_redis_zone $arg_g zone=dry:1m rate=1r/m;
    ratelimit_redis_zone $arg_h zone=exact:1m rate=2r/h rate=2r/d;

    server {
        listen 127.0.0.1:8080;
        listen 127.0.0.1:8081 http2;

        ratelimit_redis zone=one;
        ratelimit_redis zone=three;
        ratelimit_redis zone=odd;
        ratelimit_redis "zone=a\"b\\c ü";
        ratelimit_redis zone=big;
        ratelimit_redis zone=bucket nodelay;
        ratelimit_redis zone=dry dry_run;
        ratelimit_redis zone=exact;

        ratelimit_redis_headers ietf;

        location / {
        }

        location /all {
            ratelimit_redis_headers all;
        }

        location /x {
            ratelimit_redis_headers x;
        }

        location /off {
            ratelimit_redis_headers off;
        }

        location /backend {
            ratelimit_redis_headers all;
            proxy_pass http://127.0.0.1:8082;
        }

        location /xbackend {
            ratelimit_redis_headers x;
            proxy_pass http://127.0.0.1:8082;
        }

        location /post {
            ratelimit_redis zone=one;
            ratelimit_redis zone=three stage=precontent;
        }
    }
}

EOF

$t->write_file($_, 'SEE-THIS') for qw/ i all x off post /;

$t->run_redis();

$t->run_http_backend(8082, sub {
    return [200, ['X-RateLimit-Limit: 7', 'x-ratelimit-remaining: 7',
                  'X-RateLimit-Reset: 7', 'RateLimit: "other";r=7',
                  'ratelimit-policy: "other";q=7', 'RateLimit: x',
                  'X-RateLimit-Other: 7', 'Retry-After: 7'], 'SEE-THAT'];
});

$t->run();

###############################################################################

# one rate

my $r = http_get('/i?a=1');
is(header($r, 'RateLimit-Policy'), '"one";q=3;w=60', 'a policy');
is(header($r, 'RateLimit'), '"one";r=2;t=60', 'where the client stands');
is(header($r, 'X-RateLimit-Limit'), undef, 'and no other fields');

http_get('/i?a=1') for 1, 2;
$r = http_get('/i?a=1');
is(status($r), 429, 'a refusal');
is(header($r, 'RateLimit-Policy'), '"one";q=3;w=60', 'has them, too');
like(header($r, 'RateLimit'), qr/^"one";r=0;t=(60|5\d)$/, 'nothing remains');
is(header($r, 'RateLimit') =~ /t=(\d+)/ && $1, header($r, 'Retry-After'),
    'retry then');
like(body($r), qr/"violated-policies":\["one"\]/, 'the policy is violated');

# several

$r = http_get('/i?b=1');
is(header($r, 'RateLimit-Policy'),
    '"three-1m";q=5;w=60, "three-1h";q=9;w=3600, "three-1d";q=2;w=86400',
    'all policies of a zone');
is(header($r, 'RateLimit'), '"three-1d";r=1;t=86400',
    'the one closest to exhaustion');

$r = http_get('/i?a=2&b=2');
is(header($r, 'RateLimit-Policy'),
    '"one";q=3;w=60, "three-1m";q=5;w=60, "three-1h";q=9;w=3600, '
    . '"three-1d";q=2;w=86400', 'all policies of all zones');

$r = http_get('/i?c=1');
is(header($r, 'RateLimit-Policy'),
    '"odd-90s";q=9;w=90, "odd-36h";q=9;w=129600, "odd-2d";q=9;w=172800, '
    . '"odd-48s";q=9;w=48, "odd-2h";q=9;w=7200', 'names of odd times');
is(header($r, 'RateLimit'), '"odd-2d";r=8;t=172800', 'of equals the longest');

# a refusal by two rates of one zone, and by two zones

http_get('/i?h=1') for 1, 2;
$r = http_get('/i?h=1');
like(body($r), qr/"violated-policies":\["exact-1h","exact-1d"\]/,
    'two are violated');
like(header($r, 'RateLimit'), qr/^"exact-1d";r=0;t=86[34]\d\d$/,
    'the longer is told');

http_get('/i?a=3') for 1 .. 3;
$r = http_get('/i?a=3&h=1');
like(body($r), qr/"violated-policies":\["exact-1h","exact-1d","one"\]/,
    'of two zones');

# names that strings of structured fields cannot hold as they are

$r = http_get('/i?d=1');
is(header($r, 'RateLimit-Policy'),
    '"a\"b\\\\c __-1m";q=1;w=60, "a\"b\\\\c __-1h";q=1;w=3600', 'escaped');
is(header($r, 'RateLimit'), '"a\"b\\\\c __-1h";r=0;t=3600', 'in both fields');
like(body(http_get('/i?d=1')),
    qr/"violated-policies":\["a\\"b\\\\c __-1m","a\\"b\\\\c __-1h"\]/,
    'and in the body');

$r = http_get('/i?e=1');
is(header($r, 'RateLimit-Policy'), '"big";q=1000000000000;w=2678400',
    'large numbers');
is(header($r, 'RateLimit'), '"big";r=999999999999;t=2678400', 'remain');

$r = http_get('/i?f=1');
is(header($r, 'RateLimit-Policy'), '"bucket";q=1;w=60', 'a bucket');
like(header($r, 'RateLimit'), qr/^"bucket";r=4;t=(60|59)$/, 'has a burst');

# dry runs tell nothing

http_get('/i?g=1') for 1, 2;
$r = http_get('/i?g=1');
is(scalar(grep { $_->[0] =~ /ratelimit|retry/i } headers($r)), 0,
    'a dry run says nothing');
is(header(http_get('/i?a=4&g=1'), 'RateLimit-Policy'), '"one";q=3;w=60',
    'beside others, too');

# which fields

$r = http_get('/all?a=5');
is(join(' ', map { $_->[0] } grep { $_->[0] =~ /ratelimit/i } headers($r)),
    'X-RateLimit-Limit X-RateLimit-Remaining X-RateLimit-Reset '
    . 'RateLimit-Policy RateLimit', 'all');
is(header($r, 'X-RateLimit-Remaining'), 2, 'of one rate');
is(header($r, 'RateLimit'), '"one";r=2;t=60', 'the same one');

$r = http_get('/x?a=5');
is(join(' ', map { $_->[0] } grep { $_->[0] =~ /ratelimit/i } headers($r)),
    'X-RateLimit-Limit X-RateLimit-Remaining X-RateLimit-Reset', 'x');

$r = http_get('/off?a=5');
is(scalar(grep { $_->[0] =~ /ratelimit/i } headers($r)), 0, 'off');
$r = http_get('/off?a=5');
is(scalar(grep { $_->[0] =~ /ratelimit/i } headers($r)), 0, 'in refusals, too');
like(header($r, 'Retry-After'), qr/^(60|5\d)$/, 'which say when to retry');

is(header(http_head('/i?a=6'), 'RateLimit'), '"one";r=2;t=60', 'HEAD');
is(status(http_get('/i?a=6', headers => { Range => 'bytes=0-1' })), 206,
    'a part');
is(header(http2_get('/i?a=6', port => 8081), 'ratelimit-policy'),
    '"one";q=3;w=60', 'HTTP/2');
is(header(http_get('/nothing?a=7'), 'RateLimit'), '"one";r=2;t=60',
    'what is not there');

# a backend's own

$r = http_get('/backend?a=8');
is(join(' ', header($r, 'RateLimit')), '"one";r=2;t=60', "no backend's");
is(join(' ', header($r, 'RateLimit-Policy')), '"one";q=3;w=60', 'policies');
is(join(' ', header($r, 'X-RateLimit-Limit')), 3, 'nor older fields');
is(join(' ', header($r, 'X-RateLimit-Remaining')), 2, 'in any case');
is(header($r, 'X-RateLimit-Other'), 7, 'others stay');
is(header($r, 'Retry-After'), 7, 'what it says of itself stays');

$r = http_get('/backend');
is(join(' ', header($r, 'RateLimit')), '"other";r=7 x',
    'where nothing is limited it says what it likes');
is(join(' ', header(http_get('/xbackend?a=9'), 'RateLimit')), '"other";r=7 x',
    'or where we do not');

# two stages

$r = http_get('/post?a=10&b=10');
is(header($r, 'RateLimit-Policy'),
    '"one";q=3;w=60, "three-1m";q=5;w=60, "three-1h";q=9;w=3600, '
    . '"three-1d";q=2;w=86400', 'policies of both stages');
is(header($r, 'RateLimit'), '"three-1d";r=1;t=86400', 'the closest of both');
http_get('/post?a=10&b=10');
$r = http_get('/post?a=10&b=10');
is(status($r), 429, 'the second refuses');
like(header($r, 'RateLimit'), qr/^"three-1d";r=0;t=86[34]\d\d$/, 'is told');
like(body($r), qr/"violated-policies":\["three-1d"\]/, 'and no other');

# everything is a structured field

my @wrong = grep { !is_sf_list($_) }
            map { header($_, 'RateLimit'), header($_, 'RateLimit-Policy') }
            map { http_get("/i?$_=z") } 'a' .. 'f';
is("@wrong", '', 'structured fields');
ok(!is_sf_list('"a";r=01x') && !is_sf_list('a, "b'), 'which can be told');

###############################################################################

# a list of strings with integer parameters (RFC 9651, 4.2)

sub is_sf_list {
    my ($text) = @_;

    my $string = qr/"(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"/;
    my $item = qr/$string(?:;[a-z*][a-z0-9_.*-]*=-?[0-9]{1,15})*/;

    return $text =~ /\A$item(?:[ \t]*,[ \t]*$item)*\z/;
}

###############################################################################
