#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A response has the tags that Surrogate-Key, Cache-Tag and optcache_tags give
# it, and goes when one of them is invalidated.

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

    optcache_zone c:4m;
    optcache_tags all "site $arg_more";

    server {
        listen 127.0.0.1:8080;

        optcache c;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /own/ {
            optcache_tags $upstream_http_x_tags "";
            proxy_hide_header X-Tags;
            proxy_pass http://127.0.0.1:8081;
        }

        location /hidden/ {
            proxy_hide_header Surrogate-Key;
            proxy_hide_header Cache-Tag;
            proxy_pass http://127.0.0.1:8081;
        }

        location /gzip/ {
            optcache_gzip on;
            optcache_gzip_min_length 1;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my @say = map { $_ // () } @{ $req->{headers} }{ map { "x-say$_" } 1 .. 3 };

    return [304, ['Cache-Control: max-age=100', @say], '']
        if $req->{headers}{'if-none-match'};

    my $fresh = "@say" =~ /ETag/ ? 'no-cache' : 'max-age=100';

    return [200, ["Cache-Control: $fresh", 'Content-Type: text/plain', @say],
            'x' x 200];
});

$t->run();

###############################################################################

# the fields

for (['Surrogate-Key: one two  three', qw/ one two three /],
     ["Surrogate-Key: \tone\ttwo ", qw/ one two /],
     ['Cache-Tag: one, two,,three:3 ', qw/ one two three:3 /],
     ['Cache-Tag: a tag of words', 'a tag of words'])
{
    my ($line, @tags) = @$_;
    is(after($_, $line), 'dropped', "$line: $_") for @tags;
}

is(after($_, 'Surrogate-Key: One two'), 'kept', "not '$_'")
    for 'one', 'tw', 'One two', '';
is(after('a tag', 'Cache-Tag: a tag of words'), 'kept', 'not a part of one');

# several lines, several fields

my @lines = ('Surrogate-Key: a b', 'Surrogate-Key: c', 'Cache-Tag: d,e');
is(after($_, @lines), 'dropped', "of several lines: $_") for qw/ a b c d e /;

my $r = http_get('/pass', headers => said(@lines));
$r = http_get('/pass');
like($r, qr/X-Cache: HIT/, 'a hit');
is_deeply([$r =~ /^((?:Surrogate-Key|Cache-Tag): .*?)\r$/gm], \@lines,
    'has its fields');

$r = http_get('/hidden/a', headers => said(@lines));
unlike($r, qr/Surrogate-Key|Cache-Tag/, 'hidden from the client');
is(after($_, '/hidden/', @lines), 'dropped', "and counted: $_") for qw/ b c e /;

# the directive

is(after($_, '/?more=x%20y'), 'dropped', "by optcache_tags: $_")
    for qw/ all site x%20y /;
is(after($_, '/own/', 'X-Tags: p q'), 'dropped', "by a variable: $_")
    for qw/ p q /;
is(after($_, '/own/', 'X-Tags: p q'), 'kept', "not inherited: $_")
    for qw/ all site /;

# those that vary, and those in gzip

is(after('one', 'Vary: X', 'Surrogate-Key: one'), 'dropped', 'one that varies');
is(after('one', '/gzip/', 'Surrogate-Key: one'), 'dropped', 'one in gzip');

# as many as there may be, as long as they may be; two more are of the
# configuration, and one is given twice

my @many = ((map { "t$_" } 1 .. 254), 't1');
is(after('t254', "Surrogate-Key: @many"), 'dropped', 'many');
is(again('/more', "Surrogate-Key: @many more"), 'MISS',
    'too many are not stored');
my $long = 'l' x 1024;
is(after($long, "Cache-Tag: $long"), 'dropped', 'a long one');
is(again('/longer', "Cache-Tag: ${long}l"), 'MISS', 'longer is not stored');

# when it is validated

my @etag = ('ETag: "a"', 'Surrogate-Key: one two');
is(fresh('two', '/', \@etag, []), 'dropped', 'a 304 that says nothing');
is(fresh('one', '/', \@etag, ['Surrogate-Key: two']), 'kept',
    'a 304 that says what it is now');
is(fresh('new', '/', \@etag, ['Surrogate-Key: two new']), 'dropped',
    'and what it was not');
is(fresh('two', '/hidden/', \@etag, []), 'dropped', 'one that is hidden');
is(fresh('site', '/', \@etag, []), 'dropped', 'that of the configuration');

###############################################################################

my $uri;

# What becomes of a stored response when a tag is invalidated.

sub after {
    my ($tag, @say) = @_;

    my $place = ($say[0] =~ m{^/}) ? shift @say : '/';
    my $at = $place =~ s{\?}{@{[++$uri]}?}r;
    $at = "$at" . ++$uri if $place !~ /\?/;

    return 'not stored' if again($at, @say) ne 'HIT';

    purge($tag);

    return dropped($at, @say);
}


sub dropped {
    my ($at, @say) = @_;

    return header(http_get($at, headers => said(@say)), 'X-Cache') eq 'HIT'
           ? 'kept' : 'dropped';
}


sub again {
    my ($at, @say) = @_;

    http_get($at, headers => said(@say));
    return header(http_get($at, headers => said(@say)), 'X-Cache');
}


# The same when it has been validated in between.

sub fresh {
    my ($tag, $place, $first, $then) = @_;

    my $at = $place . ++$uri;

    http_get($at, headers => said(@$first));
    my $r = http_get($at, headers => said(@$then));
    die "not validated: $r" if $r !~ /X-Cache: REVALIDATED/;

    purge($tag);

    return dropped($at);
}


sub purge {
    my ($tag) = @_;

    http_post('/purge', headers =>
              said(qq{Cache-Group-Invalidation: "$tag"}));
}


sub said {
    my $n = 0;
    return [map { 'X-Say' . ++$n . ": $_" } @_];
}

###############################################################################
