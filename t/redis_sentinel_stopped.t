#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The master is stopped: it is left for the promoted one, for good.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(7);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:26379 redis://127.0.0.1:26380
                           redis://127.0.0.1:26381 sentinel=mymaster
                           timeout=1s connect_timeout=1s;

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

# connections to it are accepted, and that is all

$old->suspend();

ok(wait_for(sub { limit() eq 'LOCAL_PASSED' }), 'stopped');

my $new = $set->wait_other($old);

ok(wait_for(sub { limit() eq 'PASSED' }, 30), 'by the promoted one');

# what was sent to it before is executed now, and forgotten with the rest

$old->cont();

my $late = $old->scripts();
my %seen;

cmp_ok($late, '<=', 20, 'not much was sent in vain');

ok(wait_for(sub {
    $seen{limit()} = 1;
    return $old->info('role') eq 'slave';
}, 60), 'the old master is a replica');

is(join(' ', keys %seen), 'PASSED', 'that changed nothing');
is($old->scripts(), $late, 'and was asked nothing');

###############################################################################

sub limit { header(scalar http_get('/x?a=1'), 'X-Limit') // '' }

###############################################################################
