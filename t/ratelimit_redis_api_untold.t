#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Looking at a subject takes nothing away of what this host has still to tell
# Redis.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw/ decode_json /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(5);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=200ms
                           connect_timeout=200ms;

    ratelimit_redis_zone $arg_a zone=a:1m rate=9r/h;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=a;
        }

        location /api/ {
            ratelimit_redis_api;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_redis();

$t->run();

###############################################################################

ok(wait_for(sub { state() =~ /^redis/ }), 'Redis is there');

http_get('/x?a=k') for 1 .. 2;

# it stands still, and keeps what it has

$redis->suspend();
ok(wait_for(sub { state() && http_get('/api/status') =~ /"down"/ }),
    'Redis is away');

http_get('/x?a=k') for 1 .. 3;
is(state(), 'local 5 untold 3', 'three it does not know of');

# from its first answer on somebody looks

$redis->cont();
ok(wait_for(sub { state() =~ /^redis/ }), 'Redis is back');
ok(wait_for(sub { state() eq 'redis 5 untold 0' }), 'and told of all')
    or diag(state());

###############################################################################

sub state {
    my $r = http_get('/api/subjects/a/k');
    my $s = status($r) == 200 ? decode_json(body($r)) : {};
    return "$s->{source} $s->{rates}[0]{used} untold $s->{host}{untold}";
}

###############################################################################
