#!/usr/bin/perl

# Copyright (C) The Optcache authors

# All tokens of a user that were issued before a time: rows that have one.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ hmac_sha256 /;
use MIME::Base64 qw/ encode_base64url /;
use Test::More;
use Test::Nginx;
use Test::Nginx::Revocations;

my $t = Test::Nginx->new()->has_program(qw/ redis-server postgres /)->plan(18);

my $secret = 'k' x 32;

$t->write_file('keys', '{"keys":[{"kty":"oct","k":"'
    . encode_base64url($secret) . '"}]}');

my $redis = $t->run_redis();
my $pg = $t->run_postgres();

install($t, $pg);

gateway($t, postgres => '"' . $pg->conninfo() . '"',
    server => 'location /api/ { token_blacklist off;'
              . 'ratelimit_redis_api write=on; }',
    more => 'token_jwt_keys %%TESTDIR%%/keys;'
            . 'token_blacklist_since_key "before:$token_sub";');
$t->run();

###############################################################################

is(enters(token('nobody')), 'refused', 'believed');
is(status(get('/x', token('a', 1000))), 200, 'an old token');

since('a', "to_timestamp(2000)");
ok(wait_for(sub { $redis->cmd('GET', 'before:a') }), 'a row');
is($redis->cmd('GET', 'before:a'), 2000, 'a time');

ok(wait_for(sub { status(get('/x', token('a', 1000))) == 401 }), 'refuses');
is(status(get('/x', token('a', 1999))), 401, 'what was issued before');
is(status(get('/x', token('a', 2000))), 200, 'and no later one');
is(status(get('/x', token('b', 1000))), 200, 'and nobody else');

# a later time, an earlier one

since('a', "to_timestamp(2500.001)");
ok(wait_for(sub { $redis->cmd('GET', 'before:a') == 2501 }), 'a later one');

since('a', "to_timestamp(1500)");
since('c', "'infinity'");
ok(wait_for(sub { $redis->cmd('EXISTS', 'before:c') }), 'all that will come');
is($redis->cmd('GET', 'before:a'), 2501, 'an earlier one changes nothing');
is(status(get('/x', token('c', 4000000000))), 401, 'for ever');

# by the API

my $r = http_request('POST', '/api/revocations', body => '{"user":"g"}',
    headers => { 'Content-Type' => 'application/json' });
is(status($r), 204, 'revoked here');
ok(wait_for(sub {
    $pg->query("SELECT extract(epoch FROM since)::bigint"
        . " FROM optcache.token_blacklist WHERE key = 'before:g'")
    eq $redis->cmd('GET', 'before:g')
}), 'a row with a time');

# lost, and told again

$redis->cmd('FLUSHALL');
is(enters(token('b', 1000), token('a', 1000), token('c')), 'refused', 'again');
is($redis->cmd('GET', 'before:a'), 2501, 'the same time');

# what Redis knows better

$redis->cmd('SET', 'before:d', 5000);
$redis->cmd('SET', 'before:e', 'all');
since($_, "to_timestamp(2000)") for qw/ d e f /;
wait_for(sub { $redis->cmd('EXISTS', 'before:f') });
is($redis->cmd('GET', 'before:d'), 5000, 'a later one stays');
is($redis->cmd('GET', 'before:e'), 'all', 'and so does what is no number');

###############################################################################

sub since {
    my ($user, $time) = @_;

    $pg->query("SELECT optcache.token_revoke('before:$user',"
               . " now() + interval '1 hour', $time)");
}


sub token {
    my ($user, $issued) = @_;

    $issued //= 3000;

    my $text = join '.', map { encode_base64url($_) }
        '{"alg":"HS256"}', "{\"sub\":\"$user\",\"iat\":$issued}";

    return $text . '.' . encode_base64url(hmac_sha256($text, $secret));
}

###############################################################################
