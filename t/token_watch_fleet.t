#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Four hosts under load: a token that was asked for costs Redis nothing more,
# and one that an application revokes is refused by all of them within 100 ms,
# also when the connection that tells of it was just lost, and after Redis was
# flushed or restarted.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;
use List::Util qw/ max /;
use Test::More;
use Test::Nginx;
use Test::Nginx::Hosts;
use Test::Nginx::Load;
use Time::HiRes qw/ sleep time /;

my $hosts = Test::Nginx::Hosts->new(<<'EOF')->plan(15);

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=300ms
                           connect_timeout=300ms;

    server {
        listen 127.0.0.1:8080 reuseport;

        keepalive_requests 1000000;

        token_blacklist on;
        token_source $arg_t;

        location / {
        }
    }
}

EOF

my @hosts = @{ $hosts->{hosts} };
my @ports = @{ $hosts->ports() };
my $redis = $hosts[0]->run_redis();
my %sockets = ();
my $number = 0;

$_->run() for @hosts;

###############################################################################

my @uris = map { "/x?t=token$_" } 1 .. 8;

# A busy machine may break a promise at any time, and then everything is asked
# for: three times it may.

sub scenario {
    my ($sub) = @_;

    my $result;

    for (1 .. 3) {
        $result = $sub->();
        last if $result->{ok};
    }

    return $result;
}


my $r = scenario(sub {
    load(800)->finish();

    my %before = commands();
    my $load = load(4000)->finish();
    my %after = commands();

    my @more = grep { $after{$_} != ($before{$_} || 0) } sort keys %after;

    return { ok => !@more, more => "@more", load => $load };
});

is($r->{more}, '', 'four hosts ask for nothing');
is($r->{load}{done} . ' ' . $r->{load}{errors}, '4000 0', 'all was answered');

for my $uri (@uris[0, 7]) {
    is($r->{load}->text($uri), '200:500', "$uri passes");
}

# revoked by SETEX and nothing else

refused_soon('revoked', sub { });
refused_soon('the connections were just lost', sub { kill_trackers() });
refused_soon('Redis was just flushed', sub { $redis->cmd('FLUSHALL') });

# what was revoked before is not, when Redis has lost it

my $lost = 'token' . ($number + 100);
is(revoke($lost), 4, 'revoked, and refused by all');
$redis->cmd('FLUSHALL');
ok(wait_for(sub { passing($lost) == 4 }, 5), 'flushed, and refused by none');

# nor is anything relied upon while Redis is silent

$redis->suspend();
ok(wait_for(sub { passing('token1') == 0 }, 5), 'silent: nobody relies');
$redis->cont();
ok(wait_for(sub { passing('token1') == 4 }, 10), 'all do again');

$redis->restart();
ok(wait_for(sub { passing('token1') == 4 }, 10), 'restarted');
refused_soon('Redis was restarted', sub { });

is($hosts->log_count(qr/\[alert\]/), 0, 'no alert');
is(join(' ', map { scalar $_->worker_pids() } @hosts), '2 2 2 2',
    'all workers are there');

###############################################################################

# The time from the answer to SETEX to the last request, of those sent to any
# host, that was let in.

sub refused_soon {
    my ($name, $before) = @_;

    my $load = load(20000, 1500);

    my $r = scenario(sub {
        my $token = 'token' . ++$number . time();

        passing($token) for 1 .. 3;

        $before->();
        $redis->cmd('SETEX', 'blacklist:' . sha256_hex($token), 60, 1);

        my $revoked = time();
        my $late = $revoked;
        my ($sent, $let, $asked);

        while (time() < $revoked + 0.5) {
            for my $port (@ports) {
                $sent = time();
                $let = get($port, $token) == 200;
                $late = max($late, $sent) if $let;
            }

            $asked++;
        }

        my $ms = int(1000 * ($late - $revoked));

        return { ok => $ms < 100 && $asked > 3, ms => $ms, asked => $asked };
    });

    ok($r->{ok}, "$name: refused within 100 ms")
        or diag("$r->{ms} ms, $r->{asked} times asked");

    $load->stop();
}


sub revoke {
    my ($token) = @_;

    passing($token);
    $redis->cmd('SETEX', 'blacklist:' . sha256_hex($token), 60, 1);
    wait_for(sub { passing($token) == 0 }, 5);

    return 4 - passing($token);
}


# how many hosts let it in

sub passing {
    my ($token) = @_;
    return scalar grep { get($_, $token) == 200 } @ports;
}


sub get {
    my ($port, $token) = @_;

    $sockets{$port} ||= http_connect(port => $port);
    return status(http_get("/x?t=$token", socket => $sockets{$port},
                           keepalive => 1)) || 0;
}


sub load {
    my ($n, $rate) = @_;

    return Test::Nginx::Load->start(ports => [@ports], uris => [@uris],
        n => $n, connections => 4, $rate ? (rate => $rate) : ());
}


# the connection of each host that listens

sub kill_trackers {
    my @ids;

    wait_for(sub {
        @ids = $redis->cmd('CLIENT', 'LIST') =~ /^id=(\d+) .*\bflags=\w*t/mg;
        return @ids == @ports;
    }, 10) or die "not all hosts listen\n";

    $redis->cmd('CLIENT', 'KILL', 'ID', $_) for @ids;
}


# What is not said to keep the promise, and by the test itself.

sub commands {
    my $info = $redis->info();

    return map { /^cmdstat_(.*)/ && $1 !~ /^(ping|info)$/
                 ? ($1, $info->{$_} =~ /calls=(\d+)/) : () } keys %$info;
}

###############################################################################
