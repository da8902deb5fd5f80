package Test::Nginx::Gate;

# Copyright (C) The Optcache authors

# A backend that answers when it is told to, so that requests can be made to
# wait for it, all of them, before it does.  Needs "stub_status" at port 8082.

use strict;
use warnings;

use Test::Nginx;

# Gate->new($t), Gate->new($t, 'name')

sub new {
    my ($class, $t, $name) = @_;

    return bless {
        t => $t, file => $t->testdir() . '/gate-' . ($name // 'open'),
    }, $class;
}


sub open {
    my ($self) = @_;

    CORE::open(my $fh, '>', $self->{file}) or die "$self->{file}: $!\n";
    CORE::close($fh);
}


sub close { unlink $_[0]->{file} }


# In the backend: returns when it is open.

sub pass {
    my ($self) = @_;
    return Test::Nginx::wait_for(sub { -e $self->{file} }, 30);
}


# Returns when nginx works on n requests, besides the one that asks it.

sub busy {
    my ($self, $n) = @_;

    Test::Nginx::wait_for(sub {
        my $r = Test::Nginx::Client::http_get('/', port => 8082) // '';
        return $r =~ /Writing: (\d+)/ && $1 == $n + 1;
    }, 20) or die "nginx does not work on $n requests\n";
}


# The answers to requests that are all there when the gate is opened: each is
# what http_get(.., start => 1) returns.

sub answers {
    my ($self, @started) = @_;

    $self->busy(scalar @started);

    return $self->opened(@started);
}


# The same for those that are there already.

sub opened {
    my ($self, @started) = @_;

    $self->open();
    my @r = map { Test::Nginx::Client::http_end($_) } @started;
    $self->close();

    return @r;
}


1;
