#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A token whose key is in Redis is refused, whoever wrote it; what it did
# before is counted, and no token appears in Redis or in the log.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(24);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    log_format tokens $token_status:$token_digest;
    access_log %%TESTDIR%%/tokens.log tokens;

    ratelimit_redis_zone $token_digest zone=t:1m rate=5r/m;

    server {
        listen 127.0.0.1:8080;

        token_blacklist on;

        location / {
        }

        location /limited {
            ratelimit_redis zone=t;
        }

        location /several {
            token_blacklist_key "blacklist:$token_digest";
            token_blacklist_key $arg_key;
            token_blacklist_key "user:$arg_user";
        }

        location /off {
            token_blacklist off;
        }

        location /page {
            error_page 401 /login;
        }

        location /login {
            token_blacklist off;
        }

        location /loop {
            error_page 401 /loop;
        }
    }
}

EOF

$t->write_file($_, 'SEE-THIS') for qw/ x limited several off page loop /;
$t->write_file('login', 'LOGIN');

my $redis = $t->run_redis();

$t->run();

###############################################################################

my $r = get('/x', 'good');
is(status($r), 200, 'not revoked');
is(header($r, 'WWW-Authenticate'), undef, 'nothing to say');

is(status(http_get('/x')), 200, 'no token is no error');

# as any application would do it

$redis->cmd('SETEX', 'blacklist:' . sha256_hex('bad'), 60, 1);

$r = get('/x', 'bad');
is(status($r), 401, 'revoked');
is(header($r, 'WWW-Authenticate'), 'Bearer error="invalid_token"', 'challenge');
is(header($r, 'Content-Type'), 'application/problem+json', 'a problem');
is(body($r), qq({"title":"Unauthorized","status":401}\n), 'that tells nothing');

is(status(get('/x', 'good')), 200, 'others are not');
is(status(get('/off', 'bad')), 200, 'off');

$redis->cmd('DEL', 'blacklist:' . sha256_hex('bad'));
ok(wait_for(sub { status(get('/x', 'bad')) == 200 }),
   'gone from Redis, gone from here');

# the other posture of the same: the value does not matter, the key does

$redis->cmd('HSET', 'blacklist:' . sha256_hex('hash'), 'by', 'admin');
is(status(get('/x', 'hash')), 401, 'a key of any type');

# limits come first, and count

$redis->cmd('SETEX', 'blacklist:' . sha256_hex('l'), 60, 1);
my @r = map { get('/limited', 'l') } 1 .. 6;
is(join(' ', map { status($_) } @r), '401 401 401 401 401 429', 'limited');
is(header($r[0], 'X-RateLimit-Remaining'), 4, 'and told');

# several keys

is(status(get('/several?key=k&user=u', 'good')), 200, 'several keys');
$redis->cmd('SET', 'k', 1);
is(status(get('/several?key=k&user=u', 'good')), 401, 'one of them');
is(status(get('/several?user=u', 'good')), 200, 'an empty one is not checked');
$redis->cmd('SET', 'user:u', 1);
is(status(get('/several?user=u', 'good')), 401, 'another of them');
is(status(http_get('/several?user=u')), 200, 'none without a token');

# an error page

$redis->cmd('SET', 'blacklist:' . sha256_hex('p'), 1);
$r = get('/page', 'p');
is(status($r) . body($r), '401LOGIN', 'an error page');
is(header($r, 'WWW-Authenticate'), 'Bearer error="invalid_token"', 'challenge');
is(status(get('/loop', 'p')), 401, 'no loop');

$t->stop();

my ($last) = $t->read_file('tokens.log') =~ /(\S+)\n\z/;
is($last, 'revoked:' . sha256_hex('p'), 'variables');
like($t->read_file('tokens.log'), qr/^none:-$/m, 'without a token');

my $all = join ' ', @{ $redis->cmd('KEYS', '*') };
unlike($all, qr/\bgood\b|\bbad\b/, 'no token in Redis');

###############################################################################

sub get {
    my ($uri, $token) = @_;
    return http_get($uri, headers => { Authorization => "Bearer $token" });
}

###############################################################################
