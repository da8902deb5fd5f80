#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Cookies that tell nothing of a user do not keep what is for all from being
# updated behind a client's back, as they do not keep it from being stored.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(7);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache c;
    optcache_user $cookie_session;

    server {
        listen 127.0.0.1:8080;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my @fields = ('Cache-Control: max-age=100, stale-while-revalidate=1000');

    # the first one is stale when it comes

    push @fields, 'Age: 200' if $req->{count} == 1;

    return [200, \@fields, $req->{headers}{cookie} // 'nobody'];
});

$t->run();

###############################################################################

is(get('/a'), 'MISS nobody', 'stale at once');
is(get('/a', 'other=1'), 'UPDATING nobody', 'is used while it is updated');
ok(wait_for(sub { get('/a', 'other=1') eq 'HIT other=1' }), 'updated');
is(get('/a'), 'HIT other=1', 'for all');

# one who has a session that nginx does not find

is(get('/b'), 'MISS nobody', 'stale at once');
is(get('/b', 'session=; session=a'), 'UPDATING nobody', 'shown to somebody');
ok(wait_for(sub { get('/b', 'other=1') eq 'HIT other=1' }), 'updated');

$t->finish();

###############################################################################

sub get {
    my ($uri, $cookie) = @_;

    my $r = http_get($uri, headers => [$cookie ? "Cookie: $cookie" : ()]);

    return (header($r, 'X-Cache') // '-') . ' ' . body($r);
}

###############################################################################
