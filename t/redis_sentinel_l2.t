#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The cache of the hosts is at the master that the sentinels tell of, and
# follows a failover with what was in it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
        ->plan(7);
my $other = Test::Nginx->new();

host($_->[0], $_->[1]) for [$t, 8080], [$other, 8090];

sub host {
    my ($nginx, $port) = @_;

    $nginx->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;

    optcache_redis_server redis://127.0.0.1:26379 redis://127.0.0.1:26380
                          redis://127.0.0.1:26381 sentinel=mymaster
                          timeout=5s connect_timeout=5s;

    add_header X-Layer \$optcache_layer always;

    server {
        listen 127.0.0.1:$port;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOC
}

my $set = $t->run_sentinels();
my $old = $set->redis(0);

my $backend = $t->run_http_backend(8081, sub {
    return [200, { 'Cache-Control' => 'max-age=3600' }, 'SEE-THIS'];
});

$t->run();
$other->run();

###############################################################################

http_get('/before', port => port(8080));

ok(wait_for(sub { $old->cmd('DBSIZE') == 1 }), 'stored at the master');
is($old->cmd('WAIT', 2, 20000), 2, 'and replicated');

$old->kill();

my $new = $set->wait_other($old);

# what is stored meanwhile is here only

ok(wait_for(sub {
    http_get('/' . rand(), port => port(8080));
    return $new->cmd('DBSIZE') > 1;
}, 60), 'stored at the promoted one');

ok(wait_for(sub { layer('/' . rand()); up($other) }, 60),
    'the other host is there, too');

is($backend->count(qr{/before}), 1, 'fetched once');
is(layer('/before'), 'L2', 'what was there before is still');
is($backend->count(qr{/before}), 1, 'and not fetched again');

###############################################################################

sub layer {
    my ($uri) = @_;
    return header(scalar http_get($uri, port => port(8090)), 'X-Layer') // '';
}


# It has moved, and its outage is over.

sub up {
    my ($nginx) = @_;

    return $nginx->log_count(qr/\[notice\].*"sentinel=mymaster" is 127/)
           && $nginx->log_count(qr/\[error\].* is down/)
              == $nginx->log_count(qr/\[notice\].* is back/);
}

###############################################################################
