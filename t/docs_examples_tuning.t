#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The examples of what can be set: a cache with all its settings, and limits
# that are tried before they hold.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Example;
use Time::HiRes qw/ sleep /;

my $t = Test::Nginx->new()
    ->has(qw/ http_proxy http_rewrite http_map http_split_clients threads /)
    ->has_program('redis-server')->plan(48);

my $limits = $t->run_redis(port => 6379);
my $shared = $t->run_redis(port => 6380);

my $backend = $t->run_http_backend(9001, \&answer);

###############################################################################

# the cache

run_example($t, 'cache-tuning.conf');

is(twice('/api/none'), 'HIT', 'a lifetime where nothing is said');
is(header(get('/api/none'), 'Cache-Status') =~ s/ttl=\d+/ttl=/r,
    'Optcache; hit; ttl=; detail=L1', 'and why');
is(twice('/api/404'), 'HIT', 'of what is not there');
is(twice('/api/500'), 'MISS', 'not of errors');

is(body(get('/api/version', 'X-Api-Version' => 2)), 'version 2', 'a version');
is(body(get('/api/version')), 'version 1', 'another one');
is(cache('/api/version', 'X-Api-Version' => 3), 'HIT', 'there are two');

is(cache('/api/none', Cookie => 'preview=0'), 'BYPASS', 'an editor');
is(cache('/api/new', Cookie => 'preview=0'), 'BYPASS', 'of something new');
is(cache('/api/new'), 'MISS', 'which is not kept');
is(twice('/api/uncached'), 'MISS', 'the application says so');

my ($ttl) = (get('/api/until'), get('/api/until'))[1] =~ /ttl=(\d+)/;
cmp_ok($ttl, '<=', 30, 'not longer than prices hold');

get('/api/public', bearer('a'));
is(cache('/api/public', bearer('b')), 'HIT', 'stored once for all');
get('/api/private', bearer('a'));
is(cache('/api/private', bearer('b')), 'MISS', 'or for each');
is(twice('/api/cookie'), 'MISS', 'not with a cookie');

is(twice('/api/validated'), 'REVALIDATED', 'validated');
is(twice('/api/large'), 'MISS', 'too large');
is(header(scalar http_head('/api/none'), 'X-Cache'), 'HIT', 'a HEAD');
is(zipped('/api/long'), 'gzip', 'compressed');
is(zipped('/api/none'), '', 'not what is short');

is(join(' ', twice('/api/archive/x'), cache('/api/archive/x')), 'MISS HIT',
    'what is asked for again');

my $catalog = (get('/catalog/'), get('/catalog/', bearer('a')))[1];

is(header($catalog, 'X-Cache'), 'HIT', 'in spite of what it says');
unlike($catalog, qr/Set-Cookie/, 'without its session');

is(search('a'), 'MISS', 'a search');
is(search('b'), 'MISS', 'another one');
is(search('a'), 'HIT', 'the first again');
is(cache('/api/export/x'), '', 'what is not cached');

my @waiting = map { http_get('/api/slow', start => 1) } 1 .. 5;

is(join(' ', map { status(http_end($_)) } @waiting), '200 200 200 200 200',
    'five at once');
is($backend->count(qr/slow/), 1, 'by one request');

get('/api/short');
$t->write_file('broken', 1);
wait_for(sub { cache('/api/short') ne 'HIT' });
is(status(get('/api/short')), 200, 'stale in place of an error');

is(scalar(grep { !/^shop:1:/ } @{ $shared->cmd('KEYS', '*') }), 0,
    'names in Redis');

$t->stop();

# limits, step by step

unlink $t->testdir() . '/broken';

run_example($t, 'limiter-rollout.conf', qr/10%  1;/ => '100%  1;');

my @trial = map { scalar http_get('/api/x') } 1 .. 123;

