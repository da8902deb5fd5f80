#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What is said by a token, and cannot be told for want of memory, is not taken
# for what is not said, by whatever it was asked: a map, "set", a rate, a key of
# the list of revoked tokens, or the time until which a response may be used.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Token;

plan(skip_all => 'what is loaded before the sanitizer is refused')
    if $ENV{ASAN_OPTIONS};

my $t = Test::Nginx->new()->has(qw/ http_proxy http_rewrite /)
        ->has_program('cc')->has_program('redis-server')->plan(37);

$t->expect_log(qr/malloc\(\d+\) failed/);

my $dir = $t->testdir();

# Once for each time that its file is made: a list or a user of these lengths
# has no memory, or the first two things behind $realpath_root that are larger
# than a pool: the context of a request, and once more when that is told.

$t->write_file('fail.c', <<"EOF");
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);

static int  armed;

void *
malloc(size_t n)
{
    if ((n == 5001 || n == 15002) && unlink("$dir/fail.text") == 0) {
        return NULL;
    }

    if (armed && n > 512) {
        armed--;
        return NULL;
    }

    return __libc_malloc(n);
}

static char *
arm(char *real)
{
    if (unlink("$dir/fail.context") == 0) {
        armed = 2;
    }

    return real;
}

char *
realpath(const char *path, char *buf)
{
    char *(*real)(const char *, char *) = dlsym(RTLD_NEXT, "realpath");

    return arm(real(path, buf));
}

char *
__realpath_chk(const char *path, char *buf, size_t n)
{
    char *(*real)(const char *, char *, size_t)
        = dlsym(RTLD_NEXT, "__realpath_chk");

    return arm(real(path, buf, n));
}
EOF

system("cc -shared -fPIC -o $dir/fail.so $dir/fail.c -ldl") == 0
    or die "fail.so\n";

my $key = Test::Nginx::Token->new('HS256');

$t->write_file('keys.json', jwks($key));

my $redis = $t->run_redis();

$t->write_file_expand('nginx.conf', <<"EOF");

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    large_client_header_buffers 4 32k;
    request_pool_size 512;

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    token_jwt_keys $dir/keys.json;
    token_source \$http_x_token;

    map \$token_user \$who {
        default  \$token_user;
        ""       "";
    }

    map \$token_claim_groups \$grouped {
        default  1;
        ""       "";
    }

    map \$token_claim_groups \$rate {
        default  1r/m;
        ""       "";
    }

    map \$token_claim_groups \$cost {
        default  9;
        ""       "";
    }

    ratelimit_redis_zone \$uri zone=r:1m rate=\$rate;
    ratelimit_redis_zone \$uri zone=s:1m rate=\$rate;
    ratelimit_redis_zone \$uri zone=u:1m rate=9r/m cost=\$cost;

    optcache_zone c:1m;
    optcache_valid 1m;
    optcache_user "";
    optcache_key \$uri;

    server {
        listen 127.0.0.1:8080;

        add_header X-Failed \$token_failed always;
        proxy_set_header X-Token \$http_x_token;

        location /user {
            optcache c;
            optcache_user \$who;
            optcache_until "";
            proxy_pass http://127.0.0.1:8081;
        }

        location /bypass {
            optcache c;
            optcache_bypass \$grouped;
            optcache_until "";
            proxy_pass http://127.0.0.1:8081;
        }

        location /no_store {
            optcache c;
            optcache_no_store \$grouped;
            optcache_until "";
            proxy_pass http://127.0.0.1:8081;
        }

        location /rate {
            ratelimit_redis zone=r;
            proxy_pass http://127.0.0.1:8081;
        }

        location /later {
            ratelimit_redis zone=s stage=precontent;
            proxy_pass http://127.0.0.1:8081;
        }

        location /cost {
            ratelimit_redis zone=u;
            proxy_pass http://127.0.0.1:8081;
        }

        location /revoked {
            set \$path \$realpath_root;
            set \$sub \$token_sub;
            token_blacklist on;
            token_blacklist_key sub:\$token_sub;
            proxy_pass http://127.0.0.1:8081;
        }

        location /set {
            set \$path \$realpath_root;
            set \$sub \$token_sub;
            token_blacklist on;
            token_blacklist_key sub:\$sub;
            proxy_pass http://127.0.0.1:8081;
        }

        location /until {
            set \$path \$realpath_root;
            set \$end \$token_exp;
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;
    return ($req->{headers}{'x-token'} // '') ne '' ? 'for one' : 'for all';
});

{
    local $ENV{LD_PRELOAD} = "$dir/fail.so";
    $t->run();
}

###############################################################################

my ($name, $group) = ('a' x 5000, 'g' x 2500);

my $alice = $key->token({ sub => $name });
my $member = $key->token({ sub => 'm', groups => [$group, $group] });
my $revoked = $key->token({ sub => 'r', exp => time() + 3600 });

# who it is for, and whether it is for the cache at all

is(get('/user', $alice, 'text'), '500 1', 'a user');
is(get('/user', ''), '200 for all', 'is not nobody');
is(get('/user', $alice), '200 for one', 'but one');
is(get('/user', $alice, 'text'), '500 1', 'also where it is stored');

is(get('/bypass', ''), '200 for all', 'what is stored for all');
is(get('/bypass', $member), '200 for one', 'is not for some');
is(get('/bypass', $member, 'text'), '500 1', 'who cannot be told');

is(get('/no_store', $member, 'text'), '500 1', 'what is not stored of some');
is(get('/no_store', ''), '200 for all', 'is not, where they cannot be told');

# limits, in both phases

for my $uri (qw! /rate /later /cost !) {
    is(get($uri, $member), '200 for one', "$uri, once") unless $uri eq '/cost';
    like(get($uri, $member), qr/^429/, 'and no more')
        unless $uri eq '/cost';
    is(get($uri, $member, 'text'), '500 1', "$uri that cannot be told");
}

is(get('/cost', $member), '200 for one', 'a cost that could not is not taken');
like(get('/cost', $member), qr/^429/, 'and is all of it');

# what "set" asks for, before there is a context

$redis->cmd('SETEX', 'sub:r', 600, 1);

for my $uri (qw! /revoked /set !) {
    is(get($uri, $revoked), '401 ', "$uri, revoked");
    is(get($uri, $revoked, 'context'), '500 1', 'and not forgotten');
    is(get($uri, $revoked), '401 ', 'ever');
}

is(get('/until', $revoked, 'context'), '500 1', 'a time until');

my $r = http_get('/until', headers => { 'X-Token' => '' });

is(header($r, 'X-Cache'), 'MISS', 'nothing is stored without');
is(header($r, 'X-Failed'), undef, 'nor was there want of memory');

###############################################################################

sub get {
    my ($uri, $token, $lack) = @_;

    $t->write_file("fail.$lack", '') if $lack;

    my $r = http_get($uri, headers => { 'X-Token' => $token });

    ok(!-e "$dir/fail.$lack", "$uri, $lack was tried") if $lack;

    return status($r) . ' '
           . (status($r) == 200 ? body($r) : header($r, 'X-Failed') // '');
}


###############################################################################
