#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Rows that are deleted before they were read, while the connection lasts, are
# missed: all is invalidated.  Not so if what is deleted was read.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Outbox;

my $t = Test::Nginx->new()->has('debug')->has_program('postgres')->plan(11);
my $pg = $t->run_postgres();
my $line = line($t, $pg, 5433);

install($t, $pg);

my $conninfo = $pg->conninfo() =~ s/port=\d+/'port=' . port(5433)/er;

gateway($t, postgres => "$conninfo sslmode=disable");
$t->run_http_backend(8090, sub {
    return [200, { 'Cache-Control' => 'max-age=600' }, 'SEE-THIS'];
});

my $missed = qr/were not read are deleted: all is invalidated/;
my $looks = qr/optcache postgres looks/;

$t->run();

###############################################################################

ok(listens($t), 'reads');

http_get('/x');
like(http_get('/x'), qr/^X-Cache: HIT/m, 'is kept');

# rows that were read

$pg->query(tags('a'));
is(rows($t, 1), '1', 'is read');
mark();
looked();
is(clean(), '1', 'is deleted');
looked();
is($t->log_count($missed), 0, 'which does no harm');
like(http_get('/x'), qr/^X-Cache: HIT/m, 'is kept');

# one that was not

$line->set('stall');
$pg->query(tags('b'));
mark();
is(clean(), '1', 'is deleted, too');
$line->set('open');
ok($t->wait_for_log($missed, 20), 'is missed, which is seen');
unlike(http_get('/x'), qr/^X-Cache: HIT/m, 'all is invalidated');

# it goes on

$pg->query(tags('c'));
is(rows($t, 2), '1 3', 'the next one is read');
is($t->log_count($missed), 1, 'once');

###############################################################################

# What is visible is noted, and deleted as if that was two days ago.

sub mark {
    $pg->query('DELETE FROM optcache.outbox_mark');
    $pg->query('SELECT optcache.cleanup()');
}


sub clean {
    $pg->query("UPDATE optcache.outbox SET created = created - interval '2 d';"
        . " UPDATE optcache.outbox_mark SET made = made - interval '2 d'");

    return $pg->query('SELECT optcache.cleanup()');
}


sub looked {
    my $n = $t->log_count($looks);
    return wait_for(sub { $t->log_count($looks) > $n }, 20);
}
