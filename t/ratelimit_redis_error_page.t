#!/usr/bin/perl

# Copyright (C) The Optcache authors

# error_page takes a refusal: its own location is not limited again, and the
# response tells of the limit all the same.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(16);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    log_format limits '$status:$ratelimit_redis_status:'
                      '$ratelimit_redis_zone:$ratelimit_redis_limit:'
                      '$ratelimit_redis_remaining:$ratelimit_redis_reset';
    access_log %%TESTDIR%%/limits.log limits;

    ratelimit_redis_zone $http_x_user zone=a:1m rate=1r/m;
    ratelimit_redis_zone $http_x_user zone=b:1m rate=1r/m;
    ratelimit_redis zone=a;

    server {
        listen 127.0.0.1:8080;

        location / {
            error_page 429 /429.html;
        }

        location /named {
            error_page 429 @named;
        }

        location @named {
            ratelimit_redis zone=b;
            return 200 "named\n";
        }

        location /ok {
            error_page 429 =200 /429.html;
        }

        location /else {
            error_page 404 /429.html;
        }

        location /redirect {
            error_page 429 https://example.com/slow;
        }
    }
}

EOF

$t->write_file($_, 'SEE-THIS') for qw/ x named ok else redirect /;
$t->write_file('429.html', 'SLOW-DOWN');

$t->run_redis();
$t->run();

###############################################################################

get('/x', 1);

my $r = get('/x', 1);
is(status($r), 429, 'refused');
is(body($r), 'SLOW-DOWN', 'with the error page');
is(header($r, 'Content-Type'), 'text/html', 'of its type');
is(header($r, 'X-RateLimit-Limit'), 1, 'limit');
is(header($r, 'X-RateLimit-Remaining'), 0, 'remaining');
like(header($r, 'X-RateLimit-Reset'), qr/^(60|5\d)$/, 'reset');
like(header($r, 'Retry-After'), qr/^(60|5\d)$/, 'retry');

$r = get('/named', 1);
is(status($r), 429, 'a named location');
is(body($r), "named\n", 'with its own text');
like(header($r, 'Retry-After'), qr/^(60|5\d)$/, 'retry');

is(status(get('/ok', 1)), 200, 'another status');
is(status(get('/redirect', 1)), 302, 'a redirect');

$r = get('/else', 1);
is(status($r), 429, 'an error page for something else');
is(header($r, 'Content-Type'), 'application/problem+json', 'is not used');

is(status(get('/none', 2)), 404, 'a response that is an error itself');

$t->stop();

is($t->read_file('limits.log') =~ s/:5\d$/:60/mgr, <<'EOF', 'variables');
200:PASSED:a:1:0:60
429:REJECTED:a:1:0:60
429:REJECTED:a:1:0:60
200:REJECTED:a:1:0:60
302:REJECTED:a:1:0:60
429:REJECTED:a:1:0:60
404:PASSED:a:1:0:60
EOF

###############################################################################

sub get {
    my ($uri, $user) = @_;
    return http_get($uri, headers => { 'X-User' => $user });
}

###############################################################################
