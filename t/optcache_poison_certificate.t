#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Who shows a certificate is somebody: what upstream answers to that, and does
# not call public, is not kept for all.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_ssl http_v2 /)
        ->has_program(qw/ openssl curl /)->plan(13);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache c;
    optcache_valid 1m;

    server {
        listen 127.0.0.1:8443 ssl http2;

        ssl_certificate %%TESTDIR%%/server.crt;
        ssl_certificate_key %%TESTDIR%%/server.key;
        ssl_client_certificate %%TESTDIR%%/ca.crt;
        ssl_verify_client optional;

        proxy_set_header X-User $ssl_client_s_dn;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /own/ {
            optcache_user $ssl_client_fingerprint;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    return [200, { 'Cache-Control' => 'public, max-age=60' }, 'all']
        if $req->{uri} =~ /public/;
    return $req->{headers}{'x-user'} // 'nobody';
});

$t->make_cert($_) for qw/ server alice bob /;
$t->run();

###############################################################################

for my $version ('http1.1', 'http2') {
    my $uri = "/$version";

    get($uri, 'alice', $version) for 1 .. 2;
    is(get($uri, 'bob', $version), 'MISS CN=bob', "another, $version");
    is(get($uri, undef, $version), 'MISS nobody', "and nobody, $version");
}

# what was made for nobody is for all

is(get('/http2', undef, 'http2'), 'HIT nobody', 'what nobody was told');
is(get('/http2', 'alice', 'http2'), 'HIT nobody', 'is told to all');

get('/public', 'alice');
is(get('/public', 'bob'), 'HIT all', 'as is what is public');

# named, it is a user like any other

get('/own/', 'alice');
is(get('/own/', 'alice'), 'HIT CN=alice', 'a certificate as the user');
is(get('/own/', 'bob'), 'MISS CN=bob', 'and another one');
is(get('/own/', 'bob'), 'HIT CN=bob', 'who has a partition, too');
is(get('/own/', undef), 'MISS nobody', 'nobody has none of them');
is(get('/own/', undef), 'HIT nobody', 'but the shared one');
is(get('/own/', 'alice'), 'HIT CN=alice', 'and all is as it was');

###############################################################################

sub get {
    my ($uri, $user, $version) = @_;

    my $dir = $t->testdir();
    my $port = port(8443);
    my $cert = $user ? "--cert $dir/$user.crt --key $dir/$user.key" : '';

    $version //= 'http1.1';

    my $r = qx{curl -sik --$version $cert https://127.0.0.1:$port$uri};

    return header($r, 'X-Cache') . ' ' . ($r =~ /([^\n]*)\z/)[0];
}

###############################################################################
