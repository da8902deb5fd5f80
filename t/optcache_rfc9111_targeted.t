#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Directives for this cache alone, which take the place of Cache-Control and
# Expires (RFC 9213).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $fresh = 'Cache-Control: max-age=60';
my $past = 'Expires: Thu, 01 Jan 1970 00:00:01 GMT';
my $cdn = 'CDN-Cache-Control';
my $own = 'Optcache-Cache-Control';

# fields, is it kept

my @cases = (
    ['alone', ["$cdn: max-age=60"], 1],
    ['before max-age=0', ["$cdn: max-age=60", 'Cache-Control: max-age=0'], 1],
    ['before no-store', ["$cdn: max-age=60", 'Cache-Control: no-store'], 1],
    ['before private', ["$cdn: max-age=60", 'Cache-Control: private'], 1],
    ['before Expires', ["$cdn: max-age=60", $past], 1],
    ['in lower case', [lc "$cdn: max-age=60", 'Cache-Control: no-store'], 1],

    ['max-age=0', ["$cdn: max-age=0", $fresh], 0],
    ['no-store', ["$cdn: no-store", $fresh], 0],
    ['no-cache', ["$cdn: no-cache, max-age=60", $fresh], 0],
    ['private', ["$cdn: private, max-age=60", $fresh], 0],
    ['s-maxage before max-age', ["$cdn: s-maxage=0, max-age=60", $fresh], 0],
    ['nothing known: nothing else counts', ["$cdn: none", $fresh], 0],
    ['nor does Expires', ["$cdn: none",
        'Expires: Fri, 31 Dec 9999 23:59:59 GMT'], 0],
    ['no-store of a wrong type', ["$cdn: no-store=1", $fresh], 0],
    ['max-age of a wrong type', ["$cdn: max-age=\"60\"", $fresh], 0],
    ['the last max-age', ["$cdn: max-age=0, max-age=60"], 1],
    ['no-store taken back', ["$cdn: no-store, no-store=?0, max-age=60"], 1],
    ['a parameter is none', ["$cdn: max-age=60;no-store"], 1],

    # what does not parse is ignored whole, and what is empty

    ['not lower case', ["$cdn: Max-Age=60", 'Cache-Control: no-store'], 0],
    ['no dictionary', ["$cdn: max-age=60, no-store,", $fresh], 1],
    ['spaces', ["$cdn: no-store, max-age = 60", $fresh], 1],
    ['tabs around it', ["$cdn:\tno-store\t", $fresh], 0],
    ['empty', ["$cdn: ", $fresh], 1],
    ['empty, and nothing else', ["$cdn:"], 0],

    # several lines are one dictionary

    ['two lines', ["$cdn: max-age=60", "$cdn: no-store"], 0],
    ['of two lines the last', ["$cdn: max-age=0", "$cdn: max-age=60"], 1],
    ['an empty line of two', ["$cdn: max-age=60", "$cdn:", $past], 0],

    # ours goes before that of all

    ['ours', ["$own: max-age=60", "$cdn: no-store"], 1],
    ['ours, after it', ["$cdn: max-age=60", "$own: no-store"], 0],
    ['ours, not parsed', ["$own: No-Store", "$cdn: max-age=60",
        'Cache-Control: no-store'], 1],
    ['ours, empty', ["$own:", "$cdn: no-store", $fresh], 0],

    ["another's", ['Example-Cache-Control: no-store', $fresh], 1],
);

my $t = Test::Nginx->new()->has(qw/ http_proxy /)->plan(@cases + 4);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;

    server {
        listen 127.0.0.1:8080;

        location /hidden/ {
            optcache c;
            proxy_hide_header CDN-Cache-Control;
            proxy_pass http://127.0.0.1:8081;
        }

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my ($n) = $req->{uri} =~ m{/(\d+)$};

    return [200, $cases[$n][1], 'body'];
});

$t->run();

###############################################################################

for my $n (0 .. $#cases) {
    my ($name, $fields, $kept) = @{ $cases[$n] };

    http_get("/$n");
    is(header(http_get("/$n"), 'X-Cache'), $kept ? 'HIT' : 'MISS', $name);
}

my $r = http_get('/2');
is(header($r, 'CDN-Cache-Control'), 'max-age=60', 'it is passed on');
is(header($r, 'Cache-Control'), 'no-store', 'and what is for others');

http_get('/hidden/2');
$r = http_get('/hidden/2');
is(header($r, 'X-Cache'), 'HIT', 'what is hidden counts as well');
is(header($r, 'CDN-Cache-Control'), undef, 'and is hidden');

###############################################################################
