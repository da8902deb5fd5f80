#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A POST whose body cannot be told from others for want of memory is answered
# with an error that is logged, and not by what is stored.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

plan(skip_all => 'what is loaded before the sanitizer is refused')
    if $ENV{ASAN_OPTIONS};

my $t = Test::Nginx->new()->has('http_proxy')->has_program('cc')->plan(6);

$t->expect_log(qr/no memory for the digest of a body/);

my $dir = $t->testdir();

# fails once for each time that the file is made

$t->write_file('fail.c', <<"EOF");
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <unistd.h>

void *
EVP_MD_CTX_new(void)
{
    void *(*real)(void) = dlsym(RTLD_NEXT, "EVP_MD_CTX_new");

    return (unlink("$dir/fail") == 0) ? NULL : real();
}
EOF

system("cc -shared -fPIC -o $dir/fail.so $dir/fail.c -ldl") == 0
    or die "fail.so\n";

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
            optcache_methods GET HEAD POST;
            optcache_key $uri|$optcache_body;
            optcache_valid 1m;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;
    return [200, {}, "to $req->{body}"];
});

{
    local $ENV{LD_PRELOAD} = "$dir/fail.so";
    $t->run();
}

###############################################################################

is(body(http_post('/x', body => 'one')), 'to one', 'an answer to a body');
is(header(http_post('/x', body => 'one'), 'X-Cache'), 'HIT', 'is stored');

$t->write_file('fail', '');

is(status(http_post('/x', body => 'two')), 500, 'a body of which is not known');
ok(!-e "$dir/fail", 'it was tried');
is($t->log_count(qr/no memory for the digest of a body/), 1, 'is logged');

is(body(http_post('/x', body => 'two')), 'to two', 'and another the next time');

###############################################################################
