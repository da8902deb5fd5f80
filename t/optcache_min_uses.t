#!/usr/bin/perl

# Copyright (C) The Optcache authors

# optcache_min_uses: what is not asked for often enough is not stored.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(26);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache_zone d:1m;
    optcache c;
    optcache_key $uri;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache_min_uses 3;
            optcache_bypass $arg_bypass;
            proxy_pass http://127.0.0.1:8081;
        }

        location /once/ {
            proxy_pass http://127.0.0.1:8081;
        }

        location /other/ {
            optcache d;
            optcache_min_uses 2;
            optcache_key /a;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $control = $req->{headers}{'x-control'} // 'max-age=60';

    return [200, ["Cache-Control: $control"], "$req->{method} $req->{count}"];
});

$t->run();

###############################################################################

is(asked('/once/'), 'MISS', 'one is enough by default');
is(asked('/once/'), 'HIT', 'and stored');

is(asked('/a'), 'MISS', 'the first');
is(asked('/a'), 'MISS', 'the second');
is(asked('/a'), 'MISS', 'the third, which is stored');
is(asked('/a'), 'HIT', 'the fourth');

is(asked('/b'), 'MISS', 'of another key');
is(asked('/b', Authorization => 'A'), 'MISS', 'of a user');
is(asked('/b', Authorization => 'A'), 'MISS', 'of a user, again');
is(asked('/b', Authorization => 'A'), 'MISS', 'of a user, and again');
is(asked('/b', Authorization => 'A'), 'HIT', 'who has his own');
is(asked('/b'), 'MISS', 'others do not');

is(asked('/other/'), 'MISS', 'the same key in another zone');
is(asked('/other/'), 'MISS', 'which counts for itself');
is(asked('/other/'), 'HIT', 'up to its number');

# what could not be stored does not count

asked('/c', 'X-Control' => 'no-store') for 1 .. 3;
http_head('/c') for 1 .. 3;
is(asked('/c'), 'MISS', 'answers that are not stored do not count');
is(asked('/c'), 'MISS', 'nor those to HEAD');
is(asked('/c'), 'MISS', 'but the third that can be');
is(asked('/c'), 'HIT', 'does');

asked('/d?bypass=1') for 1 .. 3;
is(asked('/d'), 'HIT', 'what goes past counts');

# removed, it has been asked for all the same; and a new one is stored

http_post('/a');
is(asked('/a'), 'MISS', 'invalidated');
is(asked('/a'), 'HIT', 'stored again at once');

# over a reload

asked('/e') for 1 .. 2;
$t->reload();
is(asked('/e'), 'MISS', 'after a reload');
is(asked('/e'), 'HIT', 'the count goes on');

# what replaces a stale response is stored, however long ago it was counted

asked('/f', 'X-Control' => 'max-age=1') for 1 .. 3;
ok(wait_for(sub {
    return header(http_get('/f'), 'X-Cache') ne 'HIT';
}), 'stale');
is(asked('/f'), 'HIT', 'and replaced');

###############################################################################

sub asked {
    my ($uri, %headers) = @_;

    return header(http_get($uri, headers => \%headers), 'X-Cache') // '';
}

###############################################################################
