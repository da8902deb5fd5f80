#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A request may cost more than one, or nothing; what it costs decides with it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
    ->plan(45);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    %%SERVER%%

    log_format limits $uri:$ratelimit_redis_status:$ratelimit_redis_reset;
    access_log %%TESTDIR%%/limits.log limits;

    ratelimit_redis_zone $arg_a zone=fixed:1m rate=10r/h cost=4;
    ratelimit_redis_zone $arg_a zone=var:1m rate=10r/h rate=100r/d
                                            cost=$arg_c;
    ratelimit_redis_zone $arg_a zone=slide:1m rate=10r/h
                                algorithm=sliding_window cost=$arg_c;
    ratelimit_redis_zone $arg_a zone=gcra:1m rate=1r/h
                                algorithm=gcra burst=9 cost=$arg_c;

    server {
        listen 127.0.0.1:8080;

        ratelimit_redis_headers all;

        location /fixed {
            ratelimit_redis zone=fixed;
        }

        location /var {
            ratelimit_redis zone=var;
        }

        location /slide {
            ratelimit_redis zone=slide;
        }

        location /gcra {
            ratelimit_redis zone=gcra nodelay;
        }

        location /error {
            ratelimit_redis zone=var;
            error_page 429 /429;
        }

        location = /429 {
            internal;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->write_file($_, 'SEE-THIS') for qw/ fixed var slide gcra error /;

my $conf = $t->read_file('nginx.conf');
$t->run_redis();
$t->run_http_backend(8081, sub { return [429, { 'Retry-After' => 5 }, '']; });

###############################################################################

for my $server ('', 'ratelimit_redis_server redis://127.0.0.1:6379'
                    . ' timeout=5s connect_timeout=5s;')
{
    my $how = $server ? ', in Redis' : ', here';

    $t->write_file('nginx.conf',
                   $t->expand($conf =~ s/%%SERVER%%/$server/r));
    $t->run();

    is(left('/fixed?a=1', 3), '6 2 !2', 'four of ten each' . $how);

    for my $uri (qw/ var slide gcra /) {
        is(join(' ', map { left("/$uri?a=1&c=$_") } 3, 8, 7, 1, 0, ''),
            '7 !7 0 !0 0 !0', "$uri: as much as it costs" . $how);
        is(left("/$uri?a=2"), 9, "$uri: no cost is one" . $how);

        # more than there will ever be

        my $r = http_get("/$uri?a=2&c=11");
        is(status($r), 429, "$uri: more than the limit" . $how);
        is(header($r, 'Retry-After') // 'none', 'none',
            "$uri: need not be tried again" . $how);
        like(header($r, 'RateLimit'), qr/^"\w+(-1h)?";r=9$/,
            "$uri: nor has a time" . $how);
    }

    like(header(http_get('/var?a=5&c=0'), 'RateLimit'),
        qr/^"var-1h";r=10;t=0$/, 'nothing opens no window' . $how);

    # what is no number is one, a number that is too large is too much

    is(join(' ', map { left("/var?a=3&c=$_") } 'x', '-5', '1e3', '%201', '5x'),
        '9 8 7 6 5', 'no number is one' . $how);
    is(join(' ', map { left("/var?a=3&c=$_") } '1000000000001', '9' x 30,
                                               '18446744073709551617'),
        '!5 !5 !5', 'too large a number is too much' . $how);
    is(left('/var?a=3&c=0005'), 0, 'zeroes before a number' . $how);

    $t->stop();
}

is($t->log_count(qr/invalid value of "cost=\$arg_c" of zone "var"/),
    16, 'logged');
ok($t->log_count(qr/limiting requests, rate: 10r\/3600s, retry: never, by z/),
    'as never to be tried');
like($t->read_file('limits.log'), qr{^/var:REJECTED:-$}m, 'in variables');

# the page of an error does not say when, either

$t->run();
is(join(' ', header(http_get('/error?a=4&c=11'), 'Retry-After')), '',
    'an error page has no Retry-After');
is(join(' ', header(http_get('/error?a=4'), 'Retry-After')), '', 'passed');

###############################################################################

# what is left after requests; "!" before that of a refused one

sub left {
    my ($uri, $n) = @_;

    return join ' ', map {
        my $r = http_get($uri);
        (status($r) == 429 ? '!' : '') . header($r, 'X-RateLimit-Remaining');
    } 1 .. $n || 1;
}

###############################################################################
