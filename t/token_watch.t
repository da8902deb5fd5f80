#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What Redis said of a token is kept as long as it tells of changes, at a TCP
# or a unix socket: it costs nothing to ask again, and what an application
# revokes is refused soon.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(10);

my $conf = <<'EOF';

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server URL timeout=5s connect_timeout=5s;

    server {
        listen 127.0.0.1:8080 reuseport;

        token_blacklist on;

        location / {
        }
    }
}

EOF

configure('redis://127.0.0.1:6379');
$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_redis(unix => 1);

$t->run();

###############################################################################

check('TCP');

configure('unix:' . $redis->unix());
$t->reload();

check('a unix socket');

###############################################################################

sub check {
    my ($what) = @_;

    my $key = 'blacklist:' . sha256_hex('t');

    $redis->cmd('DEL', $key);

    ok(kept(200), "$what: kept");
    $redis->cmd('SETEX', $key, 60, 1);
    ok(wait_for(sub { get() == 401 }, 5), "$what: revoked");
    ok(kept(401), "$what: kept as well");

    # nobody is told of a change that is made together with its end

    my ($id) = $redis->cmd('CLIENT', 'LIST') =~ /^id=(\d+) .*\bflags=\w*t/m;

    $redis->cmd(@$_) for ['MULTI'], ['DEL', $key],
                        ['CLIENT', 'KILL', 'ID', $id], ['EXEC'];
    ok(wait_for(sub { get() == 200 }, 5), "$what: the connection is lost");
    ok(kept(200), "$what: kept again");
}


# Whether there comes a time when twenty checks in a row ask for nothing: a
# busy machine may break a promise at any time.

sub kept {
    my ($status) = @_;

    return wait_for(sub {
        get();
        my $n = $redis->calls('exists');
        my $others = grep { get() != $status } 1 .. 20;
        return !$others && $redis->calls('exists') == $n;
    }, 30);
}


sub get {
    return status(http_get('/x', headers => { Authorization => 'Bearer t' }));
}


sub configure {
    my ($url) = @_;

    my $text = $conf;
    $text =~ s/URL/$url/;
    $t->write_file_expand('nginx.conf', $text);
}

###############################################################################
