#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Three rates on one zone, as in 60r/m, 500r/h and 2000r/d: each window admits
# what it says and refuses with its own numbers, and the windows within another
# one begin anew.  Minutes are two seconds here; the rest is as it is written.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(27);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    ratelimit_redis_zone $arg_k zone=api:1m rate=60r/2s rate=500r/h
                                            rate=2000r/d;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=api;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_redis();

$t->run();

###############################################################################

my $r = http_get('/x?k=a');

is(told($r), '200 60 59', 'the first');
cmp_ok(header($r, 'X-RateLimit-Reset'), '<=', 2, 'is told of the minute');

my @r = map { http_get('/x?k=a') } 2 .. 60;

is(scalar(grep { status($_) == 200 } @r), 59, '60 pass');
is(told($r[-1]), '200 60 0', 'the last of them');

$r = http_get('/x?k=a');

is(told($r), '429 60 0', 'the 61st is refused by the minute');
like(header($r, 'Retry-After'), qr/^[12]$/, 'until its end');
is(header($r, 'X-RateLimit-Reset'), header($r, 'Retry-After'), 'and told so');
like(body($r), qr/"violated-policies":\["api-2s"\]/, 'in words, too');

is(told(http_get('/x?k=b')), '200 60 59', 'others are not refused');

# seven more minutes, each from the first request after the last one's end

for my $minute (2 .. 8) {
    wait_minute();

    is(join(' ', counts(map { http_get('/x?k=a') } 1 .. 61)), '200:60 429:1',
        "60 more in minute $minute");
}

wait_minute();

$r = http_get('/x?k=a');

is(told($r), '200 500 19', 'the 481st is told of the hour');
like(header($r, 'X-RateLimit-Reset'), qr/^35\d\d$/, 'of which all is left');

@r = map { http_get('/x?k=a') } 482 .. 500;

is(scalar(grep { status($_) == 200 } @r), 19, '500 pass');
is(told($r[-1]), '200 500 0', 'the last of them');

$r = http_get('/x?k=a');

is(told($r), '429 500 0', 'the 501st is refused by the hour');
like(header($r, 'Retry-After'), qr/^35\d\d$/, 'until its end');
is(header($r, 'X-RateLimit-Reset'), header($r, 'Retry-After'), 'and told so');
like(body($r), qr/"violated-policies":\["api-1h"\]/,
    'in words, too');

# refused ones have burnt nothing of the day, nor of the hour

is(join(' ', used('rl:api:{a}')), '500 500', 'the hour and the day have 500');
is(join(' ', counts(map { http_get('/x?k=a') } 1 .. 20)), '429:20',
    'the hour lasts');
is(join(' ', used('rl:api:{a}')), '500 500', 'and refusals are free');

###############################################################################

sub told {
    my ($r) = @_;

    return join ' ', status($r), header($r, 'X-RateLimit-Limit'),
        header($r, 'X-RateLimit-Remaining');
}


sub counts {
    my %count;

    $count{ status($_) }++ for @_;
    return map { "$_:$count{$_}" } sort keys %count;
}


# Until the answer to one more would be another: as long as it was told.

sub wait_minute { select undef, undef, undef, 2.05 }


# Of the longer two: the records of a value are a period in 4 bytes, a time and
# the units used in 6 each.

sub used {
    my ($key) = @_;

    my @used;
    my $value = $redis->cmd('GET', $key);

    for (my $at = 1; $at < length $value; $at += 16) {
        my ($period, $high, $low) = unpack 'N x6 n N', substr $value, $at, 16;
        push @used, $high * 2 ** 32 + $low if $period > 2000;
    }

    return @used;
}

###############################################################################
