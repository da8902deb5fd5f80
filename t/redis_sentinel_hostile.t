#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Sentinels that lie, babble or say nothing: the next one is asked.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $conf = <<'EOC';

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server URLS sentinel=mymaster
                           timeout=10s connect_timeout=1s;

    ratelimit_redis_zone $arg_a zone=a:1m rate=100000r/h;

    add_header X-Limit $ratelimit_redis_status;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=a;
        }
    }
}

EOC

my $t = Test::Nginx->new()->has_program('redis-server');

my $good = port(6379);
my $replica = port(6380);
my $nobody = port(6390);

# what a sentinel says, and why it is passed over

my @said = (
    ['nil', "*-1\r\n", qr/does not know a master of this name/],
    ['nil, too', "\$-1\r\n", qr/does not know a master/],
    ['nothing', "*0\r\n", qr/does not tell/],
    ['one thing', "*1\r\n" . bulk('127.0.0.1'), qr/does not tell/],
    ['three things', "*3\r\n" . bulk('127.0.0.1', $good, 1),
     qr/does not tell/],
    ['a status', "+OK\r\n", qr/does not tell/],
    ['a number', ":$good\r\n", qr/does not tell/],
    ['an error', "-ERR unknown command\r\n", qr/does not tell/],
    ['a wrong kind of it', "-IDONTKNOW $good\r\n", qr/does not tell/],
    ['a port that is a number', "*2\r\n" . bulk('127.0.0.1') . ":$good\r\n",
     qr/invalid port/],
    ['port 0', at('127.0.0.1', 0), qr/invalid port/],
    ['port 65536', at('127.0.0.1', 65536), qr/invalid port/],
    ['no port', at('127.0.0.1', ''), qr/invalid port/],
    ['no host', at('', $good), qr/invalid address/],
    ['an array for a host', "*2\r\n*1\r\n" . bulk('127.0.0.1', $good),
     qr/invalid address/],
    ['nil for a host', "*2\r\n\$-1\r\n" . bulk($good), qr/invalid address/],
    ['a URL', at("redis://127.0.0.1", $good), qr/invalid address/],
    ['a line for a host', at("127.0.0.1\r\nx", $good), qr/invalid address/],
    ['a zero in a host', at("127.0.0.1\0", $good), qr/invalid address/],
    ['a long host', at('a' x 254, $good), qr/invalid address/],
    ['a name', at('localhost', $good), qr/there is no resolver/],
    ['much', at('a' x 5000, $good), qr/too large reply/],
    ['a length of much', "*2\r\n\$2000000000\r\n", qr/too large reply/],
    ['many', "*65000\r\n" . "\$-1\r\n" x 65000, qr/too large reply/],
    ['too many', "*2000000000\r\n", qr/too many elements/],
    ['deep', "*1\r\n" x 10, qr/too deep reply/],
    ['garbage', "HTTP/1.1 400 Bad Request\r\n\r\n", qr/not understood/],
    ['half', "*2\r\n", qr/does not answer/],
    ['silence', '', qr/does not answer/],
    ['nobody', at('127.0.0.1', $nobody), qr/connect\(\) .* failed/],
    ['itself', at('127.0.0.1', port(26379)), qr/ROLE refused by/],
    ['a replica', at('127.0.0.1', $replica), qr/ROLE refused .* not a master/],
);

my @roles = (
    ['a sentinel', "*2\r\n" . bulk('sentinel') . "*0\r\n", qr/not a master/],
    ['no role', "*0\r\n", qr/ROLE refused .* unexpected reply/],
    ['a wrong role', bulk('master'), qr/unexpected reply/],
    ['no right', "-NOPERM no\r\n", qr/NOPERM/],
    ['the next answer', '', qr/unexpected reply/],
);

$t->plan(2 * @said + 2 * @roles + 4);

$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_redis(port => 6379);
my $fake = $t->run_fake_redis(port => 6380);
my $liar = $t->run_fake_redis(port => 26379);
my $honest = $t->run_fake_redis(port => 26380,
    reply => { SENTINEL => at('127.0.0.1', $good) });

my $one = 'redis://127.0.0.1:26379';
my $two = "$one redis://127.0.0.1:26380";

configure($two);
$t->run();

###############################################################################

# each is asked first, and the other one then; and each alone

for (@said) {
    my ($name, $reply, $reason) = @$_;

    $fake->set(reply => { ROLE => "*5\r\n" . bulk('slave', '127.0.0.1')
        . ":$good\r\n" . bulk('connected') . ":0\r\n" });
    $liar->set(reply => { SENTINEL => $reply });

    with_both_and_alone($name, $reason);
}

$liar->set(reply => { SENTINEL => at('127.0.0.1', $replica) });

for (@roles) {
    my ($name, $reply, $reason) = @$_;

    $fake->set(reply => { ROLE => $reply });

    with_both_and_alone($name, $reason);
}

is(join(' ', map { $fake->log($_) } qw/ EVALSHA EVAL /), '',
    'who is no master is sent no command');

# one that says more than it was asked for, or leaves

$liar->set(reply => { SENTINEL => at('127.0.0.1', $good) x 2 });
is(with($two), 'PASSED', 'two answers to a question');

$liar->set(close_after => 1, reply => undef);
is(with($two), 'PASSED', 'a sentinel that leaves');

# it says so of the old one until the last moment

$liar->set(close_after => undef,
           reply => { SENTINEL => at('127.0.0.1', $nobody) });
with($one);
$liar->set(reply => { SENTINEL => at('127.0.0.1', $good) });

ok(wait_for(sub { limit() eq 'PASSED' }), 'better late than never');

###############################################################################

sub with_both_and_alone {
    my ($name, $reason) = @_;

    is(with($two), 'PASSED', "$name: the other one is asked");

    my $lines = qr/\[error\].*redis "sentinel=mymaster" of ".*" is down: .*$reason/;
    my $n = $t->log_count($lines);

    my $status = with($one);

    ok($status eq 'LOCAL_PASSED' && $t->log_count($lines) - $n == 1,
        "$name: is down, and why") or diag($status);
}


sub configure {
    my ($urls) = @_;

    $t->write_file_expand('nginx.conf', $conf =~ s/URLS/$urls/r);
}


sub with {
    my ($urls) = @_;

    configure($urls);
    $t->reload(wait_old => 1);

    return limit();
}


sub at { "*2\r\n" . bulk(@_) }


sub bulk { join '', map { '$' . length($_) . "\r\n$_\r\n" } @_ }


sub limit { header(scalar http_get('/x?a=1'), 'X-Limit') // '' }

###############################################################################
