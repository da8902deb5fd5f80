#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Without PostgreSQL a Redis that has all revocations is believed, and one that
# has lost them is not; what is revoked meanwhile is in the table later.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Revocations;

my $t = Test::Nginx->new()->has_program(qw/ redis-server postgres /)->plan(30);

my $redis = $t->run_redis();
my $port = port(5432);

gateway($t, workers => 2, postgres =>
    "\"host=127.0.0.1 port=$port user=postgres dbname=postgres\"");
$t->run();

###############################################################################

# there never was one

ok($t->wait_for_log(qr/postgres of "token_blacklist_postgres" is not there/),
    'absent, and logged');
is(status(get('/x', 'good')), 503, 'an empty Redis is not believed');
is(header(get('/x', 'good'), 'X-Status'), 'unavailable', 'status');
is(status(get('/allow', 'good')), 200, 'unless that is asked for');
is(status(http_get('/x')), 200, 'without a token');

is(status(post('/logout', 'early')), 204, 'logout');
is(status(get('/x', 'early')), 401, 'counts');

# without a table

my $pg = $t->run_postgres();

ok($t->wait_for_log(qr/is not there: (3F000|42P01) .* does not exist/),
    'no table');
is(status(get('/x', 'good')), 503, 'not believed yet');

install($t, $pg);
$pg->query(revoke('row'));

is(enters('good2', 'row'), 'refused', 'there is one');
is($t->log_count(qr/"token_blacklist_postgres" is back after \d+ms/), 1,
    'which is logged');
ok(wait_for(sub { rows($pg, 'early') }), 'it is told of what was revoked');

# stopped

$pg->stop();
ok(wait_for(sub { $t->log_count(qr/is not there: /) > 2 }), 'stopped');
is(status(get('/x', 'good')), 200, 'Redis is believed');
is(status(get('/x', 'row')), 401, 'and what it says');
is(status(post('/logout', 'meanwhile')), 204, 'logout');

my $errors = $t->log_count(qr/is not there: /);

$redis->cmd('FLUSHALL');
ok(wait_for(sub { status(get('/x', 'row')) == 503 }),
    'a Redis that has lost all is not believed');
is(status(get('/x', "x$_")), 503, 'nor later') for 1 .. 3;
is(status(get('/x', 'meanwhile')), 401, 'what was revoked here is');

$redis->cmd('SET', key('elsewhere'), 1);
is(status(get('/allow', 'elsewhere')), 401, 'and what it refuses');

$pg->launch();
is(enters('good3', qw/ row meanwhile /), 'refused', 'started again');
ok(wait_for(sub { rows($pg, 'meanwhile') }), 'it is told');
cmp_ok($t->log_count(qr/is not there: /) - $errors, '<=', 3,
    'an outage is not logged again and again');

# killed, as by a crash

$pg->restart();
$pg->query(revoke('after'));
ok(wait_for(sub { status(get('/x', 'after')) == 401 }, 20), 'restarted');

# it does not answer any more: nobody waits for it

$pg->suspend();
is(status(get('/x', "y$_")), 200, 'frozen') for 1 .. 2;
is(status(post('/logout', 'frozen')), 204, 'logout');
$pg->resume();
ok(wait_for(sub { rows($pg, 'frozen') }, 20), 'is in the table');

###############################################################################
