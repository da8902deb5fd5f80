package Test::Nginx::FakeRedis;

# Copyright (C) The Optcache authors

# A Redis that misbehaves on demand.  One process serves all connections, so
# that they share their data; replies are queued with the time they are to
# leave at.

use strict;
use warnings;

use base qw/ Test::Nginx::Process /;

use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use Socket qw/ SOMAXCONN IPPROTO_TCP TCP_NODELAY /;
use Time::HiRes qw/ time /;

use Test::Nginx::Port qw/ port /;
use Test::Nginx::Resp;


# run(dir => DIR, port => 6379, behind => $redis, SETTINGS)
#
# It knows a handful of commands by itself; with "behind" it passes commands
# on to a real Redis and spoils only the replies.  Settings, which set() also
# changes while it runs:
#
#   split => N          replies leave N bytes at a time, 1 ms apart
#   delay => S          each reply leaves S seconds later
#   reply => {GET => "-LOADING ...\r\n"}
#                       raw replies by command name ('*': any other)
#   garbage => BYTES    sent in place of any reply
#   half => 'stall'     half of a reply, then nothing ever;
#   half => 'close'     half of a reply, then the connection is closed
#   stall_after => N    nothing after N replies of a connection
#   close_after => N    closed after N replies of a connection
#   refuse => 1         closes each connection as soon as it is accepted
#   only => NAME        the above (but refuse) spoils only this command
#
# log() tells what was asked.

sub run {
    my ($class, %o) = @_;

    my $dir = delete $o{dir};
    my $port = port(delete $o{port} || 6379);
    my $unix = delete $o{unix};
    my $behind = delete $o{behind};
    my %settings = %o;

    my $listen = $unix
        ? IO::Socket::UNIX->new(Local => $unix, Listen => SOMAXCONN)
        : IO::Socket::INET->new(
              Proto => 'tcp', LocalAddr => "127.0.0.1:$port",
              Listen => SOMAXCONN, ReuseAddr => 1,
          );

    die "cannot listen on $port: $!\n" unless $listen;

    # how the test talks to it
    my $control = "$dir/fake-redis-$port.control";
    my $control_listen = IO::Socket::UNIX->new(
        Local => $control, Listen => SOMAXCONN,
    ) or die "$control: $!\n";

    my $fake = {
        listen => $listen, control => $control_listen, set => \%settings,
        behind => $behind ? $behind->port_number() : undef,
        commands => "$dir/fake-redis-$port.commands", store => {}, conns => {},
    };

    my $self = $class->start(
        name => "fake redis $port", log => "$dir/fake-redis-$port.out",
        code => sub { _serve($fake) },
    );

    $self->{port} = $port;
    $self->{commands} = $fake->{commands};
    $self->{control} = Test::Nginx::Resp->new(unix => $control);

    return $self;
}


sub port_number { $_[0]->{port} }


# set(split => 1, delay => undef): undef takes a setting back.

