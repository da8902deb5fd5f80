#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A thread that compresses a response does so over a reload, for the workers
# that come after; it does not keep nginx from ending at once.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy', 'threads')->plan(8);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:16m;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            optcache_gzip on;
            optcache_gzip_level 9;
            optcache_max_size 8m;

            proxy_set_header Accept-Encoding "";
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

srand 1;
my $slow = join '', map { rand() < .5 ? 'a' : 'b' } 1 .. 300_000;

my $backend = $t->run_http_backend(8081, sub {
    return [200, ['Content-Type: text/plain', 'Cache-Control: max-age=60'],
            $slow];
});

$t->run();

###############################################################################

is(length body(get('/a')), length $slow, 'stored');
is(header(get('/a', 'Accept-Encoding: gzip'), 'Content-Encoding'), undef,
   'not in gzip yet');

ok($t->reload(), 'reloaded');

my $r = compressed('/a');
ok($r, 'in gzip then');
is(header($r, 'X-Cache'), 'HIT', 'a hit');
ok(gunzip(body($r)) eq $slow, 'of the whole');
is($backend->count(qr{ /a$}), 1, 'the upstream was asked once');

# more than the threads have begun, and the end

get("/end/$_") for 1 .. 3;

$t->stop('TERM');

is($t->log_count(qr/exited on signal/), 0, 'each has ended by itself');

###############################################################################

sub get {
    my ($uri, @fields) = @_;
    return http_get($uri, headers => \@fields);
}


sub compressed {
    my ($uri) = @_;

    return Test::Nginx::wait_for(sub {
        my $r = get($uri, 'Accept-Encoding: gzip');
        return (header($r, 'Content-Encoding') // '') eq 'gzip' ? $r : '';
    }, 30);
}

###############################################################################
