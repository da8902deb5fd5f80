#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Users, passwords and databases of Redis.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(9);

my $conf = <<'EOF';

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server SERVER timeout=5s connect_timeout=5s;

    ratelimit_redis_zone $arg_a zone=a:1m rate=1000r/m;

    add_header X-Limit $ratelimit_redis_status;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=a;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

$t->write_file('redis.conf', <<'EOF');
user default on nopass ~* +@all
user limits on ">se cret$" ~rl:* -@all +ping +select +evalsha +eval +time +get +set
EOF

$t->write_file('limits.password', "se cret\$\r\nnot this\n");
$t->write_file('wrong.password', 'wrong-secret');

my $redis = $t->run_redis(unix => 1,
    args => ['--include', $t->testdir() . '/redis.conf']);

my $port = $redis->port_number();
my $unix = $redis->unix();

configure("redis://limits\@127.0.0.1:$port password_file=limits.password");
$t->run();

###############################################################################

is(limit(), 'PASSED', 'user and password');

is(with("redis://limits\@127.0.0.1:$port/7 password_file=limits.password"),
    'PASSED', 'and database');
is(with("unix:$unix:9"), 'PASSED', 'database of a socket');

like(join(' ', map { $redis->info($_) // '' } 'db7', 'db9'),
    qr/keys=\d,.* keys=\d,/, 'that are used');

refused("redis://limits\@127.0.0.1:$port password_file=wrong.password",
    'AUTH refused by \S+: WRONGPASS', 'wrong password');
refused("redis://nobody\@127.0.0.1:$port password_file=limits.password",
    'AUTH refused by \S+: WRONGPASS', 'unknown user');
refused("redis://127.0.0.1:$port/99", 'SELECT refused by \S+: ERR',
    'unknown database');

# from now on the default user needs a password, too

$redis->cmd('CONFIG', 'SET', 'requirepass', 'x');

refused("redis://127.0.0.1:$port", 'PING refused by \S+: NOAUTH',
    'no password');

unlike($t->error_log(), qr/se cret|wrong-secret/, 'nothing is told');

###############################################################################

sub configure {
    my ($server) = @_;

    $t->write_file_expand('nginx.conf', $conf =~ s/SERVER/$server/r);
}


sub with {
    configure(@_);
    $t->reload(wait_old => 1);

    return limit();
}


sub refused {
    my ($server, $reason, $name) = @_;

    my $lines = qr/\[error\].*is down: $reason/;
    my $n = $t->log_count($lines);

    my $status = with($server);
    my $told = $t->log_count($lines) - $n;

    is("$status $told", 'LOCAL_PASSED 1', $name);
}


sub limit { header(scalar http_get('/x?a=1'), 'X-Limit') // '' }

###############################################################################
