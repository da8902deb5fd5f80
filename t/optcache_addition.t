#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What nginx adds to a response it adds to a stored one, too, also where that is
# sent in place of another.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()
        ->has(qw/ http_proxy http_addition http_v2 http_charset /)->plan(18);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;

    addition_types *;

    charset_map koi8-r windows-1251 {
        C1 E0;
    }

    server {
        listen 127.0.0.1:8080;
        listen 127.0.0.1:8082 http2;

        optcache c;

        add_before_body /part/before;
        add_after_body /part/after;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        # the filters behind have fewer buffers than they need

        location /copied/ {
            charset windows-1251;
            source_charset koi8-r;
            override_charset on;
            charset_types *;
            output_buffers 1 1k;
            proxy_pass http://127.0.0.1:8081;
        }

        location /part/ {
            optcache_valid 1m;
            add_before_body "";
            add_after_body "";
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    return $1 if $req->{uri} =~ m{^/part/(\w+)};

    my @old = ('Cache-Control: max-age=60, stale-if-error=600', 'Age: 100',
               'ETag: "a"', 'Content-Type: text/plain');

    if ($req->{headers}{'if-none-match'}) {
        return [304, [@old]] if $req->{uri} =~ /revalidated/;
        return [503, [], 'an error ' x 1000] if $req->{uri} =~ /error/;
        return undef;
    }

    my $n = $req->{uri} =~ /empty/ ? 0 : $req->{uri} =~ /large/ ? 10000 : 1;

    return [200, [$req->{uri} =~ /fresh/ ? 'Cache-Control: max-age=60' : @old],
            '-body-' x $n];
});

$t->run();

###############################################################################

is(told(http_get('/fresh')), 'MISS before-body-after', 'a miss');
is(told(http_get('/fresh')), 'HIT before-body-after', 'a hit');

for my $uri (qw( revalidated error closed revalidated_empty
                 copied/revalidated_large copied/error_large ))
{
    my $text = text($uri);

    http_get("/$uri");

    my $s = http_connect();
    print $s "GET /$uri HTTP/1.1\r\nHost: localhost\r\n\r\n",
             "GET /part/next HTTP/1.1\r\nHost: localhost\r\n",
             "Connection: close\r\n\r\n";

    my ($first, $next) = split /(?=HTTP\/1\.1 200 )/, http_end($s);

    ok(told($first // '') eq $text, "$uri");
    is(body($next // ''), 'next', 'one answer to it');
}

for my $uri (qw/ revalidated error /) {
    my $r = http2_get("/$uri", port => 8082);
    is(told($r), text($uri), "$uri, HTTP/2");
    is(status(http2_get('/part/next', port => 8082)), 200, 'and another');
}

###############################################################################

sub text {
    my ($uri) = @_;

    my $n = $uri =~ /empty/ ? 0 : $uri =~ /large/ ? 10000 : 1;

    return ($uri =~ /revalidated/ ? 'REVALIDATED' : 'STALE')
           . ' before' . '-body-' x $n . 'after';
}


sub told {
    my ($r) = @_;

    return (header($r, 'X-Cache') // '') . ' ' . (body($r) // '');
}

###############################################################################
