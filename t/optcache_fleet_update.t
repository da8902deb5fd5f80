#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What is stale is updated behind the clients' backs by one of all hosts, and
# the others take it from there.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::CacheHosts;

my $fleet = Test::Nginx::CacheHosts->new(<<'CONF_END')->plan(13);

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8085;
        }

        location /slow/ {
            optcache c;
            if ($http_x_slow) { set $limit_rate 1; }
            proxy_pass http://127.0.0.1:8085;
        }

        location /alone/ {
            optcache c;
            optcache_redis off;
            proxy_pass http://127.0.0.1:8085;
        }
CONF_END

my ($t) = $fleet->hosts();
my $gate = $fleet->gate();

$t->write_file('version', 1);

my $backend = $t->run_http_backend(8085, sub {
    my $version = $t->read_file('version');
    my $age = ($version == 1) ? 1 : 60;

    $gate->pass() if $version > 1;

    return [200, { 'Cache-Control' => "public, max-age=$age"
                                      . ', stale-while-revalidate=60' },
            "version $version"];
});

$fleet->run();

###############################################################################

my %others = map { $_ => 1 } entries();
get('/slow/c');
my $name;
wait_for(sub { ($name) = grep { !$others{$_} } entries() });

stale('/page', '/killed', '/alone/b', '/slow/c');

# another host has the lease, and a client here is slow to take what is stale

my ($port) = $fleet->ports();
my $slow = $backend->count(qr{/slow/});
my $evals = $fleet->redis()->calls('eval');

$fleet->redis()->cmd('SET', "oc:l:{$name}", 'f' x 32, 'PX', 60000);

my @s = http_get('/slow/c', port => $port, start => 1,
                 headers => { 'X-Slow' => 1 });
wait_for(sub { $fleet->redis()->calls('eval') > $evals });

is($backend->count(qr{/slow/}), $slow, 'another host updates');

$fleet->redis()->cmd('DEL', "oc:l:{$name}");

http_get('/slow/c', port => $port);

ok(wait_for(sub { $backend->count(qr{/slow/}) > $slow }),
    'and when it does no longer, this one does, while the client is slow');

close $_ for @s;

my ($page, $alone, $killed) = map { $backend->count(qr{$_}) }
                               '/page', '/alone/', '/killed';
$t->write_file('version', 2);

my @r = map { get('/page') } 1 .. 4;

is(scalar(grep { body($_) eq 'version 1' } @r), 12, 'all have what is stale');
is(scalar(grep { header($_, 'X-Cache') eq 'UPDATING' } @r), 12,
    'while it is updated');
ok(wait_for(sub { $fleet->leased() == 1 }), 'under a lease');
ok(wait_for(sub { $backend->count(qr{/page}) - $page == 1 }),
    'by one of all hosts');

$gate->open();
ok(everywhere('/page', 'version 2'), 'which is the answer of all');
is($backend->count(qr{/page}) - $page, 1, 'and nobody else has asked');
ok(wait_for(sub { !$fleet->leased() }), 'no lease is left');

# alone where Redis is not used

get('/alone/b');
ok(everywhere('/alone/b', 'version 2'), 'optcache_redis off');
is($backend->count(qr{/alone/}) - $alone, 3, 'each updates its own');

# who updates is killed

$gate->close();
get('/killed');
ok(wait_for(sub { $backend->count(qr{/killed}) > $killed }), 'one updates');

for my $host ($fleet->hosts()) {
    $host->kill_worker($_) for $host->worker_pids();
}

$gate->open();
ok(everywhere('/killed', 'version 2'), 'and is killed: another one does');

###############################################################################

sub get {
    my ($uri) = @_;
    return map { http_get($uri, port => $_, keepalive => 1) }
           $fleet->ports();
}


sub entries {
    return grep { !/\{/ } @{ $fleet->redis()->cmd('KEYS', 'oc:*') };
}


# known to all hosts, and stale

sub stale {
    my @uris = @_;

    for my $uri (@uris) {
        get($uri);
    }

    sleep 2;
}


sub everywhere {
    my ($uri, $body) = @_;
    return wait_for(sub { 3 == grep { body($_) eq $body } get($uri) });
}
