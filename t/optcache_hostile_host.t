#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A host is never given what was made for another.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_ssl /)
        ->has_program(qw/ openssl curl /)->plan(15);

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
        listen 127.0.0.1:8080;
        listen 127.0.0.1:8443 ssl;

        ssl_certificate %%TESTDIR%%/cert.pem;
        ssl_certificate_key %%TESTDIR%%/key.pem;

        location / {
            proxy_set_header Host $http_host;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub { return "made for $_[0]->{headers}{host}" });

my $dir = $t->testdir();
system("openssl req -x509 -nodes -newkey rsa:2048 -subj /CN=localhost "
       . "-keyout $dir/key.pem -out $dir/cert.pem >$dir/openssl.out 2>&1") == 0
    or die "no certificate\n";

$t->run();

###############################################################################

# "http" and "sbank" are "https" and "bank"

like(http_get('/a', host => 'sbank'), qr/made for sbank/, 'over http');
like(https_get('/a', 'bank'), qr/made for bank/, 'over https');
like(https_get('/b', 'bank'), qr/made for bank/, 'the other way round');
like(http_get('/b', host => 'sbank'), qr/made for sbank/, 'too');

# RFC 9112, 3.2.2: the host of the request line wins, but an upstream may be
# told the other

for my $line ('http://bank/c', 'http://BANK:80/d', 'http://bank./e') {
    my ($uri) = $line =~ m{(/\w)$};

    like(absolute($line, 'evil'), qr/made for evil/, "$line and another Host");
    like(http_get($uri, host => 'bank'), qr/made for bank/, 'is not kept');
}

# what is the same is the same

for my $host ('bank', 'BANK', 'bank.', 'bank:80', 'bank.:80') {
    absolute('http://bank/same', $host);
    is(header(absolute('http://bank/same', $host), 'X-Cache'), 'HIT',
        "with $host");
}

###############################################################################

sub absolute {
    my ($line, $host) = @_;

    return http("GET $line HTTP/1.1\r\nHost: $host\r\n"
                . "Connection: close\r\n\r\n");
}


sub https_get {
    my ($uri, $host) = @_;

    my $port = port(8443);
    return qx{curl -sk -H 'Host: $host' https://127.0.0.1:$port$uri};
}

###############################################################################
