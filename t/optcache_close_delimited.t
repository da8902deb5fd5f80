#!/usr/bin/perl

# Copyright (C) The Optcache authors

# optcache_close_delimited: a response that ends with its connection is stored
# when that has ended in order.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Gate;

my $t = Test::Nginx->new()
    ->has(qw/ http_proxy http_uwsgi http_scgi http_stub_status /)
    ->has_program('redis-server')->plan(60);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:16m;
    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;
    optcache c;
    optcache_gzip on;
    optcache_gzip_min_length 1;
    optcache_lock_timeout 60s;

    add_header X-Layer $optcache_layer;

    proxy_http_version 1.1;
    proxy_intercept_errors on;

    uwsgi_param REQUEST_URI $request_uri;
    scgi_param REQUEST_URI $request_uri;

    server {
        listen 127.0.0.1:8080;

        optcache_close_delimited on;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /10/ {
            proxy_http_version 1.0;
            proxy_pass http://127.0.0.1:8081;
        }

        location /unbuffered/ {
            proxy_buffering off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /file/ {
            proxy_buffers 2 4k;
            proxy_buffer_size 4k;
            proxy_busy_buffers_size 4k;
            proxy_pass http://127.0.0.1:8081;
        }

        location /uwsgi/ {
            uwsgi_pass 127.0.0.1:8083;
        }

        location /uwsgi/unbuffered/ {
            uwsgi_buffering off;
            uwsgi_pass 127.0.0.1:8083;
        }

        location /scgi/ {
            scgi_pass 127.0.0.1:8084;
        }

        location /scgi/unbuffered/ {
            scgi_buffering off;
            scgi_pass 127.0.0.1:8084;
        }

        location /missing {
            error_page 404 = /page;
            proxy_pass http://127.0.0.1:8081;
        }

        location /nested/off/ {
            optcache_close_delimited off;
            proxy_pass http://127.0.0.1:8081;
        }
    }

    server {
        listen 127.0.0.1:8090;

        optcache_headers all;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /alone/ {
            proxy_http_version 1.0;
            proxy_pass http://127.0.0.1:8081;
        }

        location /uwsgi/alone/ {
            uwsgi_pass 127.0.0.1:8083;
        }

        location /nested/on/ {
            optcache_close_delimited on;
            proxy_pass http://127.0.0.1:8081;
        }
    }

    server {
        listen 127.0.0.1:8082;

        location / {
            optcache off;
            stub_status;
        }
    }
}

EOF

my $gate = Test::Nginx::Gate->new($t);
my $half = join '', map { sprintf "%07d\n", $_ } 1 .. 10000;

sub answer {
    my ($s, $uri, $n, $version) = @_;

    my $control = $uri eq '/304' ? 'max-age=1'
                  : $uri eq '/soon' ? 'max-age=1, stale-while-revalidate=60'
                  : 'max-age=60';
    my $status = $uri =~ m{/missing} ? '404 Not Found' : '200 OK';
    my $body = $uri =~ m{/empty} ? '' : "answer $n\n" . $half;

    print $s "HTTP/$version $status\r\nCache-Control: $control\r\n",
             "Content-Type: text/html\r\nETag: \"a\"\r\n\r\n", $body;

    $gate->pass() if $uri =~ m{/gate};
    print $s $half if length $body;

    return undef;
}

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    return [304, { 'Cache-Control' => 'max-age=60' }]
        if $req->{uri} eq '/304' && $req->{headers}{'if-none-match'};

    answer($req->{socket}, $req->{uri}, $req->{count}, $req->{version});
});

# a request of uwsgi is a size and as many bytes, one of SCGI says it in words

my @applications = ($t->run_fake(8083, sub {
    my ($s) = @_;

    read $s, my $head, 4;
    read $s, my $params, unpack 'x v', $head;
    answer($s, $params =~ m{(/uwsgi/[a-z/]*)}, 1, '1.1');

}), $t->run_fake(8084, sub {
    my ($s) = @_;

    local $/ = ':';
    read $s, my $params, 1 + <$s> =~ s/://r;
    answer($s, $params =~ m{(/scgi/[a-z/]*)}, 1, '1.1');
}));