sub set {
    my ($self, %settings) = @_;

    for my $name (keys %settings) {
        my $value = $settings{$name};

        if (ref $value) {
            $self->{control}->cmd('SET', $name, '{', %$value);

        } else {
            $self->{control}->cmd('SET', $name, $value // ());
        }
    }

    return $self;
}


# Drops all connections there are.

sub drop {
    my ($self) = @_;
    $self->{control}->cmd('DROP');
    return $self;
}


# Connections that are open now.

sub connections {
    my ($self) = @_;
    return $self->{control}->cmd('CONNECTIONS');
}


# Commands so far, each as an array of its words; log('GET') only those.

sub log {
    my ($self, $name) = @_;

    open my $fh, '<', $self->{commands} or return ();
    binmode $fh;

    my $buf = do { local $/; <$fh> } // '';
    my @commands;

    while (defined(my $length = Test::Nginx::Resp::whole(\$buf))) {
        my $command = substr $buf, 0, $length, '';
        push @commands, Test::Nginx::Resp::take(\$command);
    }

    # the signs of life of hosts come when they come

    @commands = grep { !grep { /\{fleet\}\z/ } @$_ } @commands;

    return grep { !defined $name || uc $_->[0] eq uc $name } @commands;
}


sub _serve {
    my ($fake) = @_;

    my $test = getppid();
    my $select = IO::Select->new($fake->{listen}, $fake->{control});

    Test::Nginx::Process::forget();
    $SIG{PIPE} = 'IGNORE';
    $fake->{select} = $select;

    open $fake->{log}, '>>', $fake->{commands} or die "$!\n";
    binmode $fake->{log};
    $fake->{log}->autoflush(1);

    while (getppid() == $test) {
        for my $s ($select->can_read(_flush($fake))) {
            if ($s == $fake->{listen} || $s == $fake->{control}) {
                _accept($fake, $s);

            } elsif ($fake->{conns}{$s}) {
                _input($fake, $fake->{conns}{$s});
            }
        }
    }
}


sub _accept {
    my ($fake, $listen) = @_;

    my $s = $listen->accept() or return;
    my $control = $listen == $fake->{control};

    return close $s if !$control && $fake->{set}{refuse};

    setsockopt $s, IPPROTO_TCP, TCP_NODELAY, 1 if $s->isa('IO::Socket::INET');
    $s->blocking(0);

    $fake->{select}->add($s);
    $fake->{conns}{$s} = {
        socket => $s, control => $control, in => '', out => [], replies => 0,
        behind => defined $fake->{behind}
                  ? Test::Nginx::Resp->new(port => $fake->{behind}) : undef,
    };
}


sub _close {
    my ($fake, $conn) = @_;

    $fake->{select}->remove($conn->{socket});
    delete $fake->{conns}{ $conn->{socket} };
    close $conn->{socket};
}


sub _input {
    my ($fake, $conn) = @_;

    my $n = sysread $conn->{socket}, $conn->{in}, 65536, length $conn->{in};

    return _close($fake, $conn) if !$n && !$!{EAGAIN};

    while (defined(my $length = Test::Nginx::Resp::whole(\$conn->{in}))) {
        my $raw = substr $conn->{in}, 0, $length, '';
        my $args = Test::Nginx::Resp::take(\(my $copy = $raw));

        if ($conn->{control}) {
            _queue($conn, time(), _control($fake, @$args));
            next;
        }

        print { $fake->{log} } $raw;

        _answer($fake, $conn, $args);
        return if !$fake->{conns}{ $conn->{socket} };
    }
}


sub _control {
    my ($fake, $verb, $name, @values) = @_;

    if ($verb eq 'SET') {
        $fake->{set}{$name} = ($values[0] // '') eq '{'
                              ? { @values[1 .. $#values] } : $values[0];

    } elsif ($verb eq 'DROP') {
        _close($fake, $_)
            for grep { !$_->{control} } values %{ $fake->{conns} };

    } elsif ($verb eq 'CONNECTIONS') {
        return ':' . grep({ !$_->{control} } values %{ $fake->{conns} })
               . "\r\n";
    }

    return "+OK\r\n";
}


sub _answer {
    my ($fake, $conn, $args) = @_;

    my %set = %{ $fake->{set} };
    my $name = uc $args->[0];
    my $reply = _reply($fake, $conn, $name, $args);

    %set = () if defined $set{only} && uc $set{only} ne $name;

    $reply = $set{reply}{$name} // $set{reply}{'*'} // $reply if $set{reply};
    $reply = $set{garbage} if defined $set{garbage};

    my $n = $conn->{replies}++;

    return if $conn->{stalled};

    if (defined $set{stall_after} && $n >= $set{stall_after}) {
        $conn->{stalled} = 1;
        return;
    }

    return _close_later($conn)
        if defined $set{close_after} && $n >= $set{close_after};

    my $at = time() + ($set{delay} || 0);

    $reply = substr $reply, 0, length($reply) / 2 if $set{half};

    if ($set{split}) {
        for (my $i = 0; $i < length $reply; $i += $set{split}) {
            $at += 0.001;
            _queue($conn, $at, substr $reply, $i, $set{split});
        }

    } else {
        _queue($conn, $at, $reply);
    }

    if ($set{half}) {
        $conn->{stalled} = 1;
        _close_later($conn) if $set{half} eq 'close';
    }
}


# Replies leave in order, so none before the one ahead of it.

sub _queue {
    my ($conn, $at, $bytes) = @_;

    my $last = @{ $conn->{out} } ? $conn->{out}[-1][0] : 0;

    push @{ $conn->{out} }, [$at > $last ? $at : $last, $bytes];
}


sub _close_later { _queue($_[0], time(), undef) }


# Writes what is due; returns the time until more will be.

sub _flush {
    my ($fake) = @_;

    my $wait = 0.5;

    for my $conn (values %{ $fake->{conns} }) {
        my $out = $conn->{out};

        while (@$out) {
            my $left = $out->[0][0] - time();

            if ($left > 0) {
                $wait = $left if $left < $wait;
                last;
            }

            if (!defined $out->[0][1]) {
                _close($fake, $conn);
                last;
            }

            my $n = syswrite $conn->{socket}, $out->[0][1];

            if (!defined $n) {
                _close($fake, $conn) if !$!{EAGAIN};
                $wait = 0.01 if $!{EAGAIN};
                last;
            }

            substr $out->[0][1], 0, $n, '';
            shift @$out if $out->[0][1] eq '';

            # pieces stay pieces, however late this process is
            if ($fake->{set}{split} && @$out && !$conn->{control}) {
                my $next = time() + 0.001;

                $out->[0][0] = $next if $out->[0][0] < $next;
            }
        }
    }

    return $wait;
}


# What an honest Redis would say.

my %commands = (
    PING => sub { "+PONG\r\n" },
    AUTH => sub { "+OK\r\n" },
    SELECT => sub { "+OK\r\n" },
    CLIENT => sub { "+OK\r\n" },
    HELLO => sub { "-ERR unknown command 'HELLO'\r\n" },
    ECHO => sub { _bulk($_[1][1]) },
    GET => sub { _bulk($_[0]{ $_[1][1] }) },
    SET => sub { $_[0]{ $_[1][1] } = $_[1][2]; "+OK\r\n" },
    SETEX => sub { $_[0]{ $_[1][1] } = $_[1][3]; "+OK\r\n" },
    PSETEX => sub { $_[0]{ $_[1][1] } = $_[1][3]; "+OK\r\n" },
    DEL => sub { _number(\&_del, @_) },
    UNLINK => sub { _number(\&_del, @_) },
    EXISTS => sub { _number(sub { exists $_[0]{ $_[1] } }, @_) },
    INCR => sub { ':' . ++$_[0]{ $_[1][1] } . "\r\n" },
    EVALSHA => sub { "-NOSCRIPT No matching script. Please use EVAL.\r\n" },
    EVAL => sub { "*0\r\n" },
);


sub _reply {
    my ($fake, $conn, $name, $args) = @_;

    if ($conn->{behind}) {
        my $reply = $conn->{behind}->raw(@$args);
        return defined $reply ? $reply : "-ERR nobody behind\r\n";
    }

    return $commands{$name} ? $commands{$name}->($fake->{store}, $args)
                            : "-ERR unknown command '$name'\r\n";
}


sub _bulk {
    my ($value) = @_;
    return defined $value ? '$' . length($value) . "\r\n$value\r\n"
                          : "\$-1\r\n";
}


sub _number {
    my ($code, $store, $args) = @_;

    my $n = grep { $code->($store, $_) } @$args[1 .. $#$args];
    return ":$n\r\n";
}


sub _del {
    my ($store, $key) = @_;
    return defined delete $store->{$key};
}


1;
