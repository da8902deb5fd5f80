#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The examples of what is told of health, and of what happens when something is
# missing.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw/ decode_json /;
use Test::More;
use Test::Nginx;
use Test::Nginx::Example;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_ssi /)
        ->has_program(qw/ redis-server postgres /)->plan(56);

my ($limits, $cache) = map { $t->run_redis(port => $_) } 6379, 6380;
my $pg = $t->run_postgres();
my $conninfo = $pg->conninfo();

$pg->query($t->read_file($t->source_dir() . '/docs/optcache.sql'));

for my $n (1, 2) {
    $t->run_http_backend(9000 + $n, sub { answer($n, @_) });
}

mkdir $t->testdir() . '/errors';
$t->write_file('errors/unavailable.json', '{"status":"unavailable"}');

###############################################################################

# health

run_example($t, 'health.conf',
    qr/optcache_postgres [^;]*/ => qq{optcache_postgres "$conninfo"},
    qr!/run/nginx.drain;? ?! => $t->testdir() . '/drain ',
    qr!/drain \)! => '/drain)');

ok(wait_for(sub { probe('/cache/health') eq '200 healthy' }), 'all is well');
is(probe('/live'), '200 live', 'alive');
is(probe('/ready'), '200 fine', 'ready');
is(probe("/backends/$_"), '200 fine', "backend $_") for 1, 2;
is(probe('/backends/3'), '404 unknown', 'no such backend');
is(probe('/limits/health'), '200 healthy', 'limits');
becomes(\&health, 'fine fine healthy healthy', 'as one document');

down(1);
is(probe('/backends/1'), '503 down', 'a backend is gone');
is(probe('/backends/2'), '200 fine', 'not the other one');
is(probe('/ready'), '200 fine', 'one is enough');
becomes(\&health, 'down fine healthy healthy', 'in the document');

down(2);
is(probe('/ready'), '503 down', 'all of them');
is(probe('/live'), '200 live', 'no reason to be restarted');
is(probe('/backends/2'), '503 down', 'the other one');
up(1, 2);

$t->write_file('drain', '');
is(probe('/ready'), '503 draining', 'about to leave');
ok(wait_for(sub { status(asked('/', rand())) eq 200 }), 'still at work');
unlink $t->testdir() . '/drain';

$pg->kill();
ok(wait_for(sub { reasons() =~ /postgres: / }), 'no PostgreSQL');
becomes(sub { probe('/cache/health') }, '503 degraded', 'is told');

$limits->kill();
becomes(sub { probe('/limits/health') }, '503 degraded', 'no Redis');
becomes(\&health, 'fine fine degraded degraded', 'in the document');
is(probe('/live'), '200 live', 'still alive');

$t->stop();
$limits->launch();

# degradation

run_example($t, 'degradation.conf', qr!/usr/share/nginx! => '%%TESTDIR%%');

ok(wait_for(sub { probe('/cache/health') eq '200 healthy' }), 'all is well');
is(seen('/api/fresh', 'a'), '200 MISS', 'asked for');
is(seen('/api/fresh', 'a'), '200 HIT', 'stored');
is(seen('/api/stale', 'a'), '200 MISS', 'what is stale at once');
is(header(asked('/api/fresh', 'a'), 'X-RateLimit-Remaining'), 56, 'counted');
is(seen('/api/strict', 'a'), '200 MISS', 'what must not be stale');

# no Redis of the cache

$cache->kill();
ok(wait_for(sub { reasons() =~ /redis: / }), 'no Redis');
is(seen('/api/fresh', 'a'), '200 HIT', 'in memory');
is(seen('/api/new', 'a'), '200 MISS', 'what is new');
is(seen('/api/new', 'a'), '200 HIT', 'is kept there');

# nor of limits

is(status(http_get('/login')), 200, 'a login');

$limits->kill();
ok(wait_for(sub { seen('/api/fresh', "x" . rand()) =~ /limits/ }), 'nor here');
is(seen('/api/fresh', 'a'), '200 HIT limits', 'a hit');

