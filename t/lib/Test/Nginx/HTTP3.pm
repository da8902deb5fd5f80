package Test::Nginx::HTTP3;

# Copyright (C) The Optcache authors

# A client of HTTP/3: streams that it may leave, and requests in early data
# (0-RTT, RFC 9001, 4.6).
#
#   my $h3 = Test::Nginx::HTTP3->new(8443);
#
# before run(), for it leaves the port's datagrams to nginx, which has
#
#   listen 127.0.0.1:8443 quic;
#
# It is a small program in Python on aioquic; without that the test is skipped.

use strict;
use warnings;

use IPC::Open2;
use JSON::PP qw/ decode_json encode_json /;
use MIME::Base64;

use Test::Nginx::Client ();
use Test::Nginx::Port qw/ port leave_datagrams /;


sub new {
    my ($class, $port) = @_;

    Test::More::plan(skip_all => 'aioquic for python3 not found')
        if system("python3 -c 'import aioquic' >/dev/null 2>&1") != 0;

    leave_datagrams($port);

    my $self = bless { port => port($port) }, $class;

    (my $program = __FILE__) =~ s/HTTP3\.pm$/http3.py/;

    $self->{pid} = open2($self->{out}, $self->{in}, 'python3', '-B', $program,
                         $self->{port});

    return $self;
}


# Opens a connection, the only one from now on.  The requests, arrays of what
# send() takes, are sent before the handshake, by what an earlier connection
# was given for that; their streams are returned.  Nothing that comes is looked
# at then before release(), so that the handshake stays as it is.

sub connect {
    my ($self, @early) = @_;
    return @{ $self->_do(connect =>
                         early => [map { _request(@$_) } @early])->{ids} };
}


# Completes it; returns whether the requests were taken as early data.

sub release {
    my ($self) = @_;
    return $self->_do('release')->{early};
}


# Sends a request and returns the number of its stream.  Options: method, host,
# headers, body; open => 1 leaves the stream open after the body.

sub send {
    my ($self, $uri, %o) = @_;
    return $self->_do(send => request => _request($uri, %o))->{id};
}


# The response of a stream, as that of Test::Nginx::HTTP2.

sub response {
    my ($self, $id) = @_;

    my $answer = $self->_do(response => id => $id);

    return $answer->{head} eq ''
           ? '' : "$answer->{head}\r\n" . decode_base64($answer->{body});
}


sub get {
    my ($self, $uri, %o) = @_;
    return $self->response($self->send($uri, %o));
}


# The client does not want it any more.

sub reset {
    my ($self, $id) = @_;
    $self->_do(reset => id => $id);
}


# At the end of a test, too: nginx would wait for a client that is gone.

sub close {
    my ($self) = @_;
    $self->_do('close');
}


sub _request {
    my ($uri, %o) = @_;

    my @fields = map { my ($name, $value) = split /: ?/, $_, 2;
                       [lc $name, $value] }
                 Test::Nginx::Client::field_lines($o{headers});

    push @fields, ['content-length', '' . length $o{body}]
        if defined $o{body} && !$o{open};

    return {
        uri => $uri, method => $o{method} || 'GET',
        host => $o{host} // 'localhost', fields => \@fields,
        body => encode_base64($o{body} // '', ''), open => $o{open} ? 1 : 0,
    };
}


sub _do {
    my ($self, $command, %o) = @_;

    local $SIG{PIPE} = 'IGNORE';

    my ($in, $out) = @$self{qw/ in out /};

    print $in encode_json({ do => $command, %o }), "\n";
    $in->flush();

    return decode_json(<$out> // die "no answer to \"$command\"\n");
}


sub DESTROY {
    my ($self) = @_;

    local $?;

    # others that this process has started may hold its input
    kill 'KILL', $self->{pid};
    waitpid $self->{pid}, 0;
}


1;
