#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Whatever a user asks and however, the answer is never another user's.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(31);

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
    }
}

EOF

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $user = $req->{headers}{authorization} // 'nobody';
    my $tag = $user =~ s/\W//gr;
    my $said = $req->{headers}{'if-none-match'} // '';

    return [304, ["ETag: \"$tag\""], ''] if $said eq "\"$tag\"";

    return [200, ['Cache-Control: private, max-age=60', "ETag: \"$tag\"",
                  "X-User: $user", 'Content-Type: text/plain'],
            "for $user " . 'x' x 100];
});

$t->run();

###############################################################################

my %a = (Authorization => 'Bearer A');
my %b = (Authorization => 'Bearer B');

# the same URL

is(cache(http_get('/u', headers => \%a)), 'MISS', 'a user is unknown');
is(cache(http_get('/u', headers => \%a)), 'HIT', 'and is known the next time');
like(body(http_get('/u', headers => \%a)), qr/^for Bearer A/, 'his answer');

my $r = http_get('/u', headers => \%b);
is(cache($r), 'MISS', 'another user has a miss');
like(body($r), qr/^for Bearer B/, 'and an answer of his own');

$r = http_get('/u');
is(cache($r), 'MISS', 'nobody has a miss');
like(body($r), qr/^for nobody/, 'and an answer of his own');
is(cache(http_get('/u')), 'MISS', 'private is not stored for everybody');

# values that are nearly the same

for my $other ('bearer A', 'Bearer a', 'Bearer  A', 'Bearer AA', 'Bearer',
               'Basic A', 'Bearer A,', 'Bearer A/u')
{
    $r = http_get('/u', headers => { Authorization => $other });
    ok(cache($r) eq 'MISS' && header($r, 'X-User') eq $other,
        "\"$other\" is another user") or diag($r);
}

# other ways to ask

$r = http_head('/u', headers => { Authorization => 'Bearer H' });
isnt(cache($r), 'HIT', 'HEAD of another user has no hit');
unlike($r, qr/Bearer A/, 'and sees nothing');

$r = http_head('/u', headers => \%a);
is(cache($r), 'HIT', 'HEAD of the user is a hit');
is(header($r, 'X-User'), 'Bearer A', 'on his own');

$r = http_get('/u', headers => { Range => 'bytes=4-11',
                                 Authorization => 'Bearer R' });
unlike($r, qr/Bearer A/, 'a range of another user');

$r = http_get('/u', headers => { Range => 'bytes=4-11', %a });
is(status($r), 206, 'a range of the user');
is(body($r), 'Bearer A', 'of his own answer');

$r = http_get('/u', headers => { 'If-None-Match' => '"BearerA"',
                                 Authorization => 'Bearer C' });
is(status($r), 200, 'an ETag of another user matches nothing');
like(body($r), qr/^for Bearer C/, 'and the answer is his own');

$r = http_get('/u', headers => { 'If-None-Match' => '"BearerA"', %a });
is(status($r), 304, 'it matches for the user');

my %gzip = ('Accept-Encoding' => 'gzip');
http_get('/gzip', headers => \%a);
$r = http_get('/gzip', headers => { %gzip, %a });
is(header($r, 'Content-Encoding'), 'gzip', 'a gzip form of the user');
$r = http_get('/gzip', headers => { %gzip, %b });
is(cache($r), 'MISS', 'is not for another user');
unlike(gunzip(body($r)) // body($r), qr/Bearer A/, 'at all');

# what another one changes makes his answer old, and does not give it away

http_post('/u', headers => \%b);
is(cache(http_get('/u', headers => \%a)), 'MISS', 'a POST of another user');

# no credential is readable where entries are kept: neither in the names that
# nginx logs nor in a key

unlike($t->error_log(), qr/optcache[^\n]*Bearer A/, 'no credential is logged');

###############################################################################

sub cache { return header($_[0], 'X-Cache') // '' }

###############################################################################
