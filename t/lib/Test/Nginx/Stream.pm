package Test::Nginx::Stream;

# Copyright (C) The Optcache authors

# Two hosts with a cache each and one Redis, whose origin never says the same
# twice.

use strict;
use warnings;

use Test::Nginx;
use Time::HiRes qw/ time /;


my @ports = (8080, 8090);


# new(redis => "URL ..", workers => 1): the rest of optcache_redis_server

sub new {
    my ($class, %o) = @_;

    my $redis = $o{redis} || 'redis://127.0.0.1:6379 timeout=5s';
    my $workers = $o{workers} || 1;
    my $self = bless { hosts => [map { Test::Nginx->new() } @ports] }, $class;

    $self->{hosts}[0]->has('http_proxy')->has_program('redis-server');

    for my $i (0 .. $#ports) {
        $self->{hosts}[$i]->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

worker_processes $workers;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache_redis_server $redis;

    server {
        listen 127.0.0.1:$ports[$i];

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
            proxy_set_header Host \$host;
        }
    }
}

EOC
    }

    return $self;
}


sub plan {
    my ($self, $n) = @_;

    $self->{hosts}[0]->plan($n);
    return $self;
}


sub host { return $_[0]->{hosts}[$_[1]] }


# Starts the origin and both hosts.

sub run {
    my ($self) = @_;

    $self->host(0)->run_http_backend(8081, sub {
        return [200, { 'Cache-Control' => 'max-age=3600' },
                sprintf '%.6f', time()];
    });

    $_->run() for @{ $self->{hosts} };

    return $self;
}


# What a host answers, the time that it is of.

sub get {
    my ($self, $i, $uri, %o) = @_;
    return body(scalar http_get($uri, port => port($ports[$i]), %o));
}


# Both have an answer, which is remembered.

sub cached {
    my ($self, $uri, %o) = @_;

    for my $i (0, 1) {
        wait_for(sub {
            my $x = $self->{was}{$uri}[$i] = $self->get($i, $uri, %o);
            return $x && $x eq $self->get($i, $uri, %o);
        }) or return 0;
    }

    return 1;
}


# Both have it still, or none has it any more: within a while.

sub kept {
    my ($self, $uri, %o) = @_;

    return 2 == grep {
        $self->get($_, $uri, %o) eq $self->{was}{$uri}[$_]
    } 0, 1;
}


sub gone {
    my ($self, $uri, %o) = @_;

    for my $i (0, 1) {
        wait_for(sub {
            $self->get($i, $uri, %o) > $self->{was}{$uri}[$i]
        }, 20) or return 0;
    }

    return 1;
}


sub log_count {
    my ($self, $re) = @_;

    my $n = 0;
    $n += $_->log_count($re) for @{ $self->{hosts} };

    return $n;
}


# The worker of a host that reads the stream, as it said last.

sub reader {
    my ($self, $i) = @_;

    my @pids = $self->host($i)->error_log()
               =~ /(\d+)#\d+: optcache hears of invalidations/g;

    return $pids[-1];
}


1;
