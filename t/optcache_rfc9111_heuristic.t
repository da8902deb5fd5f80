#!/usr/bin/perl

# Copyright (C) The Optcache authors

# An answer that does not say how long it is fresh, but when it was last
# modified (RFC 9111, 4.2.2).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $now = time();
my $old = "Last-Modified: ${\ date($now - 36000) }";

# status, fields, is it kept

my @cases = (
    (map { ["status $_", $_, [$old], 1] }
        200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501),
    (map { ["status $_", $_, [$old], 0] }
        201, 202, 302, 303, 307, 400, 401, 403, 500, 502, 503, 504, 599),

    ['no Last-Modified', 200, [], 0],
    ['Last-Modified that is no date', 200, ['Last-Modified: old'], 0],
    ['Last-Modified of now', 200,
        ["Last-Modified: ${\ date($now) }"], 0],
    ['Last-Modified to come', 200,
        ["Last-Modified: ${\ date($now + 9000) }"], 0],
    ['Date before Last-Modified', 200,
        [$old, "Date: ${\ date($now - 36010) }"], 0],
    ['Last-Modified of two lines', 200,
        [$old, "Last-Modified: ${\ date($now) }"], 0],

    # an hour is a tenth of ten

    ['an Age below a tenth', 200, [$old, 'Age: 3000'], 1],
    ['an Age above a tenth', 200, [$old, 'Age: 3700'], 0],
    ['an Age above a day', 200,
        ["Last-Modified: ${\ date($now - 8640000) }", 'Age: 87000'], 0],

    # what is said goes before what is guessed

    ['max-age=0', 200, [$old, 'Cache-Control: max-age=0'], 0],
    ['Expires: 0', 200, [$old, 'Expires: 0'], 0],
    ['no-store', 200, [$old, 'Cache-Control: no-store'], 0],
    ['Pragma: no-cache', 200, [$old, 'Pragma: no-cache'], 0],
    ['another Pragma', 200, [$old, 'Pragma: x'], 1],
    ['Cache-Control that says nothing', 200, [$old, 'Cache-Control: x=1'], 1],

    # "public" makes it so of any status

    ['public 599', 599, [$old, 'Cache-Control: public'], 1],
    ['public 206', 206, [$old, 'Cache-Control: public'], 0],
    ['public without a date', 200, ['Cache-Control: public'], 0],
);

my $t = Test::Nginx->new()->has(qw/ http_proxy /)->plan(@cases + 2);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;

    server {
        listen 127.0.0.1:8080;

        location /valid/ {
            optcache c;
            optcache_valid 404 1m;
            proxy_pass http://127.0.0.1:8081;
        }

        location /file/ {
            optcache c;
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

    return [@{ $cases[$n] }[1, 2], 'body'];
});

$t->run();

###############################################################################

for my $n (0 .. $#cases) {
    my ($name, $status, $fields, $kept) = @{ $cases[$n] };

    http_get("/$n");
    my $r = http_get("/$n");

    like(header($r, 'X-Cache') . ' ' . status($r),
        $kept ? qr/^HIT $status/ : qr/^(MISS|EXPIRED) $status/, $name);
}

http_get('/valid/0');
is(header(http_get('/valid/0'), 'X-Cache'), 'MISS',
    'where optcache_valid is given, nothing is guessed');

mkdir "${\ $t->testdir() }/file";
$t->write_file('file/a', 'a');
utime $now - 36000, $now - 36000, "${\ $t->testdir() }/file/a";

http_get('/file/a');
is(header(http_get('/file/a'), 'X-Cache'), 'MISS', 'nor of a file');

###############################################################################

sub date {
    my ($time) = @_;

    my @t = gmtime($time);
    my $day = (qw/ Sun Mon Tue Wed Thu Fri Sat /)[$t[6]];
    my $month = (qw/ Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec /)[$t[4]];

    return sprintf '%s, %02d %s %d %02d:%02d:%02d GMT', $day, $t[3], $month,
        $t[5] + 1900, @t[2, 1, 0];
}

###############################################################################
