package Test::Nginx::Hosts;

# Copyright (C) The Optcache authors

# Four hosts with one configuration and one Redis, which know of each other.

use strict;
use warnings;

use Test::Nginx;


my @ports = (8080, 8081, 8082, 8083);


# The configuration is that of the first host; the others listen on 8081,
# 8082 and 8083 instead of 8080.

sub new {
    my ($class, $conf) = @_;

    my $self = bless {
        hosts => [map { Test::Nginx->new(log => 'info') } @ports],
    }, $class;

    $self->{hosts}[0]->has_program('redis-server');

    for my $i (0 .. $#ports) {
        my $host = $self->{hosts}[$i];

        $host->write_file('x', 'SEE-THIS');
        $host->write_file_expand('nginx.conf',
            $conf =~ s/127\.0\.0\.1:8080\b/127.0.0.1:$ports[$i]/gr);
    }

    return $self;
}


sub plan {
    my ($self, $n) = @_;

    $self->{hosts}[0]->plan($n);
    return $self;
}


sub ports { return [@ports] }


# Starts a Redis and the hosts; returns it when each of them shares with four.

sub run {
    my ($self, %o) = @_;

    my $redis = $self->{hosts}[0]->run_redis(%o);

    $_->run() for @{ $self->{hosts} };

    die "the hosts have not met\n" unless $self->met($redis);

    return $redis;
}


# Waits until all hosts have been seen and each was told so: it speaks once a
# second, and hears how many there are.

sub met {
    my ($self, $redis) = @_;

    wait_for(sub { hosts($redis) == @ports }, 20) or return 0;

    my $calls = $redis->calls('zadd');

    # of those that follow one another within a second none is left out
    return wait_for(sub { $redis->calls('zadd') >= $calls + @ports }, 20);
}


sub hosts {
    my ($redis) = @_;

    return $redis->cmd('ZCOUNT', 'rl:{fleet}', '1000000000000', '+inf');
}


# Host i begins anew, knowing nothing.

sub restart {
    my ($self, $i) = @_;

    $self->{hosts}[$i]->stop();
    $self->{hosts}[$i]->run();
}


sub log_count {
    my ($self, $re) = @_;

    my $n = 0;
    $n += $_->log_count($re) for @{ $self->{hosts} };

    return $n;
}


1;
