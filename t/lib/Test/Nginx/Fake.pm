package Test::Nginx::Fake;

# Copyright (C) The Optcache authors

# Servers that do what a test tells them: any protocol, an HTTP backend, a
# FastCGI responder.  Each connection is served by a process of its own, so a
# slow one holds nobody up; what was asked is written to a file that the test
# can count.

use strict;
use warnings;

use base qw/ Test::Nginx::Process /;

use Fcntl qw/ :flock :seek /;
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Socket qw/ SOMAXCONN /;

use Test::Nginx::Port qw/ port /;


# run(PORT, sub { my ($socket, $n) = @_; ... }, dir => DIR)
#
# The code is called for connection number $n (from 1) and the connection is
# closed when it returns.

sub run {
    my ($class, $port, $code, %o) = @_;

    $port = port($port);

    my $listen = IO::Socket::INET->new(
        Proto => 'tcp', LocalAddr => "127.0.0.1:$port", Listen => SOMAXCONN,
        ReuseAddr => 1,
    ) or die "cannot listen on $port: $!\n";

    my $self = $class->start(
        name => "fake $port", log => "$o{dir}/fake-$port.out",
        code => sub { _serve($listen, $code) },
    );

    $self->{port} = $port;
    $self->{requests} = "$o{dir}/requests-$port";

    return $self;
}


sub _serve {
    my ($listen, $code) = @_;

    my $test = getppid();
    my $select = IO::Select->new($listen);
    my $n = 0;

    Test::Nginx::Process::forget();
    $SIG{CHLD} = 'IGNORE';
    $SIG{PIPE} = 'IGNORE';

    while (getppid() == $test) {
        next if !$select->can_read(1);

        my $socket = $listen->accept() or next;

        $n++;

        if (fork()) {
            close $socket;
            next;
        }

        close $listen;
        $SIG{CHLD} = 'DEFAULT';
        $SIG{ALRM} = 'DEFAULT';

        # whoever stalls on purpose is not to stall forever
        alarm(120);

        $socket->autoflush(1);
        binmode $socket;

        eval { $code->($socket, $n); 1 } or print STDERR $@;
        close $socket;
        POSIX::_exit(0);
    }
}


# stop() leaves connections to end by themselves: they are children of the
# child.

sub port_number { $_[0]->{port} }


# "METHOD URI" of each request so far, in order.

sub requests {
    my ($self, $re) = @_;

    open my $fh, '<', $self->{requests} or return ();
    chomp(my @lines = <$fh>);

    return defined $re ? grep { $_ =~ $re } @lines : @lines;
}


sub count {
    my ($self, $re) = @_;

    my @lines = $self->requests($re);
    return scalar @lines;
}


# Writes one line and returns how many of the same there are now.

sub _book {
    my ($file, $line) = @_;

    open my $fh, '+>>', $file or die "$file: $!\n";
    flock $fh, LOCK_EX;
    seek $fh, 0, SEEK_SET;

    my $n = 1 + grep { $_ eq "$line\n" } <$fh>;

    print $fh "$line\n";
    close $fh;

    return $n;
}


# run_http(PORT, sub { my ($req) = @_; ... }, dir => DIR)
#
# $req has method, uri, version, headers ({name in lower case => value}),
# body, count (of the same method and URI, this one included) and socket.
# The code returns a body, or [STATUS, {FIELD => VALUE or [VALUES]} or
# ["FIELD: VALUE"], BODY], or undef if it wrote what it wanted to the socket,
# which is then closed.

