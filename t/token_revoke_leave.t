#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A logout is told to Redis though its client has left before that was possible.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_stub_status http_empty_gif /)
        ->has_program('redis-server')->plan(5);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379/1 timeout=30s
                           connect_timeout=30s;

    server {
        listen 127.0.0.1:8080;

        location / {
            token_blacklist on;
            empty_gif;
        }

        location = /logout {
            token_revoke;
        }
    }

    server {
        listen 127.0.0.1:8082;

        location / {
            stub_status;
        }
    }
}

EOF

my $redis = $t->run_redis();

# connections are made by the system, and nothing is answered

$redis->suspend();

$t->run();

###############################################################################

my $s = http_post('/logout', start => 1,
    headers => { Authorization => 'Bearer gone' });

ok(busy(1), 'the logout waits');
close $s;
ok(busy(0), 'its client has left');

$redis->cont();

ok(wait_for(sub { exists_key('gone') }), 'Redis is told of it');

is(status(http_post('/logout', headers => { Authorization => 'Bearer here' })),
    204, 'another one waits for the answer');
ok(exists_key('here'), 'and Redis has it, too');

###############################################################################

sub exists_key {
    my ($token) = @_;

    $redis->cmd('SELECT', 1);
    return $redis->cmd('EXISTS', 'blacklist:' . sha256_hex($token));
}


# Whether nginx works on n requests, besides the one that asks it.

sub busy {
    my ($n) = @_;

    return wait_for(sub {
        my $r = http_get('/', port => 8082) // '';
        return $r =~ /Writing: (\d+)/ && $1 == $n + 1;
    }, 20);
}

###############################################################################