$t->run_redis();
$t->run();

###############################################################################

for my $way (qw{ / /10/ /unbuffered/ /file/ /uwsgi/ /uwsgi/unbuffered/ /scgi/
                 /scgi/unbuffered/ })
{
    is(told(http_get("${way}a")), 'MISS 1', "$way is fetched");
    is(told(http_get("${way}a")), 'HIT 1', "$way is stored");

    http_get("${way}empty");

    my $r = http_get("${way}empty");
    is(header($r, 'X-Cache'), 'HIT', "$way without a body");
    is(body($r), '', 'has none');
}

my $r = http_get('/a', headers => { 'Accept-Encoding' => 'gzip' });
is(header($r, 'Content-Encoding'), 'gzip', 'its gzip form is stored');
is(gunzip(body($r)), "answer 1\n$half$half", 'and whole');

is(header(http_head('/a'), 'X-Cache'), 'HIT', 'HEAD is answered by it');

http_head('/head');
is(told(http_get('/head')), 'MISS 1', 'the answer to a HEAD is not stored');

is(told(http_get('/missing')), 'MISS 1', 'an error page');
is(told(http_get('/missing')), 'HIT 1', 'is stored');

# where it is on

for (qw{ 8080:/nested/off/a 8090:/other }) {
    my ($port, $uri) = /(\d+):(.*)/;
    http_get($uri, port => $port);
    like(told(http_get($uri, port => $port)), qr/^MISS/, "off for $_");
}

http_get('/nested/on/a', port => 8090);
like(told(http_get('/nested/on/a', port => 8090)), qr/^HIT/, 'on further down');

# who waits for it gets it when it is whole

for my $way (qw{ / /unbuffered/ /uwsgi/ }) {
    my @s = (http_get("${way}gate", start => 1));
    $gate->busy(1);
    push @s, map { http_get("${way}gate", start => 1) } 1 .. 5;
    $gate->busy(6);

    my ($early) = IO::Select->new(@s[1 .. 5])->can_read(0.1);
    ok(!$early, "$way nobody gets a part of it");

    my @r = $gate->opened(@s);
    is(join('', map { header($_, 'X-Cache') } @r), 'MISS' . 'HIT' x 5,
        'all get it');
    is(scalar(grep { told($_) =~ / 1$/ } @r), 6, 'and all of it');
}

# but nobody waits for what is known not to be stored

for my $way (qw{ /alone/ /uwsgi/alone/ }) {
    my @s = (http_get("${way}gate", port => 8090, start => 1));
    $gate->busy(1);
    push @s, map { http_get("${way}gate", port => 8090, start => 1) } 1 .. 5;

    my $here = IO::Select->new(@s);
    ok(wait_for(sub { my @here = $here->can_read(0); @here == 6 }, 20),
        "$way all get a part of it");

    my @r = $gate->opened(@s);
    is(scalar(grep { header($_, 'Cache-Status') =~ /stored/ } @r), 0,
        'which is not said to be stored');
}

# an update in the background

http_get('/soon');
ok(wait_for(sub { told(http_get('/soon')) eq 'UPDATING 1' }, 10),
    'stale and used');
ok(wait_for(sub { told(http_get('/soon')) =~ /^HIT (?!1$)\d/ }, 10),
    'the update is stored');

# a 304 makes it fresh again

http_get('/304');
ok(wait_for(sub { told(http_get('/304')) eq 'REVALIDATED 1' }, 10),
    'validated');
is(told(http_get('/304')), 'HIT 1', 'and found again');

# all hosts find it

$t->stop();
$t->run();

$r = http_get('/unbuffered/a');
is(told($r), 'HIT 1', 'is in Redis');
is(header($r, 'X-Layer'), 'L2', 'for other hosts');

###############################################################################

sub told {
    my ($r) = @_;

    my ($n) = body($r) =~ /^answer (\d+)\n\Q$half$half\E\z/;

    return (header($r, 'X-Cache') // '-') . ' ' . ($n // 'broken');
}

###############################################################################
