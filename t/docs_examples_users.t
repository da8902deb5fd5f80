#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The examples that are about whom a token is of: a cache by user and month,
# decisions of auth_request, plans.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;
use Test::More;
use Test::Nginx;
use Test::Nginx::Example;
use Test::Nginx::Token;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_auth_request_module /)
        ->has_program('redis-server')->plan(44);

my $key = Test::Nginx::Token->new('HS256', kid => 'a');
my $redis = $t->run_redis();
my $shared = $t->run_redis(port => 6380);
my $asked = $t->testdir() . '/asked';

$t->write_file('keys.json', jwks($key));

$t->run_http_backend($_, \&answer) for 9001, 9002;

###############################################################################

# what users have allocated

run_example($t, 'allocations.conf');

my ($alice, $bob) = map { token($_, aud => 'savings') } qw/ alice bob /;
my $january = '/api/allocations/2026/01';
my $february = '/api/allocations/2026/02';

is(cache($january, $alice), 'MISS alice 1', 'a month');
is(cache($january, $alice), 'HIT alice 1', 'is kept');
is(cache($february, $alice), 'MISS alice 2', 'another one');
is(cache($january, $bob), 'MISS bob 3', 'another user has his own');
is(cache($january, $bob), 'HIT bob 3', 'which is kept, too');
is(cache($january, $alice), 'HIT alice 1', 'and hides nothing');
is(cache($january, token('alice', aud => 'savings', jti => 2)), 'HIT alice 1',
    'another token of the same user');
is(cache("$january?x=1", $alice), 'HIT alice 1', 'there are no arguments');

my ($ttl) = header(get($january, $alice), 'Cache-Status') =~ /ttl=(\d+)/;
ok($ttl > 60 && $ttl <= 120, 'for two minutes');

my ($entry) = grep { $shared->cmd('GETRANGE', $_, 0, -1)
                     =~ m!allocations:bob:2026:01! }
              @{ $shared->entry_names() };
ok($entry, 'by a key that can be read');

is(status(send_('PUT', $january, $alice)), 200, 'a write');
is(cache($january, $alice), 'MISS alice 5', 'is seen');
is(cache($february, $alice), 'HIT alice 2', 'in this month');

is(status(send_('POST', '/api/deposits', $alice)), 201, 'a write elsewhere');
is(cache($february, $alice), 'MISS alice 7', 'is seen, too');
is(cache($january, $alice), 'MISS alice 8', 'in all months');

is(cache($january, $bob), 'MISS bob 9', 'a write is for all users of a path');
is(status(purge('{"user": "bob"}')), 200, 'purged by user');
is(cache($january, $bob), 'MISS bob 10', 'gone');
is(cache($january, $alice), 'HIT alice 8', 'not that of another one');

$shared->cmd(qw/ XADD oc:invalidate * tag allocations:alice /);
ok(wait_for(sub { cache($january, $alice) =~ /MISS/ }), 'purged by Redis');

is(cache($january, token(undef, aud => 'savings')), 'BYPASS  12',
    'of nobody');
is(cache($january, token(undef, aud => 'savings')), 'BYPASS  13',
    'nothing is kept');

is(status(get($january)), 401, 'a token is needed');
is(status(get('/api/allocations/2026/13', $alice)), 404, 'no such month');

$t->stop();

# decisions

run_example($t, 'auth-request.conf');

is(who('alice'), '200 alice 1', 'asked about');
is(who('alice'), '200 alice 1', 'a token is asked about once');
is(who('bob'), '200 bob 2', 'another one');
is(status(http_post('/api/x', headers => bearer('bob'))), 403,
    'another method is asked about');
is(who('mallory'), '401', 'refused');
is(who('mallory'), '401', 'and again');
is(asked(), 5, 'each time it was asked');
is(status(get('/api/x', 'erin', 'If-None-Match' => '*',
              'Cache-Control' => 'only-if-cached')), 200,
    'what is for the application is not for the decision');

$t->write_file('locked', '');
is(who('alice'), '200 alice 1', 'what is kept');
purge('{"user": "Bearer alice"}');
is(who('alice'), '401', 'can be purged');

$redis->cmd('SETEX', 'blacklist:' . sha256_hex('bob'), 60, 1);
ok(wait_for(sub { who('bob') eq '401' }), 'revoked by Redis');

unlink $t->testdir() . '/locked';
is(who('carol'), '200 carol 8', 'a third one');
http_post('/logout', headers => bearer('carol'));
is(who('carol'), '401', 'logged out');
is(asked(), 8, 'nobody was asked');

$t->stop();

# plans

run_example($t, 'plans-claim.conf');

is(limits(token('alice', aud => 'api', plan => 'pro')), '600 599', 'a plan');
is(limits(token('bob', aud => 'api', plan => 'x')), '60 59', 'no plan');
is(limits(token('alice', aud => 'api')), '60 58', 'it may change at once');
like(get('/api/x', token('dora', aud => 'api', plan => 'enterprise')),
    qr/^RateLimit-Policy: "plan-1d"/m, 'no limit by the minute');

is(status(get('/api/x', $alice)), 401, 'a token for something else');

###############################################################################

sub answer {
    my ($req) = @_;

    return decide($req) if $req->{uri} eq '/auth';

    my $n = count('answers');
    my $user = $req->{headers}{'x-user'} // '';

    return [404, {}, ''] if $req->{uri} =~ m!/13$!;
    return [201, ["Cache-Group-Invalidation: \"allocations:$user\""], '']
        if $req->{method} eq 'POST';

    return "$user $n";
}


# who may write, and who is let in at all

sub decide {
    my ($req) = @_;

    my $n = count('asked');
    my ($user) = $req->{headers}{authorization} =~ /^Bearer (\w+)$/;

    return [401, {}, ''] if $user eq 'mallory' || -e $t->testdir() . '/locked';
    return [403, {}, ''] if $req->{headers}{'x-original-method'} eq 'POST';
    return [204, { 'X-User' => "$user $n" }, ''];
}


sub count {
    my ($name) = @_;

    open my $fh, '>>', $t->testdir() . "/$name" or die;
    syswrite $fh, 'x';
    return -s $fh;
}


sub asked { return -s $asked }


sub token {
    my ($sub, %claims) = @_;

    return $key->token({ iss => 'https://id.example.com', exp => time() + 600,
                         defined $sub ? (sub => $sub) : (), %claims });
}


sub get {
    my ($uri, $token, %headers) = @_;
    return scalar http_get($uri, headers => { %{ bearer($token) }, %headers });
}

sub send_ { http_request($_[0], $_[1], body => '{}', headers => bearer($_[2])) }


sub cache {
    my $r = get(@_);
    return header($r, 'X-Cache') . ' ' . body($r);
}


# what the application is told

sub who {
    my $r = get('/api/x', @_);
    return status($r) eq '200' ? '200 ' . body($r) =~ s/ \d+$//r : status($r);
}


sub purge {
    return http_post('/ops/cache/purge', body => $_[0],
                     headers => { 'Content-Type' => 'application/json' });
}


sub limits {
    my $r = get('/api/x', $_[0]);
    return header($r, 'X-RateLimit-Limit') . ' '
           . header($r, 'X-RateLimit-Remaining');
}
