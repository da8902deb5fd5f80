#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Parts of a page are cached each for themselves, as are the answers of who
# decides on access.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()
        ->has(qw/ http_proxy http_ssi http_auth_request http_addition /)
        ->plan(28);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache_valid 200 401 403 1m;

    ssi_types *;
    addition_types *;

    server {
        listen 127.0.0.1:8080;

        location /page {
            ssi on;
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }

        location /plain {
            ssi on;
            proxy_pass http://127.0.0.1:8081/page;
        }

        # one for all pages: the URI of the part is always told apart

        location /part {
            optcache c;
            optcache_key part;
            optcache_gzip on;
            optcache_gzip_types *;
            optcache_gzip_min_length 1;
            proxy_pass http://127.0.0.1:8081;
        }

        location /added {
            add_after_body /part/added;
            proxy_pass http://127.0.0.1:8081;
        }

        location /secret {
            auth_request /auth;
            auth_request_set $who $sent_http_x_who;
            add_header X-Who $who;
            proxy_pass http://127.0.0.1:8081;
        }

        location = /auth {
            optcache c;
            optcache_key auth;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $user = $req->{headers}{authorization} // '';
    my $n = $req->{count};

    if ($req->{uri} =~ m{^/auth}) {
        return [$user =~ /good/ ? 200 : $user =~ /bad/ ? 403 : 401,
                { 'X-Who' => $user }, ''];
    }

    return "page $n <!--#include virtual=\"/part/1\" --> "
           . "<!--#include virtual=\"/part/2?a\" --> end"
        if $req->{uri} =~ m{^/page};

    return "[part $req->{uri} $n $user]" if $req->{uri} =~ m{^/part};

    return "text $n";
});

$t->run();

###############################################################################

my $page = 'page 1 [part /part/1 1 ] [part /part/2?a 1 ] end';

is(body(http_get('/page')), $page, 'a page of parts');
is(body(http_get('/page')), $page, 'once more');
is($backend->count(qr{ /page$}), 1, 'the page was fetched once');
is($backend->count(qr{ /part/1$}), 1, 'and each part');
is($backend->count(qr{ /part/2\?a$}), 1, 'by its own URI');

is(body(http_get('/plain')), $page =~ s/page 1/page 2/r,
    'cached parts in a page that is not cached');

my $r = http_get('/page', headers => { 'Accept-Encoding' => 'gzip' });
is(body($r), $page, 'parts are never put in compressed');
is(header($r, 'Content-Encoding'), undef, 'into a page that is not');
is(header($r, 'Content-Length'), undef, 'of unknown length');

$r = http_get('/page', headers => { Range => 'bytes=0-3' });
like(body($r), qr/end/, 'parts do not see the range of the page');

is(body(http_get('/page', headers => { 'If-None-Match' => '"x"' })), $page,
    'nor its conditions');

is(body(http_head('/page')), '', 'HEAD');

# a subrequest is another request for another URI than the same of a client

is(body(http_get('/part/1')), '[part /part/1 2 ]', 'a part by itself');
is(body(http_get('/part/1')), '[part /part/1 2 ]', 'is cached too');

my %user = (headers => { Authorization => 'a' });
like(body(http_get('/page', %user)), qr{\[part /part/1 \d a\]},
    'parts of a user');
unlike(body(http_get('/page')), qr{ a\]}, 'are his');

is(body(http_get('/added')), 'text 1[part /part/added 1 ]', 'addition');
is(body(http_get('/added')), 'text 2[part /part/added 1 ]', 'cached');

# who is let in

my %good = (headers => { Authorization => 'good' });
my %bad = (headers => { Authorization => 'bad' });

is(status(http_get('/secret', %good)), 200, 'let in');
is(status(http_get('/secret', %bad)), 403, 'not let in');
is(status(http_get('/secret')), 401, 'asked who it is');

$r = http_get('/secret/2', %good);
is(status($r), 200, 'let in again');
is(header($r, 'X-Who'), 'good', 'with the fields of the stored answer');
is(status(http_get('/secret/2', %bad)), 403, 'not let in again');
is($backend->count(qr{ /auth}), 3, 'by one question each')
    or diag(join "\n", $backend->requests());

# it is the user's answer, not that of the last who asked

is(status(http_get('/secret', headers => { Authorization => 'goo' })), 401,
    'another is asked about anew');
is(status(http_post('/secret', %good)), 200, 'a POST is let in');
is(status(http_post('/secret', %bad)), 403, 'or not');

###############################################################################
