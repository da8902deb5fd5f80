#!/usr/bin/perl

# Copyright (C) The Optcache authors

# How old an answer is when it comes, and until when it is fresh (RFC 9111,
# 4.2.3, 5.1 and 5.3).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $now = time();
my $hour = 'Cache-Control: max-age=3600';

# fields, and the Age of a hit: undef, it is no hit

my @cases = (
    ['no Age', [$hour], 0],
    ['Age', [$hour, 'Age: 30'], 30],
    ['Age as old as max-age', [$hour, 'Age: 3600'], undef],
    ['Age of any length', [$hour, 'Age: 99999999999999999999'], undef],

    # RFC 9111, 5.1: the first counts, and what is no number is no Age

    ['Age of two values', [$hour, 'Age: 30, 4000'], 30],
    ['Age of two lines', [$hour, 'Age: 30', 'Age: 4000'], 30],
    ['Age of two values, old first', [$hour, 'Age: 4000, 30'], undef],
    ['Age of letters', [$hour, 'Age: abc'], 0],
    ['Age below 0', [$hour, 'Age: -4000'], 0],
    ['Age with a point', [$hour, 'Age: 4000.0'], 0],
    ['Age of letters, then a line', [$hour, 'Age: abc', 'Age: 4000'], 0],
    ['Age with a parameter', [$hour, 'Age: 4000;a=b'], undef],

    # 4.2.3: Date tells an age too, and the greater counts

    ['Date', [$hour, "Date: ${\ date($now - 50) }"], 50],
    ['Date and a smaller Age',
        [$hour, "Date: ${\ date($now - 50) }", 'Age: 30'], 50],
    ['Date and a greater Age',
        [$hour, "Date: ${\ date($now - 50) }", 'Age: 70'], 70],
    ['Date of long ago', [$hour, "Date: ${\ date($now - 4000) }"], undef],
    ['Date to come', [$hour, "Date: ${\ date($now + 50) }"], 0],
    ['Date that is none', [$hour, 'Date: yesterday'], 0],

    # 5.3: Expires is less Date; what is no date is in the past

    ['Expires', ["Expires: ${\ date($now + 100) }"], 0],
    ['Expires now', ["Expires: ${\ date($now) }"], undef],
    ['Expires after Date',
        ["Date: ${\ date($now - 50) }", "Expires: ${\ date($now + 50) }"],
        50],
    ['Expires before a Date to come',
        ["Date: ${\ date($now + 500) }", "Expires: ${\ date($now + 400) }"],
        undef],
    ['Expires twice',
        ["Expires: ${\ date($now + 100) }", "Expires: ${\ date($now - 5) }"],
        undef],
    ['Date twice',
        ["Date: ${\ date($now) }", "Date: ${\ date($now - 5000) }",
         'Cache-Control: max-age=60'], undef],
    ['Expires: 0', ['Expires: 0'], undef],
    ['Expires: -1', ['Expires: -1'], undef],
    ['Expires, empty', ['Expires:'], undef],
    ['Expires elsewhere', ["Expires: ${\ zone($now + 9000, 'EST') }"], undef],
    ['Expires in UTC', ["Expires: ${\ zone($now + 9000, 'UTC') }"], undef],
    ['Expires of RFC 850',
        ['Expires: Sunday, 06-Nov-50 08:49:37 GMT'], 0],
    ['Expires of asctime()', ['Expires: Sun Nov  6 08:49:37 2050'], 0],
    ['Expires: 0 beside max-age', [$hour, 'Expires: 0'], 0],
);

my $t = Test::Nginx->new()->has(qw/ http_proxy /)->plan(scalar @cases);

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

    my ($n) = $req->{uri} =~ m{/(\d+)$};

    return [200, $cases[$n][1], 'body'];
});

$t->run();

###############################################################################

for my $n (0 .. $#cases) {
    my ($name, $fields, $age) = @{ $cases[$n] };

    http_get("/$n");
    my $r = http_get("/$n");

    unless (defined $age) {
        isnt(header($r, 'X-Cache'), 'HIT', $name);
        next;
    }

    # it may be a few seconds older by now

    my $got = header($r, 'Age') // -1;
    ok(header($r, 'X-Cache') eq 'HIT' && $got >= $age && $got < $age + 20,
        "$name, Age: $got");
}

###############################################################################

sub date {
    my ($time) = @_;

    return zone($time, 'GMT');
}


sub zone {
    my ($time, $zone) = @_;

    my @t = gmtime($time);
    my $day = (qw/ Sun Mon Tue Wed Thu Fri Sat /)[$t[6]];
    my $month = (qw/ Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec /)[$t[4]];

    return sprintf '%s, %02d %s %d %02d:%02d:%02d %s', $day, $t[3], $month,
        $t[5] + 1900, @t[2, 1, 0], $zone;
}

###############################################################################
