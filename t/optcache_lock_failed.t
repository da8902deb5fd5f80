#!/usr/bin/perl

# Copyright (C) The Optcache authors

# When there is no answer, because a client has left or an upstream has failed,
# one of those who wait asks next; so does who has waited too long.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Gate;

my $t = Test::Nginx->new(log => 'info')
    ->has(qw/ http_proxy http_stub_status http_v2 /)->plan(17);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 4;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache_valid 10m;
    optcache_lock_timeout 60s;

    server {
        listen 127.0.0.1:8080 reuseport;
        listen 127.0.0.1:8090 http2;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }

        location /refused/ {
            optcache c;
            proxy_pass http://127.0.0.1:8083;
        }

        location /page/ {
            optcache c;
            error_page 502 = @other;
            proxy_pass http://127.0.0.1:8083;
        }

        location @other {
            proxy_pass http://127.0.0.1:8081;
        }

        location /timeout/ {
            optcache c;
            optcache_lock_timeout 200ms;
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

    my ($s, $uri, $n) = @$req{qw/ socket uri count /};

    $gate->pass();

    if ($uri =~ /broken/ && $n < 4) {
        print $s "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome";
        return;
    }

    if ($uri =~ /nothing/ && $n < 4) {
        return;
    }

    return "answer $n";
});

$t->run();

###############################################################################

# a client that leaves, and some of those that wait

my ($first, @s) = started(20, '/leaves');
close $first;
ok(asked(qr{/leaves}, 2), 'its client leaves: another one asks');
close shift @s for 1 .. 5;
my @r = $gate->opened(@s);
is(scalar(grep { /answer \d/ } @r), 14, 'those that stay are answered');
cmp_ok($backend->count(qr{/leaves}), '<=', 7, 'by the last to ask');
is(header(http_get('/leaves'), 'X-Cache'), 'HIT', 'which is stored');

# the same by a stream of many

my $h2 = Test::Nginx::HTTP2->connect(port => 8090);
my @ids = ($h2->send('/stream'));
asked(qr{/stream}, 1);
push @ids, map { $h2->send('/stream') } 1 .. 9;
$gate->busy(10);
$h2->reset(shift @ids);
ok(asked(qr{/stream}, 2), 'a stream that is left');
$gate->open();
is(scalar(grep { body($h2->response($_)) eq 'answer 2' } @ids), 9,
    'and the others get an answer');
$gate->close();
$h2->close();

# and by a connection with all of them

$h2 = Test::Nginx::HTTP2->connect(port => 8090);
$h2->send('/streams');
asked(qr{/streams}, 1);
$h2->send('/streams') for 1 .. 9;
my $s = http_get('/streams', start => 1);
$gate->busy(11);
$h2->close();
ok(asked(qr{/streams}, 2), 'a connection that is left');
is(body(($gate->opened($s))[0]), 'answer 2', 'and one that is not');

# an upstream that fails

@r = $gate->answers(started(20, '/broken'));
is($backend->count(qr{/broken}), 4, 'an upstream that dies halfway');
is(scalar(grep { body($_) eq 'answer 4' } @r), 17, 'is asked again');

@r = $gate->answers(started(20, '/nothing'));
is($backend->count(qr{/nothing}), 4, 'one that says nothing');
is(scalar(grep { body($_) eq 'answer 4' } @r), 17, 'is asked again');
$t->expect_log(qr/upstream prematurely closed connection/);

@s = map { http_get('/refused/', start => 1) } 1 .. 20;
is(scalar(grep { status(http_end($_)) == 502 } @s), 20,
    'all learn that there is none');

@r = $gate->answers(map { http_get('/page/', start => 1) } 1 .. 10);
is(scalar(grep { body($_) =~ /answer/ } @r), 10, 'or get another page');
$t->expect_log(qr/connect\(\) failed/);

# one that takes long

@s = map { http_get('/timeout/', start => 1) } 1 .. 5;
ok(asked(qr{/timeout/}, 5), 'who has waited long enough asks by himself');
$gate->opened(@s);
is($t->log_count(qr/optcache lock timed out/), 4, 'which is logged');
is(header(http_get('/timeout/'), 'X-Cache'), 'HIT', 'and stores the answer');

###############################################################################

# The first of them is the one that asks upstream.

sub started {
    my ($n, $uri) = @_;

    my @s = http_get($uri, start => 1);
    $gate->busy(1);
    asked(qr{ \Q$uri\E}, 1) or die "$uri is not asked for\n";
    push @s, map { http_get($uri, start => 1) } 2 .. $n;
    $gate->busy($n);

    return @s;
}


sub asked {
    my ($re, $n) = @_;
    return wait_for(sub { $backend->count($re) == $n }, 20);
}

###############################################################################
