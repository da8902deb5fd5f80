#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Who the master takes us for is not told to sentinels that do not ask.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(10);

my $conf = <<'EOC';

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server URLS sentinel=mymaster password_file=PASSWORD
                           timeout=5s connect_timeout=5s;

    ratelimit_redis_zone $arg_a zone=a:1m rate=1000r/m;

    add_header X-Limit $ratelimit_redis_status;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=a;
        }
    }
}

EOC

$t->write_file('x', 'SEE-THIS');
$t->write_file('right', "sesame\n");
$t->write_file('wrong', "Sesame\n");

$t->write_file('users.conf', <<'EOC');
user default on >sesame ~* +@all
user limits on >sesame ~rl:* +@all -@dangerous +role
user norole on >sesame ~rl:* +@all -role
EOC

my $redis = $t->run_redis(
    args => ['--include', $t->testdir() . '/users.conf']);

my $port = $redis->port_number();
my $at = "*2\r\n\$9\r\n127.0.0.1\r\n\$" . length($port) . "\r\n$port\r\n";
my $open = $t->run_fake_redis(port => 26370, reply => { SENTINEL => $at });

Test::Nginx::Sentinel->one(dir => $t->testdir(), port => 26379,
    master => $port, conf => "requirepass sesame");
Test::Nginx::Sentinel->one(dir => $t->testdir(), port => 26380,
    master => $port, conf => "user default off\n"
    . "user limits on >sesame +sentinel|get-master-addr-by-name +ping");

configure('redis://127.0.0.1:26370', 'right');
$t->run();

###############################################################################

is(limit(), 'PASSED', 'the master has it');
is(scalar($open->log('AUTH')), 0, 'not the sentinel');

is(with('redis://127.0.0.1:26379', 'right'), 'PASSED', 'one that asks has');
is(with('redis://limits@127.0.0.1:26380', 'right'), 'PASSED', 'a user there');
is(with('redis://limits@127.0.0.1:26370/3', 'right'), 'PASSED',
    'and at the master');
is(join(' ', map { $_->[0] } $open->log('SELECT'), $open->log('AUTH')), '',
    'a sentinel has no databases');

refused('redis://127.0.0.1:26379', 'wrong',
    qr/no sentinel tells of it: AUTH refused by \S+: WRONGPASS/, 'sentinel');
refused('redis://127.0.0.1:26370', 'wrong',
    qr/AUTH refused by 127\.0\.0\.1:$port: WRONGPASS/, 'master');
refused('redis://norole@127.0.0.1:26370', 'right',
    qr/ROLE refused by 127\.0\.0\.1:$port: NOPERM/, 'no right to ask');

unlike($t->error_log(), qr/sesame/i, 'no password in the log');

###############################################################################

sub configure {
    my ($urls, $password) = @_;

    $t->write_file_expand('nginx.conf',
        $conf =~ s/URLS/$urls/r =~ s/PASSWORD/$password/r);
}


sub with {
    configure(@_);
    $t->reload(wait_old => 1);

    return limit();
}


sub refused {
    my ($urls, $password, $reason, $name) = @_;

    my $lines = qr/\[error\].*redis "sentinel=mymaster" of ".*" is down: .*$reason/;
    my $n = $t->log_count($lines);

    with($urls, $password);
    is($t->log_count($lines) - $n, 1, "refused: $name");
}


sub limit { header(scalar http_get('/x?a=1'), 'X-Limit') // '' }

###############################################################################
