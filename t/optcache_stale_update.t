#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What is stale is sent at once while a newer one is fetched behind the
# client's back: stale-while-revalidate (RFC 5861, 3), optcache_use_stale
# updating.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Time::HiRes qw/ sleep time /;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_v2 rewrite /)->plan(56);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:8m;
    optcache c;
    optcache_headers all;

    server {
        listen 127.0.0.1:8080;
        listen 127.0.0.1:8082 http2;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /updating/ {
            optcache_use_stale updating;
            proxy_pass http://127.0.0.1:8081;
        }

        location ~ ^/captures/(\w+)/(?<name>\w+) {
            proxy_pass http://127.0.0.1:8081/$name/$1$is_args$args;
        }

        location /rewritten/ {
            rewrite ^/rewritten/(.*) /x/$1 break;
            proxy_pass http://127.0.0.1:8081;
        }

        location /page/ {
            error_page 503 /error;
            proxy_intercept_errors on;
            proxy_pass http://127.0.0.1:8081;
        }

        location /named/ {
            error_page 502 503 = @error;
            proxy_intercept_errors on;
            proxy_pass http://127.0.0.1:8081;
        }

        location /denied/ {
            error_page 503 = @denied;
            proxy_intercept_errors on;
            proxy_pass http://127.0.0.1:8081;
        }

        location = /error {
            return 200 "an error page";
        }

        location @denied {
            deny all;
            proxy_pass http://127.0.0.1:8081;
        }

        location @error {
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

# The first answer is stale.  Others take their time: what does not is no
# answer of the upstream's.

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $uri = $req->{uri};
    my $first = $req->{count} == 1 && $req->{method} eq 'GET';
    my $cc = $uri =~ /must/ ? 'max-age=60, stale-while-revalidate=3000, '
                              . 'must-revalidate'
           : $uri =~ /short/ ? 'max-age=60, stale-while-revalidate=20'
           : $uri =~ /plain/ ? 'max-age=60'
           : $uri =~ /never/ ? 'max-age=0'
           : $uri =~ /soon/ ? 'max-age=0, stale-while-revalidate=3000'
           : 'max-age=60, stale-while-revalidate=3000';
    my $body = $uri =~ /long/ ? 'words and more ' x 20000 . $req->{count}
                              : "answer $req->{count}";
    my @fields = ("Cache-Control: $cc", 'X-Cond: '
                  . join ',', grep { $req->{headers}{$_} }
                    qw/ if-none-match if-match if-modified-since range
                        if-range if-unmodified-since /);

    push @fields, 'ETag: "a"', if $uri !~ /none/;
    push @fields, 'Age: 100' if $first;

    return [200, \@fields, $body] if $first;

    sleep 0.5 if $uri =~ /slow/;

    return undef if $uri =~ /fails/ && $req->{count} == 2;
    return [503, [], 'down'] if $uri =~ /error/ && $req->{count} == 2;
    return [304, ['Cache-Control: max-age=50'], '']
        if $uri =~ /304/ && $req->{headers}{'if-none-match'};

    return [200, \@fields, $body];
});

$t->run();

###############################################################################

# the old one at once, the origin asked once, the next one new

for my $uri ('/a', '/none', '/long', '/updating/plain',
             '/captures/x/y?slow', '/rewritten/a')
{
    get($uri);
    like(get($uri), qr/^UPDATING .*1$/, "$uri: the old one");
    like(fresh($uri), qr/^HIT .*2$/, "$uri: the next one is new");
}

is($backend->count(qr{/a$}), 4, 'asked once behind it');
is($backend->count(qr{^GET /y/x\?slow}), 2, 'captures are those of the URI');
is($backend->count(qr{^GET /x/a}), 2, 'and so is what was rewritten');

get('/304');
is(get('/304'), 'UPDATING answer 1', 'an update that is a 304');
is(fresh('/304'), 'HIT answer 1', 'makes it fresh');
is(header(http_get('/304'), 'Cache-Control'), 'max-age=50', 'by its fields');

# at once: before the upstream has answered

get('/slow');
my $s = http_connect();
my $r = http_get('/slow', socket => $s, keepalive => 1);
is(told($r), 'UPDATING answer 1', 'not held up');
is($backend->count(qr{/slow$}) <= 2, 1, 'by the upstream');
like(header($r, 'Cache-Status'), qr/^Optcache; hit; ttl=-4\d; detail=L1$/,
    'Cache-Status');
