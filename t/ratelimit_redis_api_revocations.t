#!/usr/bin/perl

# Copyright (C) The Optcache authors

# POST to /revocations revokes a token, a jti, or all tokens of a user: on all
# hosts when it is answered, by the keys that token_blacklist asks for, and
# never for less than was asked before.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ hmac_sha256 sha256_hex /;
use JSON::PP qw/ encode_json /;
use MIME::Base64 qw/ encode_base64url /;
use Test::More;
use Test::Nginx;

my @ports = (8080, 8081);
my @hosts = map { Test::Nginx->new() } @ports;
my $secret = 'a secret that is long enough for HS256';

$hosts[0]->has_program('redis-server')->plan(54);

for my $i (0 .. $#hosts) {
    $hosts[$i]->write_file_expand('nginx.conf', <<"EOF");

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    token_jwt_keys %%TESTDIR%%/keys.json;
    token_revoke_ttl 1h;
    token_blacklist_key blacklist:\$token_digest;
    token_blacklist_key jti:\${Token_Claim_jti};
    token_blacklist_since_key since:\$token_user;

    server {
        listen 127.0.0.1:$ports[$i];

        location / {
            token_blacklist on;
        }

        location /api/ {
            ratelimit_redis_api write=on;
        }
    }
}

EOF

    $hosts[$i]->write_file('keys.json', '{"keys":[{"kty":"oct","alg":"HS256",'
        . '"k":"' . encode_base64url($secret) . '"}]}');
    $hosts[$i]->write_file('x', 'SEE-THIS');
}

my $redis = $hosts[0]->run_redis();

$_->run() for @hosts;

###############################################################################

my $now = time();

# a token

my $token = token(sub => 'alice', jti => 'a1', exp => $now + 7200);

is(get(8080, $token), 200, 'before');
is(get(8081, $token), 200, 'before, on another host');

my $r = post({ token => $token });
is(status($r), 204, 'a token is revoked');
is(body($r), '', 'and nothing said of it');
is(header($r, 'Cache-Control'), 'no-store', 'to be kept by nobody');
is(join(' ', map { get(8080, $token) } 1 .. 8), '401 ' x 7 . 401,
    'refused at once by all workers');
ok(refused(8081, $token), 'refused on the other host');

my $ttl = $redis->cmd('TTL', 'blacklist:' . sha256_hex($token));
ok($ttl > 7100 && $ttl <= 7201, 'as long as the token lasts') or diag($ttl);
ok($redis->cmd('TTL', 'jti:a1') > 7100, 'by each of its keys');

my $other = token(sub => 'alice', jti => 'a2', exp => $now + 7200);
is(get(8080, $other), 200, 'but no other token of the user');

post({ token => token(sub => 'x', jti => 'a3', exp => $now + 60) });
$ttl = $redis->cmd('TTL', 'jti:a3');
ok($ttl > 3500 && $ttl <= 3600, 'no less than token_revoke_ttl') or diag($ttl);

post({ token => token(sub => 'x', jti => 'a4', exp => $now + 60),
       ttl => 30 });
$ttl = $redis->cmd('TTL', 'jti:a4');
ok($ttl > 20 && $ttl <= 30, 'as long as is asked for') or diag($ttl);

# one that is not verified is revoked by its text alone

is(status(post({ token => 'opaque-1' })), 204, 'an opaque token');
is($redis->cmd('EXISTS', 'blacklist:' . sha256_hex('opaque-1')), 1,
    'by its digest');

my $forged = $token =~ s/.{4}$/AAAA/r;
is(status(post({ token => $forged })), 204, 'a forged token');
is($redis->cmd('EXISTS', 'blacklist:' . sha256_hex($forged)), 1,
    'by its digest');

my $no_jti = token(sub => 'alice', exp => $now + 60);
is(status(post({ token => $no_jti })), 204, 'without a jti');
is($redis->cmd('EXISTS', 'jti:'), 0, 'no key of an empty one');

# a jti

is(status(post({ jti => 'a2', ttl => 600 })), 204, 'a jti is revoked');
is(get(8080, $other), 401, 'refused');
ok(refused(8081, $other), 'refused on the other host');
$ttl = $redis->cmd('TTL', 'jti:a2');
ok($ttl > 590 && $ttl <= 600, 'for as long as was asked');

is(status(post({ jti => 'a5', exp => time() + 900 })), 204, 'until a time');
$ttl = $redis->cmd('TTL', 'jti:a5');
ok($ttl > 890 && $ttl <= 900, 'lasts until then');

