#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A sentinel that is cut off together with the old master holds on to it, and
# the master answers: what the other sentinels say counts.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(12);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:26379 redis://127.0.0.1:26380
                           redis://127.0.0.1:26381 sentinel=mymaster
                           timeout=10s connect_timeout=5s;

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

$t->write_file('x', 'SEE-THIS');

my $old = $t->run_fake_redis(port => 6379,
    behind => $t->run_redis(port => 6389));
my $new = $t->run_fake_redis(port => 6380,
    behind => $t->run_redis(port => 6390));

my @s = map { $t->run_fake_redis(port => $_) } 26379 .. 26381;

say($_, 6379) for @s;

$t->run();

###############################################################################

is(limit(), 'PASSED', 'by the old master');
ok(wait_for(sub { all_asked(1) }), 'all sentinels are asked');

# the first is alone with its opinion

say($_, 6380) for @s[1, 2];

ok(wait_for(sub { limit(); $old->connections() == 0 }), 'left for the new one');

my $n = $old->log();

ok(wait_for(sub { limit(); all_asked(3) }), 'asked again and again');
is(join(' ', map { limit() } 1 .. 3), 'PASSED PASSED PASSED', 'still there');

# also when a connection is to be made, and the first one is asked

my $connected = () = $new->log('ROLE');

$new->drop();

ok(wait_for(sub { limit(); ($new->log('ROLE')) > $connected }),
    'connected again');
is(limit(), 'PASSED', 'to the same');

# or while the new one cannot be reached, and they are asked in turn

$new->set(refuse => 1)->drop();

ok(wait_for(sub { limit() eq 'LOCAL_PASSED' && all_asked(3) }),
    'asked for another');

$new->set(refuse => undef);

ok(wait_for(sub { limit() eq 'PASSED' }), 'there is none, it is back');
is(scalar($old->log()), $n, 'and the old one was asked nothing');

# it is another thing when the others are gone

$_->set(refuse => 1)->drop() for @s[1, 2];

ok(wait_for(sub { limit(); $new->connections() == 0 }, 20),
    'the last that answers is believed');
is($t->log_count(qr/no sentinel tells/), 0, 'it does answer');

###############################################################################

# Each was asked so many times more.

sub all_asked {
    my ($times) = @_;

    my @now = map { scalar(() = $_->log('SENTINEL')) } @s;
    our @was = @now if !@main::was;

    return 0 if grep { $now[$_] - $main::was[$_] < $times } 0 .. $#s;

    @main::was = ();
    return 1;
}


sub say {
    my ($sentinel, $port) = @_;

    $port = port($port);

    $sentinel->set(reply => { SENTINEL =>
        "*2\r\n\$9\r\n127.0.0.1\r\n\$" . length($port) . "\r\n$port\r\n" });
}


sub limit { header(scalar http_get('/x?a=1'), 'X-Limit') // '' }

###############################################################################
