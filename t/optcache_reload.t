#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A reload keeps what is stored, and takes what is new in the configuration.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(27);

sub configure {
    my ($zone, $location, $more) = @_;

    $t->write_file_expand('nginx.conf', <<"EOF");

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone $zone;
    $more

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            $location
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF
}

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;
    return [200, { 'Content-Type' => 'text/plain' },
            $req->{count} . 'x' x 2000];
});

configure('c:1m', 'optcache_valid 10m;', '');
$t->run();

###############################################################################

http_get("/$_") for 1 .. 20;
is(hits(), 20, 'stored');

ok($t->reload(wait_old => 1), 'reload');
is(hits(), 20, 'still there');
ok($t->reload(wait_old => 1), 'reload once more');
is(hits(), 20, 'still there');
is($backend->count(qr{}), 20, 'the upstream was asked once for each');

# settings that changed

configure('c:1m', 'optcache_valid 10m; optcache_gzip on;', '');
ok($t->reload(wait_old => 1), 'reload with gzip');
is(hits(), 20, 'what is there is as it was stored');
is(coding('/1'), undef, 'without gzip');
http_get('/new');
is(coding('/new'), 'gzip', 'what is new has it');

configure('c:1m', 'optcache_valid 10m; optcache_max_size 100;', '');
ok($t->reload(wait_old => 1), 'reload with a size');
http_get('/large');
is(cache('/large'), 'MISS', 'which counts for what is new');
is(coding('/new'), 'gzip', 'and what is there stays');

configure('c:1m', 'optcache_valid 10m; optcache_key $uri$is_args$args;', '');
ok($t->reload(wait_old => 1), 'reload with a key');
is(cache('/1'), 'MISS', 'by which nothing is found');

configure('c:1m', 'optcache_valid 10m;', '');
ok($t->reload(wait_old => 1), 'reload back');
is(hits(), 20, 'all is found');

configure('c:1m', 'optcache_valid 1m; optcache off;', '');
ok(!$t->reload(), 'a configuration that is refused');
is(hits(), 20, 'changes nothing');
$t->expect_log(qr/\[emerg\] .*"optcache" directive is duplicate/);

# zones that change, go and come

configure('c:1m', 'optcache_valid 10m;', 'optcache_zone d:1m;');
ok($t->reload(wait_old => 1), 'reload with one more zone');
is(hits(), 20, 'beside the other');

configure('c:2m', 'optcache_valid 10m;', '');
ok($t->reload(wait_old => 1), 'reload with another size');
is(hits(), 0, 'empties a zone');
is(hits(), 20, 'that works');

configure('d:1m', 'optcache_valid 10m; }' . ' location /d { optcache d;',
          'optcache_zone c:2m;');
ok($t->reload(wait_old => 1), 'reload with zones in another order');
is(hits(), 20, 'they are known by name');

is(hits(), 20, 'and all goes on');

###############################################################################

sub cache { return header(http_get($_[0]), 'X-Cache') }


sub coding {
    return scalar header(http_get($_[0],
                                  headers => { 'Accept-Encoding' => 'gzip' }),
                         'Content-Encoding');
}


sub hits { return scalar grep { cache("/$_") eq 'HIT' } 1 .. 20 }

###############################################################################
