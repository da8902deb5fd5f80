#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A part of a part does not wait for a host that waits for what its own page
# leads, and can send only behind it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::CacheHosts;

my $fleet = Test::Nginx::CacheHosts->new(<<'CONF_END', n => 2)->plan(5);

        proxy_buffers 4 4k;
        proxy_buffer_size 4k;
        proxy_max_temp_file_size 0;
        optcache_lock_timeout 5s;

        location / {
            ssi on;
            ssi_types *;
            proxy_pass http://127.0.0.1:8085;
        }

        location /part/ {
            optcache c;
            optcache_key part;
            proxy_pass http://127.0.0.1:8085;
        }
CONF_END

my ($t) = $fleet->hosts();
my ($port, $other_port) = $fleet->ports();
my $gate = $fleet->gate();

$t->has(qw/ http_ssi /);

# What a page includes is itself a page, which comes later, and what is behind
# it: of two pages each leads what the inner page of the other one includes.

my $backend = $t->run_http_backend(8085, sub {
    my ($req) = @_;

    my $uri = $req->{uri};

    return [200, { 'Cache-Control' => 'max-age=60' }, $1 x 300000]
        if $uri =~ m{/part/(.)};

    $gate->pass() if $uri =~ m{/inner/};

    return join '', map { qq(<!--#include virtual="$_" -->) }
           $uri =~ m{/inner/(.)} ? "/part/$1"
           : $uri =~ m{/ab} ? qw( /inner/a /part/b )
           : qw( /inner/b /part/a );
});

$fleet->run();

###############################################################################

my @s = (http_get('/page/ab', port => $port, start => 1),
         http_get('/page/ba', port => $other_port, start => 1));

ok(wait_for(sub { $backend->count(qr{/(inner|part)/}) == 4 }),
    'each page leads what is behind its inner page');

my @r = $gate->opened(@s);

is(body($r[0]), 'a' x 300000 . 'b' x 300000, 'a page');
is(body($r[1]), 'b' x 300000 . 'a' x 300000, 'and the other one');
is($fleet->log_count(qr/timed out/), 0, 'neither waited in vain');
is($backend->count(qr{/part/}), 4, 'but asked for it');

###############################################################################
