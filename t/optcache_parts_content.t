#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A response whose content handler asks for parts of it itself, as fancyindex
# does for a header and a footer, is not stored without them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $module = '/usr/lib/nginx/modules/ngx_http_fancyindex_module.so';

my $t = Test::Nginx->new()->has(qw/ http_ssi /);

plan(skip_all => 'no fancyindex')
    if !-e $module || $t->is_static() || $ENV{TEST_NGINX_BINARY};

$t->plan(14);

my $conf = <<'EOF_CONF';

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache_valid 200 1m;

    server {
        listen 127.0.0.1:8080;

        root %%TESTDIR%%;
        optcache c;

        location /dir/ {
            fancyindex on;
            fancyindex_header /part/top.html;
            fancyindex_footer /part/end.html;
        }

        location /plain/ {
            fancyindex on;
        }

        location /part/ {
        }

        location /page/ {
            ssi on;
        }
    }
}

EOF_CONF

$t->write_file_expand('nginx.conf', "load_module $module;\n$conf");

mkdir($t->testdir() . "/$_") for qw/ dir plain part page /;

$t->write_file('part/top.html', 'TOP');
$t->write_file('part/end.html', 'END');
$t->write_file('dir/file', '');
$t->write_file('plain/file', '');
$t->write_file('page/a.html', 'a<!--# include virtual="/part/top.html" -->b'
                              . '<!--# include virtual="/part/end.html" -->');

$t->run();

###############################################################################

for my $name ('MISS', 'MISS', 'MISS') {
    my $r = http_get('/dir/');

    is(header($r, 'X-Cache'), $name, 'an index of parts');
    like(body($r), qr/TOP.*>file<.*END/s, 'is whole');
}

# what has no parts, and what a filter puts them into, is stored

for my $name ('MISS', 'HIT') {
    my $r = http_get('/plain/');

    is(header($r, 'X-Cache'), $name, 'an index');
    like($r, qr/>file</, "of a $name");

    $r = http_get('/page/a.html');

    is(header($r, 'X-Cache'), $name, 'a page of parts');
    is(body($r), "aTOPbEND", "of a $name");
}

###############################################################################
