#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What the directives of the cache are made of leaves the captures of a location
# alone: what a client sends in a cookie does not choose what upstream is asked
# for, nor what a key is made of.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_rewrite /)->plan(30);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache_valid 1m;

    map $cookie_session $guest {
        ~^guest-(.*)$  "";
        default        $cookie_session;
    }

    map $cookie_ab $never {
        ~^(.*)-never$  1;
        default        0;
    }

    map $cookie_ab $always {
        ~^(.*)-never$  1;
        default        "";
    }

    map $cookie_lang $lang {
        ~^(..)-(.*)$   $1;
        default        en;
    }

    map $cookie_lang $language {
        volatile;
        ~^(..)-(.*)$   $1;
        default        en;
    }

    server {
        listen 127.0.0.1:8080;

        optcache c;
        optcache_user "";

        location ~ ^/user/(.*)$ {
            optcache_user $guest;
            proxy_pass http://127.0.0.1:8081/user-of/$1;
        }

        location ~ ^/bypass/(.*)$ {
            optcache_bypass $never;
            proxy_pass http://127.0.0.1:8081/bypass-of/$1;
        }

        location ~ ^/key/(.*)$ {
            optcache_user $guest;
            optcache_key key/$1;
            proxy_pass http://127.0.0.1:8081/key-of/$1;
        }

        location ~ ^/both/(.*)/(.*)$ {
            optcache_key "$lang $2 $1";
            proxy_pass http://127.0.0.1:8081/both-of/$1/$2;
        }

        location ~ ^/volatile/(.*)$ {
            optcache_key "$language$1$language";
            proxy_pass http://127.0.0.1:8081/volatile-of/$1;
        }

        # of more parts than are looked at one by one

        location ~ ^/parts/(.*)/(.*)$ {
            optcache_key "$lang-$1-$2-$host-$scheme-$http_a-$http_b-$http_c";
            proxy_pass http://127.0.0.1:8081/parts-of/$1/$2;
        }

        # where what is matched comes behind a capture, that may be longer

        location ~ ^/behind/(.*)-(.*)$ {
            optcache_key "$1-$2-$host-$scheme-$http_a-$http_b-$http_c-$lang";
            optcache_tags "$1 $language $2";
            optcache_bypass "$1$always";
            proxy_pass http://127.0.0.1:8081/behind-of/$1-$2;
        }

        location ~ ^/digits/(.)(.*)$ {
            optcache_key $10$3;
            proxy_pass http://127.0.0.1:8081/digits-of/$2;
        }

        location ~ ^/after/(.*)$ {
            optcache_no_store $never;
            optcache_tags $lang;
            add_header X-Rest $1;
            proxy_pass http://127.0.0.1:8081/after-of/$1;
        }
    }
}

EOF

my $backend = $t->run_http_backend(8081, sub { "$_[0]{uri} $_[0]{count}" });

$t->run();

###############################################################################

is(get('/user/home', 'session=guest-evil'), 'MISS /user-of/home 1',
    'a user that is matched');
is(get('/user/home', 'session=guest-7'), 'HIT /user-of/home 1', 'by another');
is(get('/user/home', ''), 'HIT /user-of/home 1', 'and by nobody');

is(get('/bypass/home', 'ab=evil-never'), 'BYPASS /bypass-of/home 1',
    'a bypass');
is($backend->count(qr{evil}), 0, 'asks for nothing else');

is(get('/key/a', 'session=guest-x'), 'MISS /key-of/a 1', 'a key of a capture');
is(get('/key/b', 'session=guest-x'), 'MISS /key-of/b 1',
    'is that of the location');
is(get('/key/a', ''), 'HIT /key-of/a 1', 'whoever asks');

is(get('/both/a/b', 'lang=de-x'), 'MISS /both-of/a/b 1',
    'beside what is matched');
is(get('/both/a/c', 'lang=de-x'), 'MISS /both-of/a/c 1', 'another URI');
is(get('/both/x/b', 'lang=de-x'), 'MISS /both-of/x/b 1', 'and another');
is(get('/both/a/b', 'lang=en-x'), 'MISS /both-of/a/b 2', 'another language');
is(get('/both/a/b', 'lang=de-y'), 'HIT /both-of/a/b 1', 'the same');

is(get('/volatile/a', 'lang=de-evil'), 'MISS /volatile-of/a 1',
    'matched twice');
is(get('/volatile/b', 'lang=de-evil'), 'MISS /volatile-of/b 1', 'another URI');
is(get('/volatile/a', 'lang=de-x'), 'HIT /volatile-of/a 1', 'the same');

is(get('/parts/a/b', 'lang=xyz'), 'MISS /parts-of/a/b 1',
    'many parts, and nothing is matched');
is(get('/parts/a/c', 'lang=xyz'), 'MISS /parts-of/a/c 1', 'another URI');
is(get('/parts/a/b', 'lang=zyx'), 'HIT /parts-of/a/b 1', 'the same');

my $long = 'lang=de-' . 'A' x 6000;

is(get('/behind/-a', $long), 'MISS /behind-of/-a 1', 'behind a capture');
is(get('/behind/-b', $long), 'MISS /behind-of/-b 1', 'another URI');
is(get('/behind/-a', $long), 'HIT /behind-of/-a 1', 'the same');
is(get('/behind/-a', 'lang=fr-x'), 'MISS /behind-of/-a 2', 'another language');
is(get('/behind/-c', 'ab=' . 'A' x 6000 . '-never'),
    'BYPASS /behind-of/-c 1', 'a bypass');
is(get('/behind/1-c', ''), 'BYPASS /behind-of/1-c 1', 'also of a capture');

is(get('/digits/1x', ''), 'MISS /digits-of/x 1', 'one digit, and a text');
is(get('/digits/1y', ''), 'HIT /digits-of/x 1', 'that is all of the key');
is(get('/digits/2y', ''), 'MISS /digits-of/y 1', 'there is');

my $r = http_get('/after/home',
    headers => { Cookie => 'ab=evil-never; lang=de-evil' });
is(body($r), '/after-of/home 1', 'behind the response');
is(header($r, 'X-Rest'), 'home', 'they are as they were, too');

###############################################################################

sub get {
    my ($uri, $cookie) = @_;

    my $r = http_get($uri, headers => { $cookie ? (Cookie => $cookie) : () });

    return header($r, 'X-Cache') . ' ' . body($r);
}

###############################################################################
