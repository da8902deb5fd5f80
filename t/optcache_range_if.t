#!/usr/bin/perl

# Copyright (C) The Optcache authors

# If-Range lets a part be sent only to who has the rest of the very same bytes,
# which a weak validator does not tell (RFC 9110, 13.1.5 and 14.2).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX qw/ strftime /;

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(21);

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

        location /gzip {
            optcache c;
            optcache_gzip on;
            optcache_gzip_min_length 1;
            proxy_pass http://127.0.0.1:8081;
        }

        location /file/ {
            optcache c;
            optcache_valid 1s;
            optcache_gzip on;
            optcache_gzip_min_length 1;
            alias %%TESTDIR%%/;
            types { text/plain txt; }
        }
    }
}

EOF

my $now = date(time());
my $before = date(time() - 10);

my %fields = (
    '/strong' => ['ETag: "a"', "Last-Modified: $before"],
    '/weak' => ['ETag: W/"a"', "Last-Modified: $before"],
    '/date' => ["Last-Modified: $before"],
    '/just' => ["Last-Modified: $now"],
    '/none' => [],
    '/gzip' => ['ETag: "a"', "Last-Modified: $before",
                'Content-Type: text/plain'],
);

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    return [200, ['Cache-Control: max-age=60', "Date: $now",
                  @{ $fields{$req->{uri}} }],
            '0123456789' x ($req->{uri} eq '/gzip' ? 100 : 1)];
});

$t->run();

###############################################################################

http_get($_) for keys %fields;

is(range('/strong', '"a"'), '234', 'a strong validator');
is(range('/strong', '"b"'), '0123456789', 'of something else');
is(range('/strong', 'W/"a"'), '0123456789', 'in its weak form');

is(range('/weak', 'W/"a"'), '0123456789', 'a weak one');
is(range('/weak', '"a"'), '0123456789', 'as if it was strong');

is(range('/strong', $before), '234', 'a date beside a strong one');
is(range('/date', $before), '234', 'a date that was over');
is(range('/date', $now), '0123456789', 'another');
is(range('/just', $now), '0123456789', 'a date that was not over');
is(range('/none', $now), '0123456789', 'a date of nothing');
is(range('/none', '"a"'), '0123456789', 'a validator of nothing');
is(range('/strong', 'nonsense'), '0123456789', 'nonsense');

# a date is that of both forms, and the client may have the other one

my $whole = '0123456789' x 100;

is(gunzip(body(http_get('/gzip', headers => { 'Accept-Encoding' => 'gzip' }))),
   $whole, 'the form in gzip');
is(range('/gzip', $before), $whole, 'a date of two forms');
is(range('/gzip', '"a"'), '234', 'a strong validator is of one');
is(range('/gzip', 'W/"a"'), $whole, 'that of the other');

# nor when the response is not from the store, or has no second form yet

my $dated = date(time() - 1000);

$t->write_file('a.txt', $whole);
utime time() - 1000, time() - 1000, $t->testdir() . '/a.txt';

is(range('/file/a.txt', $dated), $whole, 'a date, and nothing is stored');
is(gunzip(body(http_get('/file/a.txt',
                        headers => { 'Accept-Encoding' => 'gzip' }))),
   $whole, 'what is stored');
ok(wait_for(sub { header(http_head('/file/a.txt'), 'X-Cache') ne 'HIT' }),
    'is not fresh any more');
is(range('/file/a.txt', $dated), $whole, 'a date, and it has expired');

like(http_get('/weak', headers => { Range => 'bytes=2-4' }),
     qr/ 206 /, 'a range without a condition');

###############################################################################

sub range {
    my ($uri, $if) = @_;

    return body(http_get($uri, headers => { Range => 'bytes=2-4',
                                            'If-Range' => $if }));
}


sub date {
    return strftime('%a, %d %b %Y %T GMT', gmtime $_[0]);
}

###############################################################################
