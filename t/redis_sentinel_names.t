#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Sentinels and masters that have names, and move.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::INET;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(6);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    resolver 127.0.0.2:%%PORT_8053%% valid=1s ipv6=off;
    resolver_timeout 5s;

    ratelimit_redis_server redis://sentinel.test:%%PORT_26379%%
                           sentinel=mymaster timeout=5s connect_timeout=5s;

    ratelimit_redis_zone $arg_a zone=a:1m rate=60000r/m;

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

names('one.test' => '127.0.0.1', 'sentinel.test' => '127.0.0.1');

Test::Nginx::Process->start(
    name => 'dns', code => \&dns_server, log => $t->testdir() . '/dns.out',
);

my $one = $t->run_redis(port => 6379);
my $two = $t->run_redis(port => 6380);
my $sentinel = $t->run_fake_redis(port => 26379,
    reply => { SENTINEL => at('one.test', 6379) });

$t->run();

###############################################################################

ok(wait_for(sub { limit() eq 'PASSED' }), 'both by their names');
is($two->calls('evalsha'), 0, 'on the right one');

# the name of the next is not known at first

$sentinel->set(reply => { SENTINEL => at('two.test', 6380) });

ok(wait_for(sub { limit() eq 'LOCAL_PASSED' }), 'a name that is not known');
ok($t->wait_for_log(qr/is down: host not found in "two\.test"/), 'is told');

my $n = $one->calls('evalsha');

names('one.test' => '127.0.0.1', 'two.test' => '127.0.0.1',
      'sentinel.test' => '127.0.0.1');

ok(wait_for(sub { limit() eq 'PASSED' }, 20), 'until it is');
is($one->calls('evalsha'), $n, 'and the old address is not used for it');

###############################################################################

sub at {
    my ($name, $port) = @_;

    return "*2\r\n" . join '', map { '$' . length($_) . "\r\n$_\r\n" }
                               $name, port($port);
}


sub names {
    my (%names) = @_;

    $t->write_file('dns.new', join '', map { "$_ $names{$_}\n" } keys %names);
    rename $t->testdir() . '/dns.new', $t->testdir() . '/dns';
}


sub limit { header(scalar http_get('/x?a=1'), 'X-Limit') // '' }


# Answers with the address that the file "dns" has for the name.

sub dns_server {
    my $socket = IO::Socket::INET->new(
        Proto => 'udp', LocalAddr => '127.0.0.2', LocalPort => port(8053),
    ) or die "cannot bind: $!\n";

    while (defined $socket->recv(my $query, 512)) {
        my ($question) = substr($query, 12) =~ /^((?:[^\0]+)?\0.{4})/s;
        my ($labels) = $question =~ /^([^\0]*)/;
        my $name = join '.', unpack '(C/a)*', $labels;
        my ($address) = $t->read_file('dns') =~ /^\Q$name\E (\S+)/m;

        my $answer = defined $address
            ? "\xc0\x0c" . pack('nnNn C4', 1, 1, 1, 4, split(/\./, $address))
            : '';

        $socket->send(substr($query, 0, 2)
            . pack('n5', $answer eq '' ? 0x8183 : 0x8180, 1,
                   $answer eq '' ? 0 : 1, 0, 0)
            . $question . $answer);
    }
}

###############################################################################
