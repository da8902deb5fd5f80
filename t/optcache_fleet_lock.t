#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Many who ask several hosts for what is not there make one request upstream,
# and all of them are answered by it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Time::HiRes qw/ sleep /;

use Test::More;
use Test::Nginx;
use Test::Nginx::CacheHosts;

my $fleet = Test::Nginx::CacheHosts->new(<<'CONF_END')->plan(24);

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8085;
        }

        location /public/ {
            optcache c;
            optcache_user $arg_user;
            optcache_share_public on;
            proxy_pass http://127.0.0.1:8085;
        }

        location /large/ {
            optcache c;
            optcache_max_size 10m;
            proxy_pass http://127.0.0.1:8085;
        }

        location /alone/ {
            optcache c;
            optcache_redis off;
            proxy_pass http://127.0.0.1:8085;
        }

        location /each/ {
            optcache c;
            optcache_lock off;
            proxy_pass http://127.0.0.1:8085;
        }
CONF_END

my ($t) = $fleet->hosts();
my $gate = $fleet->gate();
my $large = 'x' x 3000000;

my $backend = $t->run_http_backend(8085, sub {
    my ($req) = @_;

    my $uri = $req->{uri};

    if ($uri =~ /gate/) {
        $gate->pass();

    } elsif ($uri =~ /quick/) {
        sleep 0.02;
    }

    my %h = ('Cache-Control' => 'public, max-age=60');

    $h{Vary} = 'X-A' if $uri =~ /vary/;
    $h{'Cache-Control'} = 'max-age=1' if $uri =~ /stale/;

    return [200, \%h, $uri =~ /large/ ? $large : "answer $req->{count}"];
});

$fleet->run();

my $redis = $fleet->redis();

###############################################################################

# 30 at each of three hosts

my @r = together(30, sub { get('/gate/a', @_) });

is($backend->count(qr{/gate/a}), 1, 'one request upstream');
is(scalar(grep { body($_) eq 'answer 1' } @r), 90, 'answers all');
is(cache('MISS', @r), 1, 'of whom one had to wait for it');
is(cache('HIT', @r), 89, 'and all others are hits');
is(scalar(grep { header($_, 'Cache-Status') =~ /fwd=miss; collapsed/ } @r), 89,
    'collapsed, as they say');
ok(wait_for(sub { !$fleet->leased() }, 10), 'no lease is left');

# while an origin thinks for longer than a lease lasts

my @s = $fleet->start(2, sub { get('/gate/slow', @_) });
$fleet->busy(2);
my @leases = $fleet->leased();
is(scalar @leases, 1, 'a lease');
cmp_ok($redis->cmd('PTTL', $leases[0]), '<=', 1000, 'of a second');

my $left = 0;
for (1 .. 30) {
    sleep 0.1;
    $left++ if $redis->cmd('EXISTS', $leases[0]);
}

cmp_ok($left, '>', 20, 'is renewed');
@r = $gate->opened(@s);
is($backend->count(qr{/gate/slow}), 1, 'and nobody else goes upstream');
is(cache('HIT', @r), 5, 'but is answered');

# an origin that is quick: nobody finds the moment between

for my $n (1 .. 5) {
    @s = $fleet->start(10, sub { get("/quick/$n", @_) });
    @r = map { http_end($_) } @s;
    is(cache('HIT', @r) . ' ' . $backend->count(qr{/quick/$n$}), '29 1',
        "30 at a quick origin, $n");
}

# several keys; what varies, is public, is large

@r = together(8, sub { get("/gate/keys/$_[1]", @_) });
is($backend->count(qr{/gate/keys}) . ' ' . cache('HIT', @r), '8 16',
    'one request for each key');

@r = together(8, sub { get('/gate/vary', @_, 'X-A' => $_[1] % 2) });
is($backend->count(qr{/gate/vary}), 2, 'one for each variant');

@r = together(8, sub { get('/public/gate?user=1', @_) });
is($backend->count(qr{/public/gate}) . ' ' . cache('HIT', @r), '1 23',
    'what is stored for everyone is found');

@r = together(4, sub { get('/large/gate', @_) });
is($backend->count(qr{/large}), 1, 'a large body');
is(scalar(grep { body($_) eq $large } @r), 12, 'is whole for all');

# who does not use Redis, or does not lock

@r = together(5, sub { get('/alone/gate', @_) });
is($backend->count(qr{/alone}), 3, 'optcache_redis off: one for each host');

@r = together(2, sub { get('/each/gate', @_) });
is($backend->count(qr{/each}), 6, 'optcache_lock off: one each');

is($fleet->log_count(qr/timed out/), 0, 'nobody has waited too long');

###############################################################################

sub together {
    my ($n, $code) = @_;

    my @started = $fleet->start($n, $code);

    $fleet->busy($n);

    return $gate->opened(@started);
}


sub get {
    my ($uri, $port, $i, %headers) = @_;
    return http_get($uri, port => $port, start => 1, headers => \%headers);
}


sub cache {
    my ($status, @all) = @_;
    return scalar grep { (header($_, 'X-Cache') // '') eq $status } @all;
}

###############################################################################
