#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The state of one subject is read in every window, without being changed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw/ decode_json /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_v2')->has_program('redis-server')
    ->plan(25);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    ratelimit_redis_zone $arg_a zone=a:1m rate=3r/m rate=100r/h;
    ratelimit_redis_zone $arg_s zone=s:1m rate=4r/d algorithm=sliding_window;
    ratelimit_redis_zone $arg_g zone=g:1m rate=1r/h algorithm=gcra burst=4;
    ratelimit_redis_zone $arg_l zone=l:1m rate=100r/h lease=10;
    ratelimit_redis_zone $arg_d zone=d:1m rate=5r/h;

    server {
        listen 127.0.0.1:8080;
        listen 127.0.0.1:8081 http2;

        location / {
            ratelimit_redis zone=a;
            ratelimit_redis zone=s;
            ratelimit_redis zone=g nodelay;
            ratelimit_redis zone=l;
        }

        location /api/ {
            ratelimit_redis_api;
        }

        location /limited/ {
            ratelimit_redis zone=d;
            ratelimit_redis_api;
        }

        location /deep/er {
            ratelimit_redis_api;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_redis();

$t->run();

###############################################################################

# nobody has been here

is_deeply(subject('a/k'), {
    zone => 'a', key => 'k', escaped => 'k', algorithm => 'fixed_window',
    burst => 0, variable => JSON::PP::false, source => 'redis',
    rates => [
        { limit => 3, period => 60, used => 0, remaining => 3, reset => 0 },
        { limit => 100, period => 3600, used => 0, remaining => 100,
          reset => 0 },
    ],
    host => { known => JSON::PP::false, leased => 0, untold => 0 },
}, 'a new subject');

is(scalar(@{ $redis->cmd('KEYS', 'rl:a:*') }), 0,
    'which looking does not make');

http_get('/x?a=k') for 1 .. 2;

my $s = subject('a/k');
is(rates($s), '3/60:2,1 100/3600:2,98', 'two requests');
between($s->{rates}[0]{reset}, 50, 60, 'reset of the minute');
between($s->{rates}[1]{reset}, 3500, 3600, 'and of the hour');
ok(!exists $s->{rates}[0]{retry}, 'room, and no time to wait for');
ok($s->{host}{known}, 'this host knows');

is(rates(subject('a/k')), '3/60:2,1 100/3600:2,98', 'looking counts nothing');

# the hour has room, the minute has none

is(join(' ', map { status(http_get('/x?a=k')) } 1 .. 3), '200 429 429',
    'to the end');
$s = subject('a/k');
is(rates($s), '3/60:3,0 100/3600:3,97', 'nothing left in the minute');
between($s->{rates}[0]{retry}, 45, 60, 'and when there will be');
ok(!exists $s->{rates}[1]{retry}, 'in the hour there is');

# others

is(rates(subject('a/other')), '3/60:0,3 100/3600:0,100', 'another subject');
is(rates(subject('s/k')), '4/86400:0,4', 'another zone');

http_get('/x?s=k') for 1 .. 4;
$s = subject('s/k');
is("$s->{algorithm} " . rates($s), 'sliding_window 4/86400:4,0',
    'sliding window');

http_get('/x?g=k') for 1 .. 3;
$s = subject('g/k');
is("$s->{algorithm} $s->{burst} " . rates($s), 'gcra 4 1/3600:3,2', 'gcra');
between($s->{rates}[0]{reset}, 10700, 10800, 'empty after three hours');

http_get('/x?g=k') for 1 .. 2;
between(subject('g/k')->{rates}[0]{retry}, 3500, 3600, 'room after one');

# a lease: what was taken of Redis is used there, and not here

http_get('/x?l=k') for 1 .. 3;
ok(wait_for(sub {
    $s = subject('l/k');
    return $s->{host}{leased} && $s->{rates}[0]{used} - $s->{host}{leased} == 3;
}), 'a lease') or diag(explain($s));

# a location of any length, by any protocol

is(rates(json('/deep/er/subjects/a/k')), '3/60:3,0 100/3600:3,97',
    'a longer prefix');

my $r = http2_get('/api/subjects/a/k', port => 8081);
is(rates(decode_json(body($r))), '3/60:3,0 100/3600:3,97', 'HTTP/2');

# bodies nobody asked for, which come while Redis is asked

my $c = http_connect();
is(join(' ', map { status(http_request('GET', '/api/subjects/a/k',
                                       body => 'x' x 100000, socket => $c,
                                       keepalive => 1)) } 1 .. 3),
    '200 200 200', 'bodies are read past');

# the API is limited as anything is

is(join(' ', map { status(http_get('/limited/zones?d=1')) } 1 .. 6),
    '200 200 200 200 200 429', 'rules of the location');
is(rates(subject('d/1')), '5/3600:5,0', 'are counted');

is($t->log_count(qr/\[error\].*redis/), 0, 'without a word of error');

###############################################################################

sub json {
    my ($uri) = @_;
    my $r = http_get($uri);
    return status($r) == 200 ? decode_json(body($r)) : {};
}


sub subject { return json("/api/subjects/$_[0]") }


sub rates {
    return join ' ',
           map { "$_->{limit}/$_->{period}:$_->{used},$_->{remaining}" }
           @{ $_[0]{rates} };
}


sub between {
    my ($n, $min, $max, $name) = @_;
    ok($n >= $min && $n <= $max, $name) or diag("$n: not $min .. $max");
}

###############################################################################
