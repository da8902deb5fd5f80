#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A response is fetched once and then answered from shared memory, with its
# own Date, an Age, and a word on where it came from.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX qw/ strftime /;

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(28);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;

    log_format cache "$uri:$optcache_status:$optcache_layer:$optcache_age:";

    server {
        listen 127.0.0.1:8080;

        access_log %%TESTDIR%%/cache.log cache;

        optcache c;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /quiet {
            optcache_headers off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /off {
            optcache off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /off/on {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $date = strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime(time() - 3600));

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $lifetime = $req->{uri} =~ /short/ ? 1 : 60;
    my @age = $req->{uri} =~ /old/ ? ('Age: 30') : ();

    return [200, ['Cache-Control: max-age=7200', "Date: $date"], '']
        if $req->{uri} =~ /dated/;

    return [200, ["Cache-Control: max-age=$lifetime", 'X-Own: kept',
                  'Content-Type: text/x-own', 'ETag: "a"',
                  'Last-Modified: Mon, 01 Jan 2001 00:00:00 GMT', @age],
            "answer $req->{count}"];
});

$t->run();

###############################################################################

my $miss = http_get('/a');

is(status($miss), 200, 'miss');
is(header($miss, 'X-Cache'), 'MISS', 'a miss says so');
is(header($miss, 'Age'), undef, 'and has no age');
is(body($miss), 'answer 1', 'body of a miss');

select undef, undef, undef, 1.1;

my $hit = http_get('/a');

is(header($hit, 'X-Cache'), 'HIT', 'a hit says so');
is(body($hit), 'answer 1', 'body of a hit');
is(header($hit, 'Date'), header($miss, 'Date'), 'a hit has its own date');
like(header($hit, 'Age'), qr/^[1-9]\d*$/, 'and an age');
is($backend->count(qr{ /a$}), 1, 'the upstream was asked once');

is_deeply([fields($hit)], [fields($miss)], 'and the same fields otherwise');
is(status($hit), 200, 'and the same status');

http_get('/old');
cmp_ok(header(http_get('/old'), 'Age'), '>=', 30, 'age of other caches counts');

http_get('/dated');
my $dated = http_get('/dated');
is(header($dated, 'Date'), $date, 'a date of long ago stays');
cmp_ok(header($dated, 'Age'), '>=', 3600, 'and counts as age');

http_get('/short');
ok(wait_for(sub { header(http_get('/short'), 'X-Cache') eq 'EXPIRED' }),
    'an entry expires');
is(header(http_get('/short'), 'X-Cache') =~ /HIT|EXPIRED/, 1,
    'and is stored anew');
isnt(body(http_get('/short')), 'answer 1', 'with what the upstream says now');

http_get('/quiet');
my $quiet = http_get('/quiet');
is(header($quiet, 'X-Cache'), undef, 'optcache_headers off');
is(body($quiet), 'answer 1', 'is cached all the same');

http_get('/off');
is(header(http_get('/off'), 'X-Cache'), undef, 'optcache off says nothing');
is($backend->count(qr{ /off$}), 2, 'and caches nothing');

http_get('/off/on');
is(header(http_get('/off/on'), 'X-Cache'), 'HIT', 'on again below off');

# one connection, many answers

my $s = http_connect();
my @kept = map { http_get('/a', socket => $s, keepalive => 1) } 1 .. 3;
is_deeply([map { body($_) } @kept], [('answer 1') x 3], 'hits on a connection');

is(body(http_get('/a', version => '1.0')), 'answer 1', 'HTTP/1.0');

$t->stop();

my $log = $t->read_file('cache.log');

like($log, qr{^/a:MISS:-:-:$}m, 'variables of a miss');
like($log, qr{^/a:HIT:L1:[1-9]\d*:$}m, 'variables of a hit');
like($log, qr{^/short:EXPIRED:-:-:$}m, 'variables of an expired one');
like($log, qr{^/off:-:-:-:$}m, 'variables where there is no cache');

###############################################################################

sub fields {
    return sort map { "$_->[0]: $_->[1]" }
           grep { $_->[0] !~ /^(Age|X-Cache|Accept-Ranges)$/ } headers($_[0]);
}

###############################################################################
