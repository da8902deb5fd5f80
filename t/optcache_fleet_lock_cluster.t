#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Hosts with a Redis Cluster make one request upstream for each key, too:
# wherever its slot is, while that moves, and when the one that asks is killed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::CacheHosts;

my $fleet = Test::Nginx::CacheHosts->new(<<'CONF_END', n => 2, cluster => 1);

        location / {
            optcache c;
            optcache_max_size 1m;
            proxy_pass http://127.0.0.1:8085;
        }
CONF_END

$fleet->plan(24);

my ($t, $other) = $fleet->hosts();
my ($port, $other_port) = $fleet->ports();
my $gate = $fleet->gate();

my $backend = $t->run_http_backend(8085, sub {
    my ($req) = @_;

    $gate->pass() if $req->{uri} =~ /gate/;

    my %h = ('Cache-Control' => 'max-age=600');
    my $more = $req->{uri} =~ /large/ ? 'x' x 300000 : '';

    $h{'Cache-Control'} = 'no-store' if $req->{uri} =~ /private/;

    return [200, \%h, "answer $req->{count}$more"];
});

$fleet->run(ports => [7000 .. 7002]);

my $cluster = $fleet->redis();

###############################################################################

# keys of all masters, each asked for ten times at each host

my @keys = map { "/gate/keys/$_" } 1 .. 12;

my @s = $fleet->start(12, sub { get($keys[$_[1] - 1], $_[0]) });
$fleet->busy(12);

my @leases = $fleet->leased();
my %masters = map { $cluster->master($cluster->slot($_))->port_number() => 1 }
              @leases;

is(scalar @leases, 12, 'a lease of each key');
is(scalar keys %masters, 3, 'at all masters');
ok(asked(qr{/gate/keys}, 12), 'one request upstream for each');

my @r = $gate->opened(@s);

is(cache('MISS', @r) . ' ' . cache('HIT', @r), '12 12', 'answers both hosts');
is($backend->count(qr{/gate/keys}), 12, 'and nobody else has asked');
ok(wait_for(sub { !$fleet->leased() }, 10), 'no lease is left');

my %entries = map { $cluster->slot($_) => 1 } $cluster->keys('oc:c:*');

is(scalar(grep { $entries{$cluster->slot($_)} } @leases), 12,
    'each was where its entry is');

# many at each host; one that is large; one that is not stored

for my $uri ('/gate/many', '/gate/large') {
    @r = together(10, $uri);
    is($backend->count(qr{\Q$uri\E$}), 1, "one request upstream, $uri");
    is(cache('HIT', @r), 19, 'all others are told');
}

# the slot moves while the lease is held, and then the entry is stored

@s = (get('/gate/moves', $port));
ok(asked(qr{/gate/moves}, 1), 'one asks');

my ($lease) = $fleet->leased();
my $slot = $cluster->slot($lease);
my $old = $cluster->master($slot);
my ($new) = grep { $_ != $old } $cluster->nodes();

push @s, map { get('/gate/moves', $other_port) } 1 .. 5;
ok(wait_for(sub { $fleet->working($other_port) == 5 }, 20), 'others wait');

move($old, $new);

# what renews it must have been there

ok(wait_for(sub { $cluster->errors('MOVED') }, 10), 'the slot has moved');
@r = $gate->opened(@s);

is($backend->count(qr{/gate/moves}), 1, 'and nobody else goes upstream');
is(cache('HIT', @r), 5, 'but is told');
ok(wait_for(sub { !$fleet->leased() }, 10), 'nor is a lease left');
is($new->cmd('CLUSTER', 'COUNTKEYSINSLOT', $slot), 1, 'the entry is there');

@r = together(5, '/gate/private');
is($backend->count(qr{/gate/private}), 10, 'what is not stored is for each');

# who asks is killed: the lease ends by itself

my $first = get('/gate/dies', $port);
ok(asked(qr{/gate/dies}, 1), 'one asks');

@s = map { get('/gate/dies', $other_port) } 1 .. 5;
ok(wait_for(sub { $fleet->working($other_port) == 5 }, 20), 'others wait');

$t->kill_worker($_) for $t->worker_pids();

ok(asked(qr{/gate/dies}, 2), 'it is killed, and one of them asks');
@r = $gate->opened(@s);
is($backend->count(qr{/gate/dies}) . ' '
   . scalar(grep { body($_) eq 'answer 2' } @r), '2 5', 'for all');
close $first;

is($cluster->errors('CROSSSLOT'), 0, 'no command was of several slots');

###############################################################################

sub together {
    my ($n, $uri) = @_;

    my @started = $fleet->start($n, sub { get($uri, $_[0]) });

    $fleet->busy($n);

    return $gate->opened(@started);
}


sub get {
    my ($uri, $at) = @_;
    return http_get($uri, port => $at, start => 1);
}


sub cache {
    my ($status, @all) = @_;
    return scalar grep { (header($_, 'X-Cache') // '') eq $status } @all;
}


sub asked {
    my ($re, $n) = @_;
    return wait_for(sub { $backend->count($re) == $n }, 20);
}


sub move {
    my ($source, $target) = @_;

    $cluster->begin($slot, $source, $target);
    $cluster->move($slot, $source, $target);
    $cluster->end($slot, $source, $target);
}

###############################################################################
