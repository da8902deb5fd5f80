package Test::Nginx::Outbox;

# Copyright (C) The Optcache authors

# What the tests of optcache_postgres have in common: the outbox, a gateway
# that reads it, and somebody between it and the server.

use strict;
use warnings;

use base qw/ Exporter /;

our @EXPORT = qw/ install gateway listens rows tags line say_to /;

use IO::Handle;
use IO::Select;
use IO::Socket::INET;
use Test::Nginx;


sub install {
    my ($t, $pg) = @_;

    $pg->query($t->read_file($t->source_dir() . '/docs/optcache.sql'));
}


# gateway($t, postgres => CONNINFO, workers => 2, port => 8080,
#         http => 'directives of http')
#
# What it caches is at port 8090.

sub gateway {
    my ($t, %o) = @_;

    my $workers = $o{workers} || 1;
    my $port = $o{port} || 8080;
    my $http = $o{http} || '';

    $http = "optcache_postgres \"$o{postgres}\"; $http" if $o{postgres};

    $t->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

worker_processes $workers;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    $http

    server {
        listen 127.0.0.1:$port;

        location / {
            optcache c;
            optcache_headers x;
            proxy_pass http://127.0.0.1:8090;
        }
    }
}

EOC
}


# Waits until the outbox has been read for the n-th time by one that begins.

sub listens {
    my ($t, $n) = @_;

    return wait_for(sub {
        $t->log_count(qr/optcache postgres reads from/) >= ($n || 1)
    }, 30);
}


# The numbers of the rows that were told, in order; or those that will be as
# soon as there are n.

sub rows {
    my ($t, $n) = @_;

    my @rows;

    wait_for(sub {
        @rows = $t->error_log() =~ /optcache postgres row (\d+)/g;
        return @rows >= $n;
    }, 30) if defined $n;

    @rows = $t->error_log() =~ /optcache postgres row (\d+)/g;

    return join ' ', @rows;
}


# A statement that invalidates tags.

sub tags { join ' ', map { "SELECT optcache.invalidate('tag', '$_');" } @_ }


# line($t, $pg, PORT): leads to the server from this port.  set() says how it
# is from then on:
#
#     open    all is passed on
#     cut     nothing is, and connections are closed
#     stall   nothing is
#     deaf    all but notifications
#     pool    all, but the server has another process id

sub line {
    my ($t, $pg, $port) = @_;

    my $self = bless { file => $t->testdir() . "/line-$port" }, __PACKAGE__;

    $self->{t} = $t;
    $self->set('open');
    $t->run_fake($port, sub { $self->_pass($_[0], $pg->port_number()) });

    return $self;
}


sub set {
    my ($self, $mode) = @_;

    $self->{t}->write_file("$self->{file}.new", $mode);
    rename "$self->{file}.new", $self->{file} or die "rename: $!\n";
}


sub _mode { $_[0]->{t}->read_file($_[0]->{file}) }


sub _pass {
    my ($self, $client, $port) = @_;

    return if $self->_mode() eq 'cut';

    my $server = IO::Socket::INET->new(Proto => 'tcp',
                                       PeerAddr => "127.0.0.1:$port")
        or return;

    my $select = IO::Select->new($client, $server);
    my $messages = '';

    while (1) {
        my @ready = $select->can_read(0.02);
        my $mode = $self->_mode();

        return if $mode eq 'cut';
        next if $mode eq 'stall';

        for my $from (@ready) {
            sysread($from, my $bytes, 65536) or return;

            if ($from == $client) {
                syswrite $server, $bytes;
                next;
            }

            $messages .= $bytes;
            syswrite $client, _messages(\$messages, $mode);
        }
    }
}


# Whole messages of the server: a letter, a length.

sub _messages {
    my ($in, $mode) = @_;

    my $out = '';

    while (length $$in >= 5) {
        my ($type, $len) = unpack 'a1 N', $$in;

        last if length $$in < 1 + $len;

        my $message = substr $$in, 0, 1 + $len, '';

        next if $type eq 'A' && $mode eq 'deaf';

        substr $message, 5, 4, pack 'N', 1
            if $type eq 'K' && $mode eq 'pool';

        $out .= $message;
    }

    return $out;
}


# To a session of psql, which is what open() gives.

sub say_to {
    my ($session, $text) = @_;

    print $session "\\o /dev/null\n$text\n";
    $session->flush();
}


1;
