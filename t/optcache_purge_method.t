#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The method PURGE, where optcache_purge lets it, purges the URI or the tags
# that it names, for every user; elsewhere it is any other method.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw/ decode_json /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy', 'http_v2', 'http_mirror')
    ->plan(74);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;

    map $http_x_purge $may {
        default 0;
        yes     1;
        empty   "";
    }

    server {
        listen 127.0.0.1:8080;
        listen 127.0.0.1:8082 http2;

        optcache c;
        optcache_user $http_x_user;
        optcache_purge $may;
        optcache_invalidate_on_write off;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /off/ {
            optcache_purge off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /two/ {
            optcache_purge $arg_a $arg_b;
            proxy_pass http://127.0.0.1:8081;
        }

        location /uncached/ {
            optcache off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /denied/ {
            deny all;
            error_page 403 = @app;
        }

        location /denied/again/ {
            recursive_error_pages on;
            deny all;
            error_page 403 = @again;
        }

        location /denied/page/ {
            deny all;
            error_page 403 /page;
        }

        location /except/ {
            limit_except GET {
                deny all;
            }
            proxy_pass http://127.0.0.1:8081;
        }

        location /except/allowed/ {
            limit_except GET {
                allow 127.0.0.1;
                deny all;
            }
            proxy_pass http://127.0.0.1:8081;
        }

        location /files/ {
            try_files $uri @app;
        }

        location /rewritten/ {
            rewrite ^ /elsewhere;
        }

        location /after/ {
            post_action @app;
            return 200;
        }

        location /mirrored/ {
            mirror /mirror;
            optcache_purge off;
            proxy_pass http://127.0.0.1:8081;
        }

        location = /mirror {
            internal;
            proxy_pass http://127.0.0.1:8081;
        }

        location @app {
            proxy_pass http://127.0.0.1:8081;
        }

        location @again {
            recursive_error_pages on;
            proxy_pass http://127.0.0.1:8081;
        }

        location /api/ {
            optcache_api;
        }
    }
}

EOF

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;
    return [200, ['Cache-Control: max-age=3600'], "$req->{method}"];
});

$t->run();

###############################################################################

# a URI

get('/a'), get('/a', 'u1'), get('/a?b=c'), get('/ab'),
    get('/a', undef, 'other');

my $r = purge('/a');

