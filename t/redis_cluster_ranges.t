#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A cluster whose slots are in as many ranges as there can be, with a master and
# two replicas for each.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new(log => 'info')->has_program('redis-server')->plan(1);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:7000 cluster timeout=20s
                           connect_timeout=20s;
    ratelimit_redis_zone $arg_a zone=a:1m rate=1000000r/h;

    add_header X-Limit $ratelimit_redis_status always;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=a;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_redis(port => 6379);
my $nodes = join '', map { node($_) } 7000 .. 7002;

$t->run_fake_redis(port => 7000, behind => $redis, reply => {
    CLUSTER => "*16384\r\n" . join '', map { "*5\r\n:$_\r\n:$_\r\n$nodes" }
                                       0 .. 16383,
});

$t->run();

###############################################################################

ok(wait_for(sub { header(http_get('/x?a=1'), 'X-Limit') eq 'PASSED' }, 60),
   'its map is taken');

###############################################################################

sub node {
    return "*4\r\n\$9\r\n127.0.0.1\r\n:" . port($_[0]) . "\r\n"
           . "\$40\r\n" . 'a' x 40 . "\r\n"
           . "*2\r\n\$8\r\nhostname\r\n\$9\r\nlocalhost\r\n";
}

###############################################################################
