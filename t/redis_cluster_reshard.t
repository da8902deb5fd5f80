#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Slots are moved between servers while requests run: each subject is admitted
# exactly as often as its limit says, and no request is without an answer of
# Redis.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new(log => 'info')->has_program('redis-server')->plan(5);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:7000 cluster
                           timeout=5s connect_timeout=5s;
    ratelimit_redis_zone $arg_a zone=a:1m rate=500r/h;
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

my $cluster = $t->run_redis_cluster(ports => [7000 .. 7002]);
my @subjects = map { "subject$_" } 1 .. 4;

$t->run();

###############################################################################

my %count;

limit($_) for @subjects;

my %slot = map { $_ => $cluster->slot($_) } $cluster->keys('*');

my @clients = map { client() } 1 .. 3;
my ($moves, $keys) = (0, 0);

for (1 .. 8) {
    for my $slot (values %slot) {
        my $from = $cluster->master($slot);
        my @others = grep { $_ != $from } $cluster->nodes();
        my $to = $others[rand @others];

        $cluster->begin($slot, $from, $to);

        # a while in between, when there is nothing to be found at the source
        # and nothing is the target's yet

        $keys += $cluster->move($slot, $from, $to);
        select undef, undef, undef, 0.01;
        $keys += $cluster->move($slot, $from, $to);

        $cluster->end($slot, $from, $to);
        $moves++;
    }
}

$t->write_file('enough', '');

for my $client (@clients) {
    my $line = <$client>;

    $count{$1}{$2} += $3 while $line =~ /(\w+):(\w*):(\d+) /g;
    close $client;
}

my $meanwhile = 0;
$meanwhile += $count{$_}{PASSED} // 0 for @subjects;

# what is left of the limits

for my $subject (@subjects) {
    for (1 .. 600) {
        last if limit($subject) eq 'REJECTED';
    }
}

cmp_ok($keys, '>=', $moves, "$moves slots with keys were moved");
cmp_ok($meanwhile, '>', 200, 'with requests under way');

is(join(' ', map { $count{$_}{PASSED} } @subjects), '500 500 500 500',
    'exactly the limit');
is(join(' ', sort keys %{ { map { map { $_ => 1 } keys %{ $count{$_} } }
                            @subjects } }),
    'PASSED REJECTED', 'each by an answer of Redis');
is($t->log_count(qr/redis ".*is down/), 0, 'no outage');

###############################################################################

sub limit {
    my ($subject) = @_;

    my $status = header(scalar http_get("/x?a=$subject"), 'X-Limit') // '';

    $count{$subject}{$status}++;
    return $status;
}


# A client in a process of its own; a pipe that tells what it got.

sub client {
    pipe my $in, my $out or die "pipe: $!\n";

    Test::Nginx::Process->start(code => sub {
        close $in;
        %count = ();

        until (-e $t->testdir() . '/enough') {
            limit($subjects[rand @subjects]);
            select undef, undef, undef, 0.002;
        }

        for my $subject (keys %count) {
            print $out "$subject:$_:$count{$subject}{$_} "
                for keys %{ $count{$subject} };
        }

        print $out "\n";
        close $out;
    });

    close $out;
    return $in;
}

###############################################################################
