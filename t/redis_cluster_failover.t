#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A master of a cluster is killed under load: subjects of the others notice
# nothing, its own are limited locally until its replica takes over.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new(log => 'info')->has_program('redis-server')->plan(12);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:7000 cluster
                           timeout=2s connect_timeout=2s;
    ratelimit_redis_zone $arg_a zone=a:1m rate=100000r/h;
    ratelimit_redis_zone $arg_a zone=d:1m rate=100000r/h;

    add_header X-Limit $ratelimit_redis_status always;

    server {
        listen 127.0.0.1:8080 reuseport;

        location / {
            ratelimit_redis zone=a;
        }

        location /deny {
            ratelimit_redis zone=d on_error=deny;
        }
    }
}

EOF

$t->write_file($_, 'SEE-THIS') for qw/ x deny /;

# by default all of a cluster refuses to serve while a slot has no master

my $cluster = $t->run_redis_cluster(
    args => ['--cluster-require-full-coverage', 'no'],
);

$t->run();

###############################################################################

# a subject of each master; the victim is not the seed

for my $i (1 .. 40) {
    limit("s$i");
    http_get("/deny?a=s$i");
}

my @of = map { subject($_, 'a') } 0 .. 2;

is(scalar(@of), 3, 'a subject of each master');

my $victim = $cluster->node(1);
my $replica = $cluster->replica($victim);

my @clients = map { client(@of[0, 2]) } 1 .. 2;

$victim->kill();

ok(wait_for(sub { limit($of[1]) eq 'LOCAL_PASSED' }), 'killed: locally');
is(status(http_get('/deny?a=' . subject(0, 'd'))), 200,
    'others are asked as before');

ok(wait_for(sub { $replica->info('role') eq 'master' }, 30), 'promoted');
ok(wait_for(sub { limit($of[1]) eq 'PASSED' }), 'and found');

# by the other worker, too

ok(wait_for(sub {
    my @s = map { http_get("/x?a=$of[1]", start => 1) } 1 .. 20;
    return !grep { header(http_end($_), 'X-Limit') ne 'PASSED' } @s;
}), 'by all workers');

cmp_ok($replica->calls('evalsha'), '>', 0, 'it counts');

$t->write_file('enough', '');

my %got;

for my $client (@clients) {
    my $line = <$client>;
    $got{$1} += $2 while $line =~ /(\w*):(\d+) /g;
    close $client;
}

is(join(' ', keys %got), 'PASSED', 'subjects of others noticed nothing');
cmp_ok($got{PASSED}, '>', 200, 'under load');

# the server that was killed comes back as a replica: nothing changes

$victim->launch();
ok(wait_for(sub { $victim->info('role') eq 'slave' }, 30), 'it is back');
is(limit($of[1]), 'PASSED', 'and is not asked');

my $port = $victim->port_number();

is($t->log_count(qr/redis "redis:.*:(?!$port\b)\d+" of ".*" is down/), 0,
    'no other server was down');

###############################################################################

# One whose key in a zone is with the node.

sub subject {
    my ($node, $zone) = @_;

    my ($key) = @{ $cluster->node($node)->cmd('KEYS', "*:$zone:*") };
    return $key =~ /(s\d+)/ ? $1 : ();
}


sub limit {
    my ($subject) = @_;
    return header(scalar http_get("/x?a=$subject"), 'X-Limit') // '';
}


# A client in a process of its own; a pipe that tells what it got.

sub client {
    my (@subjects) = @_;

    pipe my $in, my $out or die "pipe: $!\n";

    Test::Nginx::Process->start(code => sub {
        my %seen;

        close $in;

        until (-e $t->testdir() . '/enough') {
            $seen{ limit($subjects[rand @subjects]) }++;
            select undef, undef, undef, 0.002;
        }

        print $out join('', map { "$_:$seen{$_} " } keys %seen), "\n";
        close $out;
    });

    close $out;
    return $in;
}

###############################################################################
