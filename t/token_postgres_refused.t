#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A revocation that PostgreSQL refuses for its key, by a trigger or a policy,
# keeps no other from being stored.  It is given up when others were stored
# each time before it was refused again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Revocations;

my $t = Test::Nginx->new()->has_program(qw/ redis-server postgres /)->plan(16);

my $redis = $t->run_redis();
my $pg = $t->run_postgres();

install($t, $pg);

my ($raised, $denied, $deadly) = map { key($_) } qw/ raised denied deadly /;

$pg->query($_) for (
    'CREATE ROLE nginx LOGIN',
    'GRANT USAGE ON SCHEMA optcache TO nginx',
    'GRANT SELECT, INSERT, UPDATE, DELETE ON optcache.token_blacklist'
        . ' TO nginx',
    'ALTER TABLE optcache.token_blacklist ENABLE ROW LEVEL SECURITY',
    'CREATE POLICY p ON optcache.token_blacklist TO nginx USING (true)'
        . " WITH CHECK (key <> '$denied')",
    'CREATE FUNCTION public.judge() RETURNS trigger LANGUAGE plpgsql'
        . ' SECURITY DEFINER AS $$ BEGIN'
        . " IF NEW.key = '$raised' THEN RAISE 'not %', NEW.key; END IF;"
        . " IF NEW.key = '$deadly' THEN"
        . ' PERFORM pg_terminate_backend(pg_backend_pid()); END IF;'
        . ' RETURN NEW; END $$',
    'CREATE TRIGGER judge BEFORE INSERT ON optcache.token_blacklist'
        . ' FOR EACH ROW EXECUTE FUNCTION public.judge()',
);

gateway($t, postgres => '"host=127.0.0.1 port=' . $pg->port_number()
    . ' dbname=postgres user=nginx sslmode=disable"');
$t->run();

my $cannot = qr/\[error\].*revocations cannot be stored in postgres: /;
my $again = qr/revocations are stored in postgres again after/;
my $never = qr/\[warn\].*a revocation is not stored in postgres: /;

###############################################################################

is(enters('good'), 'refused', 'believed');

# a trigger

is(status(post('/logout', 'raised')), 204, 'a key it minds');
ok($t->wait_for_log(qr/${cannot}P0001$/m), 'is refused');
is(status(post('/logout', 'a')), 204, 'another one');
ok(stored('a'), 'is stored');
ok($t->wait_for_log($again), 'which is told');

# a policy

is(status(post('/logout', 'denied')), 204, 'a key that it is not allowed');
ok($t->wait_for_log(qr/${cannot}42501 new row violates row-level/),
    'is refused');
post('/logout', 'b');
ok(stored('b'), 'another one is stored');

# both are tried again, after a pause or on another connection

for my $i (1 .. 3) {
    is($t->log_count($never), 0, 'not given up') if $i == 2;
    next_connection();
    post('/logout', "c$i");
    stored("c$i");
    sleep 1;
}

ok(wait_for(sub { $t->log_count($never) == 2 }), 'both are given up');
is($t->log_count($cannot), 2, 'each was told of once');

# one of which the connection dies

post('/logout', 'deadly');
ok($t->wait_for_log(qr/is not there: .*terminat/), 'the connection dies');
post('/logout', 'd');
ok(stored('d'), 'another one is stored');

is(status(get('/x', 'raised')), 401, 'redis knows');
is($t->log_count(qr/^(?!.*\[debug\]).*blacklist:/m), 0, 'no key is logged');

###############################################################################

sub stored {
    my ($token) = @_;
    return wait_for(sub { rows($pg, $token) }, 15);
}


sub next_connection {
    $pg->query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        . " WHERE usename = 'nginx'");
}

###############################################################################
