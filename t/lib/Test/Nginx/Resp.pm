package Test::Nginx::Resp;

# Copyright (C) The Optcache authors

# The words of Redis (RESP2), both ways, and a small blocking client.

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use Time::HiRes qw/ time /;


# A command as bytes.

sub command {
    my (@args) = @_;

    return join '', '*' . @args . "\r\n",
                    map { '$' . length($_) . "\r\n$_\r\n" } @args;
}


# The length of the first whole reply (or command) in the buffer; undef if it
# is not whole yet.

sub whole {
    my ($buf, $pos) = @_;

    $pos ||= 0;
    pos($$buf) = $pos;

    $$buf =~ /\G([^\r\n])([^\r\n]*)\r\n/gc or return undef;

    my ($type, $n, $end) = ($1, $2, pos $$buf);

    if ($type eq '$' && $n >= 0) {
        $end += $n + 2;
        return length $$buf >= $end ? $end : undef;
    }

    if ($type eq '*') {
        for (1 .. $n) {
            $end = whole($buf, $end) // return undef;
        }
    }

    return $end;
}


# Takes one whole value off the buffer: strings and numbers as they are, nil
# as undef, arrays as references, errors as objects.

sub take {
    my ($buf) = @_;

    $$buf =~ s/^([^\r\n])([^\r\n]*)\r\n// or die "not RESP\n";

    my ($type, $n) = ($1, $2);

    return $n if $type eq '+' || $type eq ':';
    return bless { text => $n }, 'Test::Nginx::Resp::Error' if $type eq '-';
    return undef if $n < 0;

    if ($type eq '$') {
        my $value = substr $$buf, 0, $n, '';
        substr $$buf, 0, 2, '';
        return $value;
    }

    return [map { take($buf) } 1 .. $n];
}


# A connection that is opened when it is needed.

sub new {
    my ($class, %o) = @_;
    return bless { %o, buf => '' }, $class;
}


# The reply as bytes, undef if there is none.

sub raw {
    my ($self, @args) = @_;

    local $SIG{PIPE} = 'IGNORE';

    my $s = $self->{socket} ||= $self->{unix}
        ? IO::Socket::UNIX->new(Peer => $self->{unix})
        : IO::Socket::INET->new(PeerAddr => "127.0.0.1:$self->{port}");

    return undef unless $s && defined syswrite $s, command(@args);

    my $until = time() + ($self->{timeout} || 10);
    my $length;

    while (!defined($length = whole(\$self->{buf}))) {
        if (!IO::Select->new($s)->can_read($until - time())
            || !sysread $s, $self->{buf}, 65536, length $self->{buf})
        {
            $self->disconnect();
            return undef;
        }
    }

    return substr $self->{buf}, 0, $length, '';
}


# The reply as a value.  Dies of an error reply, and of none.

sub cmd {
    my ($self, @args) = @_;

    my $raw = $self->raw(@args);

    # the server may have been restarted since
    $raw = $self->raw(@args) if !defined $raw && !$self->{once};

    die "redis: no reply to $args[0]\n" unless defined $raw;

    my $value = take(\$raw);

    die "redis: $value->{text}\n"
        if ref $value eq 'Test::Nginx::Resp::Error';

    return $value;
}


sub disconnect {
    my ($self) = @_;

    close $self->{socket} if $self->{socket};
    $self->{socket} = undef;
    $self->{buf} = '';
}


1;
