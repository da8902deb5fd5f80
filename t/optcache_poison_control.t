#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Answers that contradict themselves, or say it in a way that is easily
# overheard: of two readings the one counts by which it is for one client.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $asked = 'X-Who, Cookie, Authorization';
my $public = 'Cache-Control: public, max-age=60, s-maxage=60';

# never for all

my @answers = (
    [$public, 'Cache-Control: private'], ['Cache-Control: private', $public],
    [$public, 'Cache-Control: no-store'], ['cache-control: NO-STORE', $public],
    [$public, 'CACHE-CONTROL: ,,,No-Cache,,'], ["$public, private"],
    ["$public,\tprivate"], ["$public;private"], ["$public , private"],
    ["$public,private="], ["$public,private=\""], ["$public,private=\"a"],
    ["$public,private=\"\""], ["$public,private=\"a b\""],
    ["$public,private=\"a\\\"b\""],
    ["$public,no-store=1"], ["$public,no-store=\"a\""],
    ["$public,x=\",private"], ["$public,x=\"a\\\",private"],
    ["$public,x=\"a\"b,private"], ["$public,x=\"a\",private"],
    ["$public,=,private"], ["$public,\"\",private"], ["$public,a b,private"],
    [$public, 'Cache-Control:', 'Cache-Control: ,', 'Cache-Control: private'],
    (map { ['Cache-Control: public, ' . join ', ', @$_] }
        ['max-age=60', 'max-age=0'], ['max-age=0', 'max-age=60'],
        ['s-maxage=0', 'max-age=60'], ['s-maxage=60', 's-maxage=0'],
        ['max-age=-1'], ['max-age=60x'], ['max-age="60'], ['max-age='],
        ['max-age'], ['max-age=60', 'max-age=x'], ['max-age=0x60'],
        ['max-age =60', 'max-age=0'], ['s-maxage=', 'max-age=60']),
    ['Cache-Control: max-age=0', 'Expires: Fri, 01 Jan 2100 00:00:00 GMT'],
    ['Expires: 0'], ['Expires: Fri, 01 Jan 2100 00:00:00 GMT', 'Expires: 0'],
    ['Expires:'], ['Expires: never'],

    [$public, 'Vary: *'], [$public, 'Vary: Accept-Encoding, *'],
    [$public, 'Vary: Accept-Encoding', 'Vary: *'],
    [$public, "Vary: $asked"], [$public, "Vary: Accept-Encoding,,\U$asked"],
    [$public, 'Vary:', "Vary: $asked"], [$public, "Vary:\t$asked"],
    [$public, 'Vary: "Accept-Encoding"'], [$public, 'Vary: Accept Encoding'],
    [$public, 'Vary: Accept-Encoding;X-Who'], [$public, 'vary: *,X-Who'],
    [$public, 'Vary: Accept-Encoding: X-Who'],

    [$public, 'Set-Cookie: a=b'], [$public, 'set-cookie: a=b'],
    [$public, 'SET-COOKIE:a=b'], [$public, 'Set-Cookie:'],
    [$public, 'Set-Cookie2: a=b'], [$public, 'Set-Cookie: a', 'Set-Cookie: b'],
    [$public, 'Connection: Set-Cookie', 'Set-Cookie: a=b'],
    ["$public, no-cache=\"set-cookie\"", 'Set-Cookie: a=b'],
    ["$public, private=\"set-cookie\"", 'Set-Cookie: a=b'],
    ["$public, private=\"set-cookie, x\", private=\"y z\""],
    [$public, 'X-Accel-Buffering: no', 'Set-Cookie: a=b'],

    [$public, 'Connection: Vary', "Vary: $asked"],
    [$public, 'Connection: Cache-Control', 'Cache-Control: private'],
    [$public, 'CDN-Cache-Control: private, max-age=60'],
    [$public, 'CDN-Cache-Control: no-store'],
    [$public, 'CDN-Cache-Control: max-age=60', 'CDN-Cache-Control: no-store'],
    [$public, 'Content-Type: text/event-stream'],
    [$public, 'Content-Type: TEXT/event-stream;charset=utf-8'],
);

my $t = Test::Nginx->new()->has('http_proxy')->plan(@answers + 5);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache c;
    optcache_valid any 1m;

    server {
        listen 127.0.0.1:8080;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        # nor where the client does not hear of it

        location /hidden/ {
            proxy_hide_header Cache-Control;
            proxy_hide_header CDN-Cache-Control;
            proxy_hide_header Expires;
            proxy_hide_header Vary;
            proxy_hide_header Set-Cookie;
            proxy_hide_header Set-Cookie2;
            proxy_ignore_headers Cache-Control Expires Vary Set-Cookie;
            proxy_pass http://127.0.0.1:8081;
        }

        location /nobody/ {
            optcache_user "";
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my ($n) = $req->{uri} =~ m{(\d+)$};
    my $who = $req->{headers}{'x-who'} // $req->{headers}{authorization}
              // $req->{headers}{cookie} // 'nobody';

    return [200, [defined $n ? @{ $answers[$n] } : $public], "for $who"];
});

$t->run();

###############################################################################

my @victims = (['X-Who: victim'], ['Cookie: victim'],
               ['Authorization: victim']);

for my $n (0 .. $#answers) {
    my @wrong;

    for my $where ('', '/hidden', '/nobody') {
        for my $i (0 .. $#victims) {
            my $uri = "$where/$i/$n";

            http_get($uri, headers => $victims[$i]);

            my $r = http_get($uri);

            push @wrong, $r if body($r) ne 'for nobody';
        }
    }

    is(join("\n", @wrong), '', join ' | ', @{ $answers[$n] });
}

# what does not contradict itself is for all, also where a user asked first

http_get('/nobody/x', headers => $victims[2]);
is(body(http_get('/nobody/x')), 'for victim', 'what is public is for all');
http_get('/x', headers => $victims[1]);
is(body(http_get('/x')), 'for victim', 'although there was a cookie');
http_get('/y', headers => $victims[2]);
is(body(http_get('/y')), 'for nobody', 'but a user has the own partition');
is(body(http_get('/y', headers => $victims[2])), 'for victim', 'as before');
is(header(http_get('/y', headers => $victims[2]), 'X-Cache'), 'HIT',
    'which is a cache');

###############################################################################
