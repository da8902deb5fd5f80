#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A reload each 200 ms under load: no request fails, no worker stays, and what
# was stored is there.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Time::HiRes qw/ sleep /;

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new(log => 'notice')->has('http_proxy')
        ->has_program('redis-server')->plan(7);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache_redis_server redis://127.0.0.1:6379 timeout=1s;
    optcache_valid 10m;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            optcache_gzip on;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $redis = $t->run_redis();

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;
    return [200, { 'Content-Type' => 'text/plain' }, $req->{uri} x 1000];
});

$t->run();

###############################################################################

http_get('/stored');

# hits and misses, more than the zone can hold, from two clients

my @clients = map { client($_) } 1 .. 2;
my $reloads = 0;

for (1 .. 10) {
    my @old = $t->worker_pids();

    kill 'HUP', $t->master_pid();
    $reloads++;
    sleep 0.2;
}

$t->write_file('enough', '');

my (@sent, @good);

for my $client (@clients) {
    my ($sent, $good) = split ' ', <$client>;
    push @sent, $sent;
    push @good, $good;
    close $client;
}

is($reloads, 10, 'reloads');
cmp_ok($sent[0], '>', 10, 'with requests meanwhile');
is_deeply(\@good, \@sent, 'which are all answered');

ok(wait_for(sub {
    my @all = $t->worker_pids(all => 1);
    my @serving = $t->worker_pids();
    return @all == 2 && @serving == 2;
}, 20), 'no old worker stays');

is(header(http_get('/stored'), 'X-Cache'), 'HIT', 'what was stored is there');
is($backend->count(qr{ /stored$}), 1, 'as it was');

# of two workers, of those that hear of invalidations and of leases, and of
# this test

ok(wait_for(sub { $redis->info('connected_clients') <= 5 }),
    'no connection stays');

###############################################################################

# A client in a process of its own; a pipe that tells how many requests it
# sent, and how many were answered right.

sub client {
    my ($id) = @_;

    pipe my $in, my $out or die "pipe: $!\n";

    Test::Nginx::Process->start(code => sub {
        my ($sent, $good) = (0, 0);

        close $in;

        until (-e $t->testdir() . '/enough') {
            my $uri = $sent % 2 ? '/stored' : "/$id/" . $sent % 200;
            my $body = body(http_get($uri)) // '';

            $sent++;
            $good++ if $body eq $uri x 1000;
        }

        print $out "$sent $good\n";
        close $out;
    });

    close $out;
    return $in;
}

###############################################################################
