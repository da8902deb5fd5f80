package Test::Nginx::Pooler;

# Copyright (C) The Optcache authors

# A pooler in transaction mode: whoever is connected stays so, and each query
# goes to the server that lead() has named last.
#
#   my $pooler = Test::Nginx::Pooler->run($t, PORT, $pg);
#
#   $pooler->lead($other);

use strict;
use warnings;

use IO::Socket::INET;
use Test::Nginx;


sub run {
    my ($class, $t, $port, $pg) = @_;

    my $self = bless { t => $t, file => "pooler-$port" }, $class;

    $self->lead($pg);
    $t->run_fake($port, sub { $self->_serve($_[0]) });

    return $self;
}


sub lead {
    my ($self, $pg) = @_;

    my $file = $self->{t}->testdir() . "/$self->{file}";

    $self->{t}->write_file("$self->{file}.new", $pg->port_number());
    rename "$file.new", $file or die "rename: $!\n";
}


sub _serve {
    my ($self, $client) = @_;

    my $head = _read($client, 4) // return;
    my $startup = $head . (_read($client, unpack('N', $head) - 4) // return);
    my $port = 0;
    my $server;

    while (1) {
        my $batch = '';

        # up to the end of a query: none before the first

        while ($port) {
            my ($type, $message) = _message($client);

            return if !defined $type || $type eq 'X';
            $batch .= $message;
            last if $type eq 'S';
        }

        my $now = $self->{t}->read_file($self->{file});

        if ($now != $port) {
            $server = IO::Socket::INET->new(Proto => 'tcp',
                                            PeerAddr => "127.0.0.1:$now")
                or return;
            print $server $startup;
            _answer($server, $port ? undef : $client) or return;
            $port = $now;
            next if $batch eq '';
        }

        print $server $batch;
        _answer($server, $client) or return;
    }
}


# Up to where the server is ready again: no notifications, and another process.

sub _answer {
    my ($server, $client) = @_;

    while (1) {
        my ($type, $message) = _message($server);

        return if !defined $type;

        substr $message, 5, 4, pack 'N', 1 if $type eq 'K';
        print $client $message if $client && $type ne 'A';

        return 1 if $type eq 'Z';
    }
}


sub _message {
    my ($socket) = @_;

    my $head = _read($socket, 5) // return;
    my ($type, $len) = unpack 'a1 N', $head;

    return ($type, $head . (_read($socket, $len - 4) // return));
}


sub _read {
    my ($socket, $n) = @_;
    my $text = '';

    while (length $text < $n) {
        sysread($socket, $text, $n - length $text, length $text) or return;
    }

    return $text;
}


1;
