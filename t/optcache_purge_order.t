#!/usr/bin/perl

# Copyright (C) The Optcache authors

# An answer that was under way when it was invalidated goes to who has asked
# for it, and to nobody else: it is not stored, it frees nothing that is stale,
# and who has waited for it asks for another one.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Gate;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_stub_status /)->plan(25);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache_lock_timeout 60s;
    optcache_use_stale error http_503;

    server {
        listen 127.0.0.1:8080 reuseport;

        optcache c;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /page/ {
            error_page 503 /error;
            proxy_intercept_errors on;
            proxy_pass http://127.0.0.1:8081;
        }

        location = /error {
            optcache off;
            return 200 "an error page";
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

    my $h = $req->{headers};
    my $n = $req->{count};
    my @now = ("ETag: \"$n\"", 'Cache-Control: max-age=100');

    return [200, { 'Cache-Group-Invalidation' => '"g"' }, '']
        if $req->{method} ne 'GET';

    my $s = $req->{socket};

    if ($req->{uri} =~ /body/ && $n == 1) {
        print $s join "\r\n", 'HTTP/1.1 200 OK', @now, 'Content-Length: 8',
                      '', 'answ';
        $gate->pass();
        print $s 'er 1';
        return;
    }

    $gate->pass() if $n == ($req->{uri} =~ /held/ ? 2 : 1);

    return [200, ['ETag: "x"', 'Cache-Control: max-age=0'], 'held']
        if $req->{uri} =~ /held/ && $n == 1;

    return [503, [], 'no'] if $req->{uri} =~ /error/ && $n == 2;
    return [304, \@now, ''] if $req->{uri} =~ /304/ && $n == 2;

    return [200, [@now, 'Cache-Groups: "g"',
                  $req->{uri} =~ /vary/ ? 'Vary: X' : ()], "answer $n"];
});

$t->run();

###############################################################################

# by its URI, by its group; a header that was there already

for (['/uri', '/uri'], ['/group', '/purge'], ['/body', '/body'],
     ['/vary', '/vary'])
{
    my ($uri, $post) = @$_;

    my ($first, @others) = late($uri, $post);

    is($first, 'answer 1', "$uri: who has asked for it gets it");
    is(scalar(grep { $_ eq 'answer 1' } @others), 0, 'who waits does not');
    like(join('', map { body(http_get($uri)) } 1 .. 2), qr/^(answer [2-6])\1$/,
        'and it is not stored');
}

# of another URI

my ($first, @others) = late('/other', '/another?no-group');
is($first, 'answer 1', 'what was not invalidated');

# what is held is of no use any more

for my $uri ('/held/304', '/held/error', '/page/held/error') {
    $gate->close();

    is(body(http_get($uri)), 'held', "$uri: stored");

    my $s = http_get($uri, start => 1);
    ok(wait_for(sub { $backend->count(qr{GET $uri}) == 2 }), 'validated');

    http_post($uri);
    $gate->open();
    my $r = http_end($s);

    like(body($r), $uri =~ /304/ ? qr/^held$/ : qr/^(no|an error page)$/,
        'the answer');
    is(body(http_get($uri)), 'answer 3', 'the next one is another');
}

###############################################################################

# The answers to a request, and to those that wait for it, when something is
# invalidated before the first one is there.

sub late {
    my ($uri, $post) = @_;

    $gate->close();

    my $s = http_get($uri, start => 1);
    wait_for(sub { $backend->count(qr{GET $uri$}) == 1 }) or die;

    my @s = map { http_get($uri, start => 1) } 1 .. 5;
    $gate->busy(6);

    http_post($post);
    $gate->open();

    return map { body(http_end($_)) } $s, @s;
}

###############################################################################
