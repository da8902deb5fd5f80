#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A successful answer to an unsafe method removes the stored GET of the same
# key (RFC 9111, 4.4); see optcache_write.t for what the URI removes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
        ->plan(31);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    optcache_valid 1m;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }

        location /key/ {
            optcache c;
            optcache_key $uri;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $redis = $t->run_redis();

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    return ["$req->{headers}{'x-status'}", { Location => '/x' }, '']
        if $req->{headers}{'x-status'};

    return "answer $req->{count}";
});

$t->run();

###############################################################################

for my $method (qw/ POST PUT PATCH DELETE MKCOL ANYTHING SEARCHING /) {
    is(after($method, 200), 'MISS', "$method removes");
}

for my $method (qw/ HEAD OPTIONS PROPFIND QUERY REPORT SEARCH /) {
    is(after($method, 200), 'HIT', "$method is safe");
}

is(after('POST', $_), 'MISS', "$_ removes") for 201, 204, 302, 303;
is(after('POST', $_), 'HIT', "$_ does not")
    for 400, 401, 403, 404, 409, 422, 500, 503;

# the same key

prepare('/u', 'a', '');
http_post('/u', headers => { Authorization => 'a' });
is(cached('/u', 'a'), 'MISS', 'the user');
is(cached('/u', ''), 'MISS', 'and what everybody gets');

prepare('/key/x', 'a');
http_post('/key/x?y', headers => { Authorization => 'a' });
is(cached('/key/x', 'a'), 'MISS', 'the same key');

prepare('/q?1', 'a');
http_post('/q?2', headers => { Authorization => 'a' });
is(cached('/q?1', 'a'), 'HIT', 'not another key');

# nobody finds it in Redis again

prepare('/redis', 'a');
wait_for(sub { $redis->entries() });
my $before = $redis->entries();
http_post('/redis', headers => { Authorization => 'a' });
ok(wait_for(sub { $redis->entries() == $before - 1 }), 'nor in Redis');
is(cached('/redis', 'a'), 'MISS', 'and what was there does not come back');

###############################################################################

sub after {
    my ($method, $status) = @_;

    my $uri = "/$method$status";

    prepare($uri, 'a');
    http_request($method, $uri,
                 headers => { 'X-Status' => $status, Authorization => 'a' },
                 body => $method eq 'HEAD' ? undef : '');

    return cached($uri, 'a');
}


sub prepare {
    my ($uri, @users) = @_;

    for my $user (@users, @users) {
        http_get($uri, user($user));
    }
}


sub cached {
    my ($uri, $user) = @_;
    return header(http_get($uri, user($user)), 'X-Cache');
}


sub user { length $_[0] ? (headers => { Authorization => $_[0] }) : () }

###############################################################################
