#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What is stale, and was updated by what may not be stored, is not taken from
# Redis again, and each host finds out.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::CacheHosts;

my $fleet = Test::Nginx::CacheHosts->new(<<'CONF_END')->plan(5);

        location / {
            optcache c;
            optcache_use_stale updating;
            proxy_pass http://127.0.0.1:8085;
        }
CONF_END

my ($t) = $fleet->hosts();
my ($port, @others) = $fleet->ports();

my $backend = $t->run_http_backend(8085, sub {
    my ($req) = @_;

    return $req->{count} == 1
           ? [200, ['Cache-Control: max-age=60', 'ETag: "a"', 'Age: 100'],
              'old']
           : [200, ['Cache-Control: no-store'], 'new'];
});

$fleet->run();

###############################################################################

is(get($port), 'MISS old', 'stale');
ok(wait_for(sub { $fleet->redis()->cmd('DBSIZE') }), 'also in Redis');
is(get($others[0]), 'UPDATING old', 'known to another host');
ok(wait_for(sub { get($others[0]) eq 'MISS new' }), 'which is told not to');
ok(wait_for(sub { get($port) eq 'MISS new' }), 'as is the first');

###############################################################################

sub get {
    my ($port) = @_;

    my $r = http_get('/page', port => $port);

    return header($r, 'X-Cache') . ' ' . body($r);
}

###############################################################################
