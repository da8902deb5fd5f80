#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A 304 with another strong ETag than the stored response's updates nothing
# (RFC 9111, 4.3.4): what is stored is sent once more, as it was, and dropped,
# so that all of it is asked for next.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Gate;

my $date = 'Mon, 01 Jan 2001 00:00:00 GMT';
my $later = 'Tue, 02 Jan 2001 00:00:00 GMT';

my @cases = (
    # stored, what the 304 has, whether that is about it

    ['ETag: "a"', 'ETag: "b"', 0],
    ['ETag: "a"', 'ETag: W/"b"', 0],
    ['ETag: W/"a"', 'ETag: "b"', 0],
    ['ETag: W/"a"', 'ETag: W/"b"', 0],
    ['ETag: "a"', 'ETag: "A"', 0],
    ['ETag: "a"', "Last-Modified: $date", 1],
    ['ETag: "a"', 'ETag: "a"', 1],
    ['ETag: "a"', 'ETag: W/"a"', 1],
    ['ETag: W/"a"', 'ETag: "a"', 1],
    ['ETag: W/"a"', 'ETag: W/"a"', 1],
    ['ETag: "a"', 'X-None: 1', 1],
    ["Last-Modified: $date", 'ETag: "b"', 0],
    ["Last-Modified: $date", "Last-Modified: $later\r\nETag: \"b\"", 0],
    ["Last-Modified: $date", "Last-Modified: $date\r\nETag: \"b\"", 1],
    ["Last-Modified: $date", 'ETag: W/"b"', 1],
    ["Last-Modified: $date\r\nETag: \"a\"",
     "Last-Modified: $date\r\nETag: \"b\"", 0],
);

my $t = Test::Nginx->new()->has(qw/ http_proxy http_stub_status /)
        ->has_program('redis-server')->plan(3 * @cases + 32);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;
    optcache_zone c:4m;
    optcache_lock_timeout 60s;
    optcache_headers all;

    server {
        listen 127.0.0.1:8080 reuseport;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }

        location /keep/ {
            optcache c;
            optcache_set_cookie keep;
            proxy_pass http://127.0.0.1:8081;
        }

        location /api/ {
            optcache_api;
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

my $redis = $t->run_redis();
my $gate = Test::Nginx::Gate->new($t);

# the first is stale when it comes

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my ($uri, $h) = ($req->{uri}, $req->{headers});
    my $asked = $h->{'if-none-match'} // $h->{'if-modified-since'} // '-';
    my ($stored, $said) = $uri =~ m{/n(\d+)} ? @{ $cases[$1] }
                                             : @{ $cases[0] };

    my $cc = 'Cache-Control: '
             . ($uri =~ /no-cache/ ? 'no-cache'
                : $uri =~ /must/ ? 'max-age=60, must-revalidate'
                : $uri =~ /while/ ? 'max-age=60, stale-while-revalidate=3000'
                                  : 'max-age=60');

    $stored .= "\r\nSet-Cookie: s=0" if $uri =~ /keep/;

    return [200, [$cc, 'Age: 100', $stored, 'X-From: 200',
                  $uri =~ /vary/ ? 'Vary: X-Lang' : ()], 'old']
        if $req->{count} == 1;

    $gate->pass() if $uri =~ /gate/;

    return [304, [$cc, $said, 'X-From: 304',
                  $uri =~ m{/a$} ? 'Set-Cookie: s=1' : ()], '']
        if $asked ne '-';

    return [200, [$cc, 'ETag: "b"'], $req->{method} eq 'HEAD' ? '' : 'new'];
});

$t->run();

###############################################################################

for my $n (0 .. $#cases) {
    my ($stored, $said, $same) = @{ $cases[$n] };

    (my $name = "$stored, $said") =~ s/\r\n/, /g;

    get("/n$n");

    my $r = get("/n$n");
    is(told($r), 'REVALIDATED 200 old', $name);
    is(header($r, 'X-From'), $same ? '304' : '200',
        $same ? 'updated' : 'as it was');
    is(told(get("/n$n")), $same ? 'HIT 200 old' : 'MISS 200 new',
        $same ? 'fresh again' : 'dropped');
}

