package Test::Nginx::HTTP2;

# Copyright (C) The Optcache authors

# A small HTTP/2 client over cleartext with prior knowledge (RFC 9113): as many
# streams as a test wants on one connection, and a way to leave one.

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use Time::HiRes qw/ time /;

use Test::Nginx::Port qw/ port /;


use constant {
    DATA => 0, HEADERS => 1, RST_STREAM => 3, SETTINGS => 4, PING => 6,
    PUSH_PROMISE => 5, GOAWAY => 7, WINDOW_UPDATE => 8, CONTINUATION => 9,
    END_STREAM => 1, ACK => 1, END_HEADERS => 4, PADDED => 8, PRIORITY => 32,
    PREFACE => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    MAX_WINDOW => 0x7fffffff,
};

# the static table of HPACK (RFC 7541, appendix A); values of 8 .. 14 are 200,
# 204, 206, 304, 400, 404, 500
my @static = (undef, qw/
    :authority :method :method :path :path :scheme :scheme
    :status :status :status :status :status :status :status
    accept-charset accept-encoding accept-language accept-ranges accept
    access-control-allow-origin age allow authorization cache-control
    content-disposition content-encoding content-language content-length
    content-location content-range content-type cookie date etag expect
    expires from host if-match if-modified-since if-none-match if-range
    if-unmodified-since last-modified link location max-forwards
    proxy-authenticate proxy-authorization range referer refresh retry-after
    server set-cookie strict-transport-security transfer-encoding user-agent
    vary via www-authenticate
/);
my %static_value = (8 => 200, 9 => 204, 10 => 206, 11 => 304, 12 => 400,
                    13 => 404, 14 => 500, 16 => 'gzip, deflate');

# The Huffman code of HPACK (appendix B) is canonical, so that the lengths say
# it all: one letter a symbol, "a" is 5 bits.
my $lengths = 'isxxxxxxxtzxxzxxxxxxxxzxxxxxxxxxbffhibdgffdgdbbbaaabbbbbbbcdkbhf'
            . 'ibccccccccccccccccccccccdcdioijbkabababbbaccbbbabcbaabccccckgjix'
            . 'prpprrrsrssssststtrstssssqrsrsstrqprrssqsrrtqrssqqrqsrssprrrsrrs'
            . 'vvporsruvvvwwvtuoqvwwvwtqqvvxwwwptpqrqqsrruuttvsvwvvwwwwwxwwwwwv'
            . 'z';
my %huffman = _huffman();


sub _huffman {
    my (%symbols, $code);

    $code = 0;

    for my $length (5 .. 30) {
        my $letter = chr(ord('a') + $length - 5);

        for my $symbol (grep { substr($lengths, $_, 1) eq $letter } 0 .. 256) {
            $symbols{ sprintf "%0${length}b", $code++ } = chr $symbol
                if $symbol < 256;
        }

        $code <<= 1;
    }

    return %symbols;
}


# connect(port => 8080, initial => BYTES of a response that it takes at first)

