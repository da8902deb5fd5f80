#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What any application writes into the stream is in force on all hosts.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;
use Test::More;
use Test::Nginx;
use Test::Nginx::Stream;

my $s = Test::Nginx::Stream->new()->plan(20);
my $redis = $s->host(0)->run_redis();

$s->run();

###############################################################################

my %alice = (headers => { Authorization => 'alice' });
my $alice = sha256_hex('alice');

ok($s->cached($_), "$_ is cached") for '/a', '/a?b=c', '/b/1', '/b/2', '/c';
ok($s->cached('/alice', %alice), 'and what is a user\'s');

add('uri', '/a?b=c');
ok($s->gone('/a?b=c'), 'by its URI');
ok($s->kept('/a'), 'which is whole');

add('prefix', '/b/');
ok($s->gone('/b/1') && $s->gone('/b/2'), 'by a prefix');

add('uri', '/a', 'uri', '/c', 'host', 'other');
add('uri', '/alice', 'user', sha256_hex('bob'));
$s->cached('/b/1');
add('prefix', '/b/*', 'host', 'LOCALHOST');
ok($s->gone('/b/1'), 'by a prefix and a host');
ok($s->kept('/a') && $s->kept('/c'), 'not by another host');
ok($s->kept('/alice', %alice), 'nor by another user');

add('user', $alice);
ok($s->gone('/alice', %alice), 'by a user');
ok($s->kept('/a'), 'and nothing else');

add('uri', '/c', 'uri', '/a');
ok($s->gone('/a') && $s->gone('/c'), 'two at once');

# an application's mistakes are not lost, and do no harm

$s->cached('/a');
$s->cached('/c');
add('url', '/a');
add('all', 'yes');
add('uri', '/a', 'tag', 'x');

ok(wait_for(sub {
    $s->log_count(qr/\[warn\].*does not understand \d+ event/) >= 2
}), 'mistakes are logged, by both hosts');
ok($s->kept('/a'), 'and nothing is done');

add('host', 'localhost');
ok($s->gone('/a') && $s->gone('/c'), 'by a host');

$s->cached('/a');
$s->cached('/alice', %alice);
add('all', '1');
ok($s->gone('/a') && $s->gone('/alice', %alice), 'all');

is($s->log_count(qr/may have missed/), 0, 'nothing was missed');

###############################################################################

sub add {
    return $redis->cmd('XADD', 'oc:invalidate', 'MAXLEN', '~', '100000', '*',
                       @_);
}

###############################################################################
