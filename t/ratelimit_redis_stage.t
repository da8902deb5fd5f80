#!/usr/bin/perl

# Copyright (C) The Optcache authors

# stage=precontent limits by what only the access phase of others makes known,
# and goes with whatever else is there.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_v2 http_auth_request /)
    ->has_program('redis-server')->plan(28);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s
                           connect_timeout=5s;

    ratelimit_redis_zone $user zone=user:1m rate=2r/h;
    ratelimit_redis_zone $arg_a zone=a:1m rate=2r/h;
    ratelimit_redis_zone $arg_b zone=b:1m rate=3r/h;
    ratelimit_redis_zone $arg_b zone=wait:1m rate=5r/s algorithm=gcra burst=5;

    server {
        listen 127.0.0.1:8080;
        listen 127.0.0.1:8083 http2;

        set $user "";

        location /user {
            auth_request /auth;
            auth_request_set $user $upstream_http_x_user;
            ratelimit_redis zone=user stage=precontent;
        }

        location /early {
            auth_request /auth;
            auth_request_set $user $upstream_http_x_user;
            ratelimit_redis zone=user;
        }

        location = /auth {
            ratelimit_redis zone=b stage=precontent;
            proxy_pass http://127.0.0.1:8081;
        }

        location /both {
            ratelimit_redis zone=a;
            ratelimit_redis zone=b stage=precontent;
        }

        location /try {
            ratelimit_redis zone=a stage=precontent;
            try_files /nothing /user.html =404;
        }

        location /named {
            ratelimit_redis zone=a stage=precontent;
            try_files /nothing @named;
        }

        location @named {
            ratelimit_redis zone=a stage=precontent;
            ratelimit_redis zone=b stage=precontent;
            proxy_pass http://127.0.0.1:8082;
        }

        location /mirror {
            ratelimit_redis zone=a stage=precontent;
            mirror /mirrored;
            proxy_pass http://127.0.0.1:8082;
        }

        location /mirrored {
            internal;
            ratelimit_redis zone=b stage=precontent;
            proxy_pass http://127.0.0.1:8082/mirrored;
        }

        location /dir/ {
            ratelimit_redis zone=a stage=precontent;
            index index.html;
        }

        location /wait {
            ratelimit_redis zone=wait stage=precontent;
        }

        location /denied {
            deny all;
            ratelimit_redis zone=a stage=precontent;
        }

        location /page {
            error_page 429 /429;
            ratelimit_redis zone=a stage=precontent;
        }

        location /429 {
            ratelimit_redis zone=b stage=precontent;
            proxy_pass http://127.0.0.1:8082;
        }
    }
}

EOF

mkdir $t->testdir() . '/dir';
$t->write_file($_, 'SEE-THIS')
    for qw! user early both user.html wait dir/index.html page !;

my $redis = $t->run_redis();

$t->run_http_backend(8081, sub {
    my ($req) = @_;
    return [200, { 'X-User' => $req->{headers}{'x-name'} // '' }, ''];
});

my $backend = $t->run_http_backend(8082, sub { return 'SEE-THAT' });

$t->run();

###############################################################################

# a key that an auth_request has found out

is(get('/user?b=1', 3, headers => { 'X-Name' => 'one' }), '200 200 429',
    'a key of auth_request_set');
is(get('/user?b=1', 1, headers => { 'X-Name' => 'two' }), '200',
    'another user');
is(get('/user?b=1', 3), '200 200 200', 'nobody is not limited');
is(get('/early', 3, headers => { 'X-Name' => 'one' }), '200 200 200',
    'in the access phase there was none');
is(header(http_get('/user', headers => { 'X-Name' => 'three' }),
          'X-RateLimit-Remaining'), 1, 'told');
is($redis->cmd('EXISTS', 'rl:b:{1}'), 0, 'a subrequest is not counted');

is(status(http2_get('/user', port => 8083, headers => { 'X-Name' => 'one' })),
    429, 'HTTP/2');

# both stages

is(get('/both?a=2&b=2', 3), '200 200 429', 'the first stage refuses');
is(header(http_get('/both?b=2'), 'X-RateLimit-Remaining'), 0,
    'and the second has not counted');

# what is given back is another script, which Redis is to know first

my $scripts = $redis->info('number_of_cached_scripts');

is(get('/both?a=12&b=2', 1), '429', 'the second refuses');
ok(wait_for(sub { $redis->info('number_of_cached_scripts') > $scripts }),
    'and what the first has counted is given back');

is(get('/both?a=3&b=2', 1), '429', 'the second refuses again');
is(header(http_get('/both?a=3'), 'X-RateLimit-Remaining'), 1,
    'and the first has not counted');

# others of the phase

is(get('/try?a=4', 3), '200 200 429', 'try_files');
is(body(http_get('/try')), 'SEE-THIS', 'does what it does');

is(get('/named?a=5', 3), '200 200 429', 'a named location: counted once');
is(get('/named?b=5', 4), '200 200 200 429',
    'a zone that is met there is checked there');
is(get('/named?a=6&b=5', 1), '429', 'and refuses');
is(header(http_get('/named?a=6'), 'X-RateLimit-Remaining'), 1,
    'what another location has counted is given back');

is(get('/mirror?a=7&b=7', 3), '200 200 429', 'mirror');
ok(wait_for(sub { $backend->count(qr/mirrored/) == 2 }),
    'mirrors what is let in');
is($redis->cmd('EXISTS', 'rl:b:{7}'), 0, 'and is not counted');

is(get('/dir/?a=8', 3), '200 200 429', 'an index: counted once');

# what was refused before is not counted

is(get('/denied?a=9', 3), '403 403 403', 'denied');
is($redis->cmd('EXISTS', 'rl:a:{9}'), 0, 'does not count');

# waiting, and the page of a refusal

is(get('/wait?b=10', 3), '200 200 200', 'delayed');
is($t->log_count(qr/delaying request, .*by zone "wait"/), 2, 'in this stage');

is(join(' ', map { body(http_get('/page?a=11&b=11')) } 1 .. 3),
    'SEE-THIS SEE-THIS SEE-THAT', 'an error page');

###############################################################################

sub get {
    my ($uri, $n, %o) = @_;
    return join ' ', map { status(http_get($uri, %o)) } 1 .. $n;
}

###############################################################################
