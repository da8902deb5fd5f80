#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A response that took its time: that counts as age, and one that is stale
# when it is whole is stored nowhere.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
        ->plan(6);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $redis = $t->run_redis();

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $s = $req->{socket};
    my $lifetime = $req->{uri} =~ /short/ ? 1 : 60;

    sleep 2 if $req->{uri} =~ /header/;
    print $s "HTTP/1.1 200 OK\r\nCache-Control: max-age=$lifetime\r\n"
        . "Content-Length: 4\r\n\r\nbo";
    sleep 2 if $req->{uri} =~ /body/;
    print $s 'dy';

    return undef;
});

$t->run();

###############################################################################

my @uris = map { ("/header/$_", "/body/$_") } qw/ short long /;
my @s = map { http_get($_, start => 1) } @uris;
is(join(' ', map { body(http_end($_)) } @s), 'body body body body',
    'slow ones');

for my $uri ('/header/long', '/body/long') {
    cmp_ok(header(http_get($uri), 'Age') // -1, '>=', 1, "age of $uri");
}

wait_for(sub { $redis->entries() == 2 });
is($redis->entries(), 2, 'the short ones are not stored');
is($redis->info('total_error_replies') // 0, 0, 'nor tried to be');

http_get('/alive');
is($backend->count(qr{/short}), 2, 'the upstream was asked once for each');

###############################################################################