is(status($r), 200, 'purge');
is(body($r), qq/{"purged":1,"hosts":"this"}\n/, 'what it tells');
is(header($r, 'Content-Type'), 'application/json', 'its type');
is(header($r, 'Cache-Control'), 'no-store', 'not for caches');
is(header($r, 'X-Cache') // '', '', 'nor from one');

is(get('/a'), 'MISS', 'is gone');
is(get('/a', 'u1'), 'MISS', 'of every user');
is(get('/a?b=c'), 'HIT', 'with arguments it is another one');
is(get('/ab'), 'HIT', 'and so it is by a longer name');
is(get('/a', undef, 'other'), 'HIT', 'and on another host');

purge('/a?b=c');
is(get('/a?b=c') . get('/a'), 'MISSHIT', 'with arguments');

purge('/a#b');
is(get('/a'), 'MISS', 'a fragment is none of it');

http("PURGE http://localhost/a HTTP/1.1\r\nHost: localhost\r\n"
     . "X-Purge: yes\r\nConnection: close\r\n\r\n");
is(get('/a'), 'MISS', 'in absolute form');

is(status(http2()), 200, 'HTTP/2');
is(get('/a'), 'MISS', 'is the same');

# by a page of another site, which the application may have allowed to

for my $field ('Sec-Fetch-Site: cross-site', 'Sec-Fetch-Site: same-site',
               'Origin: http://evil.example', 'Origin: null')
{
    $r = purge('/a', $field);
    is(status($r) . ' ' . get('/a'), '403 HIT', "not with $field");
}

like($r, qr/application\/problem\+json.*a page of another site/s, 'why');

is(status(purge('/a', 'Sec-Fetch-Site: same-origin', 'Origin: http://x')), 200,
    'by one of this site');
is(get('/a'), 'MISS', 'it is purged');

# with a body that nobody wants

is(status(http_request('PURGE', '/a', body => 'x' x 100000,
                       headers => ['X-Purge: yes'])), 200, 'a body');
is(get('/a'), 'MISS', 'is read past');

# what begins with a prefix

get($_) for '/p/a', '/p/b', '/p', '/q';
get('/p/a', undef, 'other');
purge('/p/*');
is(join(' ', map { get($_) } '/p/a', '/p/b', '/p', '/q'),
    'MISS MISS HIT HIT', 'a prefix');
is(get('/p/a', undef, 'other'), 'HIT', 'of this host');
purge('/*');
is(join(' ', map { get($_) } '/p/a', '/q'), 'MISS MISS', 'all of it');

is(status(purge('/' . 'x' x 4094 . '*')), 200, 'as long as may be');
problem(purge('/' . 'x' x 4095 . '*'), 'longer than 4095', 'longer');

# soft

get('/s');
purge('/s', 'Fastly-Soft-Purge: 1');
is(get('/s'), 'UPDATING', 'soft');
ok(wait_for(sub { get('/s') eq 'HIT' }), 'and refreshed');
purge('/s', 'Fastly-Soft-Purge: 0');
is(get('/s'), 'MISS', 'not so');

for my $value ('', 'yes', '2', '10') {
    problem(purge('/s', "Fastly-Soft-Purge: $value"), 'must be 1 or 0',
        "soft \"$value\"");
}

is(get('/s'), 'HIT', 'none of these purged anything');

# tags: how many there are

for (['Surrogate-Key: a', 1], ['surrogate-key: a b  c', 3],
     ["Surrogate-Key: a\tb", 2], ['Cache-Tag: a', 1],
     ['Cache-Tag: a, b c ,,d,', 3], ["Cache-Tag: a\r\nCache-Tag: b", 2],
     ["Cache-Tag: a\r\nSurrogate-Key: b c", 3],
     ['Surrogate-Key: ' . join(' ', 1 .. 64), 64],
     ['Cache-Tag: ' . 'x' x 1024, 1])
{
    my ($field, $n) = @$_;
    my $clock = clock();
    my $r = purge('/s', $field);
    my $document = eval { decode_json(body($r)) } || {};
    ok(status($r) == 200 && $document->{purged} == $n
       && clock() == $clock + $n, substr $field, 0, 40) or diag($r);
}

is(get('/s'), 'HIT', 'and the URI stays');

for ('Surrogate-Key:', 'Surrogate-Key:  ', 'Cache-Tag: ,', 'Cache-Tag: , ,') {
    problem(purge('/s', $_), 'there is no tag', $_);
}

problem(purge('/s', 'Surrogate-Key: ' . join(' ', 1 .. 65)), 'more than 64',
    'too many');
problem(purge('/s', 'Cache-Tag: ' . join(',', 1 .. 65)), 'more than 64',
    'too many');

problem(purge('/s', 'Cache-Tag: ' . 'x' x 1025), 'longer than 1024',
    'too long');

is(get('/s'), 'HIT', 'and the URI stays');

# who may

my $clock = clock();

for (undef, 'no', 'empty') {
    is(body(http_request('PURGE', '/s', headers => [$_ ? "X-Purge: $_" : ()])),
        'PURGE', 'upstream gets it: ' . ($_ // 'unset'));
}

is(body(purge('/off/s')), 'PURGE', 'off');
is(body(purge('/two/s?a=0&b=')), 'PURGE', 'two values');
is(body(purge('/denied/s')), 'PURGE', 'who is refused, by error_page');
is(body(purge('/denied/again/s')), 'PURGE', 'the same, recursive');
like(purge('/denied/page/s'), qr/ 403 /, 'who is refused, by a page');
like(purge('/except/s'), qr/ 403 /, 'limit_except');
is(status(purge('/after/s')), 200, 'a post_action');
is(body(purge('/mirrored/s')), 'PURGE', 'a mirror');

is(clock(), $clock, 'none of these purged anything');

is(status(purge('/two/s?a=0&b=1')), 200, 'one of two values');
is(status(purge('/uncached/s')), 200, 'where nothing is cached');
is(status(purge('/except/allowed/s')), 200, 'in limit_except');
is(status(purge('/files/s')), 200, 'from try_files');
is(status(purge('/rewritten/s')), 200, 'from a rewrite');

is(clock(), $clock + 5, 'each of these did');

is($t->log_count(qr/\[notice\].*optcache: 64 purged/), 1, 'is logged');

###############################################################################

sub purge {
    my ($uri, @fields) = @_;
    return http_request('PURGE', $uri, headers => ['X-Purge: yes', @fields]);
}


sub get {
    my ($uri, $user, $host) = @_;
    my $r = http_get($uri, host => $host // 'localhost',
                     headers => [$user ? "X-User: $user" : ()]);
    return header($r, 'X-Cache');
}


sub http2 {
    my $h2 = Test::Nginx::HTTP2->connect(port => 8082);
    my $r = $h2->response($h2->send('/a', method => 'PURGE',
                                    headers => ['X-Purge: yes']));
    $h2->close();

    return $r;
}


sub clock {
    return decode_json(body(http_get('/api/status')))->{invalidation}{clock};
}


sub problem {
    my ($r, $detail, $name) = @_;

    my $document = eval { decode_json(body($r)) } || {};

    ok(status($r) == 400
       && header($r, 'Content-Type') eq 'application/problem+json'
       && index($document->{detail}, $detail) >= 0, $name) or diag($r);
}

###############################################################################
