#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The configurations that the documentation shows work as they stand, but for
# paths and ports.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()
    ->has(qw/ http_proxy http_auth_request_module http_geo /)
    ->has_program('redis-server')->plan(41);

my $root = "$FindBin::Bin/..";
my $examples = "$root/docs/examples";

my @servers = map { $t->run_redis(port => $_) } 6379, 6380;

push @servers, map { $t->run_http_backend($_, \&answer) } 9001 .. 9003;

gateway('docs/examples/gateway.conf',
    $t->read_file("$examples/gateway.conf"));

$t->stop();

my ($shown) = $t->read_file("$root/README.md") =~ /^```nginx\n(.*?)^```/ms;
gateway('README.md', "events {}\n$shown");

is(limits(http_get('/api/v1/x')), '600 595', 'README.md: without a token');
is(limits(asked('/api/v1/x', 'Basic x')), '600 594',
    'README.md: with something else');

$t->stop();

###############################################################################

# plans: of each user his own, of nobody that of his address

example('plans.conf');

is(limits(asked('/api/x', 'Alice free')), '60 59', 'a plan');
is(limits(asked('/api/x', 'Bob pro')), '600 599', 'another one');
like(asked('/api/x', 'Carol enterprise'),
    qr/^RateLimit-Policy: \S+, "plan-1d"/m, 'no limit by the minute');
is(limits(asked('/api/x', 'Alice pro')), '600 598', 'it may change at once');
is(limits(http_get('/api/x')), '60 59', 'by the address without a name');

$t->stop();

# a budget: what was taken in advance makes place for what it has cost

example('ai-budget.conf');

is(remaining(asked('/v1/chat/x?cost=3000', 'Dave')), 19, 'calls');
is(remaining(asked('/v1/embeddings', 'Dave', 'X-Inputs' => 96)), 2904,
    'a cost that is known before');
is(status(asked('/v1/embeddings', 'Dave', 'X-Inputs' => '9' x 30)), 429,
    'one that is too large');
is(remaining(asked('/v1/embeddings', 'Dave', 'X-Inputs' => -5)), 2903,
    'what is no number is 1');
is(status(asked('/v1/chat/x?cost=40000', 'Dave')), 200, 'the rest of it');
is(status(asked('/v1/chat/x', 'Dave')), 429, 'and no more');

$t->stop();

like($t->read_file('documented-access.log'), qr/ Dave 429 "-" tokens \d+$/m,
    'logged');

# a lease: one question for many requests

example('lease.conf');

my $asked = $servers[0]->calls('evalsha');
my @got = map { status(asked('/api/x', 'x', 'X-Partner' => 'p')) } 1 .. 50;

is(join(' ', @got), join(' ', (200) x 50), 'let in');
cmp_ok($servers[0]->calls('evalsha') - $asked, '<', 10, 'by few questions');

$t->stop();

# bursts

example('bursts.conf');

is(join(' ', map { status(http_get('/login')) } 1 .. 6),
    '200 200 200 200 200 429', 'five tries');
is(status(http_get('/')), 200, 'a page');
is(status(http_get('/search')), 200, 'a search');

$t->stop();

# Redis elsewhere

my $cluster = $t->run_redis_cluster();

example('redis-cluster.conf');

is(remaining(asked('/api/x', 'Bearer Eve')), 59, 'counted in a cluster');
is(limits(asked('/api/export', 'Bearer Eve')), '5 4', 'by two zones');
is(status(http_post('/logout', who('Bearer Eve'))), 204, 'logged out');
is(status(asked('/api/x', 'Bearer Eve')), 401, 'out');
is(scalar(grep { !/fleet/ } $cluster->keys('*')), 3,
    'by keys of the cluster');

$t->stop();

my $set = $t->run_sentinels(redis => [6390, 6391, 6392]);

example('redis-sentinel.conf');

is(remaining(asked('/api/x', 'Bearer Frank')), 59, 'counted on the master');
is(remaining(http_get('/login')), 4, 'a login');
is(status(http_post('/logout', who('Bearer Frank'))), 204, 'logged out there');
is(status(asked('/api/x', 'Bearer Frank')), 401, 'out');
like($set->redis(0)->info('db1'), qr/keys=/, 'in its database');

$t->stop();

###############################################################################

sub answer {
    my ($req) = @_;

    my ($user, $plan) = split ' ', $req->{headers}{authorization} // '';

    return [204, { 'X-User' => $user // '', 'X-Plan' => $plan // '' }, '']
        if $req->{uri} eq '/auth';

    my ($cost) = $req->{uri} =~ /[?]cost=(\d+)/;

    return [200, { 'Cache-Control' => 'private, max-age=60',
                   $cost ? ('X-Tokens-Used' => $cost) : () },
            'for ' . ($req->{headers}{authorization} // 'nobody')];
}


# a configuration that does not run on this machine's paths

sub run {
    my ($conf) = @_;

    $conf =~ s/^(load_module|error_log|pid) [^;]*;//mg;
    $conf =~ s!/var/log/nginx/!%%TESTDIR%%/documented-!;
    $conf =~ s/^http \{\K/\n%%TEST_GLOBALS_HTTP%%\n/m;

    $t->write_file_expand('nginx.conf', "%%TEST_GLOBALS%%\n$conf")->run();
}


# what is told exactly needs a Redis that is never too slow

sub example {
    my ($name) = @_;

    my $conf = $t->read_file("$examples/$name");

    $conf =~ s/_redis_server [^;]*\K;/ timeout=5s connect_timeout=5s;/g;

    run($conf);
}


# a token that nobody had before: the Redis stays from one to the next

sub gateway {
    my ($name, $conf) = @_;
    my $token = "a-$name";

    run($conf);

    my $first = http_get('/api/v1/x', auth($token));

    like($first, qr/X-Cache: MISS/, "$name: a miss");
    like($first, qr/X-RateLimit-Remaining: 59/, "$name: limited");
    like(http_get('/api/v1/x', auth($token)), qr/X-Cache: HIT.*for Bearer a/s,
        "$name: a hit");
    like(http_get('/api/v1/x', auth('b')), qr/X-Cache: MISS.*for Bearer b/s,
        "$name: not another user's");

    like(http_post('/auth/logout', auth($token)), qr/^HTTP\S+ 204 /,
        "$name: logged out");
    like(http_get('/api/v1/x', auth($token)), qr/^HTTP\S+ 401 /,
        "$name: out");
}


sub auth { headers => { Authorization => "Bearer $_[0]" } }
sub who { headers => { Authorization => $_[0], @_[1 .. $#_] } }

sub asked {
    my ($uri, $who, @headers) = @_;
    return scalar http_get($uri, who($who, @headers));
}

sub remaining { header($_[0], 'X-RateLimit-Remaining') // '' }
sub limits { header($_[0], 'X-RateLimit-Limit') . ' ' . remaining($_[0]) }
