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
            rows_of($s, map { [$_, 1, "other:$_", 1, 1000] } 1 .. 160);
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
        [10, 1, 'blacklist:good', 1, 100000],
    )],
);

my $t = Test::Nginx->new()->has_program('redis-server')->plan(@cases + 6);

my $redis = $t->run_redis();

# each case is followed by one that greets well, so that pauses stay short

my $fake = $t->run_fake(5432, sub {
    my ($socket, $n) = @_;

    my $case = $cases[($n - 1) / 2];

    if ($n % 2) {
        startup($socket) or return;
        $case->[1]->($socket) if $case;

    } else {
        after_hello(sub { })->($socket) if startup($socket);
    }

    $t->append_file('connections', "$n\n");
});

gateway($t, postgres =>
    '"host=127.0.0.1 port=' . port(5432)
    . ' dbname=a user=b sslmode=disable"');
$t->run();

###############################################################################

my ($pid) = $t->worker_pids();

for my $i (0 .. $#cases) {
    my $done = 2 * $i + 2;
    wait_for(sub { $t->read_file('connections') =~ /^$done$/m }, 20);
    is(status(get('/allow', "t$i")), 200, $cases[$i][0]);
}

is(join(' ', $t->worker_pids()), $pid, 'the worker is the same');

is_deeply([grep { !/^rl:.postgres/ && $_ ne 'blacklist:good' }
           @{ $redis->cmd('KEYS', '*') }], [], 'nothing else is written');
is($redis->cmd('EXISTS', 'blacklist:good'), 1, 'but what is a revocation');

my @lines = split /\n/, $t->error_log();
is(scalar(grep { /^\[emerg\]/ } @lines), 0, 'no line of its own');
is(scalar(grep { /[\x00-\x08\x0e-\x1f]/ } @lines), 0, 'nothing that is odd');
ok($t->log_count(qr/is not there: 42501 no \?\?/), 'an error is logged');

###############################################################################

sub say_raw {
    my ($s, @text) = @_;
    print $s @text;
}


sub message {
    my ($s, $type, $text) = @_;
    print $s $type, pack('N', 4 + length $text), $text;
}


sub read_all {
    my ($s, $n) = @_;
    my $text = '';

    while (length $text < $n) {
        sysread($s, $text, $n - length $text, length $text) or return;
    }

    return $text;
}


sub startup {
    my ($s) = @_;
    my $n = read_all($s, 4) or return;
    return read_all($s, unpack('N', $n) - 4);
}


# a whole question, up to Sync

sub query {
    my ($s) = @_;

    while (1) {
        my $head = read_all($s, 5) or return;
        my ($type, $n) = unpack 'aN', $head;
        read_all($s, $n - 4) if $n > 4;
        return 1 if $type eq 'S';
        return if $type eq 'X';
    }
}


sub ready { message($_[0], 'Z', 'I') }


sub columns {
    my ($s, $n) = @_;
    message($s, '1', '');
    message($s, '2', '');
    message($s, 'T', pack('n', $n)
        . join '', map { "c\0" . pack 'NnNnNn', 0, 0, 25, 65535, -1, 0 }
                   1 .. $n);
}


sub row {
    my ($s, @values) = @_;
    message($s, 'D', pack('n', scalar @values)
        . join '', map { defined $_ ? pack('N', length) . $_ : pack 'N', -1 }
                   @values);
}


sub done {
    my ($s) = @_;
    message($s, 'C', "SELECT 1\0");
    ready($s);
}


sub rows_of {
    my ($s, @rows) = @_;
    columns($s, @rows ? scalar @{ $rows[0] } : 1);
    row($s, @$_) for @rows;
    done($s);
}


# what is answered to LISTEN, and to who it is; then the code

sub after_hello {
    my ($code) = @_;

    return sub {
        my ($s) = @_;

        message($s, 'R', pack 'N', 0);
        message($s, 'S', "client_encoding\0UTF8\0");
        message($s, 'S', "server_version\0" . "15.0\0");
        message($s, 'K', pack 'NN', 1, 2);
        ready($s);

        query($s) or return;
        message($s, '1', '');
        message($s, '2', '');
        message($s, 'n', '');
        message($s, 'C', "LISTEN\0");
        ready($s);

        query($s) or return;
        rows_of($s, ['1/2/3']);

        query($s) or return;
        $code->($s);
    };
}


sub rows_after {
    my @rows = @_;

    return sub {
        my ($s) = @_;

        after_hello(sub {
            rows_of($s, @$good);
            query($s) or return;
            rows_of($s, @rows);
            query($s);
        })->($s);
    };
}

###############################################################################
