#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Why an answer was not stored, and why a value of Redis was not taken.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw/ decode_json /;
use Test::More;
use Test::Nginx;
use Test::Nginx::XXH64 qw/ xxh64 /;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
    ->plan(42);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;
    optcache c;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache_redis off;
            optcache_no_store $arg_no;
            optcache_until $arg_until;
            optcache_max_size 2000;
            proxy_pass http://127.0.0.1:8081;
        }

        location /uses/ {
            optcache_redis off;
            optcache_min_uses 2;
            proxy_pass http://127.0.0.1:8081;
        }

        location /down/ {
            optcache_redis off;
            proxy_pass http://127.0.0.1:8089;
        }

        location /l2/ {
            proxy_pass http://127.0.0.1:8081;
        }

        location /l2/big/ {
            optcache_max_size 40m;
            proxy_pass http://127.0.0.1:8081;
        }

        location /m/ {
            optcache off;
            optcache_api write=on;
        }
    }
}

EOF

my $redis = $t->run_redis();

my $age = 'Cache-Control: max-age=100';

my %answers = (
    status => [429, [$age], ''],
    no_store => [200, ['Cache-Control: no-store'], ''],
    no_cache => [200, ['Cache-Control: no-cache'], ''],
    private => [200, ['Cache-Control: private, max-age=100'], ''],
    set_cookie => [200, [$age, 'Set-Cookie: a=b'], ''],
    vary => [200, [$age, 'Vary: *'], ''],
    freshness => [200, ['Cache-Control: max-age=0'], ''],
    size => [200, [$age], 'x' x 3000],
    stream => [200, [$age, 'Content-Type: text/event-stream'], ''],
    range => [200, [$age, 'Content-Range: bytes 0-1/9'], 'xx'],
);

$t->run_http_backend(8081, sub {
    my ($request) = @_;
    my ($name) = $request->{uri} =~ m!^/(\w+)!;

    return $answers{$name} if $answers{$name};

    if ($name eq 'incomplete') {
        print { $request->{socket} } "HTTP/1.1 200 OK\r\n$age\r\n"
            . "Content-Length: 100\r\n\r\nshort";
        return undef;
    }

    # as much as Redis is sent, or more

    return [200, [$age], 'x' x $1] if $request->{uri} =~ m!/big/(\d+)!;

    return [200, [$age], 'body'];
});

$t->run();

###############################################################################

ok(wait_for(sub { get()->{redis}{state} eq 'up' }), 'Redis is there');

for my $name (sort keys %answers) {
    my @fields = $name eq 'range' ? ('Range: bytes=0-1') : ();
    is(refused(sub { http_get("/$name", headers => \@fields) }), $name, $name);
}

is(refused(sub { http_get('/1?no=1') }), 'configured', 'optcache_no_store');
is(refused(sub { http_get('/1?until=1') }), 'until', 'optcache_until');
is(refused(sub { http_get('/uses/1') }), 'uses', 'optcache_min_uses');
is(refused(sub { http_get('/uses/1') }), '', 'only once');
is(refused(sub { http_get('/down/1') }), 'error', 'no upstream');
is(refused(sub { http_get('/incomplete') }), 'incomplete', 'cut short');
is(refused(sub { http_get('/2', headers => ['Authorization: x',
                                            'Cache-Control: no-store']) }),
    'no_store', 'of the request');
is(refused(sub { http_get('/3', headers => ['Cookie: a=b']) }), 'cookie',
    'a cookie of nobody');
is(refused(sub { http("GET http://a/4 HTTP/1.1\r\nHost: b\r\n"
                      . "Connection: close\r\n\r\n") }), 'host', 'two hosts');
is(refused(sub { http_get('/5') }), '', 'what is stored is not refused');
is(refused(sub { http_get('/5') }), '', 'nor is a hit');
is(zone()->{stored}{l1}, 2, 'but counted');

# values of Redis

my $began = time();

http_get('/l2/1');
ok(wait_for(sub { zone()->{stored}{l2} == 1 }), 'in Redis');