sub run_http {
    my ($class, $port, $code, %o) = @_;

    my $file = "$o{dir}/requests-" . port($port);

    return $class->run($port, sub {
        my ($socket) = @_;

        while (my $req = _http_read($socket)) {
            $req->{socket} = $socket;
            $req->{count} = _book($file, "$req->{method} $req->{uri}");

            my $response = $code->($req);

            return if !defined $response;

            my $keep = $req->{version} eq '1.1'
                       && ($req->{headers}{connection} // '') !~ /close/i;

            print $socket http_response($req, $response, $keep);
            return if !$keep;
        }
    }, %o);
}


sub _http_read {
    my ($socket) = @_;

    local $/ = "\r\n";

    my $line = <$socket> // return;
    my ($method, $uri, $version) = $line =~ m{^(\S+) (\S+) HTTP/([0-9.]+)}
        or return;
    my %headers;

    while (defined($line = <$socket>) && $line ne "\r\n") {
        chomp $line;
        my ($name, $value) = split /:\s*/, $line, 2;
        $name = lc $name;
        $headers{$name} = defined $headers{$name} ? "$headers{$name}, $value"
                                                  : $value;
    }

    my $body = '';

    if ($headers{'content-length'}) {
        read $socket, $body, $headers{'content-length'};

    } elsif (($headers{'transfer-encoding'} // '') =~ /chunked/i) {
        while (defined($line = <$socket>) && hex($line =~ s/\r\n//r)) {
            read $socket, my $chunk, hex($line =~ s/\r\n//r);
            $body .= $chunk;
            <$socket>;
        }
        <$socket>;
    }

    return { method => $method, uri => $uri, version => $version,
             headers => \%headers, body => $body };
}


# The bytes of a response with its Content-Length.

sub http_response {
    my ($req, $response, $keep) = @_;

    my ($status, $fields, $body) = ref $response ? @$response
                                                 : (200, {}, $response);
    my @lines = Test::Nginx::Client::field_lines($fields);

    $body //= '';

    push @lines, 'Content-Length: ' . length $body
        unless $status =~ /^(1..|204|304)$/
               || grep { /^(content-length|transfer-encoding):/i } @lines;
    push @lines, 'Connection: close' if !$keep;

    $body = '' if $req->{method} eq 'HEAD';

    return join("\r\n", "HTTP/1.1 $status Status", @lines, '', '') . $body;
}


# run_fastcgi(PORT, sub { my ($params, $body) = @_; ... }, dir => DIR)
#
# The code returns a CGI response ("Status: 200 OK\r\nX: y\r\n\r\nbody").

sub run_fastcgi {
    my ($class, $port, $code, %o) = @_;

    my $file = "$o{dir}/requests-" . port($port);

    return $class->run($port, sub {
        my ($socket) = @_;

        while (my ($id, $flags, $params, $body) = _fastcgi_read($socket)) {
            _book($file, ($params->{REQUEST_METHOD} // '-') . ' '
                         . ($params->{REQUEST_URI} // '-'));

            my $out = $code->($params, $body);
            return if !defined $out;

            while (length $out) {
                print $socket _fastcgi_record(6, $id, substr $out, 0, 8192, '');
            }

            print $socket _fastcgi_record(6, $id, ''),
                          _fastcgi_record(3, $id, pack 'NCx3', 0, 0);

            return if !($flags & 1);
        }
    }, %o);
}


sub _fastcgi_record {
    my ($type, $id, $content) = @_;

    return pack('CCnnCx', 1, $type, $id, length $content, 0) . $content;
}


# (id, flags, params, body) of the next request

sub _fastcgi_read {
    my ($socket) = @_;

    my ($id, $flags, $params, $body) = (0, 0, '', '');

    while ((read($socket, my $head, 8) // 0) == 8) {
        (undef, my $type, $id, my $length, my $pad) = unpack 'CCnnC', $head;

        my $content = '';

        read $socket, $content, $length if $length;
        read $socket, my $unused, $pad if $pad;

        if ($type == 1) {
            $flags = unpack 'x2C', $content;

        } elsif ($type == 4) {
            $params .= $content;

        } elsif ($type == 5) {
            return ($id, $flags, _fastcgi_params($params), $body)
                if $length == 0;
            $body .= $content;
        }
    }

    return ();
}


sub _fastcgi_params {
    my ($data) = @_;

    my (%params, @length);

    while (length $data) {
        for my $i (0, 1) {
            $length[$i] = unpack('C', $data) & 0x80
                          ? unpack('N', substr $data, 0, 4, '') & 0x7fffffff
                          : unpack('C', substr $data, 0, 1, '');
        }

        my $name = substr $data, 0, $length[0], '';
        $params{$name} = substr $data, 0, $length[1], '';
    }

    return \%params;
}


1;
