#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What does not say clearly what is to be purged purges nothing, and is told
# which member is wrong; nothing of it is logged or repeated.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw/ decode_json encode_json /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new();

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;

    server {
        listen 127.0.0.1:8080;

        location /api/ {
            optcache_api write=on;
        }

        location /read/ {
            optcache_api;
        }

        location /guarded/ {
            optcache_api write=on;

            limit_except GET {
                deny all;
            }
        }

        location /mirror/ {
            mirror /api/purge;
            empty_gif;
            error_page 405 =200 @page;
        }

        location @page {
            return 200 page;
        }
    }
}

EOF

my $long = 'SECRET' x 6000;

my @wrong = (
    # body, what the detail has

    ['', 'the body is not'],
    ['{', 'the body is not'],
    ['null', 'the body is not'],
    ['[]', 'the body is not'],
    ['[{"all":true}]', 'the body is not'],
    ['"SECRET"', 'the body is not'],
    ['{"uri":"/SECRET"', 'the body is not'],
    ['{"uri":"/SECRET"}x', 'the body is not'],
    ['{"uri":"/SECRET","uri":"/SECRET"}', 'the body is not'],
    ["{\"uri\":\"/SECRET\0\"}", 'the body is not'],
    ['{"uri":"/SECRET\u0000"}', 'the body is not'],
    ["{\"uri\":\"/SECRET\xff\"}", 'the body is not'],
    ["{'uri':'/SECRET'}", 'the body is not'],
    ['{"uri":' . '[' x 60 . ']' x 60 . '}', 'the body is not'],

    ['{}', 'there must be one of'],
    ['{"soft":true}', 'there must be one of'],
    ['{"uri":"/SECRET","tag":"SECRET"}', 'there must be one of'],
    ['{"tag":"SECRET","tags":["SECRET"]}', 'there must be one of'],
    ['{"uri":"/SECRET","prefix":"/SECRET"}', 'there must be one of'],
    ['{"all":true,"tag":"SECRET"}', 'there must be one of'],
    ['{"URI":"/SECRET"}', 'there is a member other than'],
    ['{"uri":"/SECRET","SECRET":1}', 'there is a member other than'],
    ['{"uri ":"/SECRET"}', 'there is a member other than'],
    ['{"":"/SECRET"}', 'there is a member other than'],
    ['{"zone":"SECRET"}', 'there is a member other than'],

    ['{"uri":5}', '"uri" must be a string'],
    ['{"uri":null}', '"uri" must be a string'],
    ['{"uri":["/SECRET"]}', '"uri" must be a string'],
    ['{"uri":{"SECRET":1}}', '"uri" must be a string'],
    ['{"uri":""}', '"uri" must not be empty'],
    ['{"uri":"SECRET"}', '"uri" must begin with a slash'],
    ['{"uri":"http://a/SECRET"}', '"uri" must begin with a slash'],
    ['{"uri":"/SECRET /"}', '"uri" must not have spaces'],
    ['{"uri":"/SECRET\r\nX: y"}', '"uri" must not have spaces'],
    ['{"uri":"/SECRET\u007f"}', '"uri" must not have spaces'],
    [qq/{"uri":"\/$long"}/, '"uri" is too long'],

    ['{"prefix":5}', '"prefix" must be a string'],
    ['{"prefix":""}', '"prefix" must not be empty'],
    ['{"prefix":"*"}', '"prefix" must begin with a slash'],
    ['{"prefix":"SECRET/"}', '"prefix" must begin with a slash'],
    ['{"prefix":"/SECRET/*/b"}', '"prefix" must not have a "*"'],
    ['{"prefix":"/SECRET/**"}', '"prefix" must not have a "*"'],
    ['{"prefix":"/' . 'x' x 4095 . '"}', '"prefix" must not be longer'],
    ['{"prefix":"/' . 'x' x 4095 . '*"}', '"prefix" must not be longer'],
    ['{"prefix":"/SECRET\n"}', '"prefix" must not have spaces'],

    ['{"tag":5}', '"tag" must be a string'],
    ['{"tag":""}', '"tag" must not be empty'],
    ['{"tag":"SECRET\n"}', '"tag" must not have control'],
    ['{"tag":"' . 'x' x 1025 . '"}', '"tag" is too long'],
    ['{"tags":"SECRET"}', '"tags" must be an array'],
    ['{"tags":[]}', '"tags" must be an array that is not empty'],
    ['{"tags":{"SECRET":"SECRET"}}', '"tags" must be an array'],
    ['{"tags":["SECRET",5]}', '"tags" must be a string'],
    ['{"tags":["SECRET",""]}', '"tags" must not be empty'],
    ['{"tags":["SECRET",["SECRET"]]}', '"tags" must be a string'],
    [encode_json({ tags => [map { "SECRET$_" } 1 .. 65] }), 'more than 64'],

    ['{"user":5}', '"user" must be a string'],
    ['{"user":""}', '"user" must not be empty'],
    [qq/{"user":"$long"}/, '"user" is too long'],
    ['{"user":"SECRET","host":"SECRET"}', '"user" must be alone, or with'],
    ['{"user":"SECRET","tag":"SECRET"}', '"user" must be alone, or with'],
    ['{"user":"SECRET","prefix":"/SECRET"}', '"user" must be alone, or with'],
    ['{"user":"SECRET","all":true}', '"user" must be alone, or with'],

    ['{"host":5}', '"host" must be a string'],
    ['{"host":""}', '"host" must not be empty'],
    ['{"host":"SECRET:80"}', '"host" must be the name'],
    ['{"host":"http://SECRET"}', '"host" must be the name'],
    ['{"host":"SECRET/"}', '"host" must be the name'],
    ['{"host":"SECRET x"}', '"host" must be the name'],
    ['{"host":"[::1]:80"}', '"host" must be the name'],
    ['{"host":"' . 'x' x 256 . '"}', '"host" is too long'],
    ['{"host":"SECRET","all":true}', '"host" must not be with "all"'],

    ['{"all":false}', '"all" must be true'],
    ['{"all":1}', '"all" must be true'],
    ['{"all":"true"}', '"all" must be true'],
    ['{"all":null}', '"all" must be true'],
    ['{"all":true,"soft":1}', '"soft" must be true or false'],
    ['{"all":true,"soft":"true"}', '"soft" must be true or false'],
    ['{"all":true,"soft":null}', '"soft" must be true or false'],

    ['{"purge":[]}', '"purge" must be an array that is not empty'],
    ['{"purge":{"all":true}}', '"purge" must be an array'],
    ['{"purge":true}', '"purge" must be an array'],
    ['{"purge":[{"all":true}],"soft":true}', '"purge" must be the only'],
    ['{"all":true,"purge":[{"all":true}]}', '"purge" must be the only'],
    ['{"purge":[{"all":true},5]}', '"purge" must be of objects'],
    ['{"purge":[{"all":true},{}]}', '"purge[1]": there must be one of'],
    ['{"purge":[{"all":true},{"SECRET":1}]}', '"purge[1]": there is a member'],
    ['{"purge":[{"all":true},{"uri":"SECRET"}]}', '"purge[1].uri" must begin'],
    ['{"purge":[{"purge":[{"all":true}]}]}', '"purge[0]": there is a member'],
    [encode_json({ purge => [({ tag => 'SECRET' }) x 65] }), 'more than 64'],
    [encode_json({ purge => [({ tags => [('a') x 33] }) x 2] }),
        'more than 64'],
);

