#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What a transaction changes is invalidated when it commits: what the rows are
# about that it has changed, on all hosts that read the outbox, and nothing
# else.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Outbox;

my @hosts = map { Test::Nginx->new() } 1 .. 2;
my @ports = (8080, 8081);
my $t = $hosts[0]->has('debug')->has_program('postgres')->plan(27);
my $pg = $t->run_postgres();

install($t, $pg);

$pg->query(<<'SQL');
CREATE TABLE allocations (id int PRIMARY KEY, owner text, note text);
INSERT INTO allocations VALUES (1, 'alice'), (2, 'alice'), (3, 'bob');
SELECT optcache.watch('allocations', uri => '/allocations/{id}',
    prefix => '/of/{owner}/');
CREATE TABLE users (name text PRIMARY KEY, note text);
INSERT INTO users VALUES ('alice'), ('bob');
SELECT optcache.watch('users', for_user => '{name}', soft => true);
CREATE TABLE items (id int PRIMARY KEY, kind text);
INSERT INTO items VALUES (1, 'a'), (2, 'a');
SELECT optcache.watch('items', tag => 'item:{id}', truncate_tag => 'items');
SELECT optcache.watch('items', tag => 'kind:{kind}');
SQL

$t->run_http_backend(8090, sub {
    my ($req) = @_;

    my $tags = $req->{uri} =~ m{/tags/(.*)} ? $1 =~ s/,/ /gr : 'other';

    return [200, ['Cache-Control: max-age=600', "Surrogate-Key: $tags"],
            'SEE-THIS'];
});

for my $i (0 .. 1) {
    gateway($hosts[$i], postgres => $pg->conninfo(), port => $ports[$i],
        http => 'optcache_user $http_x_user;');
    $hosts[$i]->run();
    listens($hosts[$i]) or die "nobody listens\n";
}

# a URI and the user whose it is

my @responses = (
    '/allocations/1 alice', '/allocations/1 ', '/allocations/2 alice',
    '/allocations/3 bob', '/of/alice/all ', '/of/bob/all bob', '/ ', '/ alice',
    '/tags/item:1,items ', '/tags/items,item:2 bob', '/tags/kind:a '
);

###############################################################################

is(gone(), join(', ', @responses), 'nothing is stored');
is(gone(), '', 'all is stored');

is(changed("BEGIN; UPDATE allocations SET note = 'x'; ROLLBACK"), '',
    'rolled back');
is(changed("UPDATE allocations SET note = 'x' WHERE id = 9"), '', 'no row');
is(changed("UPDATE allocations SET note = 'x' WHERE id = 1"),
    '/allocations/1 alice, /allocations/1 , /of/alice/all ', 'one row');
is(gone(), '', 'and once');
is(changed("UPDATE allocations SET owner = 'bob' WHERE id = 2"),
    '/allocations/2 alice, /of/alice/all , /of/bob/all bob',
    'as it was, and as it is');
is(changed('DELETE FROM allocations WHERE id = 3'),
    '/allocations/3 bob, /of/bob/all bob', 'deleted');
is(changed("INSERT INTO allocations VALUES (3, 'carol')"),
    '/allocations/3 bob', 'inserted');
is(changed('TRUNCATE allocations'),
    '/allocations/1 alice, /allocations/1 , /allocations/2 alice,'
    . ' /allocations/3 bob, /of/alice/all , /of/bob/all bob', 'all rows');

# by tags

is(changed("INSERT INTO items VALUES (3, 'b')"), '', 'no such tag');
is(changed("UPDATE items SET kind = 'b' WHERE id = 1"),
    '/tags/item:1,items , /tags/kind:a ', 'a tag');
is(changed("SELECT optcache.invalidate('tag', 'items', 'localhost')"),
    '/tags/item:1,items , /tags/items,item:2 bob', 'of one host');
is(changed("SELECT optcache.invalidate('tag', 'items', 'example.com')"), '',
    'of another');

# softly

is(changed("UPDATE users SET note = 'x' WHERE name = 'alice'"),
    '/allocations/1 alice, /allocations/2 alice, / alice', 'a user');

# by hand

for my $case (
    ["'uri', '/allocations/1'", '/allocations/1 alice, /allocations/1 '],
    ["'uri', '/allocations/1', for_user => 'alice'", '/allocations/1 alice'],
    ["'uri', '/', '127.0.0.1'", ''],
    ["'uri', '/', 'LocalHost'", '/ , / alice'],
    ["'prefix', '/allocations/'", '/allocations/1 alice, /allocations/1 ,'
        . ' /allocations/2 alice, /allocations/3 bob'],
    ["'user', 'bob'", '/allocations/3 bob, /of/bob/all bob,'
        . ' /tags/items,item:2 bob'],
    ["'host', 'localhost'", join(', ', @responses)],
    ["'all'", join(', ', @responses)],
) {
    my ($args, $gone) = @$case;
    is(changed("SELECT optcache.invalidate($args)"), $gone, $args);
}

# rows that nobody can have written

$pg->query('ALTER TABLE optcache.outbox DROP CONSTRAINT outbox_kind_check');

is(changed("INSERT INTO optcache.outbox (digest, kind, value, soft)"
    . " VALUES ('x', 'later', 'x', false)"), join(', ', @responses),
    'a kind that is not known');
is(changed("INSERT INTO optcache.outbox (digest, kind, value, soft)"
    . " VALUES ('x', 'user', 'x', false)"), join(', ', @responses),
    'a user that is none');
is($_->log_count(qr/1 rows of optcache.outbox are not understood/), 2,
    'which is logged') for @hosts;

###############################################################################

# What is not in a cache any more, and is put there again.

sub gone {
    my @gone = map { my $port = $_; join ', ', grep {
        my ($uri, $user) = split / /;
        header(http_get($uri, port => $port,
                        headers => { 'X-User' => $user // '' }), 'X-Cache')
        ne 'HIT';
    } @responses } @ports;

    return $gone[0] eq $gone[1] ? $gone[0] : join ' | ', @gone;
}


# The same when both hosts have heard of a change.

sub changed {
    my ($sql) = @_;

    $pg->query($sql);
    $pg->query(tags('none'));

    my $id = $pg->query('SELECT max(id) FROM optcache.outbox');

    wait_for(sub { rows($_) =~ /\b$id$/ }) for @hosts;

    return gone();
}

###############################################################################
