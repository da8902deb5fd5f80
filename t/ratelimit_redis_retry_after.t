#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Who is refused for want of Redis is asked to come back in a second, however
# long the request has waited for an answer.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(8);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=300ms
                           connect_timeout=300ms;

    ratelimit_redis_zone $arg_a zone=a:1m rate=100r/h;
    ratelimit_redis_zone $arg_a zone=b:1m rate=100r/h;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=a on_error=deny;
        }

        location /several {
            ratelimit_redis zone=a;
            ratelimit_redis zone=b on_error=deny;
        }

        location /token {
            ratelimit_redis zone=a;
            token_blacklist on;
        }

        location /logout {
            ratelimit_redis zone=a;
            token_revoke;
        }
    }
}

EOC

$t->write_file($_, 'SEE-THIS') for qw/ x several token /;

my $redis = $t->run_redis();

$t->run();

###############################################################################

my %bearer = (Authorization => 'Bearer opaque');

for my $case (['a limit', sub { http_get('/x?a=1') }],
              ['one of several', sub { http_get('/several?a=1') }],
              ['a token', sub { http_get('/token?a=1', headers => \%bearer) }],
              ['a revocation', sub {
                  http_post('/logout?a=1', body => '', headers => \%bearer)
              }])
{
    my ($name, $ask) = @$case;

    ok(wait_for(sub { status($ask->()) < 400 }), "$name: answered");

    $redis->suspend();

    # the first that are refused have waited, others do not any more

    my @r = grep { status($_) == 503 } map { $ask->() } 1 .. 4;

    is(join(' ', map { header($_, 'Retry-After') } @r),
        join(' ', (1) x @r) || 'none is refused', "$name: in a second");

    $redis->cont();
}

###############################################################################
