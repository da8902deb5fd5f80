#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Where a process may have few files open, what workers wake each other by
# leaves most of them to nginx.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('prlimit')->plan(5);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 2;

events {
    worker_connections 20;
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache_valid 1m;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;
    return [200, {}, "this is $req->{uri}"];
});

# of nginx, which inherits it

is(system("prlimit --pid $$ --nofile=40:"), 0, 'forty files');

$t->run();

###############################################################################

is(scalar $t->worker_pids(), 2, 'all workers have begun');
is(body(http_get('/one')), 'this is /one', 'who asks upstream has an answer');
is(header(http_get('/one'), 'X-Cache'), 'HIT', 'and so has the next');
is($t->log_count(qr/only 10 of 32 eventfds could be made/), 1, 'it is told');

###############################################################################