my @right = (
    '{"uri":"/a"}', '{"uri":"/a?b=c","host":"A.example.","user":"u"}',
    '{"uri":"/a*"}', '{"uri":"/ä"}', '{"tag":"a b, c"}',
    '{"tag":"t","host":"[::1]"}', '{"tags":["a","b"],"host":"h"}',
    '{"prefix":"/*"}', '{"prefix":"/","host":"h"}',
    '{"prefix":"/' . 'x' x 4094 . '*"}', '{"user":"Bearer x"}',
    '{"host":"h"}', '{"all":true}', '{"all":true,"soft":false}',
    '{"all":true,"soft":true}', '{"purge":[{"tags":["a","b"]},{"uri":"/"}]}',
);

$t->plan(@wrong + @right + 25);

$t->run();

###############################################################################

my @json = (headers => ['Content-Type: application/json']);
my $clock = clock();

for (@wrong) {
    my ($body, $detail) = @$_;

    problem(400, $detail, http_post('/api/purge', body => $body, @json),
            substr $body =~ s/[^ -~]/?/gr, 0, 60);
}

is(clock(), $clock, 'none of these purged anything');

for (@right) {
    my $r = http_post('/api/purge', body => $_, @json);
    ok(status($r) == 200 && body($r) =~ /"hosts":"this"/, substr $_, 0, 60)
        or diag($r);
}

is(clock(), $clock + @right + 1 + 2, 'each of these did, once each');

my $r = http_post('/api/purge', body => '{"tags":["a","b"]}', @json);

is(body($r), qq/{"purged":2,"hosts":"this"}\n/, 'how many there were');
is(header($r, 'Cache-Control'), 'no-store', 'not for caches');
is(header($r, 'Content-Type'), 'application/json', 'its type');

is(clock_after(encode_json({ tags => [map { "t$_" } 1 .. 64] })), 64,
    '64 tags');
is(clock_after(encode_json({ purge => [({ uri => '/', host => 'h',
                                          user => 'u', soft => \0 }) x 64] })),
    64, 'a list of 64');

# other types, other methods, other places

$clock = clock();

problem(415, 'application/json', http_post('/api/purge', body => $right[0]),
    'no type');
problem(415, 'application/json',
    http_post('/api/purge', body => $right[0],
              headers => ['Content-Type: text/plain']), 'another type');
problem(413, undef, http_post('/api/purge', @json,
    body => '{"all":true}' . ' ' x 65536), 'too long');

for my $method (qw/ GET PUT DELETE PATCH PURGE /) {
    $r = http_request($method, '/api/purge');
    problem(405, 'other methods', $r, $method);
    is(header($r, 'Allow'), 'POST', "$method is told what may be");
}

problem(403, 'for writing', http_post('/read/purge', body => $right[0], @json),
    'without write=on');
like(http_post('/guarded/purge', body => $right[0], @json), qr/ 403 /,
    'limit_except');
is(body(http_post('/mirror/x', body => $right[0], @json)), 'page',
    'a subrequest');

is(clock(), $clock, 'none of these purged anything');

unlike(join("\n", grep { !/\[debug\]/ } split /\n/,
            $t->read_file('error.log')), qr/SECRET|Bearer/,
    'nothing is logged');

###############################################################################

sub problem {
    my ($status, $detail, $r, $name) = @_;

    my $document = eval { decode_json(body($r)) } || {};

    ok(status($r) == $status
       && header($r, 'Content-Type') eq 'application/problem+json'
       && header($r, 'Cache-Control') eq 'no-store'
       && $document->{status} == $status
       && index($document->{detail}, $detail // "") >= 0
       && $r !~ /SECRET/, "$status: $name") or diag($r);
}


sub clock {
    return decode_json(body(http_get('/api/status')))->{invalidation}{clock};
}


sub clock_after {
    my ($body) = @_;

    my $before = clock();
    my $r = http_post('/api/purge', body => $body, @json);

    return status($r) == 200 ? clock() - $before : $r;
}

###############################################################################
