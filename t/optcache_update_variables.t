#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A background update has variables of its own: what is remembered of the
# response that goes to the client does not decide about the one that is stored.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_rewrite /)->plan(7);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;

    map $upstream_http_x_private $no_store {
        default  0;
        1        1;
    }

    server {
        listen 127.0.0.1:8080;

        location / {
            set $path $uri;
            optcache c;
            optcache_user "";
            optcache_no_store $no_store;
            add_header X-No-Store $no_store;
            proxy_set_header X-Path $path;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $user = $req->{headers}{'x-user'} // 'nobody';

    # stale when it comes

    return [200, ['Cache-Control: max-age=1, stale-while-revalidate=1000',
                  'Age: 10', $user eq 'nobody' ? () : 'X-Private: 1'],
            "$req->{count} for $user by $req->{headers}{'x-path'}"];
});

$t->run();

###############################################################################

is(get('/a', ''), 'MISS 1 for nobody by /a', 'for all');
is(get('/a', 'alice'), 'UPDATING 1 for nobody by /a', 'stale, for somebody');
ok(wait_for(sub { $backend->count(qr{ /a$}) == 2 }), 'who has it updated');

unlike(get('/a', ''), qr/alice/, 'by what is not stored');
unlike(get('/a', ''), qr/alice/, 'nor later');

ok(wait_for(sub { get('/a', '') =~ /([3-9]|\d\d) for nobody/ }),
    'but by what is');
like(get('/a', ''), qr{ by /a$}, 'which was asked for with what was set');

###############################################################################

sub get {
    my ($uri, $user) = @_;

    my $r = http_get($uri, headers => { $user ? ('X-User' => $user) : () });

    return header($r, 'X-Cache') . ' ' . body($r);
}

###############################################################################
