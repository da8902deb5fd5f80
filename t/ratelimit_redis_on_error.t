#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Redis is not there: limits are kept locally, or nothing is limited, or
# everything is refused, as each rule says.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->plan(20);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=50ms
                           connect_timeout=50ms;

    log_format limits $uri:$status:$ratelimit_redis_status;
    access_log %%TESTDIR%%/limits.log limits;

    ratelimit_redis_zone $arg_a zone=a:1m rate=3r/m;
    ratelimit_redis_zone $arg_a zone=b:1m rate=1r/m;

    server {
        listen 127.0.0.1:8080;

        location /local {
            ratelimit_redis zone=a;
        }

        location /allow {
            ratelimit_redis zone=a on_error=allow;
            ratelimit_redis_on_error deny;
        }

        location /deny {
            ratelimit_redis zone=a;
            ratelimit_redis_on_error deny;
        }

        location /page {
            ratelimit_redis zone=a on_error=deny;
            error_page 503 /page.html;
        }

        location /mixed {
            ratelimit_redis zone=a on_error=allow;
            ratelimit_redis zone=b;
        }

        location /strict {
            ratelimit_redis zone=a on_error=deny;
            ratelimit_redis zone=b;
        }

        location /dry {
            ratelimit_redis zone=a on_error=deny dry_run;
        }
    }
}

EOF

$t->write_file($_, 'SEE-THIS') for qw/ local allow deny page mixed strict dry /;
$t->write_file('page.html', 'ERROR-PAGE');

$t->run();

###############################################################################

my @r = map { http_get('/local?a=1') } 1 .. 4;
is(join(' ', map { status($_) } @r), '200 200 200 429', 'local');
is(join(' ', map { header($_, 'X-RateLimit-Remaining') } @r), '2 1 0 0',
    'with headers');
like(header($r[3], 'Retry-After'), qr/^(60|59)$/, 'and Retry-After');

@r = map { http_get('/allow?a=2') } 1 .. 5;
is(join(' ', map { status($_) } @r), '200 200 200 200 200', 'allow');
is(header($r[0], 'X-RateLimit-Limit'), undef, 'tells nothing');

my $r = http_get('/deny?a=3');
is(status($r), 503, 'deny');
is(header($r, 'Retry-After'), 1, 'asks to come back soon');
is(header($r, 'Content-Type'), 'application/problem+json', 'with a problem');
like(body($r), qr/#temporary-reduced-capacity".*"status":503\}$/,
    'of its type');
is(header($r, 'X-RateLimit-Limit'), undef, 'and no numbers');

$r = http_get('/page?a=3');
is(status($r), 503, 'an error page');
is(body($r), 'ERROR-PAGE', 'is shown');

is(join(' ', map { status(http_get('/mixed?a=4')) } 1 .. 2), '200 429',
    'allow beside local');

is(status(http_get('/strict?a=5')), 503, 'deny beside local');
is(status(http_get('/mixed?a=5')), 200, 'charges nothing');

is(status(http_get('/dry?a=6')), 200, 'a dry run denies nothing');

$t->stop();

my $count = () = $t->error_log() =~ /redis "redis:.*" of "ratelimit_redis_server" is down/g;
is($count, 1, 'the outage is logged once');

is($t->log_count(qr/limiting requests, redis has not decided, by zone "a"/), 3,
    'each denial is, with its zone');
is($t->log_count(qr/has not decided, by zone "b"/), 0, 'and no other');

is($t->read_file('limits.log'), <<'EOF', 'variables');
/local:200:LOCAL_PASSED
/local:200:LOCAL_PASSED
/local:200:LOCAL_PASSED
/local:429:LOCAL_REJECTED
/allow:200:SKIPPED
/allow:200:SKIPPED
/allow:200:SKIPPED
/allow:200:SKIPPED
/allow:200:SKIPPED
/deny:503:REJECTED
/page.html:503:REJECTED
/mixed:200:SKIPPED
/mixed:429:LOCAL_REJECTED
/strict:503:REJECTED
/mixed:200:SKIPPED
/dry:200:SKIPPED
EOF

###############################################################################