is(status(post({ jti => 'a6', until => time() + 900 })), 204, 'by its name');
$ttl = $redis->cmd('TTL', 'jti:a6');
ok($ttl > 890 && $ttl <= 900, 'is the same');

is(status(post({ jti => '42' })), 204, 'of digits');
is(get(8080, token(sub => 'x', jti => 42)), 401, 'a number is refused by it');

# a user

my %bob = (sub => 'bob', iss => 'i', jti => 'b1');
my $old = token(%bob, iat => $now - 100);
my $timeless = token(%bob);

is(get($_, $old), 200, 'before') for @ports;

$now = time();
is(status(post({ user => 'i|bob' })), 204, 'a user is revoked');
my $since = $redis->cmd('GET', 'since:i|bob');
ok($since > $now && $since <= time() + 1, 'all of this second') or diag($since);
ok($redis->cmd('TTL', 'since:i|bob') > 3500, 'for token_revoke_ttl');

is(join(' ', map { get(8080, $old) } 1 .. 8), '401 ' x 7 . 401,
    'refused at once by all workers');
ok(refused(8081, $old), 'refused on the other host');
is(get(8080, $timeless), 401, 'one that does not tell when, too');
is(get(8080, token(%bob, iat => $since - 1)), 401, 'of this second');
is(get(8080, token(%bob, iat => $since)), 200, 'one that is newer is good');
is(get(8080, token(%bob, sub => 'carol', iat => 1)), 200, 'another user');

# what was revoked for longer, or more of it, stays so

sub again {
    my ($key, @command) = @_;

    $redis->cmd('DEL', $key);
    $redis->cmd(@command);
    $key =~ /^jti:(.*)/ ? post({ jti => $1, ttl => 600 })
                        : post({ user => substr($key, 6), ttl => 600 });

    return ($redis->cmd('GET', $key), $redis->cmd('TTL', $key));
}

is((again('jti:c1', 'SET', 'jti:c1', 1))[1], -1, 'a jti, for ever');
ok((again('jti:c2', 'SETEX', 'jti:c2', 7200, 1))[1] > 7100, 'for longer');
ok((again('jti:c3', 'SETEX', 'jti:c3', 60, 1))[1] > 590, 'for less');

my ($value, $life) = again('since:u1', 'SET', 'since:u1', 5);
ok($value >= $now && $life == -1, 'a user, for ever, of older tokens');
($value, $life) = again('since:u2', 'SETEX', 'since:u2', 7200, 9999999999);
ok($value == 9999999999 && $life > 7100, 'for longer, of newer ones');
($value, $life) = again('since:u3', 'SETEX', 'since:u3', 60, 'all');
ok($value eq 'all' && $life > 590, 'of all');
($value, $life) = again('since:u4', 'RPUSH', 'since:u4', 'x');
ok($value >= $now, 'what is no time is one then');

# this host knows without Redis

$redis->cmd('FLUSHALL');
is(get(8080, $token), 401, 'a token, though Redis has forgotten');
is(get(8080, $old), 401, 'a user, though Redis has forgotten');

# a host that checks nothing answers as well, and nobody reads what it was

my $logs = join '', map { $_->read_file('access.log') } @hosts;
my $errors = join '', grep { !/\[debug\]/ }
                      map { split /^/, $_->read_file('error.log') } @hosts;

like($errors, qr/\[notice\].*revoked by the api: a token/, 'is logged');
unlike($errors . $logs, qr/\Q$token\E|\Q$forged\E|opaque-1|i\|bob/,
    'and nothing of what it was');

is(status(post({ jti => '}{', ttl => 60 })), 204, 'any text of a jti');
is($redis->cmd('EXISTS', 'jti:}{'), 1, 'as it is');
is(status(post({ user => "\x{e9} \$token_sub" })), 204, 'any text of a user');
is($redis->cmd('EXISTS', "since:\xc3\xa9 \$token_sub"), 1, 'as it is');

###############################################################################

sub post {
    my ($document) = @_;

    return http_post('/api/revocations', body => encode_json($document),
                     headers => { 'Content-Type' => 'application/json' });
}

sub get {
    my ($port, $jwt) = @_;

    return status(http_get('/x', port => $port,
                           headers => { Authorization => "Bearer $jwt" }));
}

sub refused {
    my ($port, $jwt) = @_;
    return wait_for(sub { get($port, $jwt) == 401 });
}

sub token {
    my (%claims) = @_;

    my $input = encode_base64url('{"alg":"HS256"}') . '.'
                . encode_base64url(encode_json(\%claims));

    return $input . '.' . encode_base64url(hmac_sha256($input, $secret));
}

###############################################################################
