#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A token is revoked by calling the logout location with it: by the keys that
# are configured, here and everywhere.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(26);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    server {
        listen 127.0.0.1:8080;

        token_blacklist on;
        add_header X-Status $token_status always;

        location / {
        }

        location = /logout {
            token_blacklist off;
            token_revoke;
        }

        location = /again {
            token_revoke;
            token_revoke_ttl 1h;
            token_blacklist_key "a:$token_digest";
            token_blacklist_key "b:$arg_b";
            token_blacklist_key $arg_c;
        }

        location = /keyless {
            token_revoke;
            token_blacklist_key $arg_c;
        }

        location = /mirror {
            token_blacklist off;
            mirror /logout;
            mirror_request_body off;
            error_page 405 =200 @mirrored;
            empty_gif;
        }

        location @mirrored {
            return 200;
        }

        location = /cookie {
            token_source $cookie_session;
            token_blacklist off;
            token_revoke;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_redis();

$t->run();

###############################################################################

is(status(get('/x', 't')), 200, 'before');

my $r = post('/logout', 't');
is(status($r), 204, 'logout');
is(body($r), '', 'no content');
is(header($r, 'X-Status'), 'revoked', 'status');

my $key = 'blacklist:' . sha256_hex('t');
is($redis->cmd('GET', $key), 1, 'a key in Redis');
ok(2591990 < $redis->cmd('TTL', $key), 'for a month');
ok(2592000 >= $redis->cmd('TTL', $key), 'and no longer');

is(status(get('/x', 't')), 401, 'refused');
is(status(get('/x', 'u')), 200, 'others are not');
is(status(post('/logout', 't')), 204, 'logout again');

$redis->cmd('FLUSHALL');
is(status(get('/x', 't')), 401, 'this host remembers what Redis forgot');

# other methods change nothing

$r = get('/logout', 'm');
is(status($r), 405, 'GET');
is(header($r, 'Allow'), 'POST', 'POST is allowed');
is(status(http_request('DELETE', '/logout',
    headers => { Authorization => 'Bearer m' })), 405, 'DELETE');
is(status(get('/x', 'm')), 200, 'nothing happened');

$r = http_post('/logout');
is(status($r), 401, 'no token');
is(header($r, 'WWW-Authenticate'), 'Bearer', 'challenge');
is(status(post('/logout', 'a b')), 401, 'a malformed one');

# the keys that are configured, for the time that is

is(status(post('/again?b=1', 'k')), 204, 'several keys');
is(join(' ', sort @{ $redis->cmd('KEYS', '*') }),
    join(' ', 'a:' . sha256_hex('k'), 'b:1'), 'each of them');
is($redis->cmd('TTL', 'b:1'), 3600, 'for an hour');
is(status(post('/again?b=1', 'k')), 401, 'a revoked one cannot do it again');

is(status(post('/keyless', 'k')), 500, 'a token without a key');

# a subrequest is not the client's wish

is(status(post('/mirror', 'w')), 200, 'a subrequest to the logout');
is(status(get('/x', 'w')), 200, 'revokes nothing');

# with a body, on a connection that goes on

my $s = http_connect();
my %token = (headers => { Cookie => 'session=c' });
my @r = map { http_request('POST', '/cookie', %token, body => 'x' x 100000,
                           socket => $s, keepalive => 1) } 1 .. 2;
is(join(' ', map { status($_) } @r), '204 204', 'a body is read past');

###############################################################################

sub get {
    my ($uri, $token) = @_;
    return http_get($uri, headers => { Authorization => "Bearer $token" });
}


sub post {
    my ($uri, $token) = @_;
    return http_post($uri, headers => { Authorization => "Bearer $token" });
}

###############################################################################
