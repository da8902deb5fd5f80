#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What calls itself PostgreSQL and does not stop talking is given up, with a
# reason: a worker neither keeps all of it nor forgets its clients.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::FakePostgres;
use Test::Nginx::Revocations;

my $connecting = qr/is not there: it says too much while connecting/;
my $unasked = qr/is not there: it says more than it was asked for/;
my $long = qr/is not there: an answer is too long/;

# the most that there may be of these takes a sanitizer its time
my $small = qr/is not there: (?:an answer is too long|a query timed out)/;

# no two with the same reason in a row: it would be logged once

my @cases = (
    ['parameters while it greets', $connecting, sub {
        my ($s) = @_;
        message($s, 'R', pack 'N', 0);
        parameters($s);
    }],
    ['rows', $long, after_hello(sub {
        my ($s) = @_;
        columns($s, 1);
        endless($s, 'D', pack('nN', 1, 100) . 'x' x 100);
    })],
    ['parameters instead of rows', $unasked, after_hello(\&parameters)],
    ['rows of nothing', $small, after_hello(sub {
        my ($s) = @_;
        columns($s, 1);
        endless($s, 'D', pack('nN', 1, -1));
    })],
    ['a row', $unasked, after_hello(sub {
        my ($s) = @_;
        columns($s, 1);
        say_raw($s, 'D', pack 'NnN', 0x40000000, 1, 0x3ffffff0);
        while (say_raw($s, 'x' x 65536)) { }
    })],
    ['notices instead of rows', $long, after_hello(sub {
        my ($s) = @_;
        endless($s, 'N', "SNOTICE\0C00000\0Mx\0\0");
    })],
    ['parameters with rows', $unasked, after_hello(sub {
        my ($s) = @_;
        my $i = 0;
        columns($s, 1);
        while (row($s, 'x' x 100)) {
            message($s, 'S', $i++ . "\0v\0") or last;
        }
    })],
    ['notices while it greets', $connecting, sub {
        my ($s) = @_;
        message($s, 'R', pack 'N', 0);
        endless($s, 'N', "SNOTICE\0C00000\0Mx\0\0");
    }],
    ['parameters when nothing was asked', $unasked, sub {
        my ($s) = @_;
        hello($s);
        parameters($s);
    }],
);

my $t = Test::Nginx->new()->has_program('redis-server')->plan(3 * @cases + 2);

$t->run_redis();

# pauses grow: a new worker has short ones

my $fake = $t->run_fake(5432, sub {
    my ($s) = @_;

    my $n = $t->read_file('case');

    if (startup($s) && $n ne $t->read_file('last')) {
        $t->write_file('last', $n);
        $cases[$n][2]->($s);
        $t->append_file('ended', "$n\n");
    }
});

$t->write_file($_, 'none') for qw/ case last /;
$t->write_file('ended', '');

gateway($t, server => 'location = /plain { token_blacklist off; return 204; }',
    postgres => '"host=127.0.0.1 port=' . port(5432)
    . ' dbname=a user=b sslmode=disable"');
$t->run();

###############################################################################

my ($pid, $peak) = (0, 0);

for my $n (0 .. $#cases) {
    my ($name, $reason) = @{ $cases[$n] };
    my $logged = $t->log_count($reason);

    if ($n % 5 == 0) {
        $t->reload(wait_old => 1) if $n;
        ($pid) = $t->worker_pids();
    }

    $t->write_file('case', $n);

    my $bad = 0;

    ok(wait_for(sub {
        status(http_get('/plain')) == 204 or $bad++;
        return $t->read_file('ended') =~ /^$n$/m;
    }, 20), "$name, without an end");

    is($bad, 0, 'clients are answered');
    ok(wait_for(sub { $t->log_count($reason) > $logged }), 'why is logged');

    my $mb = peak($pid);
    $peak = $mb if $mb > $peak;
}

is(join(' ', $t->worker_pids()), $pid, 'the worker is the same');

SKIP: {
    skip 'a sanitizer keeps what was freed', 1 if $t->is_static();
    cmp_ok($peak, '<', 200, 'not much of it is kept');
}

###############################################################################

sub endless {
    my ($s, $type, $text) = @_;

    my $many = ($type . pack('N', 4 + length $text) . $text) x 1000;

    while (say_raw($s, $many)) { }
}


sub parameters {
    my ($s) = @_;

    my $i = 0;

    while (1) {
        my $many = '';

        for (1 .. 1000) {
            my $text = $i++ . "\0v\0";
            $many .= 'S' . pack('N', 4 + length $text) . $text;
        }

        say_raw($s, $many) or return;
    }
}


# The most memory that the worker has had at once, in megabytes.

sub peak {
    my ($pid) = @_;

    open my $f, '<', "/proc/$pid/status" or return 0;
    my ($kb) = join('', <$f>) =~ /^VmHWM:\s+(\d+)/m;

    return ($kb || 0) / 1024;
}

###############################################################################