is(distinct(map { status($_) } @trial), 200, 'on trial nobody is refused');
unlike($trial[122], qr/RateLimit|Retry-After/, 'or told');
is(status(http_get('/v1/x')), 503, 'but all are counted');
like(http_get('/v1/x'), qr/^Retry-After: \d+/m, 'a status of its own');

my @some = map { scalar http_get('/api/search') } 1 .. 31;

is(distinct(map { status($_) } @some[0 .. 29]), 200, 'for some it is real');
is(header($some[0], 'X-RateLimit-Limit'), 30, 'who are told');
like(header($some[0], 'RateLimit-Policy'), qr/^"search";q=30;w=60$/,
    'but not of what is on trial');
is(status($some[30]), 429, 'and refused');

my @logins = map { scalar http_get('/login') } 1 .. 6;

is(distinct(map { status($_) } @logins), '200 429', 'for all it is real');
unlike(join('', @logins), qr/RateLimit/, 'nobody is told');

is(status(http_request('DELETE', '/ops/limits/subjects/api/127.0.0.1')), 204,
    'a new start');
is(status(http_get('/v1/x')), 200, 'is one');

is(scalar(grep { !/^production:rl:/ } @{ $limits->cmd('KEYS', '*') }), 0,
    'names in Redis');

# the last step is a line less

$t->write_file('nginx.conf',
    $t->read_file('nginx.conf') =~ s/ratelimit_redis_dry_run on;//r);
ok($t->reload(), 'another configuration');

is(header(scalar http_get('/api/x'), 'X-RateLimit-Remaining'), 118,
    'what was used stays used');

$t->stop();

like($t->read_file('example-limits.log'),
    qr{ 200 REJECTED_DRY_RUN api 0/120 "GET /api/x"$}m, 'a log of them');
ok($t->log_count(qr/\[notice\].* limiting requests, dry run, .* "api"/),
    'and another one');

###############################################################################

sub answer {
    my ($req) = @_;

    my ($uri, $headers) = @$req{qw/ uri headers /};
    my ($name) = $uri =~ m{/(\w*)$};

    my %fields = (
        short => ['Cache-Control: max-age=1'],
        uncached => ['X-No-Cache: 1'],
        until => ['Cache-Control: max-age=600',
                  'X-Valid-Until: ' . (time() + 30)],
        (map { $_ => ['Cache-Control: public, max-age=60'] } 'public', 'new'),
        private => ['Cache-Control: private, max-age=60'],
        cookie => ['Set-Cookie: session=1'],
        validated => ['Cache-Control: no-cache', 'ETag: "1"'],
        '' => ['Cache-Control: no-cache', 'Set-Cookie: session=1'],
    );

    my %bodies = (
        version => "version $headers->{'x-api-version'}",
        large => 'x' x 2_200_000,
        long => 'x' x 2000,
    );

    sleep 0.3 if $name eq 'slow';

    return [304, { ETag => '"1"', 'Cache-Control' => 'no-cache' }, '']
        if $headers->{'if-none-match'};

    return [503, {}, ''] if -e $t->testdir() . '/broken';

    return [$name =~ /^\d+$/ ? $name : 200,
            ['Content-Type: application/json', @{ $fields{$name} || [] }],
            $bodies{$name} // 'x'];
}


sub get {
    my ($uri, %headers) = @_;

    return scalar http_get($uri, headers => \%headers);
}

sub bearer { return (Authorization => "Bearer $_[0]") }

sub cache { return header(get(@_), 'X-Cache') // '' }
sub twice { get(@_); return cache(@_) }

sub search {
    return header(scalar http_post('/api/search', body => $_[0]), 'X-Cache');
}

sub zipped {
    my ($uri) = @_;

    my @accept = ('Accept-Encoding' => 'gzip');

    get($uri, @accept);
    return header(get($uri, @accept), 'Content-Encoding') // '';
}


# the different ones, in order

sub distinct {
    my %seen = map { $_ => 1 } @_;

    return join ' ', sort keys %seen;
}
