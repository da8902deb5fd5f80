#!/usr/bin/perl

# Copyright (C) The Optcache authors

# optcache_headers: Cache-Status (RFC 9211) beside X-Cache, or in its place.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_ssi /)
        ->has_program('redis-server')->plan(61);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;
    optcache_zone c:1m;
    optcache c;
    optcache_headers ietf;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache_bypass $arg_bypass;
            optcache_key $uri;
            proxy_pass http://127.0.0.1:8081;
        }

        location /all/ {
            optcache_headers all;
            proxy_pass http://127.0.0.1:8081;
        }

        location /x/ {
            optcache_headers x;
            proxy_pass http://127.0.0.1:8081;
        }

        location /off/ {
            optcache_headers off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /get/ {
            optcache_methods GET;
            proxy_pass http://127.0.0.1:8081;
        }

        location /down/ {
            proxy_pass http://127.0.0.1:8082;
        }

        location /page {
            ssi on;
            ssi_types *;
            proxy_pass http://127.0.0.1:8081;
        }

        location = /local.html {
            optcache_valid 1m;
        }

        location = /none {
            optcache off;
            proxy_pass http://127.0.0.1:8081;
        }
    }

    # a cache before the other

    server {
        listen 127.0.0.1:8083;

        location / {
            proxy_pass http://127.0.0.1:8080;
        }
    }

    server {
        listen 127.0.0.1:8084;
        optcache_headers x;

        location / {
            optcache_key second$uri;
            proxy_pass http://127.0.0.1:8080/x/;
        }
    }
}

EOF

