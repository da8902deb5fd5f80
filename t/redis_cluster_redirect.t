#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Redirections of a cluster that lead nowhere are followed a few times, or not
# at all, and the request goes on without Redis.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(16);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:7000 cluster
                           timeout=400ms connect_timeout=400ms;
    ratelimit_redis_zone $arg_a zone=a:1m rate=1000r/h;

    add_header X-Limit $ratelimit_redis_status always;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=a;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_redis(port => 6379);
my $port = port(7000);
my $good = map_of([0, 16383]);

my $fake = $t->run_fake_redis(
    port => 7000, behind => $redis, reply => { CLUSTER => $good },
);

$t->run();

###############################################################################

# the slot of a subject

my ($key) = asked_for('loop');
my $slot = slot($key->[3]);

like($key->[3], qr/loop/, 'a subject');

# redirections that lead nowhere

redirected("-MOVED $slot 127.0.0.1:$port\r\n", 6, 'to itself');
redirected("-ASK $slot 127.0.0.1:$port\r\n", 6, 'to be asked');
redirected("-MOVED $slot :$port\r\n", 6, 'to where it came from');
redirected("-MOVED $slot 127.0.0.1:1\r\n", 1, 'to nobody');
redirected('-MOVED ' . ($slot + 1) . " 127.0.0.1:$port\r\n", 1,
    'for another slot');

# a name that is not known may be in the next map, which is waited for

redirected("-MOVED $slot nobody.example:$port\r\n", '[1-6]', 'to a name');

for my $text ('', ' ', " $slot", " $slot 127.0.0.1", " $slot 127.0.0.1:0",
              " $slot 127.0.0.1:99999", " x 127.0.0.1:$port",
              " 16384 127.0.0.1:$port")
{
    redirected("-MOVED$text\r\n", 1, "'$text'");
}

# the timeout is of the command, however often it is sent on

redirected("-MOVED $slot 127.0.0.1:$port\r\n", '[2-4]', 'by and by',
    delay => 0.15);

###############################################################################

sub limit {
    my ($subject) = @_;

    $subject //= rand;
    return header(scalar http_get("/x?a=$subject"), 'X-Limit') // '';
}


# What was asked for a subject.

sub asked_for {
    my ($subject) = @_;

    $fake->set(reply => { CLUSTER => $good });
    wait_for(sub { limit() eq 'PASSED' });

    my $n = $fake->log('EVALSHA');
    limit($subject);
    my @log = $fake->log('EVALSHA');

    return @log[$n .. $#log];
}


sub redirected {
    my ($reply, $expected, $name, %o) = @_;

    # after an answer all is as it was

    $fake->set(reply => { CLUSTER => $good });
    wait_for(sub { limit('loop') eq 'PASSED' });

    $fake->set(reply => {
        CLUSTER => $good, EVALSHA => $reply, EVAL => $reply,
        ASKING => "+OK\r\n",
    }, %o);

    my $n = $fake->log('EVALSHA');
    my $status = limit('loop');
    my $sent = $fake->log('EVALSHA') - $n;

    $fake->set(delay => undef);

    like("$status $sent", qr/^LOCAL_PASSED $expected$/, "redirected $name");
}


sub map_of {
    my (@ranges) = @_;

    my $master = '*2' . "\r\n\$9\r\n127.0.0.1\r\n:" . port(7000) . "\r\n";

    return '*' . @ranges . "\r\n"
           . join '', map { "*3\r\n:$_->[0]\r\n:$_->[1]\r\n$master" } @ranges;
}


# CRC16 by bits, of the tag if there is one.

sub slot {
    my ($of) = @_;

    my $crc = 0;

    $of = $1 if $of =~ /\{([^}]+)\}/;

    for my $byte (unpack 'C*', $of) {
        $crc ^= $byte << 8;

        for (1 .. 8) {
            $crc = ($crc << 1) ^ ($crc & 0x8000 ? 0x1021 : 0);
            $crc &= 0xffff;
        }
    }

    return $crc % 16384;
}

###############################################################################
