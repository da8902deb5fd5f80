#!/usr/bin/perl

# Copyright (C) The Optcache authors

# docs/token_blacklist.sql: what token_revoke() and the triggers do does not
# depend on the search path of the session.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Revocations;

my $t = Test::Nginx->new()->has_program('postgres')->plan(3);
my $pg = $t->run_postgres();

install($t, $pg);

$pg->query(<<'SQL');
CREATE SCHEMA other;
CREATE FUNCTION other.never(timestamptz, timestamptz) RETURNS boolean
    LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR other.> (LEFTARG = timestamptz, RIGHTARG = timestamptz,
                         FUNCTION = other.never);
SQL

my $path = 'SET search_path = other, pg_catalog';

###############################################################################

$pg->query("$path; SELECT optcache.token_revoke('blacklist:a', $_)")
    for "now() + '1 hour'", "now() + '1 day'", "now() + '1 minute'";

is($pg->query("SELECT expires > now() + '2 hours'"
        . ' FROM optcache.token_blacklist'), 't', 'revoked for longer');

$pg->query("$path; SELECT optcache.token_revoke('user:a', 'infinity', $_)")
    for "'2024-01-01'", "'2025-01-01'";

is($pg->query("SELECT since = '2025-01-01' FROM optcache.token_blacklist"
        . " WHERE key = 'user:a'"), 't', 'and for later tokens');

is($pg->query("$path; BEGIN; INSERT INTO optcache.token_blacklist"
        . " (key, expires, xact) VALUES ('blacklist:b', 'infinity', '1');"
        . ' SELECT xact = pg_current_xact_id() FROM optcache.token_blacklist'
        . " WHERE key = 'blacklist:b'"), 't', 'and told of');

###############################################################################
