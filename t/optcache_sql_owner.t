#!/usr/bin/perl

# Copyright (C) The Optcache authors

# docs/optcache.sql and docs/token_blacklist.sql take over nothing that belongs
# to somebody else; their owner need not be a superuser.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('postgres')->plan(21);
my $pg = $t->run_postgres();
my %sql = map { $_ => $t->read_file($t->source_dir() . "/docs/$_.sql") }
          qw/ optcache token_blacklist /;

$pg->query($_) for (
    'CREATE ROLE evil', 'GRANT CREATE ON DATABASE postgres TO evil',
    'CREATE ROLE owner', 'CREATE ROLE app', 'CREATE ROLE nginx',
    'CREATE ROLE admin SUPERUSER',
);

###############################################################################

for my $file (sort keys %sql) {

    # what somebody has made before

    $pg->query('SET ROLE evil; CREATE SCHEMA optcache');
    like(load($file), qr/the schema "optcache" belongs to "evil", not to "post/,
        "$file, a schema");
    is($pg->query('SELECT count(*) FROM pg_class'
            . " WHERE relnamespace = 'optcache'::regnamespace"), 0, 'nothing');
    $pg->query('DROP SCHEMA optcache');

    for my $made (
        ['TABLE', 'outbox', '(id int)'],
        ['TABLE', 'token_blacklist', '(id int)'],
        ['FUNCTION', 'host_name(text)',
            "RETURNS text LANGUAGE sql AS 'SELECT \$1'"],
    ) {
        my ($what, $name, $rest) = @$made;

        $pg->query('CREATE SCHEMA optcache; GRANT CREATE ON SCHEMA optcache'
                   . " TO evil; SET ROLE evil; CREATE $what optcache.$name"
                   . " $rest");
        like(load($file), qr/"optcache.\w+(\(\))?" belongs to "evil"/,
            "$file, $what $name");
        $pg->query('DROP SCHEMA optcache CASCADE');
    }

    # an owner who may do nothing else, again, and others

    $pg->query('CREATE SCHEMA optcache AUTHORIZATION owner');

    is(load($file, 'owner'), '', "$file by its owner");
    is(load($file, 'owner'), '', 'again');
    like(load($file, 'postgres'), qr/belongs to "owner".*SET ROLE/s,
        'a superuser mixes nothing');

    works() if $file eq 'optcache';

    $pg->query('DROP SCHEMA optcache CASCADE');
    is(load($file, 'postgres') . load($file, 'admin'), '',
        'superusers are as one');
    $pg->query('DROP SCHEMA optcache CASCADE');
}

###############################################################################

# '', or an error.

sub load {
    my ($file, $role) = @_;

    $role //= 'postgres';

    return eval { $pg->query("SET ROLE $role;\n$sql{$file}"); 1 } ? '' : $@;
}


# All that the functions do which run as their owner.

sub works {
    $pg->query(<<'SQL');
GRANT USAGE ON SCHEMA optcache TO app, nginx;
GRANT EXECUTE ON FUNCTION optcache.outbox_identity(),
    optcache.cleanup(interval) TO nginx;
GRANT EXECUTE ON FUNCTION optcache.watched(),
    optcache.invalidate(text, text, text, boolean, text),
    optcache.watch(regclass, text, text, text, text, text, boolean, text),
    optcache.unwatch(regclass, text, text, text, text, text, boolean, text)
    TO app;
CREATE SCHEMA app AUTHORIZATION app;
CREATE TABLE app.t (id int);
ALTER TABLE app.t OWNER TO app;
SQL

    $pg->query("SET ROLE app; SELECT optcache.watch('app.t', tag => 't:{id}');"
               . " INSERT INTO app.t VALUES (1); TRUNCATE app.t;"
               . " SELECT optcache.unwatch('app.t');"
               . " SELECT optcache.invalidate('user', 'u')");

    is($pg->query("SELECT string_agg(kind, ' ' ORDER BY id)"
            . ' FROM optcache.outbox'), 'tag all user', 'triggers, and by hand');
    is($pg->query("SET ROLE nginx; SELECT optcache.cleanup('0')"), 3,
        'cleaned');
    like($pg->query('SET ROLE nginx; SELECT identity, timeline'
            . ' FROM optcache.outbox_identity()'),
        qr{^[1-9]\d+/\d+/\d+\|0+1(/\d+)?$}, 'and known');
}

###############################################################################
