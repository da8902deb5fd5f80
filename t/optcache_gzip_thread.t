#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A large response is stored as it came, and again with its gzip form when a
# thread has made it: without another request to the upstream.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy', 'threads')->plan(45);

my $redis = $t->run_redis();

$t->write_file_expand('nginx.conf', <<'EOF' =~ s/REDIS/$redis->port_number()/er);

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:16m;
    optcache_redis_server redis://127.0.0.1:REDIS timeout=5s
                          connect_timeout=5s;

    server {
        listen 127.0.0.1:8080;

        optcache c;
        optcache_gzip on;

        proxy_set_header Accept-Encoding "";

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /changed/ {
            sub_filter_types text/plain;
            sub_filter 'line 1 ' 'LINE 1 ';
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $text = join '', map { "line $_ of the text\n" } 1 .. 8000;

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my @fields = ('Content-Type: text/plain', 'Cache-Control: max-age=60',
                  'ETag: "a"');

    return [200, \@fields, random(100_000)] if $req->{uri} =~ /random/;
    return [200, \@fields, $text] if $req->{uri} !~ /chunked/;

    my $s = $req->{socket};
    print $s join "\r\n", 'HTTP/1.1 200 OK', @fields,
                          'Transfer-Encoding: chunked', '', '';
    printf $s "%x\r\n%s\r\n", length $1, $1 while $text =~ /(.{1,7000})/gs;
    print $s "0\r\n\r\n";
    return undef;
});

$t->run();

###############################################################################

for my $uri ('/a', '/chunked') {
    my $r = get($uri, 'Accept-Encoding: gzip');

    is(body($r), $text, "a miss is whole, $uri");
    is(header($r, 'X-Cache'), 'MISS', 'and a miss');
    is(header($r, 'Content-Encoding'), undef, 'and as it came');
    is(join(', ', header($r, 'Vary')), 'Accept-Encoding',
       'and says that there may be another form');

    $r = get($uri);
    is(header($r, 'X-Cache'), 'HIT', 'a hit at once');
    is(body($r), $text, 'of the whole');

    ok($r = compressed($uri), 'later it is there in gzip');
    is(header($r, 'X-Cache'), 'HIT', 'a hit');
    is(gunzip(body($r)), $text, 'of the whole');
    is(header($r, 'Content-Length'), length body($r), 'with its own length');
    is(header($r, 'ETag'), 'W/"a"', 'with a weak ETag');
    is(join(', ', header($r, 'Vary')), 'Accept-Encoding', 'and Vary');

    $r = get($uri);
    is(header($r, 'Content-Encoding'), undef, 'without gzip, no coding');
    is(body($r), $text, 'and the whole');
    is(header($r, 'ETag'), '"a"', 'with the ETag it had');
    is(join(', ', header($r, 'Vary')), 'Accept-Encoding', 'and Vary');

    is($backend->count(qr{ $uri$}), 1, 'the upstream was asked once');
}

# in Redis, too: see src/store/ngx_optcache_entry.h for where its length stands

Test::Nginx::wait_for(sub { $redis->entries() == 2 });
my @names = @{ $redis->entry_names() };

is(scalar(@names), 2, 'both are in Redis');
ok(Test::Nginx::wait_for(sub { 2 == grep { stored($_) } @names }, 20),
   'in both forms');

# who has asked reads nothing, and is gone

my $s = http_get('/gone', start => 1);

ok(Test::Nginx::wait_for(sub {
    my $r = get('/gone', 'Cache-Control: only-if-cached');
    return (header($r, 'X-Cache') // '') eq 'HIT';
}, 20), 'stored');

close $s;
ok(compressed('/gone'), 'and in gzip');
is($backend->count(qr{ /gone$}), 1, 'asked for once');

# more than are done at once

my @r = map { http_get("/many/$_", start => 1) } 1 .. 12;
is(scalar(grep { body(http_end($_)) eq $text } @r), 12, 'many at once');
is(scalar(grep { compressed("/many/$_") } 1 .. 12), 12, 'all in gzip');
is($backend->count(qr{ /many/}), 12, 'asked for once each');

# what gains nothing, and what is changed on its way

get('/random');
get('/changed/');
get('/last');
ok(compressed('/last'), 'the last of three');

is(header(get('/random', 'Accept-Encoding: gzip'), 'Content-Encoding'),
   undef, 'no gzip of what gets no smaller');
like(body(get('/changed/', 'Accept-Encoding: gzip')), qr/^LINE 1 /,
     'nor of what is changed on its way');

###############################################################################

sub get {
    my ($uri, @fields) = @_;
    return http_get($uri, headers => \@fields);
}


# The answer in gzip, as soon as it is there.

sub compressed {
    my ($uri) = @_;

    return Test::Nginx::wait_for(sub {
        my $r = get($uri, 'Accept-Encoding: gzip');
        return (header($r, 'Content-Encoding') // '') eq 'gzip' ? $r : '';
    }, 20);
}


sub stored {
    my ($key) = @_;
    return unpack 'V', substr $redis->cmd('GET', $key), 76, 4;
}


sub random {
    my ($n) = @_;
    srand 1;
    return pack 'C*', map { rand 256 } 1 .. $n;
}

###############################################################################
