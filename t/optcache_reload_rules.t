#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What the workers of before a reload ask for is not stored any more: a purge
# after it rids the cache of what was stored by rules that were wrong.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Gate;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_stub_status
    http_auth_request /)->plan(22);

sub configure {
    my ($rules, $more) = @_;

    $t->write_file_expand('nginx.conf', <<"EOF");

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache_lock_timeout 60s;

    server {
        listen 127.0.0.1:8080;

        optcache_user "";
        optcache_purge 1;
        $rules

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }

        location /auth/ {
            optcache c;
            auth_request /check;
            proxy_pass http://127.0.0.1:8081;
        }

        location = /check {
            internal;
            proxy_pass http://127.0.0.1:8081;
        }

        location /m/ {
            optcache off;
            optcache_api;
        }
    }

    server {
        listen 127.0.0.1:8082;
        $more

        location / {
            stub_status;
        }
    }
}

EOF
}

my %control = (
    me => 'private, max-age=600',
    stale => 'max-age=1, stale-while-revalidate=600',
    public => 'max-age=600',
);

my $gate = Test::Nginx::Gate->new($t);

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    $gate->pass() if $req->{headers}{'x-gate'};

    my ($name) = $req->{uri} =~ /(me|stale|public)$/;

    return [200, { 'Cache-Control' => $control{$name} },
            "of $req->{headers}{cookie}"];
});

my $wrong = 'optcache_ignore Cache-Control;';

configure($wrong . 'optcache_valid 10m;', '');
$t->run();

###############################################################################

# one asks, the others wait for it

my @s = map { start('/me', 'a') } 1 .. 3;
$gate->busy(3);
correct();

is(scalar(grep { body($_) eq 'of a' } $gate->answers(@s)), 3, 'all answered');
is(cached('/me', 'b'), 'MISS of b', 'none of them stored what is private');
is(cached('/me', 'c'), 'MISS of c', 'for nobody');
like(http_get('/m/status'), qr/"reload":2/, 'which is counted');

# one that is held before the cache is asked

mistake();

my $s = start('/auth/me', 'a');
$gate->busy(1);
correct();

like(($gate->answers($s))[0], qr/of a$/, 'answered');
is(cached('/auth/me', 'b'), 'MISS of b', 'and not stored');

# an update in the background

configure('', '');
ok($t->reload(wait_old => 1), 'reload');
is(cached('/auth/stale', 'a'), 'MISS of a', 'to be stale soon');
sleep 2;

$s = start('/auth/stale', 'a');
$gate->busy(1);
ok($t->reload(), 'reload');

like(($gate->answers($s))[0], qr/UPDATING/, 'stale from an old worker');
is($backend->count(qr{/auth/stale}), 1, 'which leaves the update to others');
is(cached('/auth/stale', 'a'), 'UPDATING of a', 'to a new one');
ok(wait_for(sub { $backend->count(qr{/auth/stale}) == 2 }), 'updated');

# a reload that fails when shared memory was taken over

$t->expect_log(qr/bind\(\)/);
configure('', 'listen 127.0.0.1:8081;');
ok(!$t->reload(), 'a reload fails');
ok($t->wait_for_log(qr/still could not bind/), 'in the end');

is(cached('/public', 'a'), 'MISS of a', 'workers go on');
is(cached('/public', 'b'), 'HIT of a', 'and store');

###############################################################################

sub mistake {
    configure($wrong . 'optcache_valid 10m;', '');
    ok($t->reload(wait_old => 1), 'a mistake');
}


sub correct {
    configure('', '');
    ok($t->reload(), 'corrected');
    is(status(http_request('PURGE', '/*')), 200, 'purged');
}


sub start {
    my ($uri, $user) = @_;

    return http_get($uri, headers => { Cookie => $user, 'X-Gate' => 1 },
                    start => 1);
}


sub cached {
    my ($uri, $user) = @_;

    my $r = http_get($uri, headers => { Cookie => $user });
    return header($r, 'X-Cache') . ' ' . body($r);
}

###############################################################################
