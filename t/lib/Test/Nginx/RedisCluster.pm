package Test::Nginx::RedisCluster;

# Copyright (C) The Optcache authors

# A real Redis Cluster on loopback: three masters with a replica each.

use strict;
use warnings;

use Time::HiRes qw/ sleep time /;

use Test::Nginx::Port qw/ port /;
use Test::Nginx::Redis;


# run(dir => DIR, ports => [7000 .. 7005], args => [..] of each Redis,
#     tls => 1, node_timeout => ms)
#
# The first three are the masters, of a third of the slots each, and the
# other three their replicas, in this order; with three ports there are no
# replicas.  Returns when all of them know of all.

sub run {
    my ($class, %o) = @_;

    my @ports = @{ $o{ports} || [7000 .. 7005] };
    my $self = bless { nodes => [] }, $class;

    for my $port (@ports) {
        my @args = (
            '--cluster-enabled', 'yes',
            '--cluster-config-file', "nodes-$port.conf",
            '--cluster-node-timeout', $o{node_timeout} || 1500,
            '--cluster-replica-validity-factor', 0,
            '--cluster-port', port("$port bus"),
            '--repl-diskless-sync-delay', 0,
        );

        push @args, '--tls-cluster', 'yes', '--tls-replication', 'yes'
            if $o{tls};

        push @{ $self->{nodes} }, Test::Nginx::Redis->run(
            dir => $o{dir}, port => $port,
            tls => $o{tls} ? 1 : undef, tls_port => $port + 100,
            tls_name => '127.0.0.1', args => [@args, @{ $o{args} || [] }],
        );
    }

    $self->_meet($o{tls}, @ports);

    return $self;
}


sub _meet {
    my ($self, $tls, @ports) = @_;

    my ($first, @others) = @{ $self->{nodes} };

    my @ranges = ([0, 5460], [5461, 10922], [10923, 16383]);

    for my $i (0 .. $#{ $self->{nodes} }) {
        my $node = $self->{nodes}[$i];

        $node->cmd('CLUSTER', 'SET-CONFIG-EPOCH', $i + 1);
        $node->cmd('CLUSTER', 'ADDSLOTSRANGE', @{ $ranges[$i] }) if $i < 3;
        $first->cmd('CLUSTER', 'MEET', '127.0.0.1',
                    $tls ? $node->tls_port() : $node->port_number(),
                    port("$ports[$i] bus")) if $i;
    }

    my @ids = map { $_->cmd('CLUSTER', 'MYID') } @{ $self->{nodes} };

    $self->wait_until(sub {
        my ($node) = @_;
        return _state($node, 'cluster_known_nodes') == @ids;
    }, 'nodes did not meet');

    for my $i (3 .. $#ids) {
        $self->{nodes}[$i]->cmd('CLUSTER', 'REPLICATE', $ids[$i - 3]);
    }

    $self->wait_until(sub {
        my ($node) = @_;

        return _state($node, 'cluster_state') eq 'ok'
               && (my @r = $node->cmd('CLUSTER', 'NODES')
                           =~ /slave [0-9a-f]{40}/g) == @ids - 3
               && ($node->info('role') eq 'master'
                   || $node->info('master_link_status') eq 'up');
    }, 'no cluster');
}


sub _state {
    my ($node, $name) = @_;

    return $node->cmd('CLUSTER', 'INFO') =~ /^$name:(\S+)/m ? $1 : '';
}


sub node { $_[0]->{nodes}[$_[1]] }
sub nodes { @{ $_[0]->{nodes} } }


# Waits until it is true of all nodes that run.

sub wait_until {
    my ($self, $code, $what) = @_;

    my $until = time() + 60;

    while (grep { !eval { $code->($_) } }
           grep { $_->alive() } $self->nodes())
    {
        die "$what\n" if time() > $until;
        sleep 0.05;
    }
}


# The slot of a key.

sub slot {
    my ($self, $key) = @_;

    my ($node) = grep { $_->alive() } $self->nodes();

    return $node->cmd('CLUSTER', 'KEYSLOT', $key);
}


# The master of a slot, as that master says itself; undef if there is none.

sub master {
    my ($self, $slot) = @_;

    for my $node (grep { $_->alive() } $self->nodes()) {
        my $nodes = eval { $node->cmd('CLUSTER', 'NODES') } // next;
        my ($line) = $nodes =~ /^(.*\bmyself,master\b.*)$/m or next;
        my (undef, @words) = split / /, $line;

        for (@words[7 .. $#words]) {
            next unless /^(\d+)(?:-(\d+))?$/;
            return $node if $slot >= $1 && $slot <= ($2 // $1);
        }
    }

    return undef;
}


# Its replica, when it runs.

sub replica {
    my ($self, $master) = @_;

    my $id = $master->cmd('CLUSTER', 'MYID');

    return (grep {
        $_->alive()
        && $_->cmd('CLUSTER', 'NODES') =~ /\bmyself,slave $id /
    } $self->nodes())[0];
}


# Keys of all masters.

sub keys {
    my ($self, $pattern) = @_;

    return map { @{ $_->cmd('KEYS', $pattern) } }
           grep { $_->alive() && $_->info('role') eq 'master' }
           $self->nodes();
}


# As of one Redis: what all nodes that run have executed, or have refused.

sub calls { my ($self, $command) = @_; return $self->_sum('calls', $command) }
sub errors { my ($self, $code) = @_; return $self->_sum('errors', $code) }


sub _sum {
    my ($self, $method, $name) = @_;

    my $n = 0;
    $n += $_->$method($name) for grep { $_->alive() } $self->nodes();

    return $n;
}


# The steps of moving a slot: begin() makes one master import what another
# has, move() moves the keys there are now, end() tells all masters.

sub begin {
    my ($self, $slot, $from, $to) = @_;

    $to->cmd('CLUSTER', 'SETSLOT', $slot, 'IMPORTING',
             $from->cmd('CLUSTER', 'MYID'));
    $from->cmd('CLUSTER', 'SETSLOT', $slot, 'MIGRATING',
               $to->cmd('CLUSTER', 'MYID'));
}


sub move {
    my ($self, $slot, $from, $to, %o) = @_;

    my $n = 0;
    my $port = $o{tls} ? $to->tls_port() : $to->port_number();

    while (my @keys = @{ $from->cmd('CLUSTER', 'GETKEYSINSLOT', $slot, 100) })
    {
        $from->cmd('MIGRATE', '127.0.0.1', $port, '', 0, 5000,
                   'KEYS', @keys);
        $n += @keys;
    }

    return $n;
}


sub end {
    my ($self, $slot, $from, $to) = @_;

    my $id = $to->cmd('CLUSTER', 'MYID');

    $_->cmd('CLUSTER', 'SETSLOT', $slot, 'NODE', $id) for $to, $from;

    # one that does not know of it yet would begin the next move in the same
    # epoch, and the slot may then be nobody's

    my $epoch = _state($to, 'cluster_current_epoch');

    $self->wait_until(sub {
        my ($node) = @_;

        return _state($node, 'cluster_current_epoch') >= $epoch
               && _owner($node, $slot) eq $id;
    }, 'servers do not agree');
}


# The ID of the master of a slot as a node knows it.

sub _owner {
    my ($node, $slot) = @_;

    for my $range (@{ $node->cmd('CLUSTER', 'SLOTS') }) {
        return $range->[2][2] if $slot >= $range->[0] && $slot <= $range->[1];
    }

    return '';
}


1;
