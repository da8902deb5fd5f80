#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A name is another user where another directive tells it: what one server has
# asked a password for, a client of another one, which shares the zone and
# answers to any name, may write into a cookie.  The same after a reload that
# changes the directive.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
        ->plan(10);

sub configure {
    my ($user) = @_;

    $t->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    server {
        listen 127.0.0.1:8080;
        server_name app.example;

        optcache_user $user;

        location / {
            optcache c;
            proxy_set_header X-User \$http_x_user;
            proxy_pass http://127.0.0.1:8081;
        }

        location /api/ {
            optcache_api write=on;
        }
    }

    server {
        listen 127.0.0.1:8082;
        server_name other.example;

        optcache_user \$cookie_uid;

        location / {
            optcache c;
            proxy_set_header X-User "";
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOC
}

configure('$http_x_user');

my $redis = $t->run_redis();

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    return [200, ['Cache-Control: max-age=100, private'],
            'for ' . ($req->{headers}{'x-user'} // 'nobody')];
});

$t->run();

###############################################################################

is(get('/', 8080, 'X-User: alice'), 'MISS for alice', 'of a user');
is(get('/', 8080, 'X-User: alice'), 'HIT for alice', 'who gets it again');
is(get('/', 8082, 'Cookie: uid=alice'), 'MISS for nobody',
    'and nobody else of that name');
is(get('/', 8080, 'X-User: alice'), 'HIT for alice', 'nor from that one');

# in Redis as well, and after a reload

ok(wait_for(sub { $redis->entries() == 2 }), 'two values in Redis');

configure('$cookie_uid');
$t->reload();

is(get('/', 8080, 'Cookie: uid=alice'), 'HIT for nobody',
    'one directive is one user');

configure('$http_x_user:');
$t->reload();

is(get('/', 8080, 'X-User: alice'), 'MISS for alice', 'another is not');

configure('$http_x_user');
$t->reload();

is(get('/', 8080, 'X-User: alice'), 'HIT for alice', 'nor is it lost');

# who tells a user to be forgotten means all

http_post('/api/purge', host => 'app.example', body => '{"user":"alice"}',
          headers => ['Content-Type: application/json']);

is(get('/', 8080, 'X-User: alice'), 'MISS for alice', 'forgotten');
is(get('/', 8082, 'Cookie: uid=alice'), 'MISS for nobody', 'by any name');

###############################################################################

sub get {
    my ($uri, $port, @fields) = @_;

    my $r = http_get($uri, port => port($port), host => 'app.example',
                     headers => \@fields);

    return (header($r, 'X-Cache') // '-') . ' ' . body($r);
}
