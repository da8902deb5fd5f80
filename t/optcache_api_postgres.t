#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The status tells how far the outbox of PostgreSQL was read, and health that
# it cannot be.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw/ decode_json /;
use Test::More;
use Test::Nginx;
use Test::Nginx::Outbox;

my $t = Test::Nginx->new()->has('debug')->has_program('postgres')->plan(17);
my $pg = $t->run_postgres();

install($t, $pg);

gateway($t, postgres => $pg->conninfo(), http => <<"EOF");
    server {
        listen 127.0.0.1:8081;

        location / {
            optcache_api;
        }
    }
EOF

$t->run();

###############################################################################

ok(wait_for(sub { get('health')->{status} eq 'healthy' }), 'is there');
ok(wait_for(sub { defined get('status')->{postgres}{heard} }), 'is read');

my $p = get('status')->{postgres};

is($p->{state}, 'listening', 'state');
cmp_ok($p->{since}, '>', 1e9, 'since when');
like($p->{heard}, qr/^\d+$/, 'was heard of');
is($p->{told}, 0, 'no rows');
is($p->{lost}, 0, 'none lost');
is($p->{odd}, 0, 'none odd');
ok(!$p->{deaf} && !$p->{pooled}, 'notifications come');

$pg->query("SELECT optcache.invalidate('uri', '/x')");

ok(wait_for(sub { get('status')->{postgres}{told} == 1 }), 'a row');
is(get('status')->{postgres}{id}, 1, 'its number');

$pg->query('ALTER TABLE optcache.outbox DROP CONSTRAINT outbox_kind_check');
$pg->query("INSERT INTO optcache.outbox (digest, kind, value, soft)"
           . " VALUES ('x', 'later', 'x', false)");
$pg->query("SELECT optcache.invalidate('uri', '/y')");

ok(wait_for(sub { get('status')->{postgres}{odd} == 1 }), 'one that is odd');

$pg->query('DELETE FROM optcache.outbox');
$pg->restart();

ok(wait_for(sub { get('status')->{postgres}{lost} == 1 }, 20), 'rows are gone');
is(join(' ', body(http_get('/metrics', port => 8081))
             =~ /^optcache_postgres_(?:lost|odd)_total (\d+)$/mg),
    '1 1', 'to Prometheus, too');

$pg->kill();

ok(wait_for(sub { get('health')->{status} eq 'degraded' }), 'is gone');
like(join("\n", @{ get('health')->{reasons} }), qr/^postgres: /m, 'why');
is(get('status')->{postgres}{state}, 'down', 'state');

###############################################################################

sub get { return decode_json(body(http_get("/$_[0]", port => 8081))) }

###############################################################################