sub connect {
    my ($class, %o) = @_;

    my $socket = IO::Socket::INET->new(
        PeerAddr => '127.0.0.1:' . port($o{port} || 8080),
    ) or return undef;

    my $self = bless {
        socket => $socket, buf => '', next => 1, streams => {},
        window => 65535, initial => 65535,
        timeout => $o{timeout} || 15,
    }, $class;

    binmode $socket;

    # no table to keep, and no need to ask for more data
    $self->_write(PREFACE . _frame(SETTINGS, 0, 0,
                      pack('nN', 1, 0)
                      . pack('nN', 4, $o{initial} // MAX_WINDOW))
                  . _frame(WINDOW_UPDATE, 0, 0, pack('N', MAX_WINDOW - 65535)));

    return $self;
}


# Sends a request and returns the number of its stream.  Options: method,
# host, headers, body; open => 1 leaves the stream open after the body.

sub send {
    my ($self, $uri, %o) = @_;

    my $id = $self->{next};
    my $body = $o{body} // '';
    my @fields = (
        [':method', $o{method} || 'GET'], [':scheme', 'http'],
        [':path', $uri], [':authority', $o{host} // 'localhost'],
    );

    for my $line (Test::Nginx::Client::field_lines($o{headers})) {
        my ($name, $value) = split /: ?/, $line, 2;
        push @fields, [lc $name, $value];
    }

    push @fields, ['content-length', length $body]
        if defined $o{body} && !$o{open};

    my $block = join '', map { "\0" . _string($_->[0]) . _string($_->[1]) }
                         @fields;
    my $more = $o{open} || $body ne '';

    $self->{next} += 2;
    $self->{streams}{$id} = {
        block => '', head => '', body => '', ended => 0,
        out => $body, open => $o{open}, window => $self->{initial},
    };

    $self->_write(_frame(HEADERS, END_HEADERS | ($more ? 0 : END_STREAM), $id,
                         $block));
    $self->_send_body($id);

    return $id;
}


# Ends what open => 1 left open.

sub end {
    my ($self, $id) = @_;

    $self->{streams}{$id}{open} = 0;
    $self->_write(_frame(DATA, END_STREAM, $id, ''));
}


# As much of a body as the windows allow; the rest when they are opened, while
# a response is waited for.

sub _send_body {
    my ($self, $id) = @_;

    my $stream = $self->{streams}{$id};

    while ($stream->{out} ne '') {
        my ($size) = sort { $a <=> $b } 16384, $self->{window},
                                        $stream->{window};

        return if $size <= 0;

        my $piece = substr $stream->{out}, 0, $size, '';
        my $last = $stream->{out} eq '' && !$stream->{open};

        $self->{window} -= length $piece;
        $stream->{window} -= length $piece;
        $self->_write(_frame(DATA, $last ? END_STREAM : 0, $id, $piece));
    }
}


# The response of a stream, in the form of HTTP/1: "HTTP/2 200", fields, body.
# Short if the stream was reset, empty if there was nothing.

sub response {
    my ($self, $id) = @_;

    my $stream = $self->{streams}{$id};
    my $until = time() + $self->{timeout};

    while (!$stream->{ended}) {
        $self->_read_frame($until) or last;
    }

    delete $self->{streams}{$id};

    return $stream->{head} eq '' ? ''
                                 : "$stream->{head}\r\n$stream->{body}";
}


# Waits for the header of a response.

sub head {
    my ($self, $id) = @_;

    my $until = time() + $self->{timeout};

    while ($self->{streams}{$id}{head} eq '' && $self->_read_frame($until)) {
        # void
    }

    return $self->{streams}{$id}{head};
}


# How many responses were promised that nobody has asked for; they are not
# taken.

sub pushed {
    my ($self) = @_;
    return $self->{pushed} || 0;
}


# Takes the rest of what was not taken at first.

sub widen {
    my ($self, $id) = @_;
    $self->_write(_frame(WINDOW_UPDATE, 0, $id, pack 'N', 1 << 30));
}


# RST_STREAM: the client does not want it any more.

sub reset {
    my ($self, $id) = @_;

    $self->{streams}{$id}{out} = '';
    $self->_write(_frame(RST_STREAM, 0, $id, pack 'N', 8));
}


sub close {
    my ($self) = @_;
    close $self->{socket};
}


sub _frame {
    my ($type, $flags, $id, $payload) = @_;

    return substr(pack('N', length $payload), 1)
           . pack('CCN', $type, $flags, $id) . $payload;
}


sub _write {
    my ($self, $data) = @_;

    local $SIG{PIPE} = 'IGNORE';

    my $sent = 0;

    while ($sent < length $data) {
        $sent += syswrite($self->{socket}, $data, 65536, $sent) // return;
    }
}


# Reads one frame and does what it asks for; false at the end.

sub _read_frame {
    my ($self, $until) = @_;

    $self->_fill(9, $until) or return 0;

    my ($high, $low, $type, $flags, $id) = unpack 'CnCCN', $self->{buf};
    my $length = $high << 16 | $low;

    $self->_fill(9 + $length, $until) or return 0;

    substr $self->{buf}, 0, 9, '';

    my $payload = substr $self->{buf}, 0, $length, '';

    if ($type == SETTINGS) {
        $self->_settings($payload) if !($flags & ACK);

    } elsif ($type == PING) {
        $self->_write(_frame(PING, ACK, 0, $payload)) if !($flags & ACK);

    } elsif ($type == GOAWAY) {
        # what is under way still ends
        $self->{goaway} = 1;

    } elsif ($type == WINDOW_UPDATE) {
        my $holder = $id ? $self->{streams}{$id} : $self;

        $holder->{window} += unpack 'N', $payload if $holder;
        $self->_send_body($_) for sort keys %{ $self->{streams} };

    } elsif ($type == PUSH_PROMISE) {
        $self->{pushed}++;

    } elsif (my $stream = $self->{streams}{$id}) {
        _stream_frame($stream, $type, $flags, $payload);
    }

    return 1;
}


sub _settings {
    my ($self, $payload) = @_;

    $self->_write(_frame(SETTINGS, ACK, 0, ''));

    while (length $payload) {
        my ($name, $value) = unpack 'nN', substr $payload, 0, 6, '';

        next if $name != 4;

        # SETTINGS_INITIAL_WINDOW_SIZE also moves the windows there are
        $_->{window} += $value - $self->{initial}
            for values %{ $self->{streams} };
        $self->{initial} = $value;
        $self->_send_body($_) for sort keys %{ $self->{streams} };
    }
}


sub _stream_frame {
    my ($stream, $type, $flags, $payload) = @_;

    if ($flags & PADDED && ($type == DATA || $type == HEADERS)) {
        my $padding = unpack 'C', substr $payload, 0, 1, '';
        substr $payload, length($payload) - $padding, $padding, '';
    }

    if ($type == DATA) {
        $stream->{body} .= $payload;

    } elsif ($type == HEADERS || $type == CONTINUATION) {
        substr $payload, 0, 5, '' if $type == HEADERS && $flags & PRIORITY;
        $stream->{block} .= $payload;

    } elsif ($type == RST_STREAM) {
        $stream->{ended} = 1;
        $stream->{out} = '';
    }

    if ($flags & END_HEADERS && $stream->{block} ne '') {
        $stream->{head} .= _decode($stream->{block});
        $stream->{block} = '';
    }

    $stream->{ended} = 1
        if $flags & END_STREAM && ($type == DATA || $type == HEADERS);
}


sub _fill {
    my ($self, $length, $until) = @_;

    while (length $self->{buf} < $length) {
        my $left = $until - time();

        return 0 if $left <= 0
                    || !IO::Select->new($self->{socket})->can_read($left)
                    || !sysread $self->{socket}, $self->{buf}, 65536,
                                length $self->{buf};
    }

    return 1;
}


sub _string {
    my ($string) = @_;
    return _integer(length $string, 7, 0) . $string;
}


sub _integer {
    my ($n, $bits, $flags) = @_;

    my $max = (1 << $bits) - 1;

    return chr($flags | $n) if $n < $max;

    my $out = chr($flags | $max);

    for ($n -= $max; $n >= 128; $n >>= 7) {
        $out .= chr($n & 127 | 128);
    }

    return $out . chr $n;
}


# A header block as the head of a response.

sub _decode {
    my ($block) = @_;

    my ($status, $lines) = ('', '');

    while ($block ne '') {
        my $first = ord $block;
        my ($name, $value);

        if ($first & 0x80) {
            my $index = _take_integer(\$block, 7);
            ($name, $value) = ($static[$index], $static_value{$index} // '');

        } elsif (($first & 0xe0) == 0x20) {
            _take_integer(\$block, 5);
            next;

        } else {
            my $index = _take_integer(\$block, $first & 0x40 ? 6 : 4);
            $name = $index ? $static[$index] : _take_string(\$block);
            $value = _take_string(\$block);
        }

        if ($name eq ':status') {
            $status = $value;

        } else {
            $lines .= "$name: $value\r\n";
        }
    }

    return "HTTP/2 $status\r\n$lines";
}


sub _take_integer {
    my ($block, $bits) = @_;

    my $max = (1 << $bits) - 1;
    my $n = ord(substr $$block, 0, 1, '') & $max;

    return $n if $n < $max;

    for (my $shift = 0; ; $shift += 7) {
        my $byte = ord substr $$block, 0, 1, '';
        $n += ($byte & 127) << $shift;
        return $n if $byte < 128;
    }
}


sub _take_string {
    my ($block) = @_;

    my $huffman = ord($$block) & 0x80;
    my $string = substr $$block, 0, _take_integer($block, 7), '';

    return $string if !$huffman;

    my ($out, $code) = ('', '');

    for my $bit (split //, unpack 'B*', $string) {
        $code .= $bit;

        if (defined $huffman{$code}) {
            $out .= $huffman{$code};
            $code = '';
        }
    }

    return $out;
}


1;
