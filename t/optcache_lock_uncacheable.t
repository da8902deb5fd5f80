#!/usr/bin/perl

# Copyright (C) The Optcache authors

# An answer that is not stored lets all go that wait for it, as soon as its
# header says so, and nobody queues for another.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Gate;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_stub_status http_map /)
    ->plan(21);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 4;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache_lock_timeout 60s;

    map $upstream_http_x_store $not_stored {
        no       1;
        default  '';
    }

    map $uri $by_name {
        ~^/(cap)ture  '';
        default       '';
    }

    server {
        listen 127.0.0.1:8080 reuseport;

        location / {
            optcache c;
            optcache_bypass $arg_bypass;
            optcache_no_store $arg_no_store;
            proxy_pass http://127.0.0.1:8081;
        }

        location /told/ {
            optcache c;
            optcache_no_store $not_stored;
            proxy_pass http://127.0.0.1:8081;
        }

        location ~ ^/capture/(.*) {
            optcache c;
            optcache_no_store $by_name;
            proxy_pass http://127.0.0.1:8081/captured/$1;
        }

        location /small/ {
            optcache c;
            optcache_max_size 10;
            proxy_pass http://127.0.0.1:8081;
        }

        location /inside/ {
            internal;
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
my $end = Test::Nginx::Gate->new($t, 'end');

my $no = "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n";
my $yes = "HTTP/1.1 200 OK\r\nCache-Control: max-age=100\r\n";

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $s = $req->{socket};
    my $uri = $req->{uri};

    $gate->pass() if $uri =~ /gate/;
    $end->pass() if $uri =~ /change/ && $req->{count} > 2;

    if ($uri =~ /body/) {
        # a header, and a long time nothing
        print $s "${no}Content-Length: 4\r\n\r\n";
        $end->pass();
        print $s 'long';
        return;
    }

    if ($uri =~ /close/) {
        # ends with its connection
        print $s "$yes\r\nno end";
        return;
    }

    return [200, { 'Cache-Control' => 'no-store' }, 'no']
        if $uri =~ m{/no/} || $uri =~ /change/ && $req->{count} == 1;

    return [200, { 'X-Accel-Redirect' => '/inside/a' }, '']
        if $uri =~ /redirect/;

    return [200, { 'Cache-Control' => 'max-age=100', 'X-Store' => 'no' }, 'no']
        if $uri =~ /told/;

    return [200, { 'Cache-Control' => 'max-age=100' }, "answer of $uri"];
});

$t->run();

###############################################################################

# before the body of the first has been received

my @s = started(20, '/gate/body');
ok(asked(qr{/gate/body}, 1), 'one request upstream');
$gate->open();
ok(asked(qr{/gate/body}, 20), 'all others go with its header');
$end->open();
is(scalar(grep { body(http_end($_)) eq 'long' } @s), 20, 'and are answered');
$gate->close();

# for some time nobody leads and nobody waits

@s = map { http_get('/gate/body', start => 1) } 1 .. 5;
ok(asked(qr{/gate/body}, 25), 'who comes then does not wait');
$gate->opened(@s);
$end->close();

for my $what ('/no/gate', '/gate/close', '/small/gate', '/redirect/gate',
              '/told/gate')
{
    my @r = $gate->answers(map { http_get($what, start => 1) } 1 .. 10);

    is($backend->count(qr{ \Q$what\E}), 10, "$what: each asks upstream");

    @s = map { http_get($what, start => 1) } 1 .. 3;
    ok(asked(qr{ \Q$what\E}, 13), "$what: and at once after that");
    $gate->opened(@s);
}

# until an answer could be stored

is(body(http_get('/change')), 'no', 'uncacheable');
is(body(http_get('/change')), 'answer of /change', 'cacheable by now');
is(header(http_get('/change'), 'X-Cache'), 'HIT', 'and stored');
http_post('/change');
@s = started(10, '/change');
ok(asked(qr{GET /change}, 3), 'then others wait again');
$end->opened(@s);

# who is not to be answered from what is stored, nor to store

@s = started(1, '/gate/own');
push @s, map { http_get("/gate/own?bypass=$_", start => 1) } 1, 1;
push @s, map { http_get("/gate/own?no_store=$_", start => 1) } 1, 1, 1;
ok(asked(qr{/gate/own}, 6), 'bypass and no_store do not wait');
$gate->opened(@s);

# optcache_no_store was looked at beforehand, and left no traces

is(body(http_get('/capture/x')), 'answer of /captured/x', 'captures are kept');
is(header(http_get('/told/a'), 'X-Cache') . header(http_get('/told/a'),
    'X-Cache'), 'MISSMISS', 'as are variables that depend on the answer');

###############################################################################

sub started {
    my ($n, $uri) = @_;

    my @s = map { http_get($uri, start => 1) } 1 .. $n;
    $gate->busy($n);

    return @s;
}


sub asked {
    my ($re, $n) = @_;
    return wait_for(sub { $backend->count($re) == $n }, 20);
}

###############################################################################
