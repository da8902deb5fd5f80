#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A successful answer to an unsafe method drops its URI, and those that its
# Location and Content-Location name, for every user: whatever the key is made
# of, whoever has stored it; but nothing with optcache_invalidate_on_write off.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_ssi /)->plan(30);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache_zone d:1m;

    optcache_valid 1m;

    server {
        listen 127.0.0.1:8082 reuseport;

        location / {
            optcache d;
            proxy_pass http://127.0.0.1:8081;
        }
    }

    server {
        listen 127.0.0.1:8080 reuseport;

        set $long $http_x_key$http_x_key$http_x_key$http_x_key;

        optcache c;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /off/ {
            optcache_invalidate_on_write off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /key/ {
            optcache_key $http_x_key$uri;
            proxy_pass http://127.0.0.1:8081;
        }

        location /long/ {
            optcache_key $long$long$long$uri;
            proxy_pass http://127.0.0.1:8081;
        }

        location /page {
            optcache off;
            ssi on;
            proxy_pass http://127.0.0.1:8081;
        }

        location /none/ {
            optcache off;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $h = $req->{headers};

    return [200, { 'Content-Type' => 'text/html' },
            '<!--#include virtual="/part?x=1" -->']
        if $req->{uri} eq '/page';

    return [$h->{'x-status'} // 200,
            [$h->{'x-location'} // 'X: x', 'Vary: X-Vary'], ''];
});

$t->run();

###############################################################################

# of all who have stored it

stored('/a', $_) for '', 'a', 'b';
http_post('/a', headers => { Authorization => 'a' });
is(cached('/a', $_), 'MISS', "dropped for user '$_'") for 'a', 'b', '';

stored('/v', 'b');
is(http_head('/v', headers => ['X-Vary: 1', 'Authorization: b']) =~ /MISS/, 1,
    'which varies');
http_post('/v');
is(cached('/v', 'b'), 'MISS', 'dropped as well');
is(cached('/v', 'b'), 'HIT', 'and stored again');

# nothing else

stored('/n', 'b');
stored('/n?x', 'b');
http_get('/n', host => 'other') for 1 .. 2;
http_post('/n');
is(cached('/n', 'b'), 'MISS', 'the URI');
is(cached('/n?x', 'b'), 'HIT', 'not another one');
is(header(http_get('/n', host => 'other'), 'X-Cache'), 'HIT',
    'nor that of another host');

http_post('/n', host => 'LOCALHOST:80');
is(cached('/n', 'b'), 'MISS', 'in whatever case, with or without a port');

# not by its key

my @key = (headers => ['X-Key: 1', 'Authorization: a']);
http_get('/key/a', @key) for 1 .. 2;
http_post('/key/a', headers => { 'X-Key' => 2 });
is(header(http_get('/key/a', @key), 'X-Cache'), 'MISS', 'of another key');

http_get('/a', port => 8082) for 1 .. 2;
http_post('/a');
is(header(http_get('/a', port => 8082), 'X-Cache'), 'MISS',
    'of another zone');

# forms of a URI

for my $form ('http://localhost/f?a', '/f?a#b', 'http://localhost/f?a#b') {
    stored('/f?a', 'b');
    http_post($form);
    is(cached('/f?a', 'b'), 'MISS', $form);
}

stored('/f?a', 'b');
http_post('/g#/f?a');
is(cached('/f?a', 'b'), 'HIT', 'a fragment is none');

# that of a part of a page is its own

http_get('/page') for 1 .. 2;
my $n = parts();
http_get('/page');
is(parts(), $n, 'a part is stored');
http_post('/part?x=1');
http_get('/page');
is(parts(), $n + 1, 'and dropped');

# what the answer names

for my $line ('Location: /l', 'Content-Location: /l', 'Location: l',
              'Location: http://localhost/x/../l')
{
    stored('/l', 'b');
    http_post('/x', headers => ["X-Location: $line"]);
    is(cached('/l', 'b'), 'MISS', $line);
}

stored('/l', 'b');
http_post('/x', headers => ['X-Location: Location: http://other/l']);
is(cached('/l', 'b'), 'HIT', 'not of another host');

# no success, no change

stored('/e', 'b');
http_post('/e', headers => { 'X-Status' => $_ }) for 400, 404, 500, 503;
is(cached('/e', 'b'), 'HIT', 'an error');
http_get('/e', headers => { 'Cache-Control' => 'no-cache' });
http_request('OPTIONS', '/e');
is(cached('/e', 'b'), 'HIT', 'a safe method');
http_post('/e', headers => { 'X-Status' => 303 });
is(cached('/e', 'b'), 'MISS', 'a redirect is a success');

# off

stored('/off/a', 'a');
stored('/l', 'b');
http_post('/off/a', headers => ['X-Location: Location: /l',
                                'Authorization: a']);
is(cached('/off/a', 'a'), 'HIT', 'off: not even its own');
is(cached('/l', 'b'), 'HIT', 'nor what the answer names');

stored('/l', 'b');
http_post('/none/a', headers => ['X-Location: Location: /l']);
is(cached('/l', 'b'), 'HIT', 'without a cache neither');

# a request that has no key

stored('/long/a', 'b');
http_post('/long/a', headers => { 'X-Key' => 'k' x 7000 });
is(cached('/long/a', 'b'), 'MISS', 'with a key that is too long');

###############################################################################

sub stored {
    my ($uri, $user) = @_;
    http_get($uri, headers => user($user));
    die "$uri is not stored\n" if cached($uri, $user) ne 'HIT';
}


sub cached {
    my ($uri, $user) = @_;
    return header(http_get($uri, headers => user($user)), 'X-Cache');
}


sub user { return length $_[0] ? { Authorization => $_[0] } : {} }


sub parts { return $backend->count(qr{GET /part}) }

###############################################################################
