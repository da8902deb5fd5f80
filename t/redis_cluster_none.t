#!/usr/bin/perl

# Copyright (C) The Optcache authors

# "cluster" for a Redis that is none: the log says so, and for which directive;
# the host goes on by itself.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(4);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 cluster timeout=5s
                           connect_timeout=5s;
    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    ratelimit_redis_zone $arg_a zone=a:1m rate=20r/h;
    optcache_zone c:1m;

    add_header X-Limit $ratelimit_redis_status always;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=a;
            optcache c;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

$t->run_redis();
$t->run();

###############################################################################

my $server = qr/127\.0\.0\.1:\d+ of "ratelimit_redis_server"/;
my $told = qr/does not tell where slots are: refused with ERR, it is no cluster/;

ok($t->wait_for_log(qr/\[error\].*redis cluster: $server $told/), 'logged');
is($t->log_count(qr/\[error\].*of "optcache_redis_server"/), 0,
    'of this directive alone');
is($t->log_count(qr/\[error\].*it is no cluster/), 1, 'said once');
is(header(scalar http_get('/x?a=1'), 'X-Limit'), 'LOCAL_PASSED',
    'limits go on');

###############################################################################
