#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Of many requests that Redis has answered some go on in each turn of the event
# loop.  A token that is revoked meanwhile is let in by none of the others: not
# after the logout was answered.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_stub_status http_empty_gif /)
        ->has_program('redis-server')->plan(4);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
    worker_connections 1024;
}

http {
    %%TEST_GLOBALS_HTTP%%

    log_format who '$status $uri';

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=30s;

    server {
        listen 127.0.0.1:8080;

        access_log %%TESTDIR%%/who.log who;

        token_blacklist on;

        location / {
            empty_gif;
        }

        location = /logout {
            token_blacklist off;
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

$t->run();

###############################################################################

use constant { OTHERS => 130, HERS => 50 };

is(status(get('/before', 'hers')), 200, 'a token that is let in');

$redis->suspend();
sleep 1;

my @waiting = map { get('/others', "other$_", start => 1) } 1 .. OTHERS;
busy(OTHERS);

push @waiting, map { get('/hers', 'hers', start => 1) } 1 .. HERS;
busy(OTHERS + HERS);

push @waiting, http_post('/logout', headers => who('hers'), start => 1);
busy(OTHERS + HERS + 1);

$redis->cont();

my @r = map { status(http_end($_)) } @waiting;

is(grep($_ == 200, @r[0 .. OTHERS - 1]), OTHERS, 'all of the others go on');
is($r[-1], 204, 'the token is revoked');

my ($after) = $t->read_file('who.log') =~ m{^204 /logout\n(.*)}ms;

is(() = $after =~ m{^200 /hers$}gm, 0, 'and is let in no more');

###############################################################################

sub who {
    my ($token) = @_;
    return { Authorization => "Bearer $token" };
}


sub get {
    my ($uri, $token, %o) = @_;
    return http_get($uri, headers => who($token), %o);
}


# Returns when nginx works on n requests, besides the one that asks it.

sub busy {
    my ($n) = @_;

    wait_for(sub {
        my $r = http_get('/', port => 8082) // '';
        return $r =~ /Writing: (\d+)/ && $1 == $n + 1;
    }, 20) or die "nginx does not work on $n requests\n";
}

###############################################################################
