#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Responses that depend on fields of a request are kept beside each other, and
# each client gets the one for its fields (RFC 9111, 4.1).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_v2 /)->plan(67);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:8m;
    optcache c;
    optcache_headers all;

    server {
        listen 127.0.0.1:8080;
        listen 127.0.0.1:8082 http2;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /ignore/ {
            optcache_ignore Vary;
            proxy_pass http://127.0.0.1:8081;
        }

        location /hidden/ {
            proxy_hide_header Vary;
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

# each answer says what it was made from, and how many there were before

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $uri = $req->{uri};
    my $h = $req->{headers};
    my @fields = ('Cache-Control: max-age=60');

    return [200, [], 'posted'] if $req->{method} eq 'POST';

    push @fields, 'Vary: X-A' if $uri =~ /one|union/;
    push @fields, 'Vary: x-a, X-B', 'Vary: X-C' if $uri =~ /several/;
    push @fields, 'Vary: X-B' if $uri =~ /union/ && ($h->{'x-a'} // '') eq 'b';
    push @fields, 'Vary: *' if $uri =~ /star/;
    push @fields, 'Vary: X-A, *' if $uri =~ /mixed/;
    push @fields, 'Vary: Accept-Language' if $uri =~ /language/;
    push @fields, 'Vary: Accept' if $uri =~ /accept/;
    push @fields, 'Vary: Authorization, X-A' if $uri =~ /user/;
    push @fields, 'Vary: X-A' if $uri =~ /later/ && $h->{'x-a'};

    if ($uri =~ /stale/) {
        return [304, ['Cache-Control: max-age=60'], '']
            if ($h->{'if-none-match'} // '') eq "\"$h->{'x-a'}\"";
        push @fields, 'Vary: X-A', 'Age: 100', "ETag: \"$h->{'x-a'}\"";
    }

    if ($uri =~ /coding/) {
        my ($coding) = ($h->{'accept-encoding'} // '') =~ /\b(br|gzip|zz)\b/;
        push @fields, 'Vary: Accept-Encoding';
        push @fields, "Content-Encoding: $coding" if $coding;
    }

    push @fields, 'Vary: Accept-Encoding' if $uri =~ /plain/;

    my $body = join ',', map { defined $h->{$_} ? "$_=$h->{$_}" : () }
                         qw/ x-a x-b x-c accept accept-language accept-encoding
                             authorization /;

    return [200, \@fields, "$body;$req->{count}"];
});

$t->run();

###############################################################################

is(get('/one', 'X-A: a'), 'MISS x-a=a;1', 'one');
is(get('/one', 'X-A: b'), 'MISS x-a=b;2', 'and another');
is(get('/one', 'X-A: a'), 'HIT x-a=a;1', 'the one again');
is(get('/one', 'X-A: b'), 'HIT x-a=b;2', 'and the other');
is(get('/one', 'x-a: a', 'X-B: b'), 'HIT x-a=a;1', 'no other field counts');

# there and not there, and what makes no difference

is(get('/one'), 'MISS ;3', 'without the field');
is(get('/one', 'X-A:'), 'MISS x-a=;4', 'that is not the empty value');
is(get('/one'), 'HIT ;3', 'without, again');
is(get('/one', 'X-A: A'), 'MISS x-a=A;5', 'letters of another case');
is(get('/one', 'X-A: a,b'), 'MISS x-a=a,b;6', 'a list');
is(get('/one', 'X-A:   a ,  b  '), 'HIT x-a=a,b;6', 'with white space');
is(get('/one', 'X-A: a', 'X-A: b'), 'HIT x-a=a,b;6', 'in lines');
is(get('/one', 'X-A: b', 'X-A: a'), 'MISS x-a=b, a;7', 'in another order');
is(get('/one', 'X-A: "a ,b"'), 'MISS x-a="a ,b";8', 'quoted white space');
is(get('/one', 'X-A: "a,b"'), 'MISS x-a="a,b";9', 'is no white space');

is(get('/language', 'Accept-Language: en-GB, de'),
    'MISS accept-language=en-GB, de;1', 'a language');
is(get('/language', 'accept-language: en-gb,DE'),
    'HIT accept-language=en-GB, de;1', 'in any letters');

is(get('/accept', 'Accept: Text/HTML;Level=a'),
    'MISS accept=Text/HTML;Level=a;1', 'a type');
is(get('/accept', 'Accept: text/html;level=a'),
    'HIT accept=Text/HTML;Level=a;1', 'in any letters');
is(get('/accept', 'Accept: text/html;level=A'),
    'MISS accept=text/html;level=A;2', 'but not those of a parameter');

my $profile = 'application/ld+json;profile="http://example.com/a,\\"=';
is(get('/accept', "Accept: ${profile}b\", TEXT/css"),
    "MISS accept=${profile}b\", TEXT/css;3", 'a profile');
is(get('/accept', "Accept: ${profile}b\", text/CSS"),
    "HIT accept=${profile}b\", TEXT/css;3", 'and a type');
is(get('/accept', "Accept: ${profile}B\", TEXT/css"),
    "MISS accept=${profile}B\", TEXT/css;4", 'another profile');

# what is quoted is of the value, also behind a comma

is(get('/accept/quoted', 'Accept: a/b;profile="http://example.com/a,b"'),
    'MISS accept=a/b;profile="http://example.com/a,b";1', 'quoted');
is(get('/accept/quoted', 'Accept: a/b;profile="http://example.com/a,B"'),
    'MISS accept=a/b;profile="http://example.com/a,B";2', 'another');

# several names

my @abc = ('X-A: 1', 'X-B: 2', 'X-C: 3');
is(get('/several', @abc), 'MISS x-a=1,x-b=2,x-c=3;1', 'several');
is(get('/several', reverse @abc), 'HIT x-a=1,x-b=2,x-c=3;1', 'in any order');
is(get('/several', 'X-A: 1', 'X-B: 3', 'X-C: 2'),
    'MISS x-a=1,x-b=3,x-c=2;2', 'values are of their names');
is(get('/several', 'X-A: 1', 'X-C: 3'), 'MISS x-a=1,x-c=3;3', 'one missing');
is(get('/several', 'X-B: 1', 'X-C: 3'), 'MISS x-b=1,x-c=3;4', 'another');

# what one response varies on counts for all

is(get('/union', 'X-A: a', 'X-B: 1'), 'MISS x-a=a,x-b=1;1', 'union');
is(get('/union', 'X-A: a', 'X-B: 2'), 'HIT x-a=a,x-b=1;1', 'of one');
is(get('/union', 'X-A: b', 'X-B: 1'), 'MISS x-a=b,x-b=1;2', 'and two');
is(get('/union', 'X-A: b', 'X-B: 2'), 'MISS x-a=b,x-b=2;3', 'both count');
is(get('/union', 'X-A: b', 'X-B: 1'), 'HIT x-a=b,x-b=1;2', 'the first');
my $was = get('/union', 'X-A: a', 'X-B: 1');
is(get('/union', 'X-A: a', 'X-B: 1'), $was =~ s/^MISS/HIT/r, 'for all');

is(get('/later'), 'MISS ;1', 'one that does not vary');
is(get('/later', 'X-A: 1'), 'HIT ;1', 'is for all');

# *

get('/star');
is(get('/star'), 'MISS ;2', 'Vary: * is not stored');
get('/mixed');
is(get('/mixed'), 'MISS ;2', 'nor among others');

# ignored, and hidden

get('/ignore/one', 'X-A: 1');
is(get('/ignore/one', 'X-A: 2'), 'HIT x-a=1;1', 'ignored');
get('/hidden/one', 'X-A: 1');
is(get('/hidden/one', 'X-A: 2'), 'MISS x-a=2;2', 'hidden, but heeded');
is(get('/hidden/one', 'X-A: 1'), 'HIT x-a=1;1', 'by all');

# an upstream that compresses

is(get('/coding', 'Accept-Encoding: gzip, br'),
    'MISS accept-encoding=gzip, br;1', 'gzip and br');
is(get('/coding', 'Accept-Encoding: br, gzip, x'),
    'HIT accept-encoding=gzip, br;1', 'the same codings');
is(get('/coding', 'Accept-Encoding: br'), 'MISS accept-encoding=br;2', 'br');
is(get('/coding'), 'MISS ;3', 'none');
is(get('/coding', 'Accept-Encoding: gzip;q=0'), 'HIT ;3', 'none, in words');
is(get('/coding', 'Accept-Encoding: br'), 'HIT accept-encoding=br;2',
    'br again');

# one that is not known

is(get('/coding/own', 'Accept-Encoding: zz'), 'MISS accept-encoding=zz;1',
    'a coding of its own');
is(get('/coding/own', 'Accept-Encoding: zz'), 'HIT accept-encoding=zz;1',
    'for who takes it');
is(get('/coding/own'), 'MISS ;2', 'and nobody else');

is(get('/plain', 'Accept-Encoding: gzip'), 'MISS accept-encoding=gzip;1',
    'an upstream that does not compress');
is(get('/plain'), 'HIT accept-encoding=gzip;1', 'one for all');

# each is validated by itself

get('/stale', 'X-A: a');
get('/stale', 'X-A: b');
is(get('/stale', 'X-A: a'), 'REVALIDATED x-a=a;1', 'validated');
is(get('/stale', 'X-A: a'), 'HIT x-a=a;1', 'and fresh');
is(get('/stale', 'X-A: b'), 'REVALIDATED x-a=b;2', 'the other is not yet');

# a purge removes all of them, and none comes back with the next

http_post('/one');
is(get('/one', 'X-A: a'), 'MISS x-a=a;10', 'POST removes one');
is(get('/one', 'X-A: b'), 'MISS x-a=b;11', 'and the other');
is(get('/one'), 'MISS ;12', 'and that without');

# partitions

my @u = ('Authorization: u', 'X-A: 1');
like(get('/user', @u), qr/^MISS/, 'a user');
is(get('/user', @u), 'HIT x-a=1,authorization=u;1', 'has his own');
like(get('/user', 'Authorization: v', 'X-A: 1'), qr/^MISS .*=v;2/,
    'so has another');
http_post('/user', headers => ['Authorization: v']);
like(get('/user', @u), qr/^MISS .*=u;/, 'which goes with what he changes');

# what the client is told

my $r = http_get('/one', headers => ['X-A: z']);
is(header($r, 'Vary'), 'X-A', 'Vary is passed on');
is(header($r, 'Cache-Status'),
    'Optcache; fwd=vary-miss; fwd-status=200; stored', 'vary-miss');

$r = http2_get('/one', port => 8082, headers => ['x-a: z']);
is(header($r, 'X-Cache') . ' ' . body($r), 'HIT x-a=z;13', 'HTTP/2');

###############################################################################

sub get {
    my ($uri, @headers) = @_;

    my $r = http_get($uri, headers => \@headers);

    return header($r, 'X-Cache') . ' ' . body($r);
}

###############################################################################
