#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Hosts that share a Redis share what one of them has validated, and what is
# stale: it is there to be validated, or to be used, by any of them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
        ->plan(30);
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

    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    add_header X-Layer \$optcache_layer always;

    server {
        listen 127.0.0.1:$port;

        optcache c;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /user/ {
            optcache_user \$http_x_user;
            proxy_pass http://127.0.0.1:8081;
        }

        location /gzip/ {
            optcache_gzip on;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF
}

my $redis = $t->run_redis();
my $text = 'words and more ' x 2000;

# the first is stale; it is validated until there is an X-New

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $uri = $req->{uri};
    my $h = $req->{headers};
    my $cc = $uri =~ /while/ ? 'max-age=60, stale-while-revalidate=3000'
                             : 'max-age=60';

    return [503, [], 'down'] if $h->{'x-down'};
    return undef if $h->{'x-close'};

    return [304, ["Cache-Control: $cc", 'X-From: 304',
                  ($uri =~ /forbid/ ? 'Cache-Control: no-store' : ())], '']
        if ($h->{'if-none-match'} // '') eq '"a"' && !$h->{'x-new'};

    return [200, ["Cache-Control: $cc", 'ETag: "b"'], 'new'] if $h->{'x-new'};

    return [200, ["Cache-Control: $cc", 'Age: 100', 'ETag: "a"',
                  'Content-Type: text/plain', 'X-From: 200'],
            $uri =~ /gzip/ ? $text
                           : "answer $req->{count} @{[$h->{'x-user'} // '']}"];
});

$_->run() for $t, $other;

###############################################################################

# one host stores it, another validates it, and the first finds it so

is(told(get('/a')), 'MISS 200 answer 1 ', 'stale when it comes');
stored(1);

my ($key) = @{ $redis->entry_names() };
my $ttl = $redis->cmd('TTL', $key);
cmp_ok($ttl, '>', 0, 'it is in Redis');
cmp_ok($ttl, '<=', 3600, 'for an hour at most');

my $r = get_other('/a');
is(told($r), 'REVALIDATED 200 answer 1 ', 'validated by the other');
is(header($r, 'X-From'), '304', 'with the fields of the 304');

$r = fresh('/a', 8080);
is(told($r), 'HIT 200 answer 1 ', 'the first finds it fresh');
is(header($r, 'X-Layer'), 'L2', 'in Redis');
is(header($r, 'X-From'), '304', 'with the new fields');
is(header(get('/a'), 'X-Layer'), 'L1', 'and keeps it');
is($backend->count(qr{/a$}), 2, 'asked for twice in all');

# another answer takes its place everywhere

get('/b');
stored(2);
is(told(get_other('/b', 'X-New' => 1)), 'EXPIRED 200 new', 'replaced');
is(told(fresh('/b', 8080)), 'HIT 200 new', 'for the other too');

# what a 304 forbids is gone from Redis

get('/forbid');
stored(3);
get_other('/forbid');
stored(2);
is($redis->entries(), 2, 'no-store of a 304 removes it');

# all forms

get('/gzip/a');
stored(3);
$r = get_other('/gzip/a', 'Accept-Encoding' => 'gzip');
is(gunzip(body($r)), $text, 'gzip of what was validated');
$r = fresh('/gzip/a', 8080, 'Accept-Encoding' => 'gzip');
is(gunzip(body($r)), $text, 'and found');
is(body(get('/gzip/a')), $text, 'beside the other form');

# conditions of a client

get('/cond');
stored(4);
is(status(get_other('/cond', 'If-None-Match' => '"a"')), 304, 'a condition');
is(told(fresh('/cond', 8080)), 'HIT 200 answer 1 ', 'what is stored is whole');

# in place of an error

get('/error');
stored(5);
is(told(get_other('/error', 'X-Close' => 1)), 'STALE 200 answer 1 ',
    'stale, from Redis');
is(told(get_other('/error', 'X-Down' => 1)), 'EXPIRED 503 down',
    'but as configured');

# and while it is updated

get('/while');
stored(6);
$r = get_other('/while');
is(told($r), 'UPDATING 200 answer 1 ', 'stale, while it is updated');
is(told(fresh('/while', 8090)), 'HIT 200 answer 1 ', 'the update is there');
is(told(fresh('/while', 8080)), 'HIT 200 answer 1 ', 'and here');

# users

get('/user/a', 'X-User' => 'u');
stored(7);
is(told(get_other('/user/a', 'X-User' => 'v')), 'MISS 200 answer 2 v',
    'another user has none');
unlike(body(get_other('/user/a', 'X-Close' => 1, 'X-User' => 'w')),
    qr/answer/, 'nor in place of an error');
is(told(get_other('/user/a', 'X-User' => 'u')), 'REVALIDATED 200 answer 1 u',
    'its own user has');

# Redis is gone: what is in memory is of use

get('/gone');
get_other('/gone2');
stored(10);
$redis->stop();
is(told(get('/gone')), 'REVALIDATED 200 answer 1 ', 'without Redis');
is(told(get('/gone')), 'HIT 200 answer 1 ', 'fresh again');
is(told(get_other('/gone2', 'X-Close' => 1)), 'STALE 200 answer 1 ',
    'or stale');
like(told(get_other('/gone')), qr/^MISS/, 'of each host its own');

###############################################################################

sub get {
    my ($uri, %headers) = @_;
    return http_get($uri, headers => \%headers);
}


sub get_other {
    my ($uri, %headers) = @_;
    return http_get($uri, headers => \%headers, port => 8090);
}


# What is there without asking upstream, as soon as it is.

sub fresh {
    my ($uri, $port, %headers) = @_;

    my $r;

    wait_for(sub {
        $r = http_get($uri, port => $port, headers => {
                      'Cache-Control' => 'only-if-cached', %headers });
        return header($r, 'X-Cache') eq 'HIT';
    }, 5);

    return $r;
}


sub told {
    my ($r) = @_;
    return join ' ', header($r, 'X-Cache') // '', status($r), body($r) // '';
}


# Nobody waits for Redis to store.

sub stored {
    my ($n) = @_;

    wait_for(sub { $redis->entries() == $n }, 5);
}

###############################################################################
