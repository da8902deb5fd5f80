#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A zone asks for huge pages, which a host may allow for or not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

plan(skip_all => 'no huge pages in this kernel')
    unless -e '/sys/kernel/mm/transparent_hugepage/shmem_enabled';

my $t = Test::Nginx->new()->has('http_proxy')->plan(3);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:13m;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }
    }

    server {
        listen 127.0.0.1:8081;

        location / {
            add_header Cache-Control max-age=60;
            return 200 "x";
        }
    }
}

EOF

$t->run();

http_get('/');
like(http_get('/'), qr/X-Cache: HIT/, 'stored');

like(flags($t), qr/ hg\b/, 'asked for');

$t->reload();

like(flags($t), qr/ hg\b/, 'after a reload');


# Those of the memory that has the size of the zone.

sub flags {
    my ($t) = @_;

    my ($pid) = $t->worker_pids();
    my $found = 0;

    open my $fh, '<', "/proc/$pid/smaps" or return "no smaps: $!";

    while (my $line = <$fh>) {
        $found = ($1 == 13 * 1024) if $line =~ /^Size:\s+(\d+) kB/;

        return $line if $found && $line =~ /^VmFlags:/;
    }

    return 'no such memory';
}
