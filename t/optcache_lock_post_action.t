#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A client that leaves says nothing of the response that others wait for, also
# where a post_action follows: one of them asks for it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Gate;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_stub_status /)->plan(2);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            optcache_lock_timeout 60s;
            post_action /after;
            proxy_pass http://127.0.0.1:8081;
        }

        location = /after {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }
    }

    server {
        listen 127.0.0.1:8082;

        location / {
            stub_status;
        }
    }
}

EOF

my $gate = Test::Nginx::Gate->new($t);

my $backend = $t->run_http_backend(8081, sub {
    $gate->pass() if $_[0]->{uri} eq '/waited';
    return [200, { 'Cache-Control' => 'max-age=60' }, 'x'];
});

$t->run();

###############################################################################

use constant MANY => 20;

my $first = http_get('/waited', start => 1);
$gate->busy(1);

my @waiting = map { http_get('/waited', start => 1) } 1 .. MANY;
$gate->busy(1 + MANY);

close $first;
$gate->busy(MANY);
$gate->open();

is(grep(status(http_end($_)) == 200, @waiting), MANY, 'all are answered');
is($backend->count(qr{/waited}), 2, 'by one response');

###############################################################################
