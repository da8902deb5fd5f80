#!/usr/bin/perl

# Copyright (C) The Optcache authors

# optcache_no_vary_search: queries between which a response says there is no
# difference are answered by it; of one user, and by nothing that came with
# another rule.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(43);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache_zone other:1m;
    optcache c;
    optcache_user $http_x_user;
    optcache_no_vary_search on;

    server {
        listen 127.0.0.1:8080;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /off/ {
            optcache_no_vary_search off;
            proxy_pass http://127.0.0.1:8081;
        }

        # who asks is told by the query, and the origin says that it does not
        # matter

        location /session/ {
            optcache_user $arg_s;
            proxy_pass http://127.0.0.1:8081;
        }

        location /shared/ {
            optcache_share_public on;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my %said = (
    '/a' => 'params=("u")',
    '/b' => 'params=("u")',
    '/bad' => 'params=(u)',
    '/off/a' => 'params=("u")',
    '/order' => 'key-order',
    '/except' => 'except=("id")',
    '/session/a' => 'params',
    '/shared/a' => 'params=("u")',
    '/vary' => 'params=("u")',
    '/lines' => 'params=("u")',
    '/late' => 'params=("u")',
);

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my ($path) = $req->{uri} =~ /^([^?]*)/;
    my $shared = $path =~ /shared/ ? 'public, ' : '';
    my @fields = ("Cache-Control: ${shared}max-age=100");
    my $said = $req->{headers}{'x-rule'} // $said{$path};

    push @fields, "No-Vary-Search: $said" if $said && $said ne '-';
    push @fields, 'No-Vary-Search: key-order' if $path eq '/lines';
    push @fields, 'Vary: X-Kind' if $path eq '/vary';

    sleep 1 if $path eq '/late';

    return [200, \@fields, join ' ', $req->{uri},
            $req->{headers}{'x-user'} // '-',
            $req->{headers}{'x-kind'} // '-'];
});

$t->run();

###############################################################################

is(get('/a?u=1&id=1'), 'MISS /a?u=1&id=1 - -', 'asked as the client asks');
is(get('/a?u=2&id=1'), 'HIT /a?u=1&id=1 - -', 'no difference');
is(get('/a?id=1'), 'HIT /a?u=1&id=1 - -', 'none at all');
is(get('/a?id=1&%75=4'), 'HIT /a?u=1&id=1 - -', 'a name in another way');
is(get('/a?id=2&u=1'), 'MISS /a?id=2&u=1 - -', 'another one that matters');
is(get('/a?id=1&x=1'), 'MISS /a?id=1&x=1 - -', 'one more that matters');
is(get('/a'), 'MISS /a - -', 'no query');
is(get('/a?u=7'), 'HIT /a - -', 'is like one that does not matter');

# what a path says is of no other path

is(get('/c?u=1'), 'MISS /c?u=1 - -', 'another path');
is(get('/c?u=2'), 'MISS /c?u=2 - -', 'says nothing');

is(get('/order?b=1&a=2'), 'MISS /order?b=1&a=2 - -', 'the order');
is(get('/order?a=2&b=1'), 'HIT /order?b=1&a=2 - -', 'does not matter');
is(get('/except?a=1&id=1'), 'MISS /except?a=1&id=1 - -', 'only one');
is(get('/except?id=1&z=2'), 'HIT /except?a=1&id=1 - -', 'matters');
is(get('/except?id=2&a=1'), 'MISS /except?id=2&a=1 - -', 'and that does');
is(get('/lines?b=1&u=1&a=2'), 'MISS /lines?b=1&u=1&a=2 - -', 'two lines');
is(get('/lines?a=2&b=1'), 'HIT /lines?b=1&u=1&a=2 - -', 'are one field');

is(get('/bad?u=1'), 'MISS /bad?u=1 - -', 'not understood');
is(get('/bad?u=2'), 'MISS /bad?u=2 - -', 'all of it matters');
is(get('/bad?u=2'), 'HIT /bad?u=2 - -', 'and it is stored');
is(get('/off/a?u=1'), 'MISS /off/a?u=1 - -', 'off');
is(get('/off/a?u=2'), 'MISS /off/a?u=2 - -', 'off, still');

# users

is(get('/b?u=1', 'X-User' => 'A'), 'MISS /b?u=1 A -', 'a user');
is(get('/b?u=2', 'X-User' => 'B'), 'MISS /b?u=2 B -', 'another user');
is(get('/b?u=3', 'X-User' => 'B'), 'HIT /b?u=2 B -', 'who has a rule now');
is(get('/b?u=3', 'X-User' => 'A'), 'HIT /b?u=1 A -', 'and the first one');
is(get('/b?u=3'), 'MISS /b?u=3 - -', 'and nobody');

# even if the origin says that the query does not matter, and means users

is(get('/session/a?s=A'), 'MISS /session/a?s=A - -', 'a session');
is(get('/session/a?s=B'), 'MISS /session/a?s=B - -', 'another session');
is(get('/session/a'), 'MISS /session/a - -', 'and none');
is(get('/session/a?s=A&x=1'), 'HIT /session/a?s=A - -', 'to each his own');

# public responses, variants

get('/shared/a?u=1', 'X-User' => 'A');
is(get('/shared/a?u=2', 'X-User' => 'A'), 'HIT /shared/a?u=1 A -',
    'public, to who has asked');
is(get('/shared/a?u=3', 'X-User' => 'B'), 'HIT /shared/a?u=1 A -',
    'public, to another one');

is(get('/vary?u=1', 'X-Kind' => 'k'), 'MISS /vary?u=1 - k', 'a variant');
is(get('/vary?u=2', 'X-Kind' => 'l'), 'MISS /vary?u=2 - l', 'another one');
is(get('/vary?u=3', 'X-Kind' => 'k'), 'HIT /vary?u=1 - k', 'is kept apart');

# the rule changes

my %other = ('X-Rule' => 'params=("v")');

is(get('/a?u=1&v=1&id=9', %other), 'MISS /a?u=1&v=1&id=9 - -',
    'another rule');
is(get('/a?u=1&v=2&id=9'), 'HIT /a?u=1&v=1&id=9 - -', 'counts');
is(get('/a?u=2&v=2&id=9', %other), 'MISS /a?u=2&v=2&id=9 - -',
    'in place of the first');
is(get('/a?id=9', 'X-Rule' => '-'), 'MISS /a?id=9 - -', 'no rule any more');
is(get('/a?v=1&id=9', %other), 'MISS /a?v=1&id=9 - -',
    'what came without one is not found by one');

# who waits for a first response finds it, by the rule it came with

my @sockets = map { http_get('/late?u=1', start => 1) } 1 .. 5;
my @answers = map { body(http_end($_)) } @sockets;

is("@answers", join(' ', ('/late?u=1 - -') x 5), 'all are answered');
is($backend->count(qr{GET /late}), 1, 'by one that upstream was asked for');

$t->finish();

###############################################################################

sub get {
    my ($uri, %headers) = @_;

    my $r = http_get($uri, headers => \%headers);

    return (header($r, 'X-Cache') // '-') . ' ' . body($r);
}
