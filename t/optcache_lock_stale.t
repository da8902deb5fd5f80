#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Many who ask for what is stale, or for one of several variants, make one
# request upstream for each of them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Time::HiRes qw/ sleep /;

use Test::More;
use Test::Nginx;
use Test::Nginx::Gate;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_stub_status /)->plan(13);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 4;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache_lock_timeout 60s;
    optcache_methods GET HEAD POST;
    optcache_key $request_uri$optcache_body;

    server {
        listen 127.0.0.1:8080 reuseport;

        location / {
            optcache c;
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

    my $uri = $req->{uri};

    # the first is there to become stale
    return [200, { 'Cache-Control' => $uri =~ /update/
                       ? 'max-age=1, stale-while-revalidate=100'
                       : 'max-age=1',
                   ETag => '"1"' }, "first"]
        if $uri =~ /stale/ && $req->{count} == 1;

    $gate->pass();

    return [304, { 'Cache-Control' => 'max-age=100', ETag => '"1"' }, '']
        if $req->{headers}{'if-none-match'};

    return [200, { 'Cache-Control' => 'max-age=100', Vary => 'X-Lang' },
            $req->{headers}{'x-lang'}] if $uri =~ /vary/;

    return [200, { 'Cache-Control' => 'max-age=100' }, "answer"];
});

$t->run();

###############################################################################

http_get('/stale/validate');
http_get('/stale/update');
sleep 2.1;

# validated

my @r = together(20, sub { http_get('/stale/validate', start => 1) });
is($backend->count(qr{/stale/validate}), 2, 'what is stale is validated once');
is(scalar(grep { body($_) eq 'first' } @r), 20, 'for all');
is(cache('REVALIDATED', @r) . ' ' . cache('HIT', @r), '1 19',
    'who find what is fresh again');

# updated while it is used: nobody waits, and one request is made

# (nginx closes a connection when its update is done, so they are kept)

my @s = map { http_get('/stale/update', start => 1) } 1 .. 20;
@r = map { http_read($_) } @s;
is(cache('UPDATING', @r), 20, 'what may be used meanwhile is used');
ok(asked(qr{/stale/update}, 2), 'and updated');
$gate->open();
ok(wait_for(sub {
    header(http_get('/stale/update'), 'X-Cache') eq 'HIT';
}), 'so that it is fresh');
$gate->close();
is($backend->count(qr{/stale/update}), 2, 'in one request');

# variants: one answer tells what they depend on, and each is asked for once

@r = together(20, sub {
    http_get('/vary', start => 1, headers => { 'X-Lang' => 'l' . $_[0] % 4 });
});
is($backend->count(qr{/vary}), 4, 'each variant is asked for once');
is(scalar(grep { body($r[$_ - 1]) eq 'l' . $_ % 4 } 1 .. 20), 20,
    'and everybody gets his');
is(cache('HIT', @r), 16, 'by those who waited for it');

# POST that asks

@r = together(20, sub {
    http_post('/post', body => 'question ' . $_[0] % 2, start => 1);
});
is($backend->count(qr{POST /post}), 2, 'a POST waits for the same question');
is(cache('HIT', @r), 18, 'and is answered by what is stored');

# a client's own conditions are evaluated here, so that others can wait for it

@r = together(10, sub {
    http_get('/condition', start => 1, headers => { 'If-None-Match' => '"x"' });
});
is($backend->count(qr{/condition}), 1, 'conditional requests lead, too');

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
