#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The worker that is connected to PostgreSQL hands over: at a reload, and when
# it dies.  What was not written yet is not lost.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Revocations;

my $t = Test::Nginx->new()->has_program(qw/ redis-server postgres /)->plan(24);

my $redis = $t->run_redis();
my $pg = $t->run_postgres();
my $conninfo = '"' . $pg->conninfo() . '"';

install($t, $pg);

gateway($t, workers => 2, postgres => $conninfo);
$t->run();

###############################################################################

is(enters('good'), 'refused', 'believed');
is(connected(), 1, 'one worker is connected');

for (1 .. 3) {
    ok($t->reload(wait_old => 1), 'reload');
    $pg->query(revoke("reload$_"));
    ok(wait_for(sub { status(get('/x', "reload$_")) == 401 }), 'a new row');
}

is(connected(), 1, 'one worker is connected');
is($t->log_count(qr/redis was told of all/), 1, 'nothing was written again');

# the one that is connected dies

for (1 .. 2) {
    $t->kill_worker((keeper())[0]);
    $pg->query(revoke("death$_"));
    ok(wait_for(sub { status(get('/x', "death$_")) == 401 }), 'a death');
}

ok(wait_for(sub { connected() == 1 }), 'one worker is connected');

# what was revoked while nobody could write it

$pg->stop();
is(status(post('/logout', 'kept')), 204, 'logout');
ok($t->reload(wait_old => 1), 'reload');
$t->kill_worker($_) for $t->worker_pids();
$pg->launch();
ok(wait_for(sub { rows($pg, 'kept') }, 20), 'it is written');

# keys of another kind: of what was ignored before, Redis has nothing

$pg->query("SELECT optcache.token_revoke('user:u', 'infinity')");
is(enters('good2'), 'refused', 'believed');

gateway($t, workers => 2, postgres => $conninfo,
    server => 'token_blacklist_key "user:$arg_user";');
ok($t->reload(wait_old => 1), 'reload');

my %seen;
ok(wait_for(sub {
    $seen{status(get('/x?user=u', 'x'))} = 1;
    return status(get('/x?user=v', 'x')) == 200;
}), 'believed');
delete @seen{401, 503};
is(join(' ', %seen), '', 'nobody was let in');
is(status(get('/x?user=u', 'x')), 401, 'refused');

# off

gateway($t, postgres => 'off');
ok($t->reload(wait_old => 1), 'reload');
ok(wait_for(sub { connected() == 0 }), 'nobody is connected');

$redis->cmd('FLUSHALL');
ok(wait_for(sub { status(get('/x', 'reload1')) == 200 }), 'off');

###############################################################################

# the pids of workers that have a connection, as the kernel tells

sub keeper {
    my $port = $pg->port_number();
    my (%inode, @pids);
    local $_;

    open my $fh, '<', '/proc/net/tcp' or die "tcp: $!\n";

    while (<$fh>) {
        my @f = split;
        $inode{$f[9]} = 1
            if $f[2] eq sprintf('0100007F:%04X', $port) && $f[3] eq '01';
    }

    for my $pid ($t->worker_pids(all => 1)) {
        push @pids, $pid
            if grep { (readlink || '') =~ /^socket:\[(\d+)\]/ && $inode{$1} }
               glob "/proc/$pid/fd/*";
    }

    return @pids;
}


sub connected { scalar(my @pids = keeper()) }

###############################################################################
