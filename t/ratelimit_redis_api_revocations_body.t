#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The body of a revocation, however it comes, is read whole and no further
# than its bound; what is not one in JSON is refused and not repeated.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw/ decode_json /;
use Test::More;
use Test::Nginx;
use Time::HiRes qw/ sleep /;

my $t = Test::Nginx->new()->has('http_v2', 'http_mirror')->plan(121);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    token_source $arg_t;

    server {
        listen 127.0.0.1:8080;
        listen 127.0.0.1:8081 http2;

        location / {
            token_blacklist on;
        }

        location /api/ {
            ratelimit_redis_api write=on;
        }

        location /small/ {
            ratelimit_redis_api write=on;
            client_body_buffer_size 64;
            client_max_body_size 0;
        }

        location /file/ {
            ratelimit_redis_api write=on;
            client_body_in_file_only clean;
        }

        location /mirrored/ {
            ratelimit_redis_api write=on;
            client_body_in_file_only clean;
            mirror /elsewhere;
        }

        location = /elsewhere {
            internal;
            return 204;
        }

        location /max/ {
            ratelimit_redis_api write=on;
            client_max_body_size 1k;
        }

        location /slow/ {
            ratelimit_redis_api write=on;
            client_body_timeout 200ms;
        }

        location /read/ {
            ratelimit_redis_api;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');
$t->run();

###############################################################################

my $n = 0;
my $json = 'Content-Type: application/json';

# in one piece, in pieces, in chunks, in a file, in frames

for my $at (qw/ api small file mirrored max /) {
    revokes("$at: with its header", sub { post($at, $_[0]) });

    revokes("$at: after its header", sub {
        my ($body) = @_;
        my $s = http("POST /$at/revocations HTTP/1.1\r\nHost: localhost\r\n"
                     . "$json\r\nConnection: close\r\nContent-Length: "
                     . length($body) . "\r\n\r\n", start => 1);

        for (split //, $body) {
            syswrite $s, $_;
            sleep 0.002;
        }

        return http_end($s);
    });

    revokes("$at: chunked", sub {
        my ($body) = @_;
        return chunked($at, map { sprintf "%x\r\n%s\r\n", length, $_ }
                                $body =~ /.{1,7}/sg);
    });

    revokes("$at: HTTP/2", sub { http2($at, body => $_[0]) });

    revokes("$at: of a media type with parameters", sub {
        return http_post("/$at/revocations", body => $_[0], headers =>
            ['content-type: Application/JSON ; charset=utf-8']);
    });
}

# up to its bound, and no further

for my $at (qw/ api small mirrored /) {
    revokes("$at: as long as may be", sub {
        return post($at, $_[0] . ' ' x (65536 - length $_[0]));
    });
    revokes("$at: as long as may be, chunked", sub {
        my $body = $_[0] . ' ' x (65536 - length $_[0]);
        return chunked($at, sprintf "%x\r\n%s\r\n", length $body, $body);
    });
    revokes("$at: as long as may be, HTTP/2", sub {
        return http2($at, body => $_[0] . ' ' x (65536 - length $_[0]));
    });

    my $body = '{"token":"long"}' . ' ' x 65521;

    problem(413, post($at, $body), "$at: longer");
    problem(413, chunked($at, map { sprintf "%x\r\n%s\r\n", length, $_ }
                         $body =~ /.{1,5000}/sg), "$at: longer, chunked");
    problem(413, http2($at, body => $body), "$at: longer, HTTP/2");
}

like(post('max', '{"token":"long"}' . ' ' x 2000), qr/^HTTP\S+ 413/,
    'client_max_body_size');
problem(413, chunked('max', sprintf "%x\r\n%s\r\n", 2000, ' ' x 2000),
    'client_max_body_size, chunked');
is(get('long'), 200, 'what was too long revoked nothing');

# a client that leaves, or does not go on

my $s = http("POST /api/revocations HTTP/1.1\r\nHost: localhost\r\n$json\r\n"
             . "Content-Length: 20\r\n\r\n" . '{"token":', start => 1);
close $s;

$s = http("POST /slow/revocations HTTP/1.1\r\nHost: localhost\r\n$json\r\n"
          . "Content-Length: 20\r\n\r\n" . '{"token":', start => 1);
like(http_end($s), qr/^(HTTP\S+ 408.*)?$/s, 'a client that stops');

# and one connection goes on after a body

$s = http_connect();
is(join(' ', map {
    status(http_post('/api/revocations', body => qq/{"token":"k$_"}/,
                     headers => [$json], socket => $s, keepalive => 1))
} 1 .. 3), '204 204 204', 'one after the other');
close $s;

# what is not JSON, or not of this kind

for (['', 400], ['{', 400], ['null', 400], ['[]', 400], ['"SECRET"', 400],
     ['{}', 400], ['{"token":"SECRET"', 400], ['{"token":"SECRET"}x', 400],
     ['{"token":"SECRET","token":"SECRET"}', 400],
     ['{"token":"SECRET","jti":"SECRET"}', 400],
     ['{"token":"SECRET","SECRET":1}', 400], ['{"Sub":"SECRET"}', 400],
     ['{"user":"SECRET","sub":"SECRET"}', 400],
     ['{"Token":"SECRET"}', 400], ['{"token":5}', 400],
     ['{"token":null}', 400], ['{"jti":["SECRET"]}', 400],
     ['{"user":{"SECRET":1}}', 400], ['{"ttl":5}', 400],
     ["{\"token\":\"SECRET\0\"}", 400], ['{"token":"SECRET\u0000"}', 400],
     ["{\"token\":\"SECRET\xff\"}", 400], ["{'token':'SECRET'}", 400],
     ['{"token":"SECRET","ttl":"5"}', 400],
     ['{"token":"SECRET","ttl":1.5}', 400],
     ['{"token":"SECRET","ttl":1,"exp":9999999}', 400],
     ['{"token":"SECRET","until":4102444800,"exp":4102444800}', 400],
     ['{"token":"SECRET","ttl":99999999999999999999}', 400],
     ['{"token":"SECRET","ttl":0}', 422], ['{"token":"SECRET","ttl":-1}', 422],
     ['{"token":"SECRET","ttl":315360001}', 422],
     ['{"token":"SECRET","exp":1000}', 422],
     ['{"token":"SECRET","exp":9007199254740991}', 422],
     ['{"token":""}', 422], ['{"token":"SECRET x"}', 422],
     ['{"token":"SECRET\n"}', 422], ['{"token":"eyJh.SECRET=.x"}', 422],
     ['{"jti":""}', 422], ['{"jti":"SECRET\r\n"}', 422],
     ['{"jti":"SECRET"}', 422], ['{"user":"SECRET"}', 422],
     ['{"sub":"SECRET"}', 422])
{
    my ($body, $status) = @$_;
    problem($status, post('api', $body), $body =~ s/[^ -~]/?/gr);
}

# the member that is wrong is named

for (['"token":5', 400], ['"jti":null', 400], ['"user":[]', 400],
     ['"sub":{}', 400], ['"ttl":"5"', 400], ['"until":1.5', 400],
     ['"exp":true', 400], ['"ttl":0', 422], ['"until":1000', 422],
     ['"exp":1000', 422])
{
    my ($member, $status) = @$_;
    my ($name) = $member =~ /^"(\w+)"/;
    my $rest = $name =~ /^(ttl|until|exp)$/ ? '"token":"SECRET",' : '';
    my $r = post('api', "{$rest$member}");

    is(status($r) . ' ' . join(' ', body($r) =~ /\\"(\w+)\\"/g),
        "$status $name", "$member is named");
}

is(get('SECRET'), 200, 'none of these revoked anything');

# other types, other methods

for my $type (undef, 'text/plain', 'application/jsonx', 'application/x',
              'application/x-www-form-urlencoded', 'application/json5', '')
{
    problem(415, http_post('/api/revocations', body => '{"token":"SECRET"}',
            headers => [defined $type ? "Content-Type: $type" : ()]),
        'type ' . ($type // 'none'));
}

for my $method (qw/ GET PUT DELETE PATCH /) {
    my $r = http_request($method, '/api/revocations');
    problem(405, $r, $method);
    is(header($r, 'Allow'), 'POST', "$method is told what may be");
}

my $r = http_head('/api/revocations');
is(status($r) . ' ' . header($r, 'Allow'), '405 POST', 'HEAD');

problem(403, post('read', '{"token":"SECRET"}'), 'without write=on');
problem(404, http_post('/api/revocations/x', body => '{}', headers => [$json]),
    'below it there is nothing');

is(get('SECRET'), 200, 'none of these revoked anything');

unlike(join("\n", grep { !/\[debug\]/ } split /\n/,
            $t->read_file('error.log')), qr/SECRET/, 'nothing is logged');

###############################################################################

# whether what it sends is revoked, and was not before

sub revokes {
    my ($name, $send) = @_;

    my $token = 'token-' . ++$n;
    my $before = get($token);
    my $r = $send->(qq/{"token": "$token", "ttl": 60}/);

    is("$before " . status($r) . ' ' . get($token), '200 204 401', $name)
        or diag($r);
}

sub problem {
    my ($status, $r, $name) = @_;

    my $document = eval { decode_json(body($r)) } || {};

    ok(status($r) == $status
       && header($r, 'Content-Type') eq 'application/problem+json'
       && $document->{status} == $status
       && $r !~ /SECRET/, "$status: $name") or diag($r);
}

sub post {
    my ($at, $body) = @_;
    return http_post("/$at/revocations", body => $body, headers => [$json]);
}

sub chunked {
    my ($at, @chunks) = @_;

    return http(join '', "POST /$at/revocations HTTP/1.1\r\n",
                "Host: localhost\r\n$json\r\nConnection: close\r\n",
                "Transfer-Encoding: chunked\r\n\r\n", @chunks, "0\r\n\r\n");
}

sub http2 {
    my ($at, %o) = @_;

    my $h2 = Test::Nginx::HTTP2->connect(port => 8081);
    my $r = $h2->response($h2->send("/$at/revocations", method => 'POST',
                                    headers => [$json], %o));
    $h2->close();

    return $r;
}

sub get {
    my ($token) = @_;
    return status(http_get("/x?t=$token"));
}

###############################################################################