my $left = header(asked('/api/fresh', 'a'), 'X-RateLimit-Remaining');
is($left, 50, 'counted on');

is(status(http_get('/login')), 503, 'no login');
is(status(asked('/api/transfers', 'a')), 503, 'no transfer');
becomes(sub { probe('/limits/health') }, '503 degraded', 'told by the API');

is(status(http_post('/logout', headers => who('b'))), 503, 'a logout');
is(status(asked('/api/fresh', 'b')), 401, 'out on this host');

# nor backends

down(1, 2);
$t->write_file('busy', '');
is(seen('/api/stale', 'a'), '200 STALE limits stale', 'they fail: stale');
like(seen('/api/none', 'a'), qr/^50[23] .*limits$/, 'nothing stored');
unlink $t->testdir() . '/busy';

my $r = asked('/api/stale', 'a');

is(header($r, 'X-Cache'), 'STALE', 'no backends: stale');
like(header($r, 'Age'), qr/^\d+$/, 'its age');
is(body($r), 'for a', 'its own');
is(seen('/api/fresh', 'a'), '200 HIT limits', 'fresh');
is(status(asked('/api/strict', 'a')), 502, 'not what must not be');
is(status(asked('/api/stale', 'c')), 502, 'nor what is of others');
is(body(asked('/api/none', 'a')), '{"status":"unavailable"}', 'a document');

# all of it again

up(1, 2);
$_->launch() for $limits, $cache;

ok(wait_for(sub { probe('/cache/health') eq '200 healthy' }, 20), 'again');
ok(wait_for(sub { seen('/api/fresh', "x" . rand()) !~ /limits/ }, 20),
    'limits, too');
ok(wait_for(sub { seen('/api/stale', "a" . rand()) =~ /^200 MISS/ }, 20),
    'and backends');
is(status(http_get('/login')), 200, 'a login');

$t->stop();

my $log = $t->read_file('example-access.log');

like($log, qr/"cache":"STALE","age":"\d+".*"limit":"LOCAL_PASSED"/, 'logged');
ok($t->log_count(qr/redis.*down/) < 20, 'not for each request');

###############################################################################

# as if nobody were there

sub answer {
    my ($n, $req) = @_;

    if (-e $t->testdir() . "/down$n") {
        return [503, {}, ''] if -e $t->testdir() . '/busy';
        return undef;
    }

    return '{"status":"fine"}' if $req->{uri} eq '/healthz';

    my ($token) = ($req->{headers}{authorization} // '') =~ /(\w+)$/;
    my $strict = $req->{uri} =~ /strict/ ? ', must-revalidate' : '';

    return [200, { 'Cache-Control' => $req->{uri} =~ /stale|strict/
                                      ? "max-age=0$strict" : 'max-age=60',
                   ETag => '"1"' }, 'for ' . ($token // '')];
}


sub down { $t->write_file("down$_", '') for @_ }
sub up { unlink $t->testdir() . "/down$_" for @_ }

sub who { return { Authorization => "Bearer $_[0]" } }
sub asked { return scalar http_get($_[0], headers => who($_[1])) }


sub seen {
    my $r = asked(@_);
    return join ' ', status($r), header($r, 'X-Cache') // 'none',
                     header($r, 'X-Degraded');
}


sub probe {
    my $r = http_get($_[0], port => 8081);
    return status($r) . ' ' . decode_json(body($r))->{status};
}


sub reasons { return body(http_get('/cache/health', port => 8081)) }


# a busy machine may be late with signs of life

sub becomes {
    my ($code, $expected, $name) = @_;

    my $got;

    wait_for(sub { ($got = $code->()) eq $expected });
    is($got, $expected, $name);
}


sub health {
    my $all = decode_json(body(http_get('/health', port => 8081)));

    return join ' ', (map { $all->{backends}{$_}{status} } 1, 2),
                     $all->{cache}{status}, $all->{limits}{status};
}
