#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Which requests are the same to the cache, and that they are compared whole:
# keys of any length and of any bytes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(29);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;

    large_client_header_buffers 4 128k;

    server {
        listen 127.0.0.1:8080;
        server_name ~.;

        optcache c;
        optcache_valid 1m;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /path/ {
            optcache_key $uri;
            proxy_pass http://127.0.0.1:8081;
        }

        location /field/ {
            optcache_key $http_x_key;
            proxy_pass http://127.0.0.1:8081/;
        }

        location /two/ {
            optcache_key $http_x_key$http_x_more;
            optcache_user $http_x_user;
            proxy_pass http://127.0.0.1:8081/;
        }
    }
}

EOF

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;
    my $key = $req->{headers}{'x-key'} // '';
    return "$req->{headers}{host} " . length($key) . ' '
           . unpack '%32C*', $key;
});

$t->run();

###############################################################################

http_get('/a?b=c');

is(cache(http_get('/a?b=c')), 'HIT', 'the same');

for my $uri ('/a', '/a?', '/a?b=c&', '/a?b=C', '/A?b=c', '/%61?b=c',
             '//a?b=c', '/a/?b=c', '/./a?b=c', '/a%3fb=c', '/a;x?b=c')
{
    is(cache(http_get($uri)), 'MISS', "not the same: $uri");
}

is(cache(http_get('/a?b=c', host => 'other')), 'MISS', 'another host');
is(cache(http_get('/a?b=c', host => 'LOCALHOST')), 'HIT',
    'hosts have no case');
is(cache(http_get('/a?b=c', host => 'localhost.')), 'HIT',
    'nor a last dot');
is(cache(http_get('http://localhost/a?b=c')), 'HIT', 'the host of the URI');
isnt(cache(http_get('http://third/a?b=c')), 'HIT', 'another of those');

http_get('/path/a?b');
is(cache(http_get('/path/a?c')), 'HIT', 'a key of a choice');
is(cache(http_get('/path/%61')), 'HIT', 'is all that counts');

# every byte that a field can have

my $bytes = join '', map { chr } 1 .. 9, 11, 12, 14 .. 255;
my $other = $bytes =~ s/\xff$/\xfe/r;

field($bytes);
is(cache(field($bytes)), 'HIT', 'a key of every byte');
is(cache(field($other)), 'MISS', 'that differs in one bit');

# long ones

my $long = 'k' x 60000;

field("${long}a");
is(cache(field("${long}a")), 'HIT', 'a long key');
is(cache(field("${long}b")), 'MISS', 'that differs in its last byte');
is(cache(field("b$long")), 'MISS', 'or in its first');

my $longer = 'k' x 70000;

field($longer);
my $r = field($longer);
isnt(cache($r), 'HIT', 'a key too long is not cached');
like(body($r), qr/ 70000 /, 'but answered');

# the user is no part of the text

http_get('/two/', headers => { 'X-Key' => 'ab', 'X-User' => 'u' });
is(cache(http_get('/two/', headers => { 'X-Key' => 'a', 'X-More' => 'b',
                                        'X-User' => 'u' })),
    'HIT', 'a key is what its values are together');
is(cache(http_get('/two/', headers => { 'X-Key' => 'abu' })), 'MISS',
    'a user is not');
is(cache(http_get('/two/', headers => { 'X-Key' => 'a', 'X-User' => 'bu' })),
    'MISS', 'nor is a key');

###############################################################################

sub cache { return header($_[0], 'X-Cache') // '' }


sub field {
    return http_get('/field/', headers => ["X-Key: $_[0]"]);
}

###############################################################################
