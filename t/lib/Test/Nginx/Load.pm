package Test::Nginx::Load;

# Copyright (C) The Optcache authors

# Many connections that ask at the same time, from a process of their own, and
# an exact count of what they were told.

use strict;
use warnings;

use Errno qw/ EAGAIN EINTR EINPROGRESS /;
use IO::Handle;
use Socket;
use Time::HiRes qw/ sleep time /;

use Test::Nginx::Port qw/ port /;
use Test::Nginx::Process;


# start(ports => [8080, ..], uris => ['/x?a=1', ..], n => 20000,
#       connections => 64 (to each port), tell => 'X-Status',
#       rate => requests a second, as fast as it goes unless given)
#
# "n" requests are spread over the ports evenly and take the URIs in turn.  A
# connection that breaks counts as an error, and another one takes its place.

sub start {
    my ($class, %o) = @_;

    pipe(my $read, my $write) or die "pipe() failed: $!\n";

    my $self = bless {
        read => $read, text => '', passed => 0, done => 0,
        count => {}, tell => {}, ports => {}, errors => 0, first => {},
    }, $class;

    $self->{process} = Test::Nginx::Process->start(code => sub {
        close $read;
        $write->autoflush(1);
        _load($write, %o);
        close $write;
    }, log => $o{log});

    close $write;
    $read->blocking(0);

    return $self;
}


# The whole of it: start() and finish().

sub run { return start(@_)->finish() }


# Waits until sub->($load) is true: $load->{passed} is the number of 2xx so
# far, $load->{done} that of all answers.  False if it ended before.

sub until {
    my ($self, $sub, $seconds) = @_;

    my $until = time() + ($seconds || 60);

    while (!$sub->($self)) {
        return 0 if time() > $until || $self->{ended};
        $self->_hear() or sleep 0.002;
    }

    return 1;
}


# Waits for the end.  Then there are, besides "passed", "done" and "errors":
# count->{URI}{STATUS}, tell->{URI}{"STATUS VALUE"} of the header "tell",
# ports->{PORT}{STATUS} under the names of the ports.

sub finish {
    my ($self, $seconds) = @_;

    $self->until(sub { 0 }, $seconds || 120);
    die "the load did not end\n" unless $self->{ended};

    $self->{process}->wait_end();

    return $self;
}


# Ends it before its time; nothing is known of it then.

sub stop { return $_[0]->{process}->kill_hard() }


# "200:1000 429:19000"

sub text {
    my ($self, $uri) = @_;

    my $count = $self->{count}{$uri};
    return join ' ', map { "$_:$count->{$_}" } sort keys %$count;
}


sub passed { return $_[0]->{count}{ $_[1] }{200} || 0 }


# The answers whose "tell" is like that.

sub told {
    my ($self, $uri, $re) = @_;

    my $tell = $self->{tell}{$uri};
    my $n = 0;

    $n += $tell->{$_} for grep { $_ =~ $re } keys %$tell;

    return $n;
}


sub _hear {
    my ($self) = @_;

    my $n = sysread($self->{read}, $self->{text}, 65536, length $self->{text});

    return 0 unless defined $n;

    $self->{ended} = 1 if $n == 0;

    while ($self->{text} =~ s/^([^\n]*)\n//) {
        my ($kind, @w) = split /\t/, $1;

        if ($kind eq 'progress') {
            @$self{qw/ passed done /} = @w;

        } elsif ($kind eq 'errors') {
            $self->{errors} = $w[0];

        } else {
            $self->{$kind}{$w[0]}{$w[1]} = $w[2];
        }
    }

    return 1;
}


# In the child.

sub _load {
    my ($out, %o) = @_;

    my @names = @{ $o{ports} };
    my @uris = @{ $o{uris} };
    my $tell = $o{tell} ? qr/^\Q$o{tell}\E: *([^\r\n]*)/mi : undef;
    my (@conns, %result, @idle);
    my ($sent, $done, $passed, $errors, $told) = (0, 0, 0, 0, 0);
    my $n = $o{n};
    my ($rin, $begin) = ('', time());
    my @requests = map { "GET $_ HTTP/1.1\r\nHost: localhost\r\n\r\n" } @uris;

    my $open = sub {
        my ($name) = @_;

        socket(my $s, PF_INET, SOCK_STREAM, 0) or die "socket() failed: $!\n";
        connect($s, pack_sockaddr_in(port($name), INADDR_LOOPBACK))
            or die "connect() failed: $!\n";
        $s->blocking(0);

        my $c = { socket => $s, name => $name, buffer => '' };
        $conns[fileno $s] = $c;
        return $c;
    };

    for (1 .. $o{connections} || 64) {
        push @idle, $open->($_) for @names;
    }

    my $send = sub {
        my ($c) = @_;

        $c->{uri} = $sent++ % @uris;
        vec($rin, fileno $c->{socket}, 1) = 1;

        # a request is far shorter than what a socket takes
        syswrite $c->{socket}, $requests[$c->{uri}];
    };

    my $end = sub {
        my ($c, $text) = @_;

        my ($status) = $text =~ m{^HTTP/1\.1 (\d+)};

        if (defined $status) {
            my $uri = $uris[$c->{uri}];

            $result{count}{$uri}{$status}++;
            $result{ports}{ $c->{name} }{$status}++;
            $result{tell}{$uri}{"$status " . ($text =~ $tell ? $1 : '')}++
                if $tell;
            $passed++ if $status =~ /^2/;

        } else {
            $errors++;
        }

        $done++;

        vec($rin, fileno $c->{socket}, 1) = 0;

        if (!defined $status || $text =~ /^Connection: close/mi) {
            $conns[fileno $c->{socket}] = undef;
            my $name = $c->{name};
            close $c->{socket};
            $c = $open->($name);
        }

        push @idle, $c;
    };

    while ($done < $n) {
        my $may = $n;

        if ($o{rate}) {
            $may = int((time() - $begin) * $o{rate}) + 1;
            $may = $n if $may > $n;
        }

        $send->(shift @idle) while @idle && $sent < $may;

        my $found = select(my $ready = $rin, undef, undef, 0.01);

        for my $fd ($found > 0 ? 0 .. 8 * length($ready) - 1 : ()) {
            next unless vec($ready, $fd, 1);

            my $c = $conns[$fd];
            my $got = sysread $c->{socket}, $c->{buffer}, 16384,
                              length $c->{buffer};

            next if !defined $got && ($!{EAGAIN} || $!{EINTR});

            if (!$got) {
                $end->($c, '');
                next;
            }

            my $body = index($c->{buffer}, "\r\n\r\n");

            next if $body < 0;

            my ($length) = $c->{buffer} =~ /^Content-Length: *(\d+)/mi;

            next if length($c->{buffer}) < $body + 4 + ($length || 0);

            my $text = $c->{buffer};
            $c->{buffer} = '';
            $end->($c, $text);
        }

        if ($done - $told >= 20 || $done == $n) {
            $told = $done;
            print $out "progress\t$passed\t$done\n";
        }
    }

    print $out "errors\t$errors\n";

    for my $kind (keys %result) {
        for my $name (keys %{ $result{$kind} }) {
            my $count = $result{$kind}{$name};
            print $out "$kind\t$name\t$_\t$count->{$_}\n" for keys %$count;
        }
    }
}


1;