my ($name) = @{ $redis->entry_names() };
my $value = $redis->cmd('GET', $name);

# out of memory, too

http_post('/l2/1');
ok(wait_for(sub { !$redis->cmd('EXISTS', $name) }), 'removed');

is(value(substr $value, 0, length($value) - 1), 'truncated', 'a byte less');
is(value(substr $value, 0, 3), 'truncated', 'almost nothing');
is(value($value . 'x'), 'corrupt', 'a byte more');
is(value(with($value, length($value) - 1, 'x', 1)), 'corrupt', 'another byte');
is(value('OPC3' . substr $value, 4), 'version', 'of another version');
is(value('<?xml version="1.0"?>'), 'foreign', 'of somebody else');
is(value(with($value, 8, pack 'V', 304)), 'hostile', 'of a wrong status');
is(value(with($value, 84 + 3, 'zz')), 'key', 'of another key');

$redis->cmd('DEL', $name);
$redis->cmd('RPUSH', $name, 'x');
is(looked(), 'type', 'a list');

my $zone = zone();
cmp_ok($zone->{misses}{refused}, '==', 9, 'each of them a miss');

# answers that Redis does not have: neither is there, nor is the other one all
# of what is sent

my $most = 32 * 1024 * 1024 - 4096;

is(unstored("/l2/big/$most"), 'size', 'too large for Redis');
is(unstored('/l2/big/' . ($most - 1000)), '', 'not too large');

$redis->cmd('CONFIG', 'SET', 'maxmemory', 1);
is(unstored('/l2/2'), 'failed', 'no room in Redis');

$redis->kill();
ok(wait_for(sub { unstored('/l2/' . rand()) eq 'rejected' }, 20), 'no Redis');

# the log says so as often, but does not warn of each

my $told = qr/optcache found no valid entry in Redis: it is/;

is($t->log_count($told), 9, 'and each is logged');
ok($t->log_count(qr/$told "truncated"/), 'with the reason');

my $warned = $t->log_count(qr/\[warn\].*$told/);

ok($warned >= 1 && $warned <= 2 + (time() - $began) / 10, 'now and then loudly')
    or diag($warned);

###############################################################################

sub get { return decode_json(body(http_get('/m/status'))) }
sub zone { return get()->{zones}[0] }


# What has grown.

sub diff {
    my ($code, $which) = @_;
    my $before = $which->();

    $code->();

    my $after = $which->();
    return join ' ', map { $after->{$_} - $before->{$_} > 1
                           ? "$_ twice" : $_ }
                     grep { $after->{$_} != $before->{$_} } sort keys %$after;
}


# An upstream that fails is told of at the end of the request.

sub refused {
    my ($code) = @_;

    return diff(sub {
        my $before = total();
        $code->();
        wait_for(sub { total() > $before });
    }, sub { zone()->{refused} });
}


# By the time that the answer is there, or as soon as Redis has told.

sub unstored {
    my ($uri) = @_;

    return diff(sub {
        my $before = stored();
        http_get($uri);
        wait_for(sub { stored() > $before });
    }, sub { zone()->{l2}{unstored} });
}


sub stored {
    my $zone = zone();
    my $n = $zone->{stored}{l2};

    $n += $_ for values %{ $zone->{l2}{unstored} };
    return $n;
}


sub total {
    my $zone = zone();
    my $n = 0;

    $n += $_ for values %{ $zone->{refused} }, $zone->{stored}{l1},
                 values %{ $zone->{hits}{l1} };

    return $n;
}


sub with {
    my ($v, $at, $bytes, $unsigned) = @_;

    substr $v, $at, length $bytes, $bytes;
    substr $v, 4, 4, pack 'V', xxh64(substr $v, 8) & 0xffffffff
        if !$unsigned;

    return $v;
}


sub value {
    my ($v) = @_;

    $redis->cmd('SET', $name, $v);
    return looked();
}


# It is not in memory; the answer to a HEAD is not stored, here or there.

sub looked {
    return diff(sub {
        http_head('/l2/1');
    }, sub { zone()->{l2}{refused} });
}

###############################################################################
