#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Who nginx is to PostgreSQL: a password, TLS, and what a role may not do.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Revocations;

my $t = Test::Nginx->new()->has_program(qw/ redis-server postgres /)->plan(19);

my $dir = $t->testdir();

$t->make_cert('localhost');

# PostgreSQL takes a key of its user alone, or of root if its group may read it

chmod $> == 0 ? 0640 : 0600, "$dir/localhost.key";
chown 0, (getpwnam 'postgres')[3], "$dir/localhost.key" if $> == 0;

my $redis = $t->run_redis();
my $pg = $t->run_postgres(args => ['-c', 'ssl=on',
    '-c', "ssl_cert_file=$dir/localhost.crt",
    '-c', "ssl_key_file=$dir/localhost.key"]);

install($t, $pg);

$pg->query($_) for (
    "CREATE ROLE nginx LOGIN PASSWORD 'SECRET'",
    'GRANT USAGE ON SCHEMA optcache TO nginx',
    'GRANT SELECT ON optcache.token_blacklist TO nginx',
    revoke('row'),
);

$t->write_file("$pg->{data}/pg_hba.conf", <<'EOH');
hostssl all nginx all scram-sha-256
local all postgres trust
host all postgres all trust
EOH
$pg->query('SELECT pg_reload_conf()');

my $port = $pg->port_number();

my %conf = (
    more => '',
    postgres => "\"host=localhost port=$port dbname=postgres user=nginx"
        . " sslmode=verify-full sslrootcert=$dir/ca.crt\""
        . " password_file=$dir/password",
);

$t->write_file('password', "WRONG\n");
gateway($t, %conf);
$t->run();

###############################################################################

ok($t->wait_for_log(qr/is not there: .*password authentication failed/),
    'a wrong password');
is(status(get('/x', 'good')), 503, 'not believed');

$t->write_file('password', "SECRET\n");
ok($t->reload(), 'reload');
is(enters('good', 'row'), 'refused', 'the right one');

is($pg->query("SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
              . " WHERE usename = 'nginx'"), 't', 'by TLS');

# a role that only reads

is(status(post('/logout', 'here')), 204, 'logout');
ok($t->wait_for_log(qr/revocations cannot be stored in postgres: 42501 /),
    'must not write');
ok($t->wait_for_log(qr/cannot be deleted in postgres: 42501 /),
    'must not delete');

is(status(post('/logout', 'there')), 204, 'logout');
$pg->query(revoke('later'));
ok(wait_for(sub { status(get('/x', 'later')) == 401 }),
    'what it reads counts');
$redis->cmd('FLUSHALL');
is(enters('good2', qw/ row later /), 'refused', 'told again');
is($t->log_count(qr/revocations cannot be stored/), 1, 'logged once');

# may it later, what was kept is written

$pg->query('GRANT INSERT, UPDATE, DELETE ON optcache.token_blacklist'
    . ' TO nginx');
$pg->query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    . " WHERE usename = 'nginx'");
ok(wait_for(sub { rows($pg, 'here') && rows($pg, 'there') }), 'written later');
ok($t->wait_for_log(qr/revocations are stored in postgres again after \d+ms/),
    'logged');
ok($t->wait_for_log(qr/are deleted in postgres again after \d+ms/), 'both');

# none that reads

$pg->query('REVOKE SELECT ON optcache.token_blacklist FROM nginx');
$redis->cmd('FLUSHALL');
ok($t->wait_for_log(qr/is not there: 42501 /), 'must not read');
is(status(get('/x', 'row')), 503, 'not believed');

# another name

$conf{postgres} =~ s/localhost/127.0.0.1/;
gateway($t, %conf);
$t->reload();
ok($t->wait_for_log(qr/is not there: .*does not match host name/), 'a name');

unlike($t->error_log(), qr/SECRET|WRONG/, 'no password is logged');

###############################################################################
