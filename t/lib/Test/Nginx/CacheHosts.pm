package Test::Nginx::CacheHosts;

# Copyright (C) The Optcache authors

# Hosts with one configuration and one Redis, whose caches know what the others
# are asking for, before a backend that answers when it is told to.

use strict;
use warnings;

use Test::Nginx;
use Test::Nginx::Gate;


my @ports = (8080, 8081, 8082);
my %status = (8080 => 8090, 8081 => 8091, 8082 => 8092);

my $conf = <<'CONF_END';

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache_lock_timeout 60s;
    optcache_headers all;

    optcache_redis_server %%REDIS%% timeout=5s connect_timeout=5s;

    # that of which host it is asked for is no part of it
    optcache_key $uri$is_args$args;

    add_header X-Worker $pid always;

    server {
        listen 127.0.0.1:8080 reuseport;
        %%HTTP2%%

        %%SERVER%%

        location /ready/ {
            optcache c;
            optcache_valid 1m;
            proxy_pass http://127.0.0.1:8090;
        }
    }

    server {
        listen 127.0.0.1:8090;

        location / {
            stub_status;
        }
    }

}

CONF_END


# CacheHosts->new('location / { .. }', n => 2, http2 => 1): what is in the
# server of each host, at port 8080, 8081 and 8082, and at 8070, 8071 and 8072
# by HTTP/2.  With cluster => 1 their Redis is a cluster.

sub new {
    my ($class, $server, %o) = @_;

    my $n = $o{n} || 3;
    my $http2 = $o{http2} ? 'listen 127.0.0.1:8070 http2;' : '';
    my $redis = $o{cluster}
        ? 'redis://127.0.0.1:7000 redis://127.0.0.1:7001 cluster'
        : 'redis://127.0.0.1:6379';

    my $self = bless {
        ports => [@ports[0 .. $n - 1]],
        hosts => [map { Test::Nginx->new(log => 'info') } 1 .. $n],
        cluster => $o{cluster},
    }, $class;

    my $first = $self->{hosts}[0];

    $first->has(qw/ http_proxy http_stub_status /)
        ->has_program('redis-server');

    $self->{gate} = Test::Nginx::Gate->new($first);

    for my $i (0 .. $n - 1) {
        my $port = $ports[$i];
        my $text = $conf;

        $text =~ s/%%SERVER%%/$server/;
        $text =~ s/%%HTTP2%%/$http2/;
        $text =~ s/%%REDIS%%/$redis/;
        $text =~ s/127\.0\.0\.1:8080\b/127.0.0.1:$port/g;
        $text =~ s/127\.0\.0\.1:8070\b/127.0.0.1:@{[$port - 10]}/g;
        $text =~ s/127\.0\.0\.1:8090\b/127.0.0.1:$status{$port}/g;

        $self->{hosts}[$i]->write_file_expand('nginx.conf', $text);
    }

    return $self;
}


sub plan { $_[0]->{hosts}[0]->plan($_[1]); return $_[0] }
sub hosts { @{ $_[0]->{hosts} } }
sub ports { @{ $_[0]->{ports} } }
sub gate { $_[0]->{gate} }
sub redis { $_[0]->{redis} }


# Starts a Redis and the hosts; returns when each of them takes leases.

sub run {
    my ($self, %o) = @_;

    my $first = $self->{hosts}[0];

    $self->{redis} = $self->{cluster} ? $first->run_redis_cluster(%o)
                                      : $first->run_redis(%o);

    $_->run() for $self->hosts();
    $self->ready();

    return $self;
}


sub ready {
    my ($self) = @_;

    for my $port ($self->ports()) {
        wait_for(sub { $self->leases($port) }, 20)
            or die "the host at $port takes no leases\n";
    }
}


# Whether a miss of the host takes a lease now.

my $asked = 0;

sub leases {
    my ($self, $port) = @_;

    my $before = $self->{redis}->calls('eval');

    http_get('/ready/' . ++$asked, port => $port);

    return $self->{redis}->calls('eval') > $before;
}


# Asks each host n times at once for what $code->($port, $i) starts to ask for.

sub start {
    my ($self, $n, $code) = @_;

    return map { my $port = $_; map { $code->($port, $_) } 1 .. $n }
           $self->ports();
}


# Returns when each host works on n requests.

sub busy {
    my ($self, $n) = @_;

    for my $port ($self->ports()) {
        wait_for(sub { $self->working($port) == $n }, 20)
            or die "the host at $port works on "
                   . $self->working($port) . "\n";
    }
}


# How many requests a host works on, besides the one that asks it.

sub working {
    my ($self, $port) = @_;

    my $r = http_get('/', port => $status{$port}) // '';

    return $r =~ /Writing: (\d+)/ ? $1 - 1 : 0;
}


# The names of all leases that there are.

sub leased {
    my ($self) = @_;

    return $self->{redis}->keys('oc:l:{*') if $self->{cluster};

    return @{ $self->{redis}->cmd('KEYS', 'oc:l:{*') };
}


sub log_count {
    my ($self, $re) = @_;

    my $n = 0;
    $n += $_->log_count($re) for $self->hosts();

    return $n;
}


1;
