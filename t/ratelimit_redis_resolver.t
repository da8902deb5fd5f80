#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A Redis that moves: its name is looked up for every new connection.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::INET;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(6);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    resolver 127.0.0.2:%%PORT_8053%% valid=1s ipv6=off;
    resolver_timeout 30s;

    # the configuration finds it in /etc/hosts

    ratelimit_redis_server redis://localhost:%%PORT_6379%%
                           timeout=2s connect_timeout=2s;

    ratelimit_redis_zone $arg_a zone=a:1m rate=60000r/m;

    add_header X-Limit $ratelimit_redis_status;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=a;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

dns('127.0.0.1');

Test::Nginx::Process->start(
    name => 'dns', code => \&dns_server, log => $t->testdir() . '/dns.out',
);

my $redis = $t->run_redis();

$t->run();

###############################################################################

ok(wait_for(sub { limit() eq 'PASSED' }), 'where it was');

# the old address is of no use any more

dns('127.0.0.2');

my $moved = redis_elsewhere();
sleep 2;
$redis->kill();

ok(wait_for(sub { limit() eq 'PASSED' }), 'moved');

# what is known is better than nothing

dns('');
sleep 2;
$moved->kill_hard();

ok(wait_for(sub { limit() eq 'LOCAL_PASSED' }), 'gone, the name too');

$moved = redis_elsewhere();

ok(wait_for(sub { limit() eq 'PASSED' }), 'back, without its name');

# nor does it take the 30 seconds of a name server that says nothing

dns('silence');
sleep 2;
$moved->kill_hard();

ok(wait_for(sub { limit() eq 'LOCAL_PASSED' }), 'gone, and no name server');

$moved = redis_elsewhere();

ok(wait_for(sub { limit() eq 'PASSED' }), 'back, without a name server');

###############################################################################

sub limit { header(scalar http_get('/x?a=1'), 'X-Limit') // '' }


sub dns { $t->write_file('dns.new', $_[0])
          && rename $t->testdir() . '/dns.new', $t->testdir() . '/dns' }


sub redis_elsewhere {
    return Test::Nginx::Process->start(
        exec => ['redis-server', '--port', port(6379), '--bind', '127.0.0.2',
                 '--save', '', '--protected-mode', 'no'],
        log => $t->testdir() . '/redis-elsewhere.log',
    );
}


# Answers any question with the address in the file "dns".

sub dns_server {
    my $socket = IO::Socket::INET->new(
        Proto => 'udp', LocalAddr => '127.0.0.2', LocalPort => port(8053),
    ) or die "cannot bind: $!\n";

    while (defined $socket->recv(my $query, 512)) {
        my $address = $t->read_file('dns');

        next if $address eq 'silence';

        my ($question) = substr($query, 12) =~ /^((?:[^\0]+)?\0.{4})/s;

        my $answer = $address eq '' ? ''
            : "\xc0\x0c" . pack('nnNn C4', 1, 1, 1, 4, split(/\./, $address));

        $socket->send(substr($query, 0, 2)
            . pack('n5', $address eq '' ? 0x8183 : 0x8180, 1,
                   $address eq '' ? 0 : 1, 0, 0)
            . $question . $answer);
    }
}

###############################################################################
