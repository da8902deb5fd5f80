#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The configurations that the documentation shows work as they stand, but for
# paths and ports.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')
    ->has_program('redis-server')->plan(12);

my $root = "$FindBin::Bin/..";

my @servers = map { $t->run_redis(port => $_) } 6379, 6380;

push @servers, map { $t->run_http_backend($_, \&answer) } 9001 .. 9003;

gateway('docs/examples/gateway.conf',
    $t->read_file("$root/docs/examples/gateway.conf"));

my ($shown) = $t->read_file("$root/README.md") =~ /^```nginx\n(.*?)^```/ms;
gateway('README.md', "events {}\n$shown");


sub answer {
    my ($req) = @_;

    return [200, { 'Cache-Control' => 'private, max-age=60' },
            'for ' . ($req->{headers}{authorization} // 'nobody')];
}


# a token that nobody had before: the Redis stays from one to the next

sub gateway {
    my ($name, $conf) = @_;
    my $token = "a-$name";

    $conf =~ s/^(load_module|error_log|pid) [^;]*;//mg;
    $conf =~ s!/var/log/nginx/!%%TESTDIR%%/documented-!;
    $conf =~ s/^http \{\K/\n%%TEST_GLOBALS_HTTP%%\n/m;

    $t->write_file_expand('nginx.conf', "%%TEST_GLOBALS%%\n$conf")->run();

    my $first = http_get('/api/v1/x', auth($token));

    like($first, qr/X-Cache: MISS/, "$name: a miss");
    like($first, qr/X-RateLimit-Remaining: 59/, "$name: limited");
    like(http_get('/api/v1/x', auth($token)), qr/X-Cache: HIT.*for Bearer a/s,
        "$name: a hit");
    like(http_get('/api/v1/x', auth('b')), qr/X-Cache: MISS.*for Bearer b/s,
        "$name: not another user's");

    like(http_post('/auth/logout', auth($token)), qr/^HTTP\S+ 204 /,
        "$name: logged out");
    like(http_get('/api/v1/x', auth($token)), qr/^HTTP\S+ 401 /,
        "$name: out");

    $t->stop();
}

sub auth { headers => { Authorization => "Bearer $_[0]" } }
