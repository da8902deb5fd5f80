#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A token that is malformed to nginx, and perhaps not to who is behind it: who
# has it is not nobody, whatever is in Authorization.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(15);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache c;
    optcache_valid 200 1m;

    server {
        listen 127.0.0.1:8080;

        location / {
            token_source $cookie_session;
            optcache_user $token_digest;
            proxy_pass http://127.0.0.1:8081;
        }

        location /field/ {
            token_source $http_x_token;
            proxy_pass http://127.0.0.1:8081;
        }

        location /bearer/ {
            optcache_user $token_sub;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    return [200, [$req->{uri} =~ /must/
                  ? 'Cache-Control: max-age=60, must-revalidate'
                  : ()], "$req->{count}"];
});

$t->run();

###############################################################################

my ($alice, $bob) = map { "Cookie: session=s%3A$_" } qw/ alice bob /;

is(get('/a', $alice), 'MISS 1', 'a cookie that is encoded');
is(get('/a', $bob), 'MISS 2', 'is not that of everybody');
is(get('/a'), 'MISS 3', 'nor of nobody');
is(get('/a'), 'HIT 3', 'who is answered what is for all');

is(get('/b', 'Cookie: session=alice; session=bob'), 'MISS 1', 'two of a name');
is(get('/b'), 'MISS 2', 'are somebody, too');

is(get('/c', 'Cookie: session=alice'), 'MISS 1', 'one that is well-formed');
is(get('/c', 'Cookie: session=alice'), 'HIT 1', 'has his own');

is(get('/field/', 'X-Token: alice alice'), 'MISS 1', 'in a field');
is(get('/field/', 'X-Token: bob bob'), 'MISS 2', 'the same');

# what Authorization allows says nothing of a token that is elsewhere

is(get('/must', $alice, 'Authorization: Basic x'), 'MISS 1',
    'with a password beside it');
is(get('/must', $bob, 'Authorization: Basic x'), 'MISS 2', 'the same');
is(get('/must', 'Authorization: Basic x'), 'MISS 3', 'without a token');
is(get('/must', 'Authorization: Basic x'), 'HIT 3', 'there is one for all');

get('/bearer/must', 'Authorization: Bearer alice');
is(get('/bearer/must', 'Authorization: Bearer bob'), 'HIT 1',
    'a token that is in Authorization (RFC 9111, 3.5)');

###############################################################################

sub get {
    my ($uri, @headers) = @_;

    my $r = http_get($uri, headers => \@headers);

    return header($r, 'X-Cache') . ' ' . body($r);
}

###############################################################################
