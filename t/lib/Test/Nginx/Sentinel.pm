package Test::Nginx::Sentinel;

# Copyright (C) The Optcache authors

# A master, its replicas and the sentinels that watch them: real ones, on
# loopback.

use strict;
use warnings;

use Time::HiRes qw/ sleep time /;

use Test::Nginx::Port qw/ port /;
use Test::Nginx::Process;
use Test::Nginx::Redis;
use Test::Nginx::Resp;


# run(dir => DIR, name => 'mymaster', redis => [6379, 6380, 6381],
#     sentinels => [26379, 26380, 26381], args => [..] of each Redis,
#     conf => 'lines of each sentinel\'s configuration')
#
# Returns when the replicas follow the first Redis, which is the master, and
# all sentinels know of all the others.

sub run {
    my ($class, %o) = @_;

    my $self = bless { name => $o{name} || 'mymaster' }, $class;

    my ($first, @others) = @{ $o{redis} || [6379, 6380, 6381] };
    my @args = ('--repl-diskless-sync-delay', 0, '--repl-timeout', 5,
                @{ $o{args} || [] });
    my $master = port($first);

    push @{ $self->{redis} }, Test::Nginx::Redis->run(
        dir => $o{dir}, port => $first, args => \@args, tls => $o{tls},
    );

    for my $port (@others) {
        push @{ $self->{redis} }, Test::Nginx::Redis->run(
            dir => $o{dir}, port => $port,
            args => [@args, '--replicaof', "127.0.0.1 $master"],
        );
    }

    _wait(sub { $self->_followed() }, 'no replica');

    for my $port (@{ $o{sentinels} || [26379, 26380, 26381] }) {
        push @{ $self->{sentinels} }, $class->one(
            dir => $o{dir}, name => $self->{name}, port => $port,
            master => $master, conf => $o{conf},
        );
    }

    _wait(sub { $self->ready() }, 'sentinels did not meet');

    return $self;
}


sub _followed {
    my ($self) = @_;

    my (undef, @replicas) = @{ $self->{redis} };

    return !grep { $_->info('master_link_status') ne 'up' } @replicas;
}


# One sentinel: one(dir => DIR, port => 26379, name => 'mymaster',
#                   master => PORT that it watches, conf => 'more lines')

sub one {
    my ($class, %o) = @_;

    my $port = port($o{port} || 26379);
    my $conf = "$o{dir}/sentinel-$port.conf";
    my $name = $o{name} || 'mymaster';

    # it writes what it learns into this file

    open my $fh, '>', $conf or die "$conf: $!\n";
    print $fh "port $port\nbind 127.0.0.1\ndir $o{dir}\n"
              . "sentinel monitor $name 127.0.0.1 $o{master} 2\n"
              . "sentinel down-after-milliseconds $name 1000\n"
              . "sentinel failover-timeout $name 4000\n"
              . "sentinel parallel-syncs $name 2\n"
              . ($o{conf} // '') . "\n";
    close $fh or die "$conf: $!\n";

    my $sentinel = bless {
        process => Test::Nginx::Process->start(
            exec => ['redis-server', $conf, '--sentinel'],
            log => "$o{dir}/sentinel-$port.log",
        ),
        client => Test::Nginx::Resp->new(port => $port),
        port => $port,
        name => $name,
    }, 'Test::Nginx::Sentinel::One';

    _wait(sub { $sentinel->answers() }, 'sentinel did not start');

    return $sentinel;
}


# All sentinels know of all replicas and of each other, and which serve.

sub ready {
    my ($self) = @_;

    my $replicas = @{ $self->{redis} } - 1;
    my $others = @{ $self->{sentinels} } - 1;

    for my $one (@{ $self->{sentinels} }) {
        my %m = $one->state() or return 0;

        return 0 if $m{'num-slaves'} != $replicas
                    || $m{'num-other-sentinels'} != $others
                    || $m{flags} ne 'master';

        for my $r (@{ $one->cmd('SENTINEL', 'REPLICAS', $self->{name}) }) {
            my %r = @$r;
            return 0 if $r{flags} ne 'slave'
                        || $r{'master-link-status'} ne 'ok';
        }
    }

    return 1;
}


sub redis { $_[0]->{redis}[$_[1]] }
sub sentinel { $_[0]->{sentinels}[$_[1]] }
sub sentinels { @{ $_[0]->{sentinels} } }


# The Redis that all sentinels name as the master, or undef.

sub master {
    my ($self) = @_;

    my %ports = map { ($_->master_port() // 0) => 1 } $self->sentinels();
    my ($port, @more) = keys %ports;

    return undef if @more;

    return (grep { $_->port_number() == $port } @{ $self->{redis} })[0];
}


# Waits until that is another one than this; returns it.

sub wait_other {
    my ($self, $old, $seconds) = @_;

    my $until = time() + ($seconds || 60);

    while (time() < $until) {
        my $new = $self->master();
        return $new if $new && $new != $old;
        sleep 0.05;
    }

    die "no failover\n";
}


sub _wait {
    my ($code, $what) = @_;

    my $until = time() + 60;

    while (!$code->()) {
        die "$what\n" if time() > $until;
        sleep 0.05;
    }
}


package Test::Nginx::Sentinel::One;

# One of the sentinels.

use strict;
use warnings;


for my $method (qw/ pid alive stop suspend resume /) {
    no strict 'refs';
    *$method = sub { my $self = shift; $self->{process}->$method(@_) };
}


sub kill { $_[0]->{process}->kill_hard() }
sub cont { $_[0]->{process}->resume() }
sub port_number { $_[0]->{port} }


sub cmd {
    my ($self, @args) = @_;
    return $self->{client}->cmd(@args);
}


# The connections on which it was asked for a master last, each as a hash:
# age and idle are seconds.

sub askers {
    my ($self) = @_;

    return grep { $_->{cmd} =~ /^sentinel/ }
           map { +{ /(\S+?)=(\S*)/g } }
           split /\n/, $self->cmd('CLIENT', 'LIST');
}


sub answers {
    my ($self) = @_;
    return defined $self->{client}->raw('PING');
}


# What it knows of the master, as a list of names and values.

sub state {
    my ($self) = @_;

    my $state = eval { $self->cmd('SENTINEL', 'MASTER', $self->{name}) };

    return $state ? @$state : ();
}


sub master_port {
    my ($self) = @_;

    my $at = eval {
        $self->cmd('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', $self->{name})
    };

    return $at ? $at->[1] : undef;
}


1;
