#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A replica of a cluster takes over from its master by command, under load:
# every subject is admitted exactly as often as its limit says.  A master lets
# commands wait meanwhile, for five seconds if nothing comes of it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new(log => 'info')->has_program('redis-server')->plan(6);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:7000 cluster
                           timeout=30s connect_timeout=5s;
    ratelimit_redis_zone $arg_a zone=a:1m rate=1500r/h;
    ratelimit_redis_log_level info;

    add_header X-Limit $ratelimit_redis_status always;

    server {
        listen 127.0.0.1:8080 reuseport;

        location / {
            ratelimit_redis zone=a;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

my $cluster = $t->run_redis_cluster();

$t->run();

###############################################################################

my %count;

limit('one');

my ($key) = $cluster->keys('*one*');
my $slot = $cluster->slot($key);
my $first = $cluster->master($slot);

my @clients = map { client() } 1 .. 3;

# there and back

my $left = 0;

for (1 .. 2) {
    my $old = $cluster->master($slot);
    my $replica = $cluster->replica($old);

    select undef, undef, undef, 0.2;

    # it is given up after five seconds, on a busy machine

    for (1 .. 5) {
        $replica->cmd('CLUSTER', 'FAILOVER');
        last if wait_for(sub { $replica->info('role') eq 'master' }, 6);
    }

    wait_for(sub {
        3 == grep { $_->info('role') eq 'slave'
                    && $_->info('master_link_status') eq 'up' }
             $cluster->nodes();
    }, 30);

    # what is no master any more is not connected to, but by this test, once
    # a worker has been told: somebody has to ask it

    $left += wait_for(sub {
        http_get('/x?a=' . rand);
        1 == grep { /flags=N / } split /\n/, $old->cmd('CLIENT', 'LIST');
    }) ? 1 : 0;
}

is($left, 2, 'what is no master any more is left');
is($cluster->master($slot), $first, 'there and back');

$t->write_file('enough', '');

my $meanwhile = 0;

for my $client (@clients) {
    my $line = <$client>;

    while ($line =~ /(\w*):(\d+) /g) {
        $count{$1} += $2;
        $meanwhile += $2;
    }

    close $client;
}

for (1 .. 2000) {
    last if limit('one') eq 'REJECTED';
}

cmp_ok($meanwhile, '>', 200, 'under load');
is($count{PASSED}, 1500, 'exactly the limit');
is(join(' ', sort keys %count), 'PASSED REJECTED',
    'each by an answer of Redis');
is($t->log_count(qr/redis ".*is down/), 0, 'no outage');

###############################################################################

sub limit {
    my ($subject) = @_;

    my $status = header(scalar http_get("/x?a=$subject"), 'X-Limit') // '';

    $count{$status}++;
    return $status;
}


# A client in a process of its own; a pipe that tells what it got.

sub client {
    pipe my $in, my $out or die "pipe: $!\n";

    Test::Nginx::Process->start(code => sub {
        close $in;
        %count = ();

        until (-e $t->testdir() . '/enough') {
            limit('one');
            select undef, undef, undef, 0.005;
        }

        print $out join('', map { "$_:$count{$_} " } keys %count), "\n";
        close $out;
    });

    close $out;
    return $in;
}

###############################################################################