cmp_ok(header($r, 'Age'), '>=', 100, 'Age');
$r = http_get('/slow', socket => $s, keepalive => 1);
is(told($r), 'HIT answer 2', 'the next request of the connection');

# nobody is asked for what the client does not want

get('/cond');
$r = http_get('/cond', headers => { 'If-None-Match' => '"a"' });
is(told($r) . status($r), 'UPDATING 304', 'a condition');
is(fresh('/cond'), 'HIT answer 2', 'is not that of the update');
get('/ranges/none');
$r = http_get('/ranges/none', headers => { Range => 'bytes=0-1' });
is(told($r), 'UPDATING an', 'nor is a range');
fresh('/ranges/none');
$r = http_get('/ranges/none');
is(told($r) . header($r, 'X-Cond'), 'HIT answer 2', 'upstream sees none');

$r = get('/head');
$r = http_head('/head');
is(header($r, 'X-Cache'), 'UPDATING', 'HEAD');
ok(wait_for(sub { $backend->count(qr{^GET /head}) == 2 }), 'asks by a GET');
is(fresh('/head'), 'HIT answer 2', 'that updates');

# where it may not be sent

get('/must');
is(get('/must'), 'EXPIRED answer 2', 'must-revalidate');
get('/short');
is(get('/short'), 'EXPIRED answer 2', 'not for longer than it says');
get('/plain');
is(get('/plain'), 'EXPIRED answer 2', 'nor if nobody says so');
get('/updating/never');
is(get('/updating/never'), 'EXPIRED answer 2', 'nor what was never fresh');
get('/updating/soon');
is(get('/updating/soon'), 'UPDATING answer 1', 'unless it says so itself');
get('/client');
is(told(http_get('/client', headers => { 'Cache-Control' => 'max-age=50' })),
    'EXPIRED answer 2', 'nor to a client that takes none so old');
get('/lasts');
is(told(http_get('/lasts', headers => { 'Cache-Control' => 'min-fresh=0' })),
    'EXPIRED answer 2', 'nor to one that takes none that is stale');
get('/updating/lasts');
is(told(http_get('/updating/lasts',
                 headers => { 'Cache-Control' => 'min-fresh=1' })),
    'EXPIRED answer 2', 'whoever has granted it');
get('/pragma');
is(told(http_get('/pragma', headers => { 'Cache-Control' => 'no-cache' })),
    'BYPASS answer 2', 'nor with no-cache');

# an update that fails leaves what is there, and is tried again

for my $uri ('/fails', '/down/error', '/page/error', '/named/error',
             '/named/fails', '/denied/error')
{
    get($uri);
    is(get($uri), 'UPDATING answer 1', "$uri: an update that fails");
    like(fresh($uri), qr/^HIT answer [34]$/, "$uri: is tried again");
}

# the client leaves, the update goes on

get('/slow-gone');
$s = http_get('/slow-gone', start => 1);
sleep 0.2;
close $s;
wait_for(sub { $backend->count(qr{/slow-gone}) == 2 });
is(fresh('/slow-gone'), 'HIT answer 2', 'a client that leaves');

# HTTP/2

http2_get('/h2', port => 8082);
is(told(http2_get('/h2', port => 8082)), 'UPDATING answer 1', 'HTTP/2');
is(fresh('/h2'), 'HIT answer 2', 'is updated');

# a worker that is told to leave finishes it

get('/slow-reload');
$s = http_get('/slow-reload', start => 1);
wait_for(sub { $backend->count(qr{/slow-reload}) == 2 });
$t->reload();
is(told(http_end($s)), 'UPDATING answer 1', 'a reload meanwhile');
is(fresh('/slow-reload'), 'HIT answer 2', 'loses no update');

###############################################################################

sub get {
    return told(http_get(@_));
}


# What is found when the update has come to its end.

sub fresh {
    my ($uri) = @_;

    my $r;

    wait_for(sub { ($r = get($uri)) =~ /^HIT/ }, 5);

    return $r;
}


sub told {
    my ($r) = @_;

    return (header($r, 'X-Cache') // '') . ' ' . (body($r) // '');
}

###############################################################################
