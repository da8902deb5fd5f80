#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A worker that asks upstream for all hosts is killed: what it had ends by
# itself, and one of the others asks.  The same for who listens for a host.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::CacheHosts;

my $fleet = Test::Nginx::CacheHosts->new(<<'CONF_END', n => 2)->plan(14);

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8085;
        }
CONF_END

my ($t, $other) = $fleet->hosts();
my ($port, $other_port) = $fleet->ports();
my $gate = $fleet->gate();

my $backend = $t->run_http_backend(8085, sub {
    my ($req) = @_;

    $gate->pass() if $req->{uri} =~ /gate/;

    return [200, { 'Cache-Control' => 'max-age=60' }, "answer $req->{count}"];
});

$fleet->run();

my $redis = $fleet->redis();

###############################################################################

# all workers of the first host, of which one asks

my $first = get('/gate/a', $port);
ok(asked(qr{/gate/a}, 1), 'one asks');

my @s = map { get('/gate/a', $other_port) } 1 .. 20;
ok(wait_for(sub { $fleet->working($other_port) == 20 }, 20), 'others wait');
is($backend->count(qr{/gate/a}), 1, 'at another host');

kill_workers($t);

ok(asked(qr{/gate/a}, 2), 'it is killed, and one of them asks');
my @r = $gate->opened(@s);
is(scalar(grep { body($_) eq 'answer 2' } @r), 20, 'for all');
is($backend->count(qr{/gate/a}), 2, 'and nobody else');
ok(wait_for(sub { !$fleet->leased() }, 10), 'no lease is left');
close $first;

# those of a host that waits, and of whom one listens: it begins anew

$fleet->ready();

@s = (get('/gate/b', $other_port));
ok(asked(qr{/gate/b}, 1), 'one asks');

kill_workers($t);
$fleet->ready();

# what dead workers worked on counts

my $lost = $fleet->working($port);

push @s, map { get('/gate/b', $port) } 1 .. 20;
ok(wait_for(sub { $fleet->working($port) == $lost + 20 }, 20), 'others wait');
is($backend->count(qr{/gate/b}), 1, 'and do not ask');
@r = $gate->opened(@s);
is(scalar(grep { body($_) eq 'answer 1' } @r), 21, 'and are answered')
    or diag(join ' ', map { body($_) } @r);

# Redis loses the lease: another one may ask, and the first one does not mind

@s = (get('/gate/c', $port));
asked(qr{/gate/c}, 1);
push @s, get('/gate/c', $other_port);
ok(wait_for(sub { $fleet->working($other_port) == 1 }, 20), 'one waits');
$redis->cmd('DEL', $fleet->leased());
ok(asked(qr{/gate/c}, 2), 'until the lease is deleted');
@r = $gate->opened(@s);
is(scalar(grep { /answer/ } @r), 2, 'both are answered');

###############################################################################

sub get {
    my ($uri, $at) = @_;
    return http_get($uri, port => $at, start => 1);
}


sub asked {
    my ($re, $n) = @_;
    return wait_for(sub { $backend->count($re) == $n }, 20);
}


sub kill_workers {
    my ($host) = @_;

    $host->kill_worker($_) for $host->worker_pids();
}

###############################################################################
