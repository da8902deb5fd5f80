#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A successful unsafe request also removes what its answer names in Location
# and Content-Location, where that is of the same origin (RFC 9111, 4.4).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my @cases = (

    # what a POST to /d/e/post?x=1 answers, what of GETs is removed
    # and what is not

    ['Location', '/d/a', '/d/a'],
    ['Content-Location', '/d/a', '/d/a'],
    ['Location', '/d/a?b=c', '/d/a?b=c', '/d/a'],
    ['Location', '/d/a#part', '/d/a'],
    ['Location', '/d/a?b=c#part?d', '/d/a?b=c'],
    ['Location', 'a', '/d/e/a', '/d/a'],
    ['Location', 'a/b?c', '/d/e/a/b?c'],
    ['Location', './a', '/d/e/a'],
    ['Location', '../a', '/d/a', '/d/e/a'],
    ['Location', '../../../a/./b/../c', '/a/c'],
    ['Location', '..', '/d/'],
    ['Location', '?b=c', '/d/e/post?b=c', '/d/e/?b=c'],
    ['Location', '#part', '/d/e/post?x=1'],
    ['Location', 'at?time=10:20', '/d/e/at?time=10:20'],
    ['Location', 'http://localhost/d/a', '/d/a'],
    ['Location', 'HTTP://LOCALHOST/d/a', '/d/a'],
    ['Location', 'http://localhost', '/'],
    ['Location', 'http://localhost?b=c', '/?b=c'],
    ['Location', 'http://localhost:80/d/a', '/d/a'],
    ['Location', '//localhost/d/a', '/d/a'],
    ['Content-Location', 'http://localhost/d/a%20b', '/d/a%20b'],
    ['Location', "\t /d/a \t", '/d/a'],
    ['Content-Location', "\ta", '/d/e/a'],
    ['Location', "\t", undef, '/d/e/post?x=2'],

    # nothing of another origin

    ['Location', 'http://example.com/d/a', undef, '/d/a'],
    ['Location', '//example.com/d/a', undef, '/d/a'],
    ['Location', 'https://localhost/d/a', undef, '/d/a'],
    ['Location', 'http://localhost:81/d/a', undef, '/d/a'],
    ['Location', 'http://localhost.example/d/a', undef, '/d/a'],
    ['Location', 'http://localhos/d/a', undef, '/d/a'],
    ['Location', 'http://otherhost/d/a', undef, '/d/a'],
    ['Location', 'http://user@localhost/d/a', undef, '/d/a'],
    ['Location', 'http://localhost@example.com/d/a', undef, '/d/a'],
    ['Location', 'http:///d/a', undef, '/d/a'],
    ['Location', 'ftp://localhost/d/a', undef, '/d/a'],
    ['Location', 'mailto:/d/a', undef, '/d/a'],
    ['Location', '\\d\\a', undef, '/d/a'],
    ['Location', '', undef, '/d/a'],
    ['Location', '/d/./a/..', '/d/', '/d/a'],
    ['Location', '/..', '/', '/d/a'],
    ['Location', '/d/..a/.b', '/d/..a/.b', '/d/.b'],
    ['Location', '/d?a=/../b', '/d?a=/../b', '/b'],
    ['X-Location', '/d/a', undef, '/d/a'],
);

my $t = Test::Nginx->new()->has(qw/ http_proxy /)
        ->plan(@cases + 20);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:8m;
    optcache c;

    server {
        listen 127.0.0.1:8080;
        proxy_redirect off;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /key/ {
            optcache_key "$host|$uri|$arg_id";
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    if ($req->{method} ne 'GET') {
        my ($status, @fields) = split /\n/, $req->{body};
        return [$status, \@fields, 'done'];
    }

    return [200, ['Cache-Control: max-age=600',
                  ($req->{uri} =~ /vary/ ? 'Vary: X-A' : ())],
            "answer $req->{count}"];
});

$t->run();

###############################################################################

for my $case (@cases) {
    my ($name, $value, $removed, $kept) = @$case;

    get($_) for grep { defined } $removed, $kept;

    post('/d/e/post?x=1', "201\n$name: $value");

    my $is = join ' ', map { defined $_ ? get($_) : '-' } $removed, $kept;
    my $should = join ' ', defined $removed ? 'MISS' : '-',
                           defined $kept ? 'HIT' : '-';

    is($is, $should, "$name: $value");
}

# methods and statuses

for (['PUT', 200, 'MISS'], ['DELETE', 204, 'MISS'], ['PATCH', 303, 'MISS'],
     ['OPTIONS', 200, 'HIT'], ['POST', 404, 'HIT'], ['POST', 500, 'HIT'])
{
    my ($method, $status, $result) = @$_;

    get('/m');
    post('/d', "$status\nLocation: /m", method => $method);
    is(get('/m'), $result, "$method, $status");
}

# both fields, and several lines

get($_) for qw{ /b1 /b2 /b3 };
post('/d', "200\nLocation: /b1\nContent-Location: /b2\nContent-Location: /b3");
is(join(' ', map { get($_) } qw{ /b1 /b2 }), 'MISS MISS', 'both fields');

# partitions: that of the user, and that of all

my @u = (Authorization => 'u');
my @v = (Authorization => 'v');
get('/p');
get('/p', @u);
get('/p', @v);
post('/d', "201\nLocation: /p", headers => { @u });
is(get('/p', @u), 'MISS', 'of the user');
is(get('/p'), 'MISS', 'of all');
is(get('/p', @v), 'MISS', 'of anybody');

get('/p', @u);
post('/d', "201\nLocation: /p");
is(get('/p', @u), 'MISS', 'also by those without a user');
is(get('/p'), 'MISS', 'and their own');

# what varies

get('/vary', 'X-A' => 1);
get('/vary', 'X-A' => 2);
post('/d', "201\nLocation: /vary");
is(get('/vary', 'X-A' => 1), 'MISS', 'all that varies');
is(get('/vary', 'X-A' => 2), 'MISS', 'both of them');

# keys of another form

get('/key/a?id=1');
get('/key/a?id=2');
post('/key/?id=3', "201\nLocation: /key/a?other=x&id=1");
is(get('/key/a?id=1'), 'MISS', 'a key of arguments');
is(get('/key/a?id=2'), 'HIT', 'and no other');

get('/key/a%20b?id=1');
post('/key/?id=3', "201\nLocation: /key/a%20b?id=1");
is(get('/key/a%20b?id=1'), 'MISS', 'a key of the path without escapes');

# the client gets what was said, and its variables are as they were

my $r = post('/d/post', "201\nLocation: a");
is(header($r, 'Location'), 'a', 'the field is passed on');

# another name for the host in the request

http_get('/h', host => 'a.example:8080');
post('/d', "201\nLocation: http://a.example:8080/h", host => 'a.example:8080');
is(header(http_get('/h', host => 'a.example:8080'), 'X-Cache'), 'MISS',
    'a port in Host');

http_get('/h2', host => 'b.example');
post('/d', "201\nLocation: http://b.example/h2", host => 'a.example');
is(header(http_get('/h2', host => 'b.example'), 'X-Cache'), 'HIT',
    'another host');

###############################################################################

sub get {
    my ($uri, %headers) = @_;
    return header(http_get($uri, headers => \%headers), 'X-Cache');
}


sub post {
    my ($uri, $answer, %o) = @_;

    return http_request(delete $o{method} || 'POST', $uri, body => $answer,
                        %o);
}

###############################################################################
