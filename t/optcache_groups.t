#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Groups of responses (RFC 9875): those that Cache-Groups puts a response into,
# and those that the answer to an unsafe request invalidates.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(40);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;

    server {
        listen 127.0.0.1:8080;

        optcache c;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /hidden/ {
            proxy_hide_header Cache-Groups;
            proxy_hide_header Cache-Group-Invalidation;
            proxy_pass http://127.0.0.1:8081;
        }

        location /off/ {
            optcache_invalidate_on_write off;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $h = $req->{headers};

    return [$h->{'x-status'} // 200,
            ['Cache-Control: max-age=100',
             map { $h->{"x-say$_"} // () } 1 .. 3], ''];
});

$t->run();

###############################################################################

# which group it is in

is(after('"a"', 'Cache-Groups: "a"'), 'dropped', 'the group');
is(after('"b"', 'Cache-Groups: "a"'), 'kept', 'another one');
is(after('"A"', 'Cache-Groups: "a"'), 'kept', 'in another case');
is(after($_, 'Cache-Groups: "a", "b c" ,"d"'), 'dropped', "one of them: $_")
    for '"a"', '"b c"', '"d"';
is(after($_, 'Cache-Groups: "a"', 'Cache-Groups: "b"'), 'dropped',
    "of two lines: $_") for '"a"', '"b"';
is(after($_, 'Cache-Groups: "a";x="y z";b, "c"'), 'dropped',
    "parameters mean nothing: $_") for '"a"', '"c"';
is(after('"x\"y\\\\z"', 'Cache-Groups: "x\"y\\\\z"'), 'dropped', 'with escapes');
is(after(qq{\t"a"\t}, qq{Cache-Groups:\t"a"\t}), 'dropped', 'tabs around it');
is(after('"b"', '/hidden/', 'Cache-Groups: "a", "b"'), 'dropped', 'hidden');

# what is no list of strings says nothing, and the response is stored

is(after('"a"', "Cache-Groups: $_"), 'kept', "ignored: $_")
    for 'a', '"a", b', '"a" "b"', '"a",', '"a', '("a")', '"a", 1', '"a"b';

my $many = join ', ', map { qq{"$_"} } 1 .. 256;
is(after('"256"', "Cache-Groups: $many"), 'dropped', '256 of them');
is(after('"x"', "Cache-Groups: $many, \"257\""), 'not stored',
    'no more: not stored');
is(after('"x"', "Cache-Groups: $many, \"257\", 1"), 'kept',
    'no list is not many');

# what is invalidated

is(after('"x", "a";p', 'Cache-Groups: "a"'), 'dropped', 'one of several');
is(after($_, 'Cache-Groups: "a"'), 'kept', "ignored: $_")
    for 'a', '"a", b', '"a",', '("a")';
is(after($many . ', "257"', 'Cache-Groups: "a"'), 'dropped',
    'too many are all there are');

http_get('/other', host => 'other', headers => said('Cache-Groups: "a"'))
    for 1 .. 2;
invalidate('"a"');
is(header(http_get('/other', host => 'other'), 'X-Cache'), 'HIT',
    'of another origin');
invalidate('"a"', host => 'other');
is(header(http_get('/other', host => 'other'), 'X-Cache'), 'MISS',
    'of the same');

# by whom

sub by {
    my ($method, $uri, @more) = @_;

    return became(sub { http_get('/by', headers =>
                                 said('Cache-Groups: "a"')) }, sub {
        http_request($method, $uri, headers =>
                     [@more, @{ said('Cache-Group-Invalidation: "a"') }]);
    });
}

is(by('DELETE', '/x'), 'dropped', 'any unsafe method');
is(by('GET', '/x?1'), 'kept', 'not a safe one');
is(by('OPTIONS', '/x'), 'kept', 'nor OPTIONS');
is(by('POST', '/x', 'X-Status: 500'), 'kept', 'nor an error');
is(by('POST', '/off/x'), 'kept', 'nor when that is off');
is(by('POST', '/hidden/x'), 'dropped', 'but where the field is hidden');

# the client sees both

like(http_get('/see', headers => said('Cache-Groups: "a"')),
    qr/Cache-Groups: "a"\r/, 'Cache-Groups is passed on');
like(invalidate('"a"'), qr/Cache-Group-Invalidation: "a"\r/,
    'Cache-Group-Invalidation too');

###############################################################################

my $n;

# What becomes of a response that says this, when these are invalidated.

sub after {
    my ($groups, @say) = @_;

    my $uri = (($say[0] =~ m{^/}) ? shift @say : '/') . ++$n;

    return became(sub { http_get($uri, headers => said(@say)) },
                  sub { invalidate($groups) });
}


sub became {
    my ($get, $invalidate) = @_;

    $get->();

    return 'not stored' if header($get->(), 'X-Cache') ne 'HIT';

    $invalidate->();

    return header($get->(), 'X-Cache') eq 'HIT' ? 'kept' : 'dropped';
}


sub invalidate {
    my ($groups, @more) = @_;

    return http_post('/purge', @more,
                  headers => said("Cache-Group-Invalidation: $groups"));
}


sub said {
    my $i = 0;
    return [map { 'X-Say' . ++$i . ": $_" } @_];
}

###############################################################################
