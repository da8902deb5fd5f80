#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A wrong directive is refused by "nginx -t" with a message that names what is
# wrong with it; a right one is not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my @wrong = (
    # where, directive, message

    [http => 'optcache_zone;', 'invalid number of arguments'],
    [http => 'optcache_zone c;',
        'invalid zone "c" in "optcache_zone", expected NAME:SIZE'],
    [http => 'optcache_zone c:;', 'invalid size ""'],
    [http => 'optcache_zone :1m;', '":1m"'],
    [http => 'optcache_zone c:x;', 'invalid size "x"'],
    [http => 'optcache_zone c:-1m;', 'invalid size "-1m"'],
    [http => 'optcache_zone c:4k;', 'too small'],
    [http => 'optcache_zone c:262145m;',
        'is too large, expected at most 274877906944'],
    [http => 'optcache_zone c:1m extra;', 'invalid number of arguments'],
    [http => 'optcache_zone c:1m; optcache_zone c:1m;', '"c"'],
    [http => 'optcache_zone x:1g;',
        'invalid size "1g" of the zone "x" in "optcache_zone", expected a '
        . 'number of bytes, k or m'],
    [http => 'optcache_zone zone=a:1m;', 'invalid name "zone=a"'],
    [http => 'optcache_zone $host:1m;', 'invalid name "$host"'],
    [http => 'optcache_zone off:1m;', 'invalid name "off" in "optcache_zone"'],
    [server => 'optcache_zone c:1m;', 'not allowed here'],

    [location => 'optcache;', 'invalid number of arguments'],
    [location => 'optcache nosuch;', '"nosuch"'],
    [location => 'optcache "";', 'empty zone in "optcache"'],
    [location => 'optcache c d;', 'invalid number of arguments'],
    [location => 'optcache c; optcache c;', 'is duplicate'],

    [location => 'optcache_key;', 'invalid number of arguments'],
    [location => 'optcache_key $nosuch;', '"nosuch"'],
    [location => 'optcache_key a; optcache_key b;', 'is duplicate'],
    [location => 'optcache_user $nosuch;', '"nosuch"'],
    [location => 'optcache_user a; optcache_user b;', 'is duplicate'],

    [location => 'optcache_valid;', 'invalid number of arguments'],
    [location => 'optcache_valid x;',
        'in "optcache_valid", expected codes'],
    [location => 'optcache_valid 99 1m;',
        'in "optcache_valid", expected codes'],
    [location => 'optcache_valid 600 1m;',
        'in "optcache_valid", expected codes'],
    [location => 'optcache_valid abc 1m;',
        'in "optcache_valid", expected codes'],
    [location => 'optcache_valid 200 -1s;',
        'in "optcache_valid", expected codes'],
    [location => 'optcache_valid 200 1x;',
        'in "optcache_valid", expected codes'],

    [location => 'optcache_methods;', 'invalid number of arguments'],
    [location => 'optcache_methods PUT;', '"PUT"'],
    [location => 'optcache_methods get;', '"get"'],

    [location => 'optcache c; optcache_methods GET POST;',
        '"optcache_methods" with POST needs "$optcache_body"'],
    [location => 'optcache c; optcache_methods POST; optcache_key $uri;',
        '"optcache_methods" with POST needs "$optcache_body"'],
    [location => 'optcache c; optcache_methods POST;'
                 . ' optcache_key $uri$optcache_age;',
        '"optcache_methods" with POST needs "$optcache_body"'],
    [server => 'optcache c; optcache_methods POST;'
               . ' optcache_key $optcache_body; location /x {'
               . ' optcache_key $uri; }',
        '"optcache_methods" with POST needs "$optcache_body"'],

    [location => 'optcache_bypass;', 'invalid number of arguments'],
    [location => 'optcache_bypass $nosuch;', '"nosuch"'],
    [location => 'optcache_no_store;', 'invalid number of arguments'],
    [location => 'optcache_no_store $nosuch;', '"nosuch"'],

    [location => 'optcache_no_vary_search;', 'invalid number of arguments'],
    [location => 'optcache_no_vary_search yes;', '"yes"'],
    [location => 'optcache_no_vary_search on; optcache_no_vary_search on;',
        'is duplicate'],
    [location => 'optcache_close_delimited;', 'invalid number of arguments'],
    [location => 'optcache_close_delimited yes;', '"yes"'],
    [location => 'optcache_close_delimited on; optcache_close_delimited on;',
        'is duplicate'],
    [location => 'optcache_share_public;', 'invalid number of arguments'],
    [location => 'optcache_share_public yes;', '"yes"'],
    [location => 'optcache_share_public on; optcache_share_public on;',
        'is duplicate'],

    [location => 'optcache_min_uses;', 'invalid number of arguments'],
    [location => 'optcache_min_uses 0;',
        '"0" in "optcache_min_uses", expected a number of 1 to 255'],
    [location => 'optcache_min_uses 256;', '"256" in "optcache_min_uses"'],
    [location => 'optcache_min_uses x;', '"x" in "optcache_min_uses"'],
    [location => 'optcache_min_uses 1; optcache_min_uses 2;', 'is duplicate'],

    [location => 'optcache_until;', 'invalid number of arguments'],
    [location => 'optcache_until $nosuch;', '"nosuch"'],
    [location => 'optcache_until 1; optcache_until 2;', 'is duplicate'],

    [location => 'optcache_ignore;', 'invalid number of arguments'],
    [location => 'optcache_ignore Date;',
        '"Date" in "optcache_ignore", expected "Cache-Control", "Expires"'],
    [location => 'optcache_ignore Vary Set-Cookie;',
        'invalid values in "optcache_ignore", expected "Cache-Control"'],

    [location => 'optcache_set_cookie;', 'invalid number of arguments'],
    [location => 'optcache_set_cookie hide;',
        '"hide" in "optcache_set_cookie", expected "refuse", "strip"'],
    [location => 'optcache_set_cookie keep strip;',
        'invalid number of arguments'],
    [location => 'optcache_set_cookie keep; optcache_set_cookie strip;',
        'is duplicate'],

    [location => 'optcache_max_size;', 'invalid number of arguments'],
    [location => 'optcache_max_size x;', 'invalid value'],
    [location => 'optcache_max_size -1;', 'invalid value'],
    [location => 'optcache_max_size 257m;', 'expected at most 268435456'],
    [location => 'optcache_max_size 1m; optcache_max_size 2m;',
        'is duplicate'],

    [location => 'optcache_lock maybe;', '"maybe"'],
    [location => 'optcache_lock;', 'invalid number of arguments'],
    [location => 'optcache_lock on; optcache_lock off;', 'is duplicate'],
    [location => 'optcache_lock_timeout x;',
        '"x" in "optcache_lock_timeout", expected a time'],
    [location => 'optcache_lock_timeout -1s;', '"-1s"'],
    [location => 'optcache_lock_timeout 1s 2s;',
        'invalid number of arguments'],
    [location => 'optcache_lock_timeout 1s; optcache_lock_timeout 2s;',
        'is duplicate'],

    [location => 'optcache_invalidate_on_write;',
        'invalid number of arguments'],
    [location => 'optcache_invalidate_on_write yes;',
        '"yes" in "optcache_invalidate_on_write" directive'],
    [location => 'optcache_invalidate_on_write on;'
                 . ' optcache_invalidate_on_write off;', 'is duplicate'],
    [location => 'optcache_tags;', 'invalid number of arguments'],
    [location => 'optcache_tags a $nosuch;', '"nosuch"'],
    [location => 'optcache_tags a; optcache_tags b;', 'is duplicate'],

    [location => 'optcache_gzip maybe;', '"maybe"'],
    [location => 'optcache_gzip on off;', 'invalid number of arguments'],
    [location => 'optcache_revalidate;', 'invalid number of arguments'],
    [location => 'optcache_revalidate yes;',
        '"yes" in "optcache_revalidate" directive'],
    [location => 'optcache_use_stale;', 'invalid number of arguments'],
    [location => 'optcache_use_stale never;',
        '"never" in "optcache_use_stale", expected "error", "timeout"'],
    [location => 'optcache_gzip_level 0;',
        '"0" in "optcache_gzip_level", expected a number of 1 to 9'],
    [location => 'optcache_gzip_level 10;', '"10" in "optcache_gzip_level"'],
    [location => 'optcache_gzip_level x;', '"x" in "optcache_gzip_level"'],
    [location => 'optcache_gzip_min_length x;',
        '"x" in "optcache_gzip_min_length", expected a number of bytes'],
    [location => 'optcache_gzip_types;', 'invalid number of arguments'],

    [location => 'optcache_headers;', 'invalid number of arguments'],
    [location => 'optcache_headers y;',
        '"y" in "optcache_headers", expected "off", "x", "ietf" or "all"'],

    [location => 'optcache_redis;', 'invalid number of arguments'],
    [location => 'optcache_redis maybe;', '"maybe"'],
    [location => 'optcache_redis on off;', 'invalid number of arguments'],
    [location => 'optcache_redis on; optcache_redis off;', 'is duplicate'],

    [location => 'optcache_purge;', 'invalid number of arguments'],
    [location => 'optcache_purge $nosuch;', '"nosuch"'],
    [location => 'optcache_purge $arg_a off;',
        'invalid value "off" in "optcache_purge", expected it to be the only'],
    [location => 'optcache_purge off; optcache_purge 1;', 'is duplicate'],
    [location => 'optcache_purge 1; optcache_purge 1;', 'is duplicate'],

    [http => 'optcache_api;', 'not allowed here'],
    [server => 'optcache_api;', 'not allowed here'],
    [location => 'optcache_api on;',
        'invalid parameter "on" of "optcache_api", it must be "write=on"'],
    [location => 'optcache_api write=yes;', 'invalid parameter "write=yes"'],
    [location => 'optcache_api health=500;',
        'invalid parameter "health=500"'],
    [location => 'optcache_api write=on health=503 x;',
        'invalid parameter "x"'],
    [location => 'optcache_api write=on health=503 ratelimit=/l/ x;',
        'invalid number of arguments'],
    (map { [location => "optcache_api $_;", 'duplicate parameter'] }
        'write=on write=off', 'health=200 health=503',
        'ratelimit=/a/ ratelimit=/b/'),
    [location => 'optcache_api ratelimit=;',
        'invalid path in "ratelimit=" of "optcache_api"'],
    [location => 'optcache_api ratelimit=/l;', 'in "ratelimit=/l"'],
    [location => 'optcache_api ratelimit=l/;', 'in "ratelimit=l/"'],
    [location => 'optcache_api ratelimit=//l/;', 'in "ratelimit=//l/"'],
    [location => 'optcache_api ratelimit=/\\l/;', 'in "ratelimit=/\\l/"'],
    [location => 'optcache_api ratelimit=/l?/;', 'in "ratelimit=/l?/"'],
    [location => 'optcache_api "ratelimit=/a b/";', 'in "ratelimit=/a b/"'],
    [location => 'optcache_api ratelimit=http://a/;',
        'in "ratelimit=http://a/"'],
    [location => 'optcache_api; optcache_api;', 'is duplicate'],
    [server => 'location = /x { optcache_api; }',
        '"optcache_api" in location "/x", it must be in one that is given by'],

    [http => 'optcache_redis_server;', 'invalid number of arguments'],
    [http => 'optcache_redis_server 127.0.0.2:6379;', '"127.0.0.2:6379"'],
    [http => 'optcache_redis_server http://127.0.0.1;', '"http://127.0.0.1"'],
    [http => 'optcache_redis_server redis://;', '"redis://"'],
    [http => 'optcache_redis_server redis://127.0.0.1:x;',
        '"redis://127.0.0.1:x"'],
    [http => 'optcache_redis_server redis://127.0.0.2:70000;',
        '"redis://127.0.0.2:70000"'],
    [http => 'optcache_redis_server redis://127.0.0.1/x;',
        '"redis://127.0.0.1/x"'],
    [http => 'optcache_redis_server redis://127.0.0.1 timeout=x;',
        'invalid timeout "x"'],
    [http => 'optcache_redis_server redis://127.0.0.1 timeout=0;',
        'invalid timeout "0"'],
    [http => 'optcache_redis_server redis://127.0.0.1 connections=0;',
        'invalid connections "0"'],
    [http => 'optcache_redis_server redis://127.0.0.1 nosuch=1;',
        'invalid parameter "nosuch=" in "optcache_redis_server", expected '
        . '"password_file="'],
    (map { [http => "optcache_redis_server redis://127.0.0.1 $_;",
            'invalid parameter "' . s/=\K.*//r . '" in'] }
        'conections=4', 'cluster=on', 'password=a:b@c', 'sentinel',
        'foo=redis://127.0.0.1'),
    [http => 'optcache_redis_server redis://127.0.0.1 password_file=/no/such;',
        '"/no/such"'],
    [http => 'optcache_redis_server redis://127.0.0.1;'
             . ' optcache_redis_server redis://127.0.0.1;', 'is duplicate'],
    [http => 'optcache_postgres;', 'invalid number of arguments'],
    [http => 'optcache_postgres dbname=a password_file=b c;',
        'invalid parameter "..." of "optcache_postgres"'],
    [http => 'optcache_postgres host=127.0.0.1 dbname=x;',
        'invalid parameter "dbname=..." of "optcache_postgres", expected one '
        . 'argument with all of the connection string, in quotes'],
    [http => 'optcache_postgres host=127.0.0.1 port=5432 dbname=x user=y;',
        'in quotes'],
    [http => 'optcache_postgres host=127.0.0.1 secret;',
        'invalid parameter "..." of "optcache_postgres"'],
    [http => 'optcache_postgres "";', '"optcache_postgres" directive must not'],
    [http => 'optcache_postgres nonsense;',
        'invalid connection string in "optcache_postgres"'],
    [http => 'optcache_postgres off;',
        'invalid connection string in "optcache_postgres"'],
    [http => 'optcache_postgres "host=127.0.0.1 port=none";',
        'invalid port "none" in "optcache_postgres"'],
    [http => 'optcache_postgres "host=127.0.0.1 nosuch=1";',
        'invalid connection string in "optcache_postgres"'],
    [http => 'optcache_postgres dbname=a password_file=/no/such;',
        '"/no/such"'],
    [http => 'optcache_postgres dbname=a password=b;',
        'invalid parameter "password=..." of "optcache_postgres"'],
    [http => 'optcache_postgres dbname=a; optcache_postgres dbname=a;',
        'is duplicate'],
    [server => 'optcache_postgres dbname=a;', 'not allowed here'],
    [http => 'optcache_postgres dbname=a; # optcache_zone c',
        '"optcache_postgres" needs "optcache_zone"'],

    [http => 'optcache_redis_prefix;', 'invalid number of arguments'],
    [http => 'optcache_redis_prefix a; optcache_redis_prefix b;',
        'is duplicate'],
    [server => 'optcache_redis_prefix a;', 'not allowed here'],
);

my @right = (
    [http => 'optcache_zone d:64k; optcache_zone e:1m;'],
    [http => 'optcache c; optcache_key k; optcache_user u;'],
    [server => 'optcache c; optcache_headers off;'],
    [location => 'optcache c;'],
    [location => 'optcache off;'],
    [location => 'optcache later;', 'optcache_zone later:1m;'],
    [location => 'optcache_user "";'],
    [location => 'optcache_key "";'],
    [location => 'optcache_valid 200 301 1m; optcache_valid any 0;'],
    [location => 'optcache_valid 200;'],
    [location => 'optcache_methods HEAD GET;'],
    [location => 'optcache c; optcache_methods POST;'
                 . ' optcache_key $uri$optcache_body;'],
    [location => 'optcache c; optcache_methods POST;'
                 . ' optcache_key "${optcache_body}x";'],
    [server => 'optcache c; optcache_key $optcache_body:;'
               . ' location /x { optcache_methods GET POST; }'],
    [location => 'optcache_bypass $arg_a $arg_b; optcache_no_store 1;'],
    [location => 'optcache_gzip on; optcache_gzip_types *;'],
    [location => 'optcache_gzip_level 1; optcache_gzip_min_length 0;'],
    [location => 'optcache_max_size 0;'],
    [location => 'optcache_no_vary_search on;'],
    [location => 'optcache_tags a "b c" $arg_d$uri "";'],
    [http => 'optcache_tags a; optcache_invalidate_on_write off;'],
    [location => 'optcache_share_public on;'],
    [http => 'optcache_close_delimited on;'],
    [server => 'optcache_close_delimited off;'
               . ' location /x { optcache_close_delimited on; }'],
    [location => 'optcache_headers ietf;'],
    [location => 'optcache_headers all;'],
    [location => 'optcache_min_uses 1;'],
    [location => 'optcache_min_uses 255;'],
    [location => 'optcache_until ""; optcache c;'],
    [location => 'optcache_ignore Vary Expires Cache-Control;'],
    [location => 'optcache_ignore cache-control;'],
    [location => 'optcache_set_cookie strip;'],
    [location => 'optcache_revalidate off; optcache_use_stale off;'],
    [location => 'optcache_use_stale error timeout invalid_header updating
                  http_500 http_502 http_503 http_504 http_403 http_404
                  http_429;'],
    [location => 'optcache c; optcache_set_cookie keep;'],
    [location => 'optcache_lock off; optcache_lock_timeout 0;'],
    [server => 'optcache_lock on; optcache_lock_timeout 100ms;'],
    [http => 'optcache_purge $arg_a $arg_b;'],
    [location => 'optcache_purge off;'],
    [location => 'optcache_api;'],
    [location => 'optcache_api write=on health=503;'],
    [location => 'optcache_api write=off health=200;'],
    [location => 'optcache_api write=on health=503 ratelimit=/a-b.c/%20/;'],
    [location => 'optcache_api ratelimit=/;'],
    [http => 'optcache_redis_server redis://127.0.0.1;'],
    [http => 'optcache_redis off;'],
    [server => 'optcache c; optcache_redis on;'
               . ' location /x { optcache_redis off; }'],
    [http => 'optcache_redis_server redis://127.0.0.1:6379/3 timeout=1s;'],
    [http => 'optcache_redis_server redis://[::1]:6379 connections=4;'],
    [http => 'optcache_redis_server unix:/tmp/redis.sock:2;'],
    [http => 'optcache_redis_prefix "";'],
    [http => 'optcache_postgres dbname=a;'],
    [http => 'optcache_postgres "host=127.0.0.1,/tmp port=5432 user=b";'],
    [http => 'optcache_postgres postgresql://u@127.0.0.1:5433/db;'],
);

# of one value, one line says all of it

my @once = ('optcache_headers y', 'optcache_set_cookie hide',
    'optcache_min_uses 0', 'optcache_gzip_level 10', 'optcache_valid x',
    'optcache_max_size 1g');

my $t = Test::Nginx->new()->plan(@wrong + @right + @once);

###############################################################################

for (@wrong) {
    my ($where, $text, $message) = @$_;

    my ($rc, $out) = check($where, $text);

    ok($rc != 0 && $out =~ /^[^\n]*\[emerg\] [^\n]*\Q$message\E/m,
        "refused: $text") or diag($out);
}

for (@right) {
    my ($where, $text, $after) = @$_;

    my ($rc, $out) = check($where, $text, $after);
    is($rc, 0, "taken: $text") or diag($out);
}

for (@once) {
    my (undef, $out) = check(location => "$_;");
    is(scalar(() = $out =~ /\[emerg\]/g), 1, "once: $_") or diag($out);
}

###############################################################################

sub check {
    my ($where, $text, $after) = @_;

    my %in = ($where => $text);

    $in{http} = 'optcache_zone c:1m; ' . ($in{http} // '')
        unless ($in{http} // '') =~ /optcache_zone c|optcache_zone :/
               || $text =~ /optcache_zone;/;
    $in{http} .= " $after" if $after;

    return $t->conf_check(%in);
}

###############################################################################
