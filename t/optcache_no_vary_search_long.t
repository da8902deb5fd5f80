#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Lines of No-Vary-Search that are too long together are no rule, wherever among
# them the longest one is.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(8);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache c;
    optcache_no_vary_search on;

    server {
        listen 127.0.0.1:8080;

        location / {
            proxy_buffer_size 16k;
            proxy_buffers 4 16k;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my %lines = (
    '/first' => [long(2000), 'params=("u")', 'params=("u")'],
    '/second' => ['params=("u")', long(2000), long(8000)],
    '/last' => ['params=("u")', 'params=("u")', long(8000)],
    '/full' => [long(1024), '', long(8000)],
);

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my ($path) = split /\?/, $req->{uri};

    return [200, ['Cache-Control: max-age=100',
                  map { "No-Vary-Search: $_" } @{ $lines{$path} }],
            $req->{uri}];
});

$t->run();

###############################################################################

foreach my $path (sort keys %lines) {
    is(get("$path?u=1"), "MISS $path?u=1", "$path, answered");
    is(get("$path?u=2"), "MISS $path?u=2", "$path, no rule");
}

$t->finish();

###############################################################################

# A rule of so many bytes, by which "u" makes no difference.

sub long {
    my ($len) = @_;

    my $rule = 'params=("u" "")';

    return substr($rule, 0, -2) . 'x' x ($len - length($rule)) . '")';
}


sub get {
    my ($uri) = @_;

    my $r = http_get($uri);

    return (header($r, 'X-Cache') // '-') . ' ' . body($r);
}
