#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A host that could not reach Redis since it began knows of nothing that others
# have invalidated, and what of that is still in the stream it does not know
# either: what it has stored meanwhile is not used.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
        ->plan(5);

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

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOC

my $backend = $t->run_http_backend(8081, sub {
    return [200, ['Cache-Control: max-age=1000'], 'SEE-THIS'];
});

$t->run();

###############################################################################

http_get('/a');
is(cached('/a'), 'HIT', 'without Redis');

sleep 6;

is(cached('/a'), 'HIT', 'for longer');

my $redis = $t->run_redis();

ok(wait_for(sub { $redis->cmd('EXISTS', 'oc:invalidate')
                  && cached('/a') eq 'MISS' }, 20), 'until it is there');
is(cached('/a'), 'HIT', 'stored again');
is($t->log_count(qr/had not read the stream "oc:invalidate" until now/), 1,
    'logged');

###############################################################################

sub cached {
    my ($uri) = @_;
    return header(scalar http_get($uri), 'X-Cache') // '';
}

###############################################################################
