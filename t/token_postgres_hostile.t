#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What calls itself PostgreSQL may say anything: no worker dies of it or waits
# for it, nothing of it is written to Redis, and it is tried again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::FakePostgres;
use Test::Nginx::Revocations;

my $good = [['710:710:']];

my @cases = (

    # while it greets

    ['nothing', sub { }],
    ['HTTP', sub { say_raw($_[0], "HTTP/1.1 400 Bad Request\r\n\r\n") }],
    ['a message of 2 GB', sub { say_raw($_[0], 'R', pack 'N', 0x7fffffff) }],
    ['a message of no length', sub { say_raw($_[0], 'R', pack 'N', 0) }],
    ['an error with bytes', sub {
        message($_[0], 'E', "SFATAL\0C28000\0M\e[31mnoo\r\n[emerg] x\0\0")
    }],
    ['an error without a code', sub { message($_[0], 'E', "\0") }],
    ['an unknown way to log in', sub { message($_[0], 'R', pack 'N', 99) }],
    ['an unknown SASL', sub {
        message($_[0], 'R', pack('N', 10) . "NONE\0\0")
    }],
    ['notices', sub {
        message($_[0], 'N', "SNOTICE\0C00000\0M$_\0\0") for 1 .. 2000;
    }],
    ['a greeting without an end', sub { message($_[0], 'R', pack 'N', 0) }],

    # when it is asked for a snapshot

    ['COPY IN', after_hello(sub { message($_[0], 'G', "\0\0\0") })],
    ['COPY OUT', after_hello(sub { message($_[0], 'H', "\0\0\0") })],
    ['COPY BOTH', after_hello(sub { message($_[0], 'W', "\0\0\0") })],
    ['no columns', after_hello(sub { rows_of($_[0], []) })],
    ['no row', after_hello(sub { rows_of($_[0]) })],
    ['NULL', after_hello(sub { rows_of($_[0], [undef]) })],
    ['no snapshot', after_hello(sub { rows_of($_[0], ["'; DROP TABLE x"]) })],
    ['a long one', after_hello(sub { rows_of($_[0], ['7' x 100000]) })],
    ['an empty query', after_hello(sub {
        message($_[0], 'I', ''); ready($_[0])
    })],
    ['no result', after_hello(sub { ready($_[0]) })],
    ['another result', after_hello(sub {
        rows_of($_[0], ['x']) for 1 .. 3;
    })],
    ['half a row', after_hello(sub {
        columns($_[0], 1); say_raw($_[0], 'D', pack('NnN', 1000, 1, 990), 'x')
    })],
    ['a row of 1 GB', after_hello(sub {
        columns($_[0], 1);
        say_raw($_[0], 'D', pack('NnN', 0x40000000, 1, 0x3ffffff0), 'x' x 1000)
    })],
    ['more columns than told', after_hello(sub {
        columns($_[0], 1); row($_[0], qw/ a b c /); done($_[0])
    })],
    ['an error', after_hello(sub {
        message($_[0], 'E', "SERROR\0C42501\0Mno \x01\x02\n[emerg] y\0\0");
        ready($_[0])
    })],

    # when it is asked for rows

    ['few columns', rows_after(['1'])],
    ['no number', rows_after([undef, 1, 'blacklist:a', 1, 1000])],
    ['a long number', rows_after(['1' x 30, 1, 'blacklist:a', 1, 1000])],
    ['more rows', rows_after(map { [$_, 1, "blacklist:$_", 1, 1000] }
                             1 .. 1000)],
    ['an endless table', sub {
        my ($s) = @_;
        after_hello(sub { rows_of($s, @$good) })->($s);
        for my $i (1 .. 200) {
            query($s) or return;
            rows_of($s, map { in_hex($_, 1, "other:$_", 1, 1000) } 1 .. 160);
        }
    }],
    ['rows that are none', rows_after(
        [1, 1, "blacklist:\0" . 'x', 1, '-1'],
        [2, 1, "blacklist:b", 'x', 100000],
        [3, 1, "blacklist:c", 1, '1' x 17],
        [4, 1, "blacklist:d", 1, ''],
        [5, 1, 'blacklist:' . 'x' x 2000, 1, 100000],
        [6, 1, undef, 1, 100000],
        [7, 1, 'blacklist:e', undef, 100000],
        [8, 1, 'blacklist:f', 1, undef],
        [9, 1, '', 1, 100000],
        [10, 1, \'blacklist:oops', 1, 100000],
        [11, 1, \'626c61636b6c6973743a7', 1, 100000],
        [12, 1, 'blacklist:good', 1, 100000],
    )],
);

my $t = Test::Nginx->new()->has_program('redis-server')->plan(@cases + 6);

my $redis = $t->run_redis();

my $fake = $t->run_fake(5432, sub {
    my ($s) = @_;

    my $n = $t->read_file('case');

    if (startup($s) && $n ne $t->read_file('last')) {
        $t->write_file('last', $n);
        $cases[$n][1]->($s);
        $t->append_file('ended', "$n\n");
    }
});

$t->write_file($_, 'none') for qw/ case last /;
$t->write_file('ended', '');

gateway($t, postgres =>
    '"host=127.0.0.1 port=' . port(5432)
    . ' dbname=a user=b sslmode=disable"');
$t->run();

###############################################################################

my ($pid, $others) = ('', 0);

for my $i (0 .. $#cases) {

    if ($i % 5 == 0) {
        # pauses have grown: those of a new worker are short
        $t->reload(wait_old => 1);
        ($pid) = $t->worker_pids();
    }

    $t->write_file('case', $i);
    wait_for(sub { $t->read_file('ended') =~ /^$i$/m }, 20);
    is(status(get('/allow', "t$i")), 200, $cases[$i][0]);

    $others++ if join(' ', $t->worker_pids()) ne $pid;
}

is($others, 0, 'no worker dies');

is_deeply([grep { !/^rl:.postgres/ && $_ ne 'blacklist:good' }
           @{ $redis->cmd('KEYS', '*') }], [], 'nothing else is written');
is($redis->cmd('EXISTS', 'blacklist:good'), 1, 'but what is a revocation');

my @lines = split /\n/, $t->error_log();
is(scalar(grep { /^\[emerg\]/ } @lines), 0, 'no line of its own');
is(scalar(grep { /[\x00-\x08\x0e-\x1f]/ } @lines), 0, 'nothing that is odd');
ok($t->log_count(qr/is not there: 42501 no \?\?/), 'an error is logged');

###############################################################################

# a row with its key as it is asked for, or another one

sub in_hex {
    my @row = @_;

    $row[2] = ref $row[2] ? ${ $row[2] } : unpack 'H*', $row[2]
        if defined $row[2];

    return \@row;
}


sub rows_after {
    my @rows = @_;

    return sub {
        my ($s) = @_;

        after_hello(sub {
            rows_of($s, @$good);
            query($s) or return;
            rows_of($s, map { in_hex(@$_) } @rows);
            query($s);
        })->($s);
    };
}

###############################################################################
