#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A revoked token in Authorization that a lenient backend would still find is
# not passed on as a field of another scheme; those of other schemes are.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_v2 /)->has_program('redis-server');

my @hostile = (
    "\x0bBearer abc", "\x0cBearer abc", "\xa0Bearer abc", "\x7fBearer abc",
    "\xc2\xa0Bearer abc", "Bearer\tabc", "Bearer\x0babc", "Bearer\x0cabc",
    "Bearer\xa0abc", "\tBearer\tabc", 'Bearer: abc', 'Bearer,abc',
    'Basic x, Bearer abc', 'Basic x,bearer abc', 'Basic Bearer abc',
    'Bearer-x abc', 'Bearerabc', 'Bearer_abc', 'Basic x, Bearer=abc', 'Digest a="b", Bearer abc', 'Digest a="Bearer abc ,',
    'Digest a="b, Bearer abc , c"', 'xBearer abc', "Basic \x0b",
);

my @others = (
    'Basic dXNlcjpwYXNz', "Basic\tdXNlcjpwYXNz", 'Negotiate YIIBearerab==',
    'Digest username="bearer", realm="a, b"', 'Digest realm="a, bearer"',
    'AWS4-HMAC-SHA256 Credential=A/2025/eu/s3/aws4_request, '
    . 'SignedHeaders=bearer;host, Signature=0a', 'DPoP abc',
    "Digest username=\"\xc3\xa9\"", "\tBasic dXNlcjpwYXNz",
);

$t->plan(@hostile + 2 * @others + 7);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    server {
        listen 127.0.0.1:8080;
        listen 127.0.0.1:8081 http2;

        token_blacklist on;
        add_header X-Status $token_status always;

        location / {
        }

        location /required {
            token_required on;
        }
    }
}

EOF

$t->write_file($_, 'SEE-THIS') for qw/ x required /;

my $redis = $t->run_redis();

$t->run();

###############################################################################

$redis->cmd('SETEX', 'blacklist:' . sha256_hex('abc'), 60, 1);

is(get("\tBearer abc"), '401 revoked', 'behind a tab');
is(get(" \t Bearer abc"), '401 revoked', 'or several blanks');
is(get("\tBearer x"), '200 ok', 'a good one, too');

for my $value (@hostile) {
    is(get($value), '401 malformed', $value =~ s/[^ -~]/?/gr);
}

for my $value (@others) {
    is(get($value), '200 none', $value =~ s/[^ -~]/?/gr);
    is(get($value, '/required'), '401 none', 'which is no token');
}

# HTTP/2, where nginx strips nothing

is(get2(' Bearer abc'), '401 revoked', 'HTTP/2, a space');
is(get2("\tBearer abc"), '401 revoked', 'HTTP/2, a tab');
is(get2('Bearer abc '), '401 malformed', 'HTTP/2, a space behind it');
is(get2(' Basic abc'), '200 none', 'HTTP/2, another scheme');

###############################################################################

sub get {
    my ($value, $uri) = @_;
    return told(http_get($uri // '/x', headers => ["Authorization: $value"]));
}


sub get2 {
    my ($value) = @_;
    return told(http2_get('/x', port => 8081,
                          headers => ["Authorization: $value"]));
}


sub told {
    my ($r) = @_;
    return status($r) . ' ' . (header($r, 'X-Status') // '');
}

###############################################################################
