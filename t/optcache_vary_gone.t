#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What the answers depend on is forgotten while a request waits: the answer it
# gets is one variant all the same, and not everybody's.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Gate;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_stub_status /)->plan(5);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache_lock_timeout 60s;

    server {
        listen 127.0.0.1:8080 reuseport;

        location / {
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
    my ($req) = @_;

    my $lang = $req->{headers}{'x-lang'} // 'none';

    return [200, {}, 'changed'] if $req->{method} eq 'POST';

    $gate->pass() if $lang eq 'b';

    return [200, { 'Cache-Control' => 'max-age=100', Vary => 'X-Lang' },
            $lang];
});

$t->run();

###############################################################################

is(body(get('a')), 'a', 'what the answer depends on is known');

# one asks upstream, the other waits for it, and then this is forgotten

my @s = map { get('b', start => 1) } 1 .. 2;
$gate->busy(2);
is(body(http_post('/')), 'changed', 'an unsafe method');

my @r = $gate->opened(@s);
is(join(' ', map { body($_) } @r), 'b b', 'those who have waited get theirs');

is(body(get('c')), 'c', 'another variant is asked for');
is(header(get('b'), 'X-Cache'), 'HIT', 'and the first was stored');

###############################################################################

sub get {
    my ($lang, %o) = @_;
    return http_get('/', headers => { 'X-Lang' => $lang }, %o);
}

###############################################################################
