#!/usr/bin/perl

# Copyright (C) The Optcache authors

# One key with a time revokes all tokens of a user that were issued before it,
# and those that do not say when; later ones, and those of others, are good.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;
use Test::More;
use Test::Nginx;
use Test::Nginx::Token;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(58);

my $conf = <<'EOF';

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    token_blacklist on;
    token_blacklist_since_key since:$token_user;

    server {
        listen 127.0.0.1:8080;

        add_header X-Status $token_status always;

        token_jwt_keys %%TESTDIR%%/keys.json;

        location / {
        }

        location /off {
            token_blacklist off;
        }

        location /other {
            token_blacklist_since_key tenant:$token_claim_tenant;
        }

        location /all {
            token_blacklist_since_key everybody;
        }

        location /allow {
            token_blacklist_on_error allow;
        }

        location /opaque {
            token_jwt_keys off;
        }
    }
}

EOF

my $key = Test::Nginx::Token->new('HS256');
my $es = Test::Nginx::Token->new('ES256');

$t->write_file('keys.json', jwks($key, $es));
$t->write_file($_, 'SEE-THIS') for qw/ x off other all allow opaque /;
$t->write_file_expand('nginx.conf', $conf);

my $redis = $t->run_redis();

$t->run();

###############################################################################

my $i = 'https://id.example.com';
my $early = token(iat => 1000);
my $then = token(iat => 2000);
my $later = token(iat => 3000);
my $never = token();

passes($early, 'before');
passes($never, 'without iat, before');

# within a moment, for all that were asked for before

$redis->cmd('SET', "since:$i|alice", 2000, 'EX', 3600);

refuses($early, 'issued before it');
passes($then, 'at that second');
passes($later, 'after it');
refuses($never, 'without iat');
refuses(token(iat => 1999, n => 1), 'one that was never seen');
refuses(token(iat => 1999.9), 'a fraction before it');
passes(token(iat => 2000.5), 'a fraction after it');
refuses(token(iat => 0), 'the beginning of time');
refuses(token(iat => -5), 'before that');
refuses($es->token({ iss => $i, sub => 'alice', iat => 1000 }),
    'of another key');

my $r = get('/x', $early);
is(header($r, 'X-Status'), 'revoked', 'status');
is(header($r, 'WWW-Authenticate'), 'Bearer error="invalid_token"', 'challenge');

# others

passes($key->token({ iss => $i, sub => 'bob', iat => 1000 }), 'another user');
passes($key->token({ iss => 'https://other', sub => 'alice', iat => 1000 }),
    'of another issuer');
passes($key->token({ iss => $i, iat => 1000 }), 'nobody');
is(status(get('/off', $early)), 200, 'off');
is(status(get('/other', $early)), 200, 'another key');
is(status(get('/opaque', $early)), 200, 'not verified, so nobody');
is(status(get('/x', substr($early, 0, -3) . 'AAA')), 401, 'forged');

# issuers who try to be somebody else

$redis->cmd('SET', 'since:a%7Cb|c', 2000);
refuses($key->token({ iss => 'a|b', sub => 'c', iat => 1000 }), 'a | in iss');
passes($key->token({ iss => 'a', sub => 'b|c', iat => 1000 }), 'a | in sub');

# the time is changed, and the key goes

$redis->cmd('SET', "since:$i|alice", 2500);
refuses($then, 'a later time');
passes($later, 'not late enough');
$redis->cmd('INCRBY', "since:$i|alice", 1000);
refuses($later, 'in other ways');
$redis->cmd('DEL', "since:$i|alice");
passes($_, 'deleted') for $early, $later, $never;
$redis->cmd('SET', "since:$i|alice", 2000, 'PX', 300);
refuses($early, 'for a while');
passes($early, 'it is over');

# a claim of one's own

$redis->cmd('SET', 'tenant:t1', 2000);
is(status(get('/other', token(tenant => 't1', iat => 1000))), 401, 'a claim');
is(status(get('/other', token(tenant => 't2', iat => 1000))), 200, 'another');

# a time for everybody

$redis->cmd('SET', 'everybody', 2000);
is(status(get('/all', $key->token({ iss => 'e', sub => 'f', iat => 1000 }))),
    401, 'whoever it is');
is(status(get('/all', $then)), 200, 'who came later');

# besides the other kind of key

$redis->cmd('SETEX', 'blacklist:' . sha256_hex($later), 60, 1);
refuses($later, 'the token itself');
passes($early, 'not another one');

# values that are no time: nothing may slip through

for my $value ('soon', '', '-1', '1e3', '2000.5', ' 2000', '9' x 30,
               '99999999999')
{
    $redis->cmd('SET', "since:$i|alice", $value);
    refuses($then, "\"$value\"");
}

$redis->cmd('DEL', "since:$i|alice");
passes($then, 'deleted');
$redis->cmd('SET', "since:$i|alice", 0);
passes($then, 'nobody was issued anything before 0');

# a key of another type says nothing

$redis->cmd('DEL', "since:$i|alice");
$redis->cmd('HSET', "since:$i|alice", 'a', 'b');

ok(wait_for(sub { status(get('/x', $then)) == 503 }, 5), 'a hash');
is(header(get('/x', $then), 'X-Status'), 'unavailable', 'a hash, status');
is(status(get('/allow', $then)), 200, 'where that is allowed');
$redis->cmd('DEL', "since:$i|alice");
passes($then, 'deleted');

# a key that is empty, unless it is an argument; then nothing is kept

$redis->cmd('SET', "since:$i|alice", 2500);
refuses($then, 'refused');
$conf =~ s/since_key since:\$token_user/since_key \$arg_key/;
$t->write_file_expand('nginx.conf', $conf);
$t->reload();
passes($then, 'an empty key is not asked for');
is(status(get("/x?key=since:$i|alice", $then)), 401, 'one that is not');

# without Redis nobody knows

$redis->stop();
ok(wait_for(sub { status(get('/x', $then)) == 503 }, 5), 'without Redis');
is(status(get('/allow', $then)), 200, 'allowed');
is(status(get('/x', substr($then, 0, -3) . 'AAA')), 401, 'forged is forged');
is(status(get('/allow', token(exp => 1))), 401, 'expired is expired');

###############################################################################

sub token {
    my (%claims) = @_;
    return $key->token({ iss => $i, sub => 'alice', %claims });
}


# What was kept is heard of soon; the time is for a busy machine.

sub refuses { is(becomes($_[0], 401), 401, $_[1]) }
sub passes { is(becomes($_[0], 200), 200, $_[1]) }


sub becomes {
    my ($token, $expected) = @_;
    my $status;

    wait_for(sub {
        $status = status(get('/x', $token));
        return $status == $expected;
    }, 5);

    return $status;
}


sub get {
    my ($uri, $token) = @_;
    return http_get($uri, headers => bearer($token));
}

###############################################################################
