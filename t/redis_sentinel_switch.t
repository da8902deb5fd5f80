#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A failover by command: the old master answers, and is left all the same.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(8);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:26379 redis://127.0.0.1:26380
                           redis://127.0.0.1:26381 sentinel=mymaster
                           connections=3 timeout=5s connect_timeout=5s;

    ratelimit_redis_zone $arg_a zone=a:1m rate=100000r/h;

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
my $old = $set->redis(0);

$t->run();

###############################################################################

is(limit(), 'PASSED', 'by the master');

my $moved = qr/\[notice\].*redis "sentinel=mymaster" is 127\.0\.0\.1 port/;
my %seen;

$set->sentinel(1)->cmd('SENTINEL', 'FAILOVER', 'mymaster');

ok(wait_for(sub { trickle(); $t->log_count($moved) }, 60), 'moved');

my $before = $old->scripts();
my $new = $set->wait_other($old);
my $n = counted($new);

is(join(' ', map { limit() } 1 .. 5), 'PASSED PASSED PASSED PASSED PASSED',
    'by the promoted one');

cmp_ok(counted($new) - $n, '>=', 5, 'and counted there');

# it takes a while until it is told not to be a master any more

ok(wait_for(sub { trickle(); $old->info('role') eq 'slave' }, 60),
    'the old master is a replica');

is($old->scripts(), $before, 'and was asked nothing');

# a request at a time: one at most was under way

cmp_ok($seen{LOCAL_PASSED} // 0, '<=', 1, 'hardly a request was counted here');
is($t->log_count(qr/is down/), 0, 'no outage');

###############################################################################

sub counted { $_[0]->calls('evalsha') + $_[0]->calls('eval') }


sub trickle {
    select undef, undef, undef, 0.01;
    $seen{limit()}++;
}


sub limit { header(scalar http_get('/x?a=1'), 'X-Limit') // '' }

###############################################################################
