#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A token that cannot be judged for want of memory is not a good one: not for who
# reads it next, not behind an error page; and the claims of a good one that
# cannot be had are not those of nobody.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ hmac_sha256 /;
use MIME::Base64 qw/ encode_base64url /;

use Test::More;
use Test::Nginx;

plan(skip_all => 'what is loaded before the sanitizer is refused')
    if $ENV{ASAN_OPTIONS};

my $t = Test::Nginx->new()->has(qw/ http_proxy http_rewrite /)
        ->has_program('cc')->plan(21);

my $dir = $t->testdir();

$t->expect_log(qr/no memory for a JSON document/);

# each of these fails once for each time that its file is made

$t->write_file('fail.c', <<"EOF");
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <unistd.h>

int
EVP_DigestSign(void *ctx, unsigned char *mac, size_t *len,
    const unsigned char *text, size_t n)
{
    int (*real)(void *, unsigned char *, size_t *, const unsigned char *,
        size_t) = dlsym(RTLD_NEXT, "EVP_DigestSign");

    return (unlink("$dir/fail.verify") == 0) ? 0
           : real(ctx, mac, len, text, n);
}

void *
cJSON_ParseWithLengthOpts(const char *text, size_t len, const char **end,
    int whole)
{
    void *(*real)(const char *, size_t, const char **, int)
        = dlsym(RTLD_NEXT, "cJSON_ParseWithLengthOpts");

    return (unlink("$dir/fail.parse") == 0) ? NULL
           : real(text, len, end, whole);
}
EOF

system("cc -shared -fPIC -o $dir/fail.so $dir/fail.c -ldl") == 0
    or die "fail.so\n";

my $jwk = encode_base64url('k' x 32);

$t->write_file('keys.json',
    "{\"keys\":[{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"$jwk\"}]}");

$t->write_file_expand('nginx.conf', <<"EOF");

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    token_jwt_keys $dir/keys.json;

    ratelimit_redis_zone \$token_user zone=k:1m rate=9r/m;
    optcache_zone c:1m;
    optcache_valid 1m;

    map \$token_sub \$who {
        default  \$token_sub;
        ""       "";
    }

    server {
        listen 127.0.0.1:8080;

        error_page 500 = /page;

        location /plain {
            token_required on;
            proxy_pass http://127.0.0.1:8081;
        }

        location /limit {
            token_required on;
            ratelimit_redis zone=k;
            proxy_pass http://127.0.0.1:8081;
        }

        location /set {
            token_required on;
            set \$u \$token_user;
            proxy_pass http://127.0.0.1:8081;
        }

        location /page {
            token_required on;
            add_header X-Sub \$token_sub always;
            proxy_pass http://127.0.0.1:8081;
        }

        location /mapped {
            token_source \$arg_token;
            optcache c;
            optcache_user \$who;
            optcache_key \$uri;
            error_page 500 =500 /nothing;
            proxy_set_header X-Sub \$token_sub;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;
    return "$req->{count} for " . ($req->{headers}{'x-sub'} // 'nobody');
});

{
    local $ENV{LD_PRELOAD} = "$dir/fail.so";
    $t->run();
}

###############################################################################

my $forged = jwt('mallory', 'x' x 32);

for my $place (qw/ plain limit set page /) {

    is(get("/$place", $forged), '401 ', "forged, $place");

    lack('verify');
    is(get("/$place", $forged), '500 ', 'where it cannot be verified');
    ok(!-e "$dir/fail.verify", 'as was tried');

    is(get("/$place", $forged), '401 ', 'and later');
}

# a good one

my $n = 0;

for my $why (qw/ parse verify /) {
    my $alice = jwt('alice' . ++$n, 'k' x 32);

    lack($why);
    like(status(http_get("/mapped?token=$alice")), qr/^500$/, "no $why");
}

my $alice = jwt('alice', 'k' x 32);

is(mapped("?token=$alice"), 'MISS 1 for alice', 'for one');
is(mapped(''), 'MISS 1 for nobody', 'is not for all');
is(mapped("?token=$alice"), 'HIT 1 for alice', 'ever');

###############################################################################

sub lack {
    my ($what) = @_;
    $t->write_file("fail.$what", '');
}


sub get {
    my ($uri, $token) = @_;

    my $r = http_get($uri, headers => { Authorization => "Bearer $token" });

    return status($r) . ' ' . (header($r, 'X-Sub') // '');
}


sub mapped {
    my ($args) = @_;

    my $r = http_get("/mapped$args");

    return header($r, 'X-Cache') . ' ' . body($r);
}


sub jwt {
    my ($sub, $key) = @_;

    my $text = encode_base64url('{"alg":"HS256"}') . '.'
               . encode_base64url("{\"sub\":\"$sub\"}");

    return "$text." . encode_base64url(hmac_sha256($text, $key));
}

###############################################################################
