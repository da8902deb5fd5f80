#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Fields that an answer is not to be kept with: private and no-cache that name
# them (RFC 9111, 5.2.2.4 and 5.2.2.7).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy /)->plan(10);

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
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my ($control) = $req->{uri} =~ m{\?(.*)};

    return [200, ['Cache-Control: max-age=60, ' . $control =~ s/%22/"/gr,
                  'X-User: a', 'X-Other: b', 'ETag: "c"',
                  'Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT'], 'body'];
});

$t->run();

###############################################################################

my $user = { Authorization => 'user' };

is(twice('private=%22x-user%22'), 'HIT b "c" 1994', 'private: all but this');
is(twice('private=%22X-User,%22', headers => $user), 'HIT a b "c" 1994',
    'its user keeps it');
is(twice('private=true'), 'MISS a b "c" 1994', 'without quotes: all of it');

is(twice('no-cache=%22x-user,etag%22'), 'HIT b 1994', 'no-cache: two fields');
is(twice('no-cache=%22x-user%22', headers => $user), 'HIT b "c" 1994',
    'which nobody keeps');
is(twice('no-cache=%22last-modified%22'), 'HIT a b "c"',
    'one that nginx knows by itself');
is(twice('no-cache=%22ETag%22,private=%22x-user%22,private=%22x-other%22'), 'HIT 1994',
    'several lists');

is(twice('private=%22a/b%22'), 'MISS a b "c" 1994', 'what is no field');
is(twice(join ',', map { "private=%22$_%22" } 'a' .. 'e'),
    'MISS a b "c" 1994', 'and more lists than are kept');

like(http_get('/?no-cache=x-user,x'), qr/X-User: a/,
    'who gets it from the origin gets it whole');

###############################################################################

# what of its fields a second answer has

sub twice {
    my ($query, %o) = @_;

    http_get("/?$query", %o);
    my $r = http_get("/?$query", %o);
    my ($year) = (header($r, 'Last-Modified') // '') =~ /(\d{4})/;

    return join ' ', grep { defined } header($r, 'X-Cache'),
        header($r, 'X-User'), header($r, 'X-Other'), header($r, 'ETag'), $year;
}

###############################################################################
