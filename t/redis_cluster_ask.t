#!/usr/bin/perl

# Copyright (C) The Optcache authors

# While a slot is moved, each key is counted where it is: ASK is followed for
# one command only.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(14);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:7000 cluster
                           timeout=5s connect_timeout=5s;
    ratelimit_redis_zone $arg_a zone=a:1m rate=6r/h;

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

my $cluster = $t->run_redis_cluster(ports => [7000 .. 7002]);

$t->run();

###############################################################################

# all servers get the script

limit("warm$_") for 1 .. 30;

is(limit('one'), 'PASSED', 'counted');

my ($key) = $cluster->keys('*one*');
my $slot = $cluster->slot($key);
my $old = $cluster->master($slot);
my ($new) = grep { $_ != $old } $cluster->nodes();

# begun, but the key is where it was

$cluster->begin($slot, $old, $new);

is(limit('one'), 'PASSED', 'migrating');
is($old->errors('ASK'), 0, 'nothing to ask for elsewhere');

is($cluster->move($slot, $old, $new), 1, 'the key has moved');
is(join(' ', map { limit('one') } 1 .. 2), 'PASSED PASSED', 'counted there');
is($old->errors('ASK'), 2, 'the old server is asked first each time');
is($new->errors('MOVED'), 0, 'each time with the word that is due');
is(keys_of($old), 0, 'and does not count itself');

# for good

$cluster->end($slot, $old, $new);

is(join(' ', map { limit('one') } 1 .. 3), 'PASSED PASSED REJECTED', 'exact');
is($old->errors('ASK'), 2, 'nothing to ask for');

# a subject that the old server has never seen begins at the new one

is(limit('two'), 'PASSED', 'another');

($key) = $cluster->keys('*two*');
$slot = $cluster->slot($key);
$old = $cluster->master($slot);
($new) = grep { $_ != $old } $cluster->nodes();

$old->cmd('DEL', $key);
$cluster->begin($slot, $old, $new);

is(limit('two'), 'PASSED', 'anew');
is(keys_of($new), 1, 'counted by the new server');
is(keys_of($old), 0, 'not by the old one');

###############################################################################

sub limit { header(scalar http_get("/x?a=$_[0]"), 'X-Limit') // '' }


sub keys_of {
    my ($node) = @_;
    return scalar @{ $node->cmd('CLUSTER', 'GETKEYSINSLOT', $slot, 9) };
}

###############################################################################
