package Test::Nginx::Client;

# Copyright (C) The Optcache authors

# An HTTP client that hides nothing: a response is the string that came over
# the wire, status(), header() and body() read it.

use strict;
use warnings;

use base qw/ Exporter /;

our @EXPORT = qw/
    http http_get http_head http_post http_request http_connect http_end
    http_read http2_get status header headers body gunzip
/;

use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use IO::Uncompress::Gunzip ();
use Time::HiRes qw/ time /;

use Test::Nginx::HTTP2;
use Test::Nginx::Port qw/ port /;


our $timeout = 15;


# Options of all requests:
#   port => 8080       where to (as named in the configuration), or
#   unix => PATH       a unix socket, or
#   socket => $s       a connection that is open already
#   host => NAME       the Host field, default "localhost"
#   headers => {}, []  more fields: a hash, or a list of lines
#   body => STRING     sent after the header, with its Content-Length
#   version => '1.0'   default 1.1
#   keepalive => 1     do not ask to close; read one response by its length
#   start => 1         only send; returns the socket for http_end()

sub http_get {
    my ($uri, %o) = @_;
    return http_request('GET', $uri, %o);
}


sub http_head {
    my ($uri, %o) = @_;
    return http_request('HEAD', $uri, %o);
}


sub http_post {
    my ($uri, %o) = @_;
    return http_request('POST', $uri, body => '', %o);
}


sub http_request {
    my ($method, $uri, %o) = @_;

    my $version = delete $o{version} || '1.1';
    my $host = delete $o{host} // 'localhost';
    my @lines = ("$method $uri HTTP/$version", "Host: $host",
                 field_lines(delete $o{headers}));

    push @lines, 'Connection: close' unless $o{keepalive};
    push @lines, 'Content-Length: ' . length $o{body} if defined $o{body};

    return http(join("\r\n", @lines, '', ''), head => $method eq 'HEAD', %o);
}


sub field_lines {
    my ($headers) = @_;

    return () unless $headers;
    return @$headers if ref $headers eq 'ARRAY';

    return map {
        my $name = $_;
        my $v = $headers->{$name};
        map { "$name: $_" } ref $v ? @$v : $v;
    } sort keys %$headers;
}


# Sends the bytes as they are and returns all that comes back.

sub http {
    my ($request, %o) = @_;

    my $s = $o{socket} || http_connect(%o);

    return undef unless $s;

    _write($s, $request . ($o{body} // ''));

    return $s if $o{start};
    return http_read($s, %o) if $o{keepalive};
    return http_end($s);
}


sub http_connect {
    my (%o) = @_;

    return IO::Socket::UNIX->new(Peer => $o{unix}) if $o{unix};

    return IO::Socket::INET->new(
        Proto => 'tcp',
        PeerAddr => $o{addr} || '127.0.0.1',
        PeerPort => port($o{port} || 8080),
    );
}


# Everything up to the close (or the time limit, which shows as a short
# response).

sub http_end {
    my ($s) = @_;

    return $s->response(1) if ref $s eq 'Test::Nginx::HTTP2';

    my $data = delete(_state($s)->{ahead}) // '';
    my $until = time() + $timeout;

    while (defined(my $more = _read($s, $until))) {
        last if $more eq '';
        $data .= $more;
    }

    close $s;
    return $data;
}


# One response by its length, and no byte of the next.  With head => 1 it is
# known to have no body.

sub http_read {
    my ($s, %o) = @_;

    my $data = delete(_state($s)->{ahead}) // '';
    my $until = time() + ($o{timeout} || $timeout);
    my $length;

    while (!defined($length = _response_length($data, $o{head}))
           || length $data < $length)
    {
        my $more = _read($s, $until);
        return $data if !defined $more || $more eq '';
        $data .= $more;
    }

    _state($s)->{ahead} = substr $data, $length;
    return substr $data, 0, $length;
}


sub _response_length {
    my ($data, $head) = @_;

    return undef unless $data =~ /\r\n\r\n/;

    my $start = $+[0];
    my $status = status($data);

    return $start if $head || $status =~ /^(1..|204|304)$/;

    if ((header($data, 'Transfer-Encoding') // '') =~ /chunked/i) {
        my (undef, $end) = _dechunk($data, $start);
        return $end;
    }

    my $length = header($data, 'Content-Length');

    return defined $length ? $start + $length : undef;
}


sub _state { my $s = shift; return \%{ ${*$s}{optcache_test} ||= {} } }


sub _write {
    my ($s, $data) = @_;

    local $SIG{PIPE} = 'IGNORE';

    my $select = IO::Select->new($s);
    my $until = time() + $timeout;
    my $sent = 0;

    while ($sent < length $data) {
        last if !$select->can_write($until - time());
        my $n = syswrite $s, $data, 65536, $sent;
        last if !defined $n;
        $sent += $n;
    }

    return $sent;
}


# undef: no more (error or time limit); '': closed

sub _read {
    my ($s, $until) = @_;

    my $left = $until - time();

    return undef if $left <= 0 || !IO::Select->new($s)->can_read($left);

    my $n = sysread $s, my $buf, 65536;

    return defined $n ? $buf : undef;
}


# The same by HTTP/2 without TLS; the response has the same form, with
# "HTTP/2 200" as the status line.  Options: port, host, headers, body, and
# method; start => 1 only sends, http_end() reads what it returns.
#
# For several requests on one connection see Test::Nginx::HTTP2.

sub http2_get {
    my ($uri, %o) = @_;

    my $h2 = Test::Nginx::HTTP2->connect(%o) or return undef;

    $h2->send($uri, %o);

    return $o{start} ? $h2 : http_end($h2);
}


sub status {
    my ($response) = @_;

    return ($response // '') =~ m{^HTTP/[0-9.]+ (\d{3})} ? $1 : '';
}


# In list context all values of a field; in scalar context the first.

sub header {
    my ($response, $name) = @_;

    my @values = map { $_->[1] }
                 grep { lc $_->[0] eq lc $name } headers($response);

    return wantarray ? @values : $values[0];
}


# All fields in order: ([name, value], ...)

sub headers {
    my ($response) = @_;

    my ($head) = split /\r\n\r\n/, $response // '', 2;
    my (undef, @lines) = split /\r\n/, $head // '';

    return map { /^([^:]*):[ \t]*(.*?)[ \t]*$/s ? [$1, $2] : () } @lines;
}


# The body, out of its chunks if it came in chunks.  A chunked body that is
# not complete is undef.

sub body {
    my ($response) = @_;

    return undef unless ($response // '') =~ /\r\n\r\n/;

    my $start = $+[0];

    return substr $response, $start
        unless (header($response, 'Transfer-Encoding') // '') =~ /chunked/i;

    my ($body) = _dechunk($response, $start);
    return $body;
}


# (body, where it ends), or nothing if it has not ended

sub _dechunk {
    my ($data, $pos) = @_;

    my $body = '';

    pos($data) = $pos;

    while ($data =~ /\G([0-9a-f]+)[^\r\n]*\r\n/gci) {
        my $size = hex $1;
        my $at = pos $data;

        if ($size == 0) {
            return $data =~ /\G(?:[^\r\n]+\r\n)*\r\n/gc ? ($body, pos $data)
                                                        : ();
        }

        return () if length $data < $at + $size + 2;

        $body .= substr $data, $at, $size;
        pos($data) = $at + $size + 2;
    }

    return ();
}


# undef if it is not gzip, or not all of it.

sub gunzip {
    my ($in) = @_;

    return undef unless defined $in && length $in;

    IO::Uncompress::Gunzip::gunzip(\$in, \my $out) or return undef;
    return $out;
}


1;
