#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A key of any bytes is found by its path, and no way of writing a path gets
# around the location that guards it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw/ decode_json /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_v2')->has_program('redis-server')
    ->plan(57);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    large_client_header_buffers 4 64k;

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    ratelimit_redis_zone $http_k zone=k:1m rate=1r/h;
    ratelimit_redis_zone $arg_a zone=secret:1m rate=5r/h;

    server {
        listen 127.0.0.1:8080;
        listen 127.0.0.1:8081 http2;

        location / {
            ratelimit_redis zone=k;
        }

        location /api/ {
            ratelimit_redis_api write=on;

            location /api/subjects/secret/ {
                deny all;
                ratelimit_redis_api;
            }

            location /api/subjects/k/admin {
                deny all;
            }
        }

        location /old/ {
            rewrite ^/old/(.*)$ /api/$1 last;
        }

        location /out/ {
            rewrite ^ /elsewhere break;
            ratelimit_redis_api;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_redis();

$t->run();

###############################################################################

# each key is used once, and is found used; what it is told as

my %shown = ("\xff\xfe" => "\x{fffd}\x{fffd}", "caf\xc3\xa9" => "caf\x{e9}",
             "\xed\xa0\x80" => "\x{fffd}" x 3);

for my $key ('10.0.0.1', '2001:db8::/64', '/api/v1/x', 'a//b', '//', 'a/../b',
             'a b', 'a+b', '100%', 'a%2Fb', 'a?b#c', '{x}', '"\\<script>',
             "\x01\x7f", "\xff\xfe", "caf\xc3\xa9", "\xed\xa0\x80",
             'sha256:' . 'a' x 64, 'k' x 128, 'k' x 129, 'k' x 8192)
{
    is(status(http_get('/x', headers => { K => $key })), 200, name($key));

    my $s = subject(escape($key));
    my $used = $s->{rates}[0]{used};

    ok(defined $used && $used == 1 && $s->{key} eq ($shown{$key} // $key)
       && $s->{escaped} eq escape($key), 'is found') or diag(explain($s));
}

is(subject('/api/v1/x')->{rates}[0]{used}, 1, 'a path as it is');
is(subject('%31%30.0.0.1?a=b')->{rates}[0]{used}, 1, 'escaped for nothing');

my $r = http2_get('/api/subjects/k/a%2F%2Fb', port => 8081);
is(decode_json(body($r))->{rates}[0]{used}, 1, 'by HTTP/2');

$r = http_get('/old/subjects/k/10.0.0.1');
is(decode_json(body($r))->{rates}[0]{used}, 1, 'by a rewrite');
is(status(http_get('/out/subjects/k/10.0.0.1')), 404, 'but not out of it');

is(status(http_get('/api/subjects/k/' . 'k' x 8193)), 400, 'a key too long');
is(status(http_get('/api/subjects/k/%00')), 400, 'a NUL');
is(status(http_get('/api/subjects/k/%zz')), 400, 'a bad escape');

# a zone that has a location of its own

my @ways = map { status(http_get("/api/$_")) }
    'subjects/secret/x', 'subjects/%73ecret/x', 'subjects//secret/x',
    'subjects/k/../secret/x', 'subjects%2Fsecret/x',
    'subjects/k%2F..%2Fsecret/x', './subjects/secret/../secret/x',
    '../api/subjects/secret/x', 'subjects/secret%2Fx', 'subjects/k/admin';

is(join(' ', @ways), join(' ', (403) x 10), 'every way leads there');

# what the client wrote is of no account where nginx reads something else

my @zones = map { decode_json(body(http_get("/api/$_"))) }
    'subjects/secret/../k/x', 'subjects/secret%2F..%2Fk/x',
    '/subjects/./k/x', '../api/subjects/k/x';

is(join(' ', map { "$_->{zone}:$_->{key}" } @zones),
    'k:x k:x k:x k:x', 'one zone, and one key');

# nor does a key lead out of its zone

is(status(http_get('/api/subjects/k/..')), 404, 'above');
is(status(http_get('/api/subjects/k/%2e%2e/secret/x')), 403, 'beside');
is(subject('x/%2e%2e/y/../z')->{key}, 'x/../y/../z', 'within');

# DELETE finds what GET finds

is(status(http_request('DELETE', '/api/subjects/k/a%2F%2Fb')), 204, 'DELETE');
is(subject('a%2F%2Fb')->{rates}[0]{used} . subject('a%252Fb')->{rates}[0]{used},
    '01', 'of this one alone');

###############################################################################

sub subject {
    my $r = http_get("/api/subjects/k/$_[0]");
    return status($r) == 200 ? decode_json(body($r)) : {};
}


sub escape {
    my ($s) = @_;
    $s =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ge;
    return $s;
}


sub name {
    my ($s) = @_;
    return substr escape($s), 0, 40;
}

###############################################################################
