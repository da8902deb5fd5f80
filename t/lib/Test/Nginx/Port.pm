package Test::Nginx::Port;

# Copyright (C) The Optcache authors

# Ports that no other test has: a test names 8080 and gets one that is free.

use strict;
use warnings;

use base qw/ Exporter /;

our @EXPORT_OK = qw/ port leave_datagrams /;

use IO::Socket::INET;
use Socket qw/ SOCK_DGRAM /;


# below the range that the system hands out to outgoing connections
my ($low, $high) = (10000, 30000);

my (%ports, %locks);
my $next = $low + ($$ * 37) % ($high - $low);


# The real port behind a name; a second call gives the same.

sub port {
    my ($name) = @_;

    return $ports{$name} if $ports{$name};

    # a port that was given out is its own name
    return $name if $locks{$name};

    for (1 .. 1000) {
        my $port = $next++;
        $next = $low if $next >= $high;

        # a UDP socket held by this process keeps other tests off the port
        my $lock = IO::Socket::INET->new(
            Proto => 'udp', LocalAddr => '127.0.0.1', LocalPort => $port,
        ) or next;

        IO::Socket::INET->new(
            Proto => 'tcp', LocalAddr => '127.0.0.1', LocalPort => $port,
            Listen => 1, ReuseAddr => 1,
        ) or next;

        $locks{$port} = $lock;
        return $ports{$name} = $port;
    }

    die "no free port\n";
}


# Leaves UDP of that port to a server of the test, which keeps other tests off
# as well.

sub leave_datagrams {
    my ($name) = @_;
    $locks{ port($name) } = 1;
}


1;
