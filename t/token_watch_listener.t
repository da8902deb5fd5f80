#!/usr/bin/perl

# Copyright (C) The Optcache authors

# One worker of a host listens for all.  When it is stuck or dies, the others do
# not rely on what is kept any more, and another one listens.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;
use Test::More;
use Test::Nginx;
use Time::HiRes qw/ time /;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(9);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    server {
        listen 127.0.0.1:8080;

        keepalive_requests 1000000;
        token_blacklist on;

        location / {
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_redis();

$t->run();

###############################################################################

my @pids = $t->worker_pids();

# of two workers each is stopped once, and so the one that listens; connections
# are taken by the other

for my $i (0, 1) {
    my $token = "stopped$i";
    my $ms;

    # a busy machine may take longer

    for (1 .. 3) {
        $redis->cmd('DEL', key($token));
        kept($token);
        $ms = stopped($pids[$i], $token);
        last if $ms < 100;
    }

    cmp_ok($ms, '<', 100, "worker $i stopped: refused by the other");
    ok(kept($token, 401), "worker $i goes on: kept");
}

# and killed

for (1 .. 2) {
    my ($pid) = $t->worker_pids();
    my $token = "killed$_";

    kept($token);
    $t->kill_worker($pid);
    $redis->cmd('SETEX', key($token), 60, 1);
    ok(wait_for(sub { get($token) == 401 }, 10), 'killed: refused');
    ok(kept($token, 401), 'another one listens');
}

is(scalar(() = $redis->cmd('CLIENT', 'LIST') =~ /^id=\d+ .*\bflags=\w*t/mg), 1,
    'and no more than one');

###############################################################################

sub key { 'blacklist:' . sha256_hex($_[0]) }


# ms after which a token that is revoked is not let in any more

sub stopped {
    my ($pid, $token) = @_;

    kill 'STOP', $pid;

    my $s = http_connect();
    get($token, $s);

    $redis->cmd('SETEX', key($token), 60, 1);

    my $begin = time();
    my $last = $begin;

    while (time() < $begin + 0.4) {
        my $sent = time();
        $last = $sent if get($token, $s) == 200;
    }

    kill 'CONT', $pid;

    return 1000 * ($last - $begin);
}


sub asked { return $redis->calls('exists') }


# A busy machine may break a promise at any time.

sub kept {
    my ($token, $status) = @_;

    return wait_for(sub {
        get($token) for 1 .. 4;
        my $n = asked();
        my @other = grep { get($token) != ($status || 200) } 1 .. 20;
        return !@other && asked() == $n;
    }, 20);
}


sub get {
    my ($token, $s) = @_;

    return status(http_get('/x',
                           headers => { Authorization => "Bearer $token" },
                           $s ? (socket => $s, keepalive => 1) : ()));
}

###############################################################################