my $redis = $t->run_redis();

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $uri = $req->{uri};
    my @fields = ('Content-Type: text/plain', 'Cache-Control: '
                  . ($req->{headers}{'x-control'} // 'max-age=6000'));

    push @fields, 'Cache-Status: Origin; hit', 'cache-status: "Near"; fwd=miss'
        if $uri =~ /listed/;
    push @fields, 'Cache-Status:' if $uri =~ /empty/;
    push @fields, 'X-Cache: theirs', 'x-cache: Their other'
        if $uri =~ /theirs/;

    sleep 1 if $uri =~ /slow/;

    push @fields, 'Vary: X-A' if $uri =~ /vary/;
    push @fields, 'ETag: "x"' if $uri =~ /etag/;

    return undef if ($req->{headers}{'x-fail'} // '') eq 'dead';
    if (($req->{headers}{'x-fail'} // '') eq 'bad') {
        print { $req->{socket} } "HTTP/1.1 200 OK\r\nbad\x01field\r\n\r\n";
        return undef;
    }
    return [503, {}, ''] if $req->{headers}{'x-fail'};
    return [304, \@fields, ''] if $req->{headers}{'if-none-match'};
    return [404, \@fields, 'none'] if $uri =~ /missing/;
    return [200, \@fields, '<!--#include virtual="/part" -->']
        if $uri =~ /page/;
    return [200, \@fields, 'body'];
});

$t->write_file('local.html', 'local');
$t->run();

###############################################################################

is(asked('/a'), 'Optcache; fwd=uri-miss; fwd-status=200; stored', 'a miss');
hit(asked('/a'), 6000, 'L1', 'a hit');
hit(asked('/a', head => 1), 6000, 'L1', 'to HEAD');
is(header(http_get('/a'), 'X-Cache'), undef, 'in place of X-Cache');

is(asked('/no', 'X-Control' => 'no-store'),
    'Optcache; fwd=uri-miss; fwd-status=200', 'not stored');
is(asked('/missing'), 'Optcache; fwd=uri-miss; fwd-status=404; stored',
    'another status');
hit(asked('/missing'), 6000, 'L1', 'of a hit');

is(asked('/a?bypass=1'), 'Optcache; fwd=bypass; fwd-status=200; stored',
    'bypass');
is(asked('/a', 'Cache-Control' => 'no-cache'),
    'Optcache; fwd=request; fwd-status=200; stored', 'asked not to');
is(asked('/a', 'Pragma' => 'no-cache'),
    'Optcache; fwd=request; fwd-status=200; stored', 'in the old way');
is(asked('/a', 'Cache-Control' => 'min-fresh=100000'),
    'Optcache; fwd=request; fwd-status=200; stored', 'not fresh enough');
is(asked('/b', 'Cache-Control' => 'only-if-cached'), '',
    'only if cached: nothing of what is not based on anything');
is(asked('/get/', head => 1), 'Optcache; fwd=method; fwd-status=200',
    'a method that is not cached');
like(http_post('/a'),
    qr/^Cache-Status: Optcache; fwd=method; fwd-status=200\r/m,
    'another method');
like(http_request('GET', '/a', body => 'fat'),
    qr/^Cache-Status: Optcache; fwd=bypass; fwd-status=200\r/m, 'a body');
is(asked('/down/'), '', 'nor of nobody there');
is(asked('/bad', 'X-Fail' => 'bad'), '', 'nor of what is no answer');
is(asked('/err', 'X-Fail' => 1), 'Optcache; fwd=uri-miss; fwd-status=503',
    'but of an error that upstream says');
is(asked('/local.html'), 'Optcache; fwd=uri-miss; fwd-status=200; stored',
    'made within nginx');

# stale

asked('/s', 'X-Control' => 'max-age=1');
my $got;
ok(wait_for(sub { ($got = asked('/s')) !~ /; hit/ }), 'no hit any more');
is($got, 'Optcache; fwd=stale; fwd-status=200; stored', 'stale');

# what is held, and validated, or used all the same

asked('/etag', 'X-Control' => 'max-age=1');
ok(wait_for(sub { ($got = asked('/etag')) !~ /; hit/ }), 'stale');
is($got, 'Optcache; fwd=stale; fwd-status=304; stored', 'validated');
hit(asked('/etag'), 6000, 'L1', 'and fresh again');

asked('/updating', 'X-Control' => 'max-age=1, stale-while-revalidate=1000');
ok(wait_for(sub { ($got = asked('/updating')) =~ /ttl=(0|-)/ }), 'stale');
like($got, qr/^Optcache; hit; ttl=(0|-\d+); detail=L1$/, 'sent all the same');

asked('/failing', 'X-Control' => 'max-age=1, stale-if-error=1000');
ok(wait_for(sub { ($got = asked('/failing', 'X-Fail' => 1)) !~ /; hit/ }),
    'stale');
is($got, 'Optcache; fwd=stale; fwd-status=503', 'in place of an error');
is(asked('/failing', 'X-Fail' => 'dead'),
    'Optcache; fwd=stale; fwd-status=502', 'and of no answer');

asked('/etag/no', 'X-Control' => 'max-age=0');
is(asked('/etag/no', 'X-Control' => 'no-store'),
    'Optcache; fwd=stale; fwd-status=304', 'validated, and not stored');

is(asked('/vary', 'X-A' => 1),
    'Optcache; fwd=uri-miss; fwd-status=200; stored', 'a first one that varies');
is(asked('/vary', 'X-A' => 2),
    'Optcache; fwd=vary-miss; fwd-status=200; stored', 'another variant');
hit(asked('/vary', 'X-A' => 1), 6000, 'L1', 'the first');

# those who wait for the answer to another one

my @s = map { http_get('/slow', start => 1) } 1 .. 5;
my @status = map { header(http_end($_), 'Cache-Status') } @s;

is(scalar(grep { /^Optcache; fwd=uri-miss; fwd-status=200; stored$/ } @status),
    1, 'one is sent on');
ok(scalar(grep { /^Optcache; fwd=miss; collapsed; ttl=\d+; detail=L1$/ }
          @status), 'others are collapsed with it')
    or diag(join "\n", @status);
hit(asked('/slow'), 6000, 'L1', 'later ones are hits');

# lists

is(asked('/listed'), 'Origin; hit,"Near"; fwd=miss, '
   . 'Optcache; fwd=uri-miss; fwd-status=200; stored', 'behind others');
like(asked('/listed'),
    qr/^Origin; hit,"Near"; fwd=miss, Optcache; hit; ttl=\d+; detail=L1$/,
    'of a hit');
is(asked('/empty'), ',Optcache; fwd=uri-miss; fwd-status=200; stored',
    'behind nobody');
asked('/two');
like(asked('/two', port => 8083),
    qr/^Optcache; hit; .*, Optcache; fwd=uri-miss; fwd-status=200; stored$/,
    'two caches');
like(asked('/two', port => 8083),
    qr/^Optcache; hit; [^,]*, Optcache; hit; [^,]*$/, 'the second of them');

# from Redis

wait_for(sub { $redis->entries() > 5 });
$t->stop();
$t->run();

hit(asked('/missing'), 6000, 'L2', 'from Redis');

# what else there is

http_get('/all/');
my $r = http_get('/all/');
is(header($r, 'X-Cache'), 'HIT', 'all: X-Cache');
hit(header($r, 'Cache-Status'), 6000, 'L1', 'and Cache-Status');

$r = http_get('/x/');
is(header($r, 'X-Cache'), 'MISS', 'x: X-Cache');
is(header($r, 'Cache-Status'), undef, 'alone');

$r = http_get('/off/');
is(header($r, 'X-Cache'), undef, 'off: no X-Cache');
is(header($r, 'Cache-Status'), undef, 'nor Cache-Status');

# X-Cache of a cache before this one

is(said('/x/theirs'), 'MISS', 'ours in place of theirs');
is(said('/x/theirs'), 'HIT', 'on a hit as well');
is(said('/x/theirs/no', 'X-Control' => 'no-store'), 'MISS', 'not stored');
is(said('/x/theirs', 'Cache-Control' => 'no-cache'), 'BYPASS', 'passed by');
is(said('/x/theirs/head', head => 1), 'MISS', 'to HEAD');
is(join(',', header(http_post('/x/theirs'), 'X-Cache')), 'BYPASS', 'to POST');
is(said('/off/theirs'), 'theirs,Their other', 'off: theirs is left');
is(said('/off/theirs'), '', 'and not stored');
is(said('/theirs'), 'theirs,Their other', 'ietf: theirs is left');
is(said('/two/theirs', port => 8084), 'MISS', 'of two caches the second');
is(said('/two/theirs', port => 8084), 'HIT', 'whatever the first says');

is(asked('/none'), '', 'where nothing is cached');

$r = http_get('/page');
is(() = $r =~ /Optcache;/g, 1, 'parts of a page do not show');

###############################################################################

sub asked { join ',', header(answer(@_), 'Cache-Status') }
sub said { join ',', header(answer(@_), 'X-Cache') }


sub answer {
    my ($uri, %headers) = @_;

    my $head = delete $headers{head};
    my %o = $headers{port} ? (port => delete $headers{port}) : ();

    return scalar http_request($head ? 'HEAD' : 'GET', $uri,
                               headers => \%headers, %o);
}


sub hit {
    my ($value, $ttl, $layer, $name) = @_;

    my ($left) = $value =~ /^Optcache; hit; ttl=(\d+); detail=$layer$/;

    ok(defined $left && $left <= $ttl && $left > $ttl - 120, $name)
        or diag($value);
}

###############################################################################
