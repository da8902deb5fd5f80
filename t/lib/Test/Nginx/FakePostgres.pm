package Test::Nginx::FakePostgres;

# Copyright (C) The Optcache authors

# What a server says that calls itself PostgreSQL: messages, and what
# token_blacklist_postgres is answered.  For code that run_fake() calls.

use strict;
use warnings;

use base qw/ Exporter /;

our @EXPORT = qw/
    say_raw message startup query greet hello after_hello
    ready columns row done rows_of command answer
/;


sub say_raw {
    my ($s, @text) = @_;
    return print $s @text;
}


sub message {
    my ($s, $type, $text) = @_;
    return print $s $type, pack('N', 4 + length $text), $text;
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


# The text of a question, which is read up to Sync.

sub query {
    my ($s) = @_;

    my $query = '';

    while (1) {
        my $head = read_all($s, 5) or return;
        my ($type, $n) = unpack 'aN', $head;
        my $text = $n > 4 ? read_all($s, $n - 4) : '';

        $query = (split /\0/, $text)[1] if $type eq 'P';

        return $query if $type eq 'S';
        return if $type eq 'X';
    }
}


sub greet {
    my ($s) = @_;

    message($s, 'R', pack 'N', 0);
    message($s, 'S', "client_encoding\0UTF8\0");
    message($s, 'S', "server_version\0" . "15.0\0");
    message($s, 'K', pack 'NN', 1, 2);

    return ready($s);
}


# What is answered to LISTEN, and to who it is.

sub hello {
    my ($s) = @_;

    greet($s);

    query($s) or return;
    command($s, 'LISTEN');

    query($s) or return;
    return rows_of($s, ['1/2/3']);
}


# Code that does so, and then calls this one when something else is asked.

sub after_hello {
    my ($code) = @_;

    return sub {
        my ($s) = @_;

        hello($s);
        query($s) or return;
        $code->($s);
    };
}


# An answer to a question: there are no rows.

sub answer {
    my ($s, $query) = @_;

    return $query =~ /^SELECT id/ ? rows_of($s)
         : $query =~ /EXISTS/     ? rows_of($s, ['710:710:', '710', 'f', 't'])
         : $query =~ /^SELECT/    ? rows_of($s, ['710:710:'])
                                  : command($s, 'DELETE 0');
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
    return ready($s);
}


sub rows_of {
    my ($s, @rows) = @_;
    columns($s, @rows ? scalar @{ $rows[0] } : 1);
    row($s, @$_) for @rows;
    return done($s);
}


sub command {
    my ($s, $tag) = @_;
    message($s, '1', '');
    message($s, '2', '');
    message($s, 'n', '');
    message($s, 'C', "$tag\0");
    return ready($s);
}


1;
