#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A request that waits for its turn under a limit is refused if its token is
# revoked meanwhile, through this host or by another application.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new(log => 'info')->has('http_empty_gif')
        ->has_program('redis-server')->plan(9);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=30s
                           connect_timeout=30s;

    ratelimit_redis_zone $arg_a zone=a:1m rate=6r/m algorithm=gcra burst=5;
    ratelimit_redis_zone $arg_b zone=b:1m rate=6r/m algorithm=gcra burst=5;

    log_format who $uri:$status:$token_status:$ratelimit_redis_status;

    server {
        listen 127.0.0.1:8080;

        access_log %%TESTDIR%%/who.log who;

        token_blacklist on;

        location / {
            ratelimit_redis zone=a;
            ratelimit_redis zone=b stage=precontent;
            empty_gif;
        }

        location = /logout {
            token_revoke;
        }
    }
}

EOF

my $redis = $t->run_redis();

$t->run();

###############################################################################

my @revoked = (
    ['a', 'logout', sub { http_post('/logout', headers => who($_[0])) }],
    ['a', 'setex', \&setex],
    ['b', 'logout', sub { http_post('/logout', headers => who($_[0])) }],
    ['b', 'setex', \&setex],
);

my @tokens = ((map { [$_->[0], "$_->[0]-$_->[1]"] } @revoked), ['a', 'good']);

is(join(' ', map { status(get(@$_)) } @tokens), '200 ' x 4 . '200',
    'all are let in');

my @waiting = map { get(@$_, start => 1) } @tokens;

ok(wait_for(sub { $t->log_count(qr/delaying request/) == 5 }),
    'the next of each waits');

$_->[2]->("$_->[0]-$_->[1]") for @revoked;

my @r = map { status(http_end($_)) } @waiting;

for my $i (0 .. $#revoked) {
    is($r[$i], 401, "zone $revoked[$i][0]: refused after $revoked[$i][1]");
}

is($r[4], 200, 'one that was not revoked goes on');

my $log = $t->read_file('who.log');

is(() = $log =~ m{^/:401:revoked:DELAYED$}gm, 4, 'they have waited');
is(() = $log =~ m{^/:200:ok:DELAYED$}gm, 1, 'and so has the other one');

###############################################################################

sub setex {
    $redis->cmd('SETEX', 'blacklist:' . sha256_hex($_[0]), 60, 1);
}


sub who {
    my ($token) = @_;
    return { Authorization => "Bearer $token" };
}


sub get {
    my ($zone, $token, %o) = @_;
    return http_get("/?$zone=$token", headers => who($token), %o);
}

###############################################################################
