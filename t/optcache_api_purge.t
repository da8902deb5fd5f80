#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A purge reaches what it names, in all workers, as soon as it is answered,
# and nothing beside it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw/ encode_json /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy');

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache_zone d:1m;

    server {
        listen 127.0.0.1:8080;

        optcache_user $http_x_user;
        proxy_set_header X-Host $host;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }

        location /d/ {
            optcache d;
            proxy_pass http://127.0.0.1:8081;
        }

        location /api/ {
            optcache_api write=on;
        }
    }
}

EOF

# host, URI, user

my @entries = (
    ['a.example', '/x'], ['a.example', '/x?b=c'], ['a.example', '/x/y'],
    ['a.example', '/xy'], ['a.example', '/d/x'], ['a.example', '/x', 'u1'],
    ['a.example', '/x', 'u2'], ['a.example', '/z', 'u1'],
    ['a.example', '/%7Ex'], ['b.example', '/x'], ['b.example', '/x/y'],
);

my @all = map { name($_) } @entries;

my @cases = (
    # what is purged, and gone

    [{ uri => '/x' }, 'a/x', 'a/x u1', 'a/x u2', 'b/x'],
    [{ uri => '/x', host => 'a.example' }, 'a/x', 'a/x u1', 'a/x u2'],
    [{ uri => '/x', host => 'B.Example.' }, 'b/x'],
    [{ uri => '/x', host => 'example' }],
    [{ uri => '/x', user => 'u1' }, 'a/x u1'],
    [{ uri => '/x', user => 'u1', host => 'b.example' }],
    [{ uri => '/x', user => 'u1', host => 'a.example' }, 'a/x u1'],
    [{ uri => '/x?b=c' }, 'a/x?b=c'],
    [{ uri => '/x?b=d' }],
    [{ uri => '/x*' }],
    [{ uri => '/%7Ex' }, 'a/%7Ex'],
    [{ uri => '/d/x' }, 'a/d/x'],
    [{ uri => '/nosuch' }],

    [{ prefix => '/x/' }, 'a/x/y', 'b/x/y'],
    [{ prefix => '/x/*' }, 'a/x/y', 'b/x/y'],
    [{ prefix => '/x', host => 'b.example' }, 'b/x', 'b/x/y'],
    [{ prefix => '/x?' }, 'a/x?b=c'],
    [{ prefix => '/d' }, 'a/d/x'],
    [{ prefix => '/' }, @all],
    [{ prefix => '/nosuch' }],

    [{ user => 'u1' }, 'a/x u1', 'a/z u1'],
    [{ user => 'u' }],

    [{ host => 'b.example' }, 'b/x', 'b/x/y'],
    [{ host => 'example' }],

    # tags are what a URI begins with, and its host

    [{ tag => 'x' }, 'a/x', 'a/x u1', 'a/x u2', 'a/x/y', 'a/x?b=c', 'a/xy',
        'b/x', 'b/x/y'],
    [{ tag => 'x', host => 'b.example' }, 'b/x', 'b/x/y'],
    [{ tag => 'two words' }, 'b/x', 'b/x/y'],
    [{ tag => 'words' }],
    [{ tag => 'X' }],
    [{ tags => ['d', 'z', 'nosuch'] }, 'a/d/x', 'a/z u1'],

    [{ purge => [{ uri => '/x', host => 'b.example' }, { user => 'u2' }] },
        'a/x u2', 'b/x'],

    [{ all => JSON::PP::true }, @all],
    [{ all => JSON::PP::true, soft => JSON::PP::false }, @all],
);

$t->plan(@cases + 13);

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;
    my ($tag) = $req->{uri} =~ m{^/(\w?)};
    return [200, ['Cache-Control: max-age=3600, stale-if-error=3600',
                  "Cache-Tag: $tag" . ($req->{headers}{'x-host'} =~ /^b/
                                       ? ', two words' : '')],
            "answer $req->{count}"];
});

$t->run();

###############################################################################

get($_) for @entries;
is(gone(), '', 'all are there');

for (@cases) {
    my ($body, @gone) = @$_;

    my $r = purge($body);
    my $status = status($r);

    is("$status " . gone(), '200 ' . join(', ', sort @gone),
        encode_json($body)) or diag($r);
}

is(gone(), '', 'what was fetched since is there');

# soft: it is stale, served and refreshed

for my $body ({ uri => '/x' }, { prefix => '/x' }, { host => 'b.example' },
              { all => JSON::PP::true })
{
    my $kind = (keys %$body)[0];
    my $old = body(get(['b.example', '/x']));

    purge({ %$body, soft => JSON::PP::true });

    my $r = get(['b.example', '/x']);
    is(header($r, 'X-Cache') . ' ' . body($r), "UPDATING $old", "soft $kind");
    ok(wait_for(sub {
        my $s = get(['b.example', '/x']);
        return header($s, 'X-Cache') eq 'HIT' && body($s) ne $old;
    }), "soft $kind: is refreshed");
}

gone();
$backend->stop();

purge({ all => JSON::PP::true, soft => JSON::PP::true });
is(status(get(['b.example', '/x'])), 200, 'is there, though stale');

purge({ uri => '/x' });
is(status(get(['b.example', '/x'])), 502, 'a hard purge goes further');
is(status(get(['b.example', '/x/y'])), 200, 'and not beside');

###############################################################################

sub purge {
    return http_post('/api/purge', body => encode_json($_[0]),
                     headers => ['Content-Type: application/json']);
}


sub get {
    my ($host, $uri, $user) = @{ $_[0] };
    return http_get($uri, host => $host,
                    headers => [defined $user ? "X-User: $user" : ()]);
}


sub cache { return header(get($_[0]), 'X-Cache') }


sub name {
    my ($host, $uri, $user) = @{ $_[0] };
    return substr($host, 0, 1) . $uri . (defined $user ? " $user" : '');
}


# who is no hit, and is fetched again by that

sub gone {
    return join ', ', sort map { name($_) }
                      grep { (cache($_) // '') ne 'HIT' } @entries;
}

###############################################################################
