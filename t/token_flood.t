#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Whatever tokens are sent, and however many: what was revoked through this host
# is not forgotten for what is only kept to save work.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Token;

my $t = Test::Nginx->new(log => 'info')->has_program('redis-server')->plan(12);

my $conf = <<'EOF';

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    # REDIS

    token_zone 64k;
    keepalive_requests 100000;

    server {
        listen 127.0.0.1:8080;

        token_blacklist on;
        token_blacklist_on_error allow;

        location / {
        }

        location /jwt {
            token_jwt_keys %%TESTDIR%%/keys.json;
        }

        location = /logout {
            token_blacklist off;
            token_revoke;
        }
    }
}

EOF

my $key = Test::Nginx::Token->new('HS256');

$t->write_file('keys.json', jwks($key));
$t->write_file($_, 'SEE-THIS') for qw/ x jwt /;

$t->write_file_expand('nginx.conf', $conf);
$t->run();

###############################################################################

# without Redis this host alone knows; thousands of good tokens

my $bad = $key->token({ sub => 'mallory' });

is(get('/jwt', $bad), 200, 'before');
is(status(http_post('/logout', headers => bearer($bad))), 204, 'logout');
is(get('/jwt', $bad), 401, 'refused');

is(flood('/jwt', sub { $key->token({ n => $_[0] }) }), '200', 'good tokens');
is(get('/jwt', $bad), 401, 'still refused');

# and logouts still make the oldest go, after hundreds of them

for my $i (1 .. 100) {
    http_post('/logout', headers => bearer("other$i"));
}

is(get('/jwt', $bad), 401, 'a hundred others');

# with Redis, tokens of which nobody has to know anything

my $redis = $t->run_redis();

$conf =~ s/# REDIS/ratelimit_redis_server redis:\/\/127.0.0.1:6379
                           timeout=5s connect_timeout=5s;/;

$t->write_file_expand('nginx.conf', $conf);
ok($t->reload(wait_old => 1), 'reload');

is(status(http_post('/logout', headers => bearer('opaque'))), 204, 'logout');
is(flood('/x', sub { "any$_[0]" }), '200', 'any tokens');
is(get('/x', 'opaque'), 401, 'refused');

# all that is known of it now is here

$redis->stop();
is(get('/x', 'any1'), 200, 'without Redis others pass');
is(get('/x', 'opaque'), 401, 'but what was revoked is refused');

###############################################################################

sub flood {
    my ($uri, $token) = @_;

    my $s = http_connect();
    my %statuses = map { get($uri, $token->($_), $s) => 1 } 1 .. 2000;

    return join ' ', keys %statuses;
}


sub get {
    my ($uri, $token, $s) = @_;
    return status(http_get($uri, headers => bearer($token),
                           $s ? (socket => $s, keepalive => 1) : ()));
}

###############################################################################
