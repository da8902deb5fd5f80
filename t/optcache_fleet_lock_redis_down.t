#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Without Redis no host waits for another: not when it is away, silent, does
# not tell of changes, or does not know scripts; nor do those wait on who
# waited when it went away.

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

my ($t) = $fleet->hosts();
my ($port, $other_port) = $fleet->ports();
my $gate = $fleet->gate();

my $backend = $t->run_http_backend(8085, sub {
    my ($req) = @_;

    $gate->pass();

    return [200, { 'Cache-Control' => 'max-age=60' }, "answer $req->{count}"];
});

$fleet->run();

my $redis = $fleet->redis();

###############################################################################

# those that wait when it goes away

for my $how (qw/ kill suspend /) {
    my @s = (get("/$how", $port));
    asked(qr{/$how}, 1);
    push @s, map { get("/$how", $other_port) } 1 .. 3;
    ok(wait_for(sub { $fleet->working($other_port) == 3 }, 20), 'they wait');

    $redis->$how();

    ok(asked(qr{/$how}, 2), "$how: and ask");
    my @r = $gate->opened(@s);
    is(scalar(grep { /answer \d/ } @r), 4, 'for all of their host');

    # and those that come then

    @s = $fleet->start(3, sub { get("/later/$how", @_) });
    ok(asked(qr{/later/$how}, 2), 'one of each host asks');
    @r = $gate->opened(@s);
    is(scalar(grep { /answer \d/ } @r), 6, 'for all of them');

    if ($how eq 'kill') {
        $redis->restart();
    } else {
        $redis->cont();
    }

    $gate->open();
    $fleet->ready();
    $gate->close();
}

# one that does not tell of changes, or run scripts; the hosts are told to
# connect again

for my $not (qw/ subscribe eval /) {
    $redis->cmd('ACL', 'SETUSER', 'default', "-$not");
    $redis->cmd('CLIENT', 'KILL', 'SKIPME', 'yes');

    # a promise is kept for a second
    ok(wait_for(sub { !$fleet->leases($_) }, 20), "no leases without $not")
        for $port;

    my @s = $fleet->start(2, sub { get("/no/$not", @_) });
    ok(asked(qr{/no/$not}, 2), 'one of each host asks');
    $gate->opened(@s);

    $redis->cmd('ACL', 'SETUSER', 'default', "+$not");
    $fleet->ready();
}

###############################################################################

sub get {
    my ($uri, $at) = @_;
    return http_get($uri, port => $at, start => 1);
}


sub asked {
    my ($re, $n) = @_;
    return wait_for(sub { $backend->count($re) == $n }, 20);
}

###############################################################################
