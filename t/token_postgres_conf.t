#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What token_blacklist_postgres takes, and what it refuses without repeating
# a password.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my @good = (
    'off',
    '"host=127.0.0.1 port=5432 dbname=a user=b"',
    '"host=127.0.0.1,::1,/tmp port=5432,,5434 dbname=a"',
    '"hostaddr=127.0.0.1 dbname=a connect_timeout=3"',
    '"host=localhost dbname=a target_session_attrs=read-write"',
    '"host=127.0.0.1 sslmode=verify-full sslrootcert=/x"',
    'postgresql://u@127.0.0.1:5433/db?sslmode=disable',
    'dbname=a',
    '"host=127.0.0.1" password_file=%%TESTDIR%%/password',
);

my @bad = (
    ['""', 'must not be empty'],
    ['nonsense', 'invalid connection string'],
    ['"host=127.0.0.1 nonsense=SECRET"', 'invalid connection string'],
    ['"password=\'SECRET"', 'invalid connection string'],
    ['"host=127.0.0.1 port=none"', 'invalid port "none"'],
    ['"host=127.0.0.1 port=65536"', 'invalid port "65536"'],
    ['"host=a,b,c port=1,2"', 'as many ports as hosts'],
    ['"host=' . join(',', ('127.0.0.1') x 33) . '"', 'at most 32'],
    ['host=nowhere.invalid', 'host not found .* "nowhere.invalid"'],
    ['"host=127.0.0.1 sslmode=maybe"', 'invalid sslmode "maybe"'],
    ['sslmode=verify-ca', 'needs "sslrootcert"'],
    ['target_session_attrs=any-', 'invalid target_session_attrs'],
    ['connect_timeout=soon', 'invalid connect_timeout "soon"'],
    ['service=a', '"service" and "passfile" cannot be used'],
    ['passfile=/a', '"service" and "passfile" cannot be used'],
    ['dbname=a password=b', 'invalid parameter "password=..."'],
    ['dbname=a password_file=none', 'open\(\) ".*/none" of "password_file"'],
    ['dbname=a password_file=empty', 'expected a password'],
    ['dbname=a password_file=.', 'read\(\) ".*" of "password_file"'],
    ['password=SECRET password_file=password', 'more than one password'],
    ['dbname=a; token_blacklist_postgres off', 'is duplicate'],
    ['off; token_blacklist_postgres off', 'is duplicate'],
);

my $t = Test::Nginx->new()->plan(2 * @good + 3 * @bad + 8);

$t->write_file('password', "SECRET\nmore\n");
$t->write_file('empty', "\n");

my $redis = 'ratelimit_redis_server redis://127.0.0.1:6379;';
my $on = 'token_blacklist on;';

###############################################################################

for my $conf (@good) {
    my ($code, $out) = $t->conf_check(http =>
        "$redis $on token_blacklist_postgres $conf;");

    is($code, 0, $conf);
    unlike($out, qr/\[(warn|error|emerg)\]/, 'and nothing is said');
}

for my $case (@bad) {
    my ($conf, $text) = @$case;
    my ($code, $out) = $t->conf_check(http =>
        "$redis $on token_blacklist_postgres $conf;");

    isnt($code, 0, substr $conf, 0, 60);
    like($out, qr/\[emerg\](?=.*token_blacklist_postgres).*$text/, 'why');
    unlike($out, qr/SECRET/, 'no password');
}

# without tokens there is nothing to keep

my ($code, $out) = $t->conf_check(http =>
    'token_blacklist_postgres dbname=a;');
is($code, 0, 'no tokens');

($code, $out) = $t->conf_check(http =>
    "$on token_blacklist_postgres dbname=a;");
isnt($code, 0, 'no Redis');
like($out, qr/needs "ratelimit_redis_server"/, 'why');

my $cluster = "ratelimit_redis_server redis://127.0.0.1:6379 cluster; $on"
              . 'token_blacklist_postgres dbname=a;';

($code, $out) = $t->conf_check(http => $cluster);
is($code, 0, 'a cluster');
($code, $out) = $t->conf_check(http =>
    $cluster . 'ratelimit_redis_prefix "{a}:";');
isnt($code, 0, 'a cluster of one slot');
like($out, qr/needs "ratelimit_redis_prefix" without braces/, 'why');

($code, $out) = $t->conf_check(http => "$redis $on",
    server => 'token_blacklist_postgres dbname=a;');
isnt($code, 0, 'of http only');
like($out, qr/is not allowed here/, 'why');

###############################################################################
