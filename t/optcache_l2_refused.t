#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Redis answers, and refuses to give or to keep responses, as its user has lost
# a right: the log tells, once, and when it is over; requests are answered.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
        ->plan(9);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache_redis_server redis://127.0.0.1:6379 timeout=500ms;

    optcache_valid 1m;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub { return 'answer' });

my $redis = $t->run_redis();

$t->run();

###############################################################################

my $n = 0;

ok(wait_for(sub { get(); return $redis->cmd('KEYS', 'oc:*:*') }),
    'all is well');

$redis->cmd('ACL', 'SETUSER', 'default', '-getrange');

is(join(' ', map { get() } 1 .. 5), join(' ', ('MISS') x 5), 'not given');
is($t->log_count(qr/\[warn\].* does not give stored responses: "NOPERM"/), 1,
    'the log, once');
is($t->log_count(qr/does not store responses/), 0, 'but stored');

$redis->cmd('ACL', 'SETUSER', 'default', '+getrange', '-set');

ok(wait_for(sub {
    get();
    return $t->log_count(qr/gives stored responses again after \d+ms/);
}), 'over');
is($t->log_count(qr/\[warn\].* does not store responses: "NOPERM"/), 1,
    'not stored');

$redis->cmd('ACL', 'SETUSER', 'default', '+set');

ok(wait_for(sub {
    get();
    return $t->log_count(qr/redis stores responses again after \d+ms/);
}), 'over, too');

is($t->log_count(qr/\[warn\]/), 2, 'nothing else');
is(get(), 'MISS', 'all is well again');

###############################################################################

sub get { header(scalar http_get('/' . $n++), 'X-Cache') }

###############################################################################
