#!/usr/bin/perl

# Copyright (C) The Optcache authors

# docs/optcache.sql: a value is shown in one way in tags and URIs, however the
# session that changes a table is set to show it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Outbox;

my $t = Test::Nginx->new()->has_program('postgres')->plan(8);
my $pg = $t->run_postgres();

install($t, $pg);

###############################################################################

for my $case (
    ['bytea', "'ab'", "bytea_output = 'escape'", '\x6162'],
    ['interval', "'26:00'", "intervalstyle = 'iso_8601'", '26:00:00'],
    ['float8', '0.1 + 0.2::float8', 'extra_float_digits = -10',
        '0.30000000000000004'],
    ['date', "'2024-02-01'", "datestyle = 'German'", '2024-02-01'],
    ['timestamptz', "'2024-02-01 00:00+00'", "timezone = 'Asia/Tokyo'",
        '2024-02-01 00:00:00+00'],
    ['regclass', "'optcache.outbox'", 'search_path = optcache',
        'optcache.outbox'],
    ['regclass', "'optcache.outbox'", 'quote_all_identifiers = on',
        'optcache.outbox'],
) {
    my ($type, $value, $setting, $tag) = @$case;

    $pg->query("CREATE TABLE t (v $type);"
               . " SELECT optcache.watch('t', tag => '{v}')");

    is($pg->query("DELETE FROM optcache.outbox; SET $setting;"
            . " INSERT INTO public.t VALUES ($value); RESET ALL;"
            . ' DROP TABLE t; SELECT value FROM optcache.outbox'),
        $tag, "$type, whatever $setting");
}

# there may be no other locale of money, and no column that shows of this one

is($pg->query('SELECT count(*) FROM pg_proc,'
        . ' unnest(proconfig) AS c WHERE oid = \'optcache.watched\'::regproc'
        . " AND c IN ('lc_monetary=C', 'xmlbinary=base64')"), 2,
    'money and XML, too');

###############################################################################
