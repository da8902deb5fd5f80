#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Many who ask for what is not there make one request upstream, in whatever
# worker they are, and all of them are answered by it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Time::HiRes qw/ sleep /;

use Test::More;
use Test::Nginx;
use Test::Nginx::Gate;

my $t = Test::Nginx->new(log => 'info')
    ->has(qw/ http_proxy http_stub_status http_v2 /)->plan(33);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 4;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache_valid 10m;

    server {
        listen 127.0.0.1:8080 reuseport;
        listen 127.0.0.1:8090 http2 reuseport;

        add_header X-Worker $pid;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }

        location /each/ {
            optcache c;
            optcache_lock off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /patient/ {
            optcache c;
            optcache_user $arg_user;
            optcache_lock_timeout 60s;
            proxy_pass http://127.0.0.1:8081;
        }

        location /public/ {
            optcache c;
            optcache_user $arg_user;
            optcache_share_public on;
            optcache_lock_timeout 60s;
            proxy_pass http://127.0.0.1:8081;
        }

        location /hasty/ {
            optcache c;
            optcache_lock_timeout 0;
            proxy_pass http://127.0.0.1:8081;
        }
    }

    server {
        listen 127.0.0.1:8082;

        location / {
            stub_status;
        }
    }
}

EOF

my $gate = Test::Nginx::Gate->new($t);

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    # as long as it takes, or not long at all

    if ($req->{uri} =~ m{gate}) {
        $gate->pass();

    } elsif ($req->{uri} =~ m{/quick}) {
        sleep 0.02;
    }

    return [200, { 'Cache-Control' => 'public, max-age=60' }, 'for all']
        if $req->{uri} =~ m{/public/};

    return "answer $req->{count}";
});

$t->run();

###############################################################################

# 40 at once

my @r = together(40, sub { http_get('/gate/a', start => 1) });

is($backend->count(qr{/gate/a}), 1, 'one request upstream');
is(scalar(grep { body($_) eq 'answer 1' } @r), 40, 'answers all');
is(cache('MISS', @r), 1, 'of whom one had to wait for it');
is(cache('HIT', @r), 39, 'and all others are hits');

my %workers = map { header($_, 'X-Worker') => 1 } @r;
cmp_ok(scalar keys %workers, '>', 1, 'in several workers');

# an origin that is quick: nobody finds the moment between

for my $n (1 .. 10) {
    my @s = map { http_get("/quick/$n", start => 1) } 1 .. 30;
    @r = map { http_end($_) } @s;
    is(cache('HIT', @r) . ' ' . $backend->count(qr{/quick/$n$}), '29 1',
        "30 at a quick origin, $n");
}

# several keys at once

@r = together(40, sub { http_get('/gate/keys/' . $_[0] % 8, start => 1) });
is($backend->count(qr{/gate/keys/}), 8, 'one request for each key');
is(cache('HIT', @r), 32, 'and others wait for theirs');

# users wait for their own answers

@r = together(20, sub {
    http_get('/patient/gate?user=' . $_[0] % 2, start => 1);
});
is($backend->count(qr{/patient/gate}), 2, 'one for each user');
is(cache('HIT', @r), 18, 'and others of them are hits');

# what is public is stored for everyone, and those who wait find it there

@r = together(20, sub {
    http_get('/public/gate?user=' . $_[0] % 2, start => 1);
});
is($backend->count(qr{/public/gate}), 2, 'a public answer, one for each user');
is(cache('HIT', @r), 18, 'and all others find it');

# over HTTP/2, many in one connection

my $h2 = Test::Nginx::HTTP2->connect(port => 8090);
my @ids = map { $h2->send('/gate/h2') } 1 .. 20;
my @s = map { http_get('/gate/h2', start => 1) } 1 .. 10;
$gate->busy(30);
@r = $gate->opened(@s);
push @r, map { $h2->response($_) } @ids;
$h2->close();
is($backend->count(qr{/gate/h2}), 1, 'streams wait like connections');
is(cache('HIT', @r), 29, 'and are hits');

# conditional requests and ranges wait with the others

@s = (http_get('/gate/part', start => 1));
asked(qr{/gate/part}, 1);
push @s, http_get('/gate/part', start => 1,
                  headers => { Range => 'bytes=0-5' });
push @s, http_get('/gate/part', start => 1,
                  headers => { 'If-Modified-Since' => 'x' });
@r = $gate->answers(@s);
is($backend->count(qr{/gate/part}), 1, 'ranges and conditions wait');
is(status($r[1]) . ' ' . body($r[1]), '206 answer', 'for their part of it');
is(cache('HIT', @r), 2, 'and are hits');

# who must not wait

@r = together(10, sub { http_get('/each/gate', start => 1) });
is($backend->count(qr{/each/gate}), 10, 'optcache_lock off');

@r = together(10, sub { http_get('/hasty/gate', start => 1) });
is($backend->count(qr{/hasty/gate}), 10, 'optcache_lock_timeout 0');

@s = map { http_head('/gate/head', start => 1) } 1 .. 5;
ok(asked(qr{/gate/head}, 5), 'HEAD neither leads nor waits');
@s = (@s, http_get('/gate/head', start => 1));
ok(asked(qr{GET /gate/head}, 1), 'nor does GET wait for it');
$gate->opened(@s);

@s = map {
    http_get('/gate/cc', start => 1,
             headers => { 'Cache-Control' => $_ })
} qw/ no-store no-cache max-age=0 max-age=60 max-age=60 /;
ok(asked(qr{/gate/cc}, 4), 'nor who wants no stored answer');
$gate->opened(@s);
is($backend->count(qr{/gate/cc}), 4, 'but others do');

is($t->log_count(qr/was not woken/), 0, 'all have been woken, not polled');

###############################################################################

sub together {
    my ($n, $code) = @_;
    return $gate->answers(map { $code->($_) } 1 .. $n);
}


sub asked {
    my ($re, $n) = @_;
    return wait_for(sub { $backend->count($re) == $n }, 20);
}


sub cache {
    my ($status, @r) = @_;
    return scalar grep { (header($_, 'X-Cache') // '') eq $status } @r;
}

###############################################################################