# what is sent

get('/a');
my $r = get('/a');
is(header($r, 'ETag'), '"a"', 'its own ETag');
cmp_ok(header($r, 'Age'), '>=', 100, 'its own Age');
is(header($r, 'Set-Cookie'), 's=1', 'a cookie is for this client');
is(header($r, 'Cache-Status'), 'Optcache; fwd=stale; fwd-status=304',
    'nothing is stored');
is(told(get('/a')), 'MISS 200 new', 'the next is asked for without validators');
is(told(get('/a')), 'HIT 200 new', 'and stored');
is($backend->count(qr{/a$}), 3, 'three requests');

like(body(get('/api/metrics')),
    qr/^optcache_refused_total\{zone="c",reason="validator"\} [1-9]/m,
    'it is counted');

get('/keep/a');
is(join(' ', header(get('/keep/a'), 'Set-Cookie')), 's=0 s=1',
    'behind one that is stored');

# also where what is stale is never used: upstream was asked

for my $uri ('/no-cache', '/must') {
    get($uri);
    is(told(get($uri)), 'REVALIDATED 200 old', "$uri: upstream has said so");
    is(told(get($uri)), 'MISS 200 new', "$uri: then anew");
}

# conditions of the client are evaluated with what it is sent

get('/own');
is(told(get('/own', 'If-None-Match' => '"a"')), 'REVALIDATED 304 ',
    'what the client has');
get('/other');
is(told(get('/other', 'If-None-Match' => '"b"')), 'REVALIDATED 200 old',
    'what it has not');

# one of several variants: with it goes what the answers depend on

get('/vary', 'X-Lang' => 'a');
is(told(get('/vary', 'X-Lang' => 'a')), 'REVALIDATED 200 old', 'a variant');
is(told(get('/vary', 'X-Lang' => 'a')), 'MISS 200 new', 'is dropped');

# Redis has it no longer either

$redis->forget();
get('/l2');
ok(wait_for(sub { $redis->entries() == 1 }), 'in Redis');
get('/l2');
ok(wait_for(sub { $redis->entries() == 0 }), 'nor in Redis');

# an update behind an answer

get('/while');
is(told(get('/while')), 'UPDATING 200 old', 'used while it is updated');
ok(wait_for(sub { told(get('/while')) !~ /UPDATING/ }), 'until it is dropped');
is(told(get('/while')), 'HIT 200 new', 'for a new one');
is($backend->count(qr{GET /while}), 3, 'which took three requests');

# HEAD: has no validators itself, but starts an update by GET

get('/head');
is(told(http_head('/head')), 'EXPIRED 200 ', 'HEAD of what is stale');
is(told(get('/head')), 'REVALIDATED 200 old', 'leaves it to a GET');
is(told(http_head('/head')), 'MISS 200 ', 'and is told of nothing then');

get('/head/while');
is(told(http_head('/head/while')), 'UPDATING 200 ', 'HEAD: used and updated');
ok(wait_for(sub { told(http_head('/head/while')) !~ /UPDATING/ }),
    'until it is dropped');

# a leader, and who waits for it: one of them asks for all of it, for the others

get('/gate');
my @r = $gate->answers(map { http_get('/gate', start => 1) } 1 .. 10);
is(count('REVALIDATED 200 old', @r), 1, 'who has asked is sent what he held');
is(count('EXPIRED 200 new', @r), 1, 'another one asks for the whole');
is(count('HIT 200 new', @r), 8, 'for all others');
is($backend->count(qr{/gate}), 3, 'three requests');

###############################################################################

sub get {
    my ($uri, %headers) = @_;
    return http_get($uri, headers => \%headers);
}


sub told {
    my ($r) = @_;
    return join ' ', header($r, 'X-Cache') // '', status($r), body($r) // '';
}


sub count {
    my ($told, @r) = @_;
    return scalar grep { told($_) eq $told } @r;
}

###############################################################################
