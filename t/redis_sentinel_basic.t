#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The master is where a sentinel says, and asked for by its name.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(8);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    # nobody is at the first

    ratelimit_redis_server redis://127.0.0.1:26370/3 redis://127.0.0.1:26379/3
                           redis://127.0.0.1:26380/3 sentinel=mymaster
                           timeout=5s connect_timeout=5s;

    ratelimit_redis_zone $arg_a zone=a:1m rate=1000r/m;

    add_header X-Limit $ratelimit_redis_status;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=a;
        }
    }
}

EOC

$t->write_file('x', 'SEE-THIS');

my $set = $t->run_sentinels();
my $master = $set->redis(0);

$t->run();

###############################################################################

is(join(' ', map { limit() } 1 .. 5), join(' ', ('PASSED') x 5), 'counted');

like($master->info('db3'), qr/keys=/, 'on the master, in the database');
is($set->redis(1)->calls('evalsha'), 0, 'and not on a replica');
ok($master->calls('role') >= 1, 'which was asked whether it is one');

# each worker keeps a connection to a sentinel, and asks again

my $first = $set->sentinel(0);

ok(wait_for(sub { kept($first) == 2 }), 'asked again and again');
is(scalar($first->askers()), 2, 'by a connection of each worker');

# a sentinel that is gone is nothing to a master that serves

$first->kill();

ok(wait_for(sub { kept($set->sentinel(1)) == 2 }), 'another is asked then');

is($t->log_count(qr/is down/), 0, 'no outage');

###############################################################################

sub kept { scalar grep { $_->{age} > 2 && $_->{idle} < 2 } $_[0]->askers() }


sub limit { header(scalar http_get('/x?a=1'), 'X-Limit') // '' }

###############################################################################
