#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The examples of a gateway's limits: a back end that dies under it, limits by
# endpoint, and new limits that are tried before they hold.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Test::More;
use Test::Nginx;
use Test::Nginx::Example;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_rewrite /)
    ->has_program('redis-server')->plan(18);

$t->run_redis(port => 6379);
$t->run_redis(port => 6380);

my @backends = map { $t->run_http_backend($_, \&answer) } 9001 .. 9003;

###############################################################################

# a gateway: who asks does not notice that a back end is gone, neither on a
# connection that was kept nor on a new one

run_example($t, 'gateway.conf', qr/^worker_processes \Kauto/m => 1);

my @seen = map { body(get('/api/v1/x', "a$_")) } 1 .. 12;

is(distinct(map { /host (\d+)/ } @seen), 3, 'three back ends');
is(distinct(map { /connection (\d+)/ } @seen), 3, 'by connections that stay');

$t->write_file('down', $backends[1]->port_number());

my @broken = map { get('/api/v1/x', "b$_") } 1 .. 3;

$backends[1]->stop();

my @dead = map { get('/api/v1/x', "c$_") } 1 .. 6;

is(join(' ', map { status($_) } @broken, @dead), join(' ', (200) x 9),
    'one is gone');

$t->stop();

like($t->read_file('example-access.log'), qr/"backend":"[^"]+, [^"]+"/,
    'which the log tells');

# limits by endpoint

run_example($t, 'endpoint-limits.conf');

# where windows meet there may be one more

like(passed('/api/login', 8), qr/^[56]$/, 'logins');
like(passed('/api/search', 55, 'a'), qr/^5[01]$/, 'searches of a token');
is(passed('/api/chat', 21, 'a'), 20, 'messages');
is(status(get('/api/chat', 'b')), 200, 'of each his own');
is(status(get('/api/x', 'a')), 200, 'something else');
is(status(get('/api/x', 'a%')), 401, 'what is no token');

my $login = get('/api/login');

is(header($login, 'Content-Type'), 'application/problem+json', 'a problem');
is_deeply(decode_json(body($login))->{'violated-policies'}, ['login'],
    'of this zone');
like(header($login, 'Retry-After'), qr/^\d+$/, 'with a time');

my $chat = get('/api/chat', 'a');

is(status($chat), 429, 'a form of its own');
is(header($chat, 'Content-Type'), 'application/json', 'its type');
is(decode_json(body($chat))->{retry_after}, header($chat, 'Retry-After'),
    'its time');
like(header($chat, 'RateLimit-Policy'), qr/"chat";q=20;w=60/, 'its policy');

my @burst = map { start('/api/x', 'c') } 1 .. 40;

is(distinct(map { status(http_end($_)) } @burst), 1, 'a page at once');

$t->stop();

###############################################################################

sub answer {
    my ($req) = @_;

    my $s = $req->{socket};

    # breaks off
    return if $t->read_file('down') eq $s->sockport();

    return [200, { 'Cache-Control' => 'private, max-age=60' },
            'host ' . $s->sockport() . ' connection ' . $s->peerport()];
}


sub get {
    my ($uri, $token, @more) = @_;

    return http_get($uri, @more, $token
                    ? (headers => { Authorization => "Bearer $token" }) : ());
}

sub start { return scalar get(@_, start => 1) }


# how many of these are let in

sub passed {
    my ($uri, $n, @token) = @_;

    return scalar grep { status(get($uri, @token)) == 200 } 1 .. $n;
}


sub distinct { my %seen = map { $_ => 1 } @_; return scalar keys %seen }
