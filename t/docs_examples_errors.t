#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The examples of what is said of requests: to operators, in a log of JSON, and
# to clients, in problem documents.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;
use JSON::PP;
use Test::More;
use Test::Nginx;
use Test::Nginx::Example;
use Test::Nginx::Token;
use Time::HiRes qw/ sleep /;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_rewrite http_map /)
        ->has_program('redis-server')->plan(43);

my $redis = $t->run_redis(port => 6379);
$t->run_redis(port => 6380);

$t->run_http_backend(9001, \&answer);

my $key = Test::Nginx::Token->new('HS256', kid => 'a');
my $token = $key->token({ iss => 'https://id', sub => 'al"ice' });

$t->write_file('keys.json', jwks($key));

###############################################################################

# the log

run_example($t, 'access-log.conf');

my @waiting = map { get($_, start => 1) } '/slow', '/late', '/stream';

get('/a?token=secret');
my $hit = get('/a?token=secret');
get('/b', headers => { 'User-Agent' => "\x01\"\\" });

like(header($hit, 'X-Process-Time'), qr/^(0|[1-9]\d*)$/, 'milliseconds');

my ($slow, $late, $stream) = map { http_end($_) } @waiting;

cmp_ok(header($slow, 'X-Process-Time'), '>=', 1050, 'of the header');
is(status(http_get('/healthz')), 204, 'a sign of life');

$t->stop();

my @lines = map { decode_json($_) }
            split /\n/, $t->read_file('example-access.log');
my %line = map { $_->{uri} . ' ' . $_->{cache} => $_ } @lines;
my $log = $line{'/a HIT'};

is(scalar @lines, 6, 'a line each, but for signs of life');
is($log->{user}, 'https://id|al"ice', 'whose');
is($log->{token}, sha256_hex($token), 'by which token');
is($log->{token_status}, 'ok', 'which is good');
is($log->{cache_layer}, 'L1', 'from the cache');
like($log->{cache_age}, qr/^\d$/, 'of this age');
like(join(' ', @$log{qw/ limit limit_zone limit_remaining /}),
    qr/^PASSED api 5\d$/, 'the limit');
is($log->{upstream}, '', 'by nobody else');
is($line{'/a MISS'}{cache_age}, undef, 'no age of a miss');
is($line{'/a MISS'}{upstream_status}, 200, 'which somebody has answered');
is($line{'/b '}{token_status}, 'none', 'nobody');
is($line{'/b '}{agent}, "\x01\"\\", 'anything may be in it');
cmp_ok($line{'/late MISS'}{seconds} * 1000,
    '>=', header($late, 'X-Process-Time') + 1000, 'the whole time');
unlike($t->read_file('example-access.log'), qr/secret/, 'no secrets');

my @slow = map { decode_json($_)->{uri} }
           split /\n/, $t->read_file('example-slow.log');

is(join(' ', sort @slow), '/late /slow', 'what was slow, but for streams');

# problem documents

run_example($t, 'problem.conf', qr/proxy_read_timeout \K10s/ => '200ms',
    qr!(?=location /internal/)! => 'location = /500 { return 500; } ');

problem(400, http("GET / HTTP/1.1\r\n\r\n"), 'no host');
problem(400, http("no request\r\n\r\n"), 'no request');
problem(400, http_get('/', headers => { 'X-Large' => 'x' x 20000 }),
    'a large header');
problem(401, http_get('/api/orders'), 'no token');
problem(403, http_get('/internal/x'), 'not allowed');
problem(404, http_get('/nothing.html?"\\'), 'nothing');
problem(405, http_get('/auth/logout'), 'not this way');
problem(413, http_request('POST', '/api/x', keepalive => 1,
                          headers => { 'Content-Length' => 2e6 }), 'too large');
problem(414, http_get('/' . 'x' x 20000), 'too long');
problem(500, http_get('/500'), 'broken');
problem(502, http_get('/api/broken'), 'broken off');
problem(503, my $closed = http_get('/reports/x'), 'closed');
problem(504, http_get('/api/slow'), 'too slow');

is(header($closed, 'Retry-After'), 5, 'for a while');
is(header(http_get('/api/orders'), 'WWW-Authenticate'), 'Bearer', 'a challenge');

my $head = http_head('/nothing');

is(status($head) . body($head), 404, 'a HEAD');

for my $status (404, 429, 500, 503) {
    my $own = http_get("/api/$status");

    is(status($own) . body($own), "${status}own", "an answer: $status");
}

$redis->kill();
problem(503, my $unsure = http_post('/api/orders', headers => bearer('x')),
    'no Redis');
like(join(' ', header($unsure, 'Retry-After')), qr/^[12]$/, 'for a moment');

my $limited;

wait_for(sub { status($limited = http_get('/api/404')) == 429 });

is(header($limited, 'Content-Type'), 'application/problem+json', 'a limit');
like(header($limited, 'Retry-After'), qr/^\d+$/, 'with a time');
is_deeply(decode_json(body($limited))->{'violated-policies'}, ['api'],
    'and its name');

$t->stop();

###############################################################################

sub answer {
    my ($req) = @_;

    my ($uri, $s) = @$req{qw/ uri socket /};
    my $head = "HTTP/1.1 200 OK\r\nConnection: close\r\n";

    sleep 1.1 if $uri =~ /slow/;

    return if $uri =~ /broken/;
    return [$1, {}, 'own'] if $uri =~ m{^/api/(\d+)};

    if ($uri =~ /late|stream/) {
        $head .= "Content-Type: text/event-stream\r\n" if $uri eq '/stream';
        print $s "$head\r\n";
        sleep 1.1;
        return;
    }

    return [200, { 'Cache-Control' => 'max-age=60' }, 'x'];
}


sub get {
    my ($uri, %o) = @_;

    return http_get($uri, headers => bearer($token), %o);
}


sub problem {
    my ($status, $r, $name) = @_;

    my $problem = eval { decode_json(body($r)) } || {};

    is(join(' ', status($r), header($r, 'Content-Type'), $problem->{status}),
        "$status application/problem+json $status", "$status: $name");
}
