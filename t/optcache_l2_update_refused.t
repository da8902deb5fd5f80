#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What is too large for shared memory is in Redis alone, and is removed from
# there when it is updated by what may not be stored.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
    ->plan(6);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:256k;
    optcache c;
    optcache_use_stale updating;
    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    server {
        listen 127.0.0.1:8080;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /kept/ {
            optcache_use_stale updating http_404;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $redis = $t->run_redis();

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    return [200, ['Cache-Control: max-age=60', 'Age: 100', 'ETag: "a"'],
            'x' x 600000] if $req->{count} == 1;

    return $req->{uri} =~ /kept/ ? [404, [], 'new']
                                 : [200, ['Cache-Control: no-store'], 'new'];
});

$t->run();

###############################################################################

for my $uri (qw{ /page /kept/page }) {
    http_get($uri);
    ok(wait_for(\&stored), "$uri: in Redis");
    like(get($uri), qr/^UPDATING x/, 'stale');

    if ($uri =~ /kept/) {
        ok(wait_for(sub {
            get($uri) =~ /^UPDATING x/ && $backend->count(qr{/kept/}) >= 4
        }), 'and stays');

    } else {
        ok(wait_for(sub { get($uri) eq 'MISS new' }, 3), 'and no longer');
    }
}

###############################################################################

sub stored {
    return grep { $redis->cmd('TYPE', $_) eq 'string'
                  && $redis->cmd('STRLEN', $_) > 600000 }
           @{ $redis->cmd('KEYS', '*') };
}


sub get {
    my ($uri) = @_;

    my $r = http_get($uri);

    return header($r, 'X-Cache') . ' ' . body($r);
}

###############################################################################
