#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Hosts that share a Redis share their responses: what one has fetched the
# other finds there, and keeps in its own memory.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
        ->plan(31);
my $other = Test::Nginx->new();

host($_->[0], $_->[1]) for [$t, 8080], [$other, 8090];

sub host {
    my ($nginx, $port) = @_;

    $nginx->write_file_expand('nginx.conf', <<"EOF");

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache_zone d:4m;

    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;
    optcache_redis_prefix test:;

    add_header X-Layer \$optcache_layer always;

    server {
        listen 127.0.0.1:$port;

        optcache c;
        optcache_gzip on;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /lock/ {
            optcache_lock off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /d/ {
            optcache d;
            proxy_pass http://127.0.0.1:8081;
        }

        location /shared/ {
            optcache d;
            optcache_key shared;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF
}

my $redis = $t->run_redis();
my $text = 'words and more ' x 2000;

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    return [404, { 'Cache-Control' => 'max-age=60' }, 'none']
        if $req->{uri} =~ /404/;

    return [200, { 'Cache-Control' => 'max-age=60, private', Age => 20,
                   ETag => '"a"', 'Content-Type' => 'text/plain',
                   'Last-Modified' => 'Mon, 01 Jan 2001 00:00:00 GMT',
                   'X-Own' => $req->{headers}{authorization} }, $text]
        if $req->{uri} =~ /user/;

    return [200, { 'Cache-Control' => 'max-age=1' }, "answer $req->{count}"]
        if $req->{uri} =~ /short/;

    return [200, { 'Cache-Control' => 'max-age=60' }, "answer $req->{count}"];
});

$_->run() for $t, $other;

###############################################################################

my %a = (Authorization => 'a');
my %b = (Authorization => 'b');

my $miss = get('/user', %a);
is(cache($miss), 'MISS ', 'a miss here');
is(cache(get('/user', %a)), 'HIT L1', 'then a hit here');
stored(1);

my $hit = get_other('/user', %a);
is(cache($hit), 'HIT L2', 'a hit there');
is(body($hit), $text, 'of the same body');
is(cache(get_other('/user', %a)), 'HIT L1', 'which is then in memory there');
is_deeply([fields($hit)], [fields($miss)], 'with the same fields');
is(header($hit, 'Date'), header($miss, 'Date'), 'and the same date');
cmp_ok(header($hit, 'Age'), '>=', 20, 'and an age from where it came');

# all that one can ask of an entry is there

my $r = get_other('/user', %a, 'Accept-Encoding' => 'gzip');
is(gunzip(body($r)), $text, 'gzip');
$r = get_other('/user', %a, Range => 'bytes=6-8');
is(body($r), 'and', 'ranges');
is(status(get_other('/user', %a, 'If-None-Match' => 'W/"a"')), 304,
    'validators');
is(status(get_other('/user', %a, 'If-Modified-Since' =>
                    'Mon, 01 Jan 2001 00:00:00 GMT')), 304, 'dates');
is(body(http_head('/user', port => 8090, headers => \%a)), '', 'HEAD');

# users

$r = get_other('/user', %b);
is(cache($r), 'MISS ', 'another user has a miss there');
is(header($r, 'X-Own'), 'b', 'and an answer of his own');
stored(2);

# the first time that is asked for something, and how

get('/head');
stored(3);
$r = http_head('/head', port => 8090);
is(cache($r), 'HIT L2', 'HEAD finds it');
is(header($r, 'Content-Length'), 8, 'as it is');

get('/404');
stored(4);
$r = get_other('/404');
is(status($r) . cache($r), '404HIT L2', 'a status');

# zones

get('/d/x');
stored(5);
is(cache(get_other('/d/x')), 'HIT L2', 'a zone');
get('/shared/');
stored(6);
is(cache(get_other('/shared/')), 'HIT L2', 'and a key');

# what is stale here may be fresh there, and nothing outlives its time

get('/short');
wait_for(sub { cache(get('/short')) =~ /^EXPIRED/ });
is(cache(get_other('/short')), 'HIT L2', 'a new one from the other host');
wait_for(sub { $redis->entries() == 6 });
is($redis->entries(), 6, 'Redis forgets what is stale');

my @keys = @{ $redis->entry_names() };
is(scalar(grep { /^test:[cd]:/ } @keys), 6, 'all keys have the prefix');
ok(!(grep { my $ttl = $redis->cmd('TTL', $_); $ttl < 1 || $ttl > 3660 } @keys),
    'and a time to live');

# a POST removes it there too, though not from the memory of this host

http_post('/head');
stored(5);
is(cache(get('/head')), 'MISS ', 'removed here');
stored(6);

# bytes that no credential shows in

my $values = join '', map { $redis->cmd('GET', $_) } @keys;
$redis->forget();

get('/secret', Authorization => 'Bearer very-secret-token');
stored(1);
my ($key) = @{ $redis->entry_names() };
unlike($key . $redis->cmd('GET', $key), qr/very-secret-token/,
    'no credential in Redis');
unlike($values, qr/Authorization/i, 'of anybody');

# memory is asked first, when nothing but the entry is left there

wait_for(sub { $redis->cmd('DBSIZE') == 1 });
my $gets = $redis->calls('getrange');
get('/secret', Authorization => 'Bearer very-secret-token');
is($redis->calls('getrange'), $gets, 'a hit in memory does not ask Redis');

is($redis->calls('set') > 0, 1, 'one command stores');
is($redis->calls('expire'), 0, 'with its time to live');

# what one does not find is asked for once, by who waits for nobody

get('/lock/off');
stored(2);
is($redis->calls('getrange'), $gets + 1, 'a miss asks once');

###############################################################################

sub get {
    my ($uri, %headers) = @_;
    return http_get($uri, headers => \%headers);
}


sub get_other {
    my ($uri, %headers) = @_;
    return http_get($uri, headers => \%headers, port => 8090);
}


sub cache {
    return join ' ', map { header($_[0], $_) // '' } 'X-Cache', 'X-Layer';
}


sub fields {
    return sort map { "$_->[0]: $_->[1]" }
           grep { $_->[0] !~ /^(Age|X-Cache|X-Layer|Accept-Ranges)$/ }
           headers($_[0]);
}


# Nobody waits for Redis to store.

sub stored {
    my ($n) = @_;

    wait_for(sub { $redis->entries() == $n });
}

###############################################################################
