#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What is counted is of all workers, is kept over a reload, and is not lost
# with a worker that is killed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Prometheus;

my $t = Test::Nginx->new()->has('http_proxy')->plan(8);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache_zone 'quo"ted:1m';

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }

        location /m/ {
            optcache_api write=on;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    return [200, ['Cache-Control: max-age=1000'], 'body'];
});

$t->run();

###############################################################################

http_get('/a');
http_get('/a') for 1 .. 50;
http_get("/b$_") for 1 .. 9;

is(counts(), '50 10 10', 'by both workers');

http_post('/m/purge', body => '{"tag":"a","soft":true}',
          headers => ['Content-Type: application/json']);

$t->reload();

is(counts(), '50 10 10', 'after a reload');

http_get('/a') for 1 .. 10;

is(counts(), '60 10 10', 'goes on');

my $worker = ($t->worker_pids())[0];
$t->kill_worker($worker);

http_get('/a') for 1 .. 10;

is(counts(), '70 10 10', 'with a worker killed');

my $m = metrics();

is(join("\n", $m->errors()), '', 'the text');
is($m->value('optcache_requests_total', zone => 'quo"ted', status => 'hit'),
    0, 'a zone of a name to be escaped');
is($m->value('optcache_invalidations_total', kind => 'tag', mode => 'soft'),
    1, 'the purge is not forgotten');
is($m->value('optcache_entries', zone => 'c'), 10, 'nor is what is stored');

###############################################################################

sub metrics {
    return Test::Nginx::Prometheus->new(body(http_get('/m/metrics')));
}


# Hits, misses, stored.

sub counts {
    my $m = metrics();

    return join ' ', $m->value('optcache_requests_total', zone => 'c',
                               status => 'hit'),
                     $m->sum('optcache_misses_total', zone => 'c'),
                     $m->value('optcache_stored_total', zone => 'c',
                               layer => 'l1');
}

###############################################################################
