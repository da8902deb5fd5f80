#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What can happen to a request while it waits for its turn: the client leaves,
# resets its stream, sends the next one; the worker has to go.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_v2 http_proxy /)->plan(12);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_shutdown_timeout 1s;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    log_format limits $uri:$status:$ratelimit_redis_status;
    access_log %%TESTDIR%%/limits.log limits;

    ratelimit_redis_zone $arg_a zone=long:1m rate=1r/m
                         algorithm=gcra burst=99;
    ratelimit_redis_zone $arg_a zone=short:1m rate=10r/s
                         algorithm=gcra burst=99;

    server {
        listen 127.0.0.1:8080;
        listen 127.0.0.1:8081 http2;

        ratelimit_redis zone=long;

        location / {
        }

        location /after {
            post_action @after;
        }

        location @after {
            proxy_pass http://127.0.0.1:8082;
        }

        location /short {
            ratelimit_redis zone=short;
            client_max_body_size 1m;
            proxy_pass http://127.0.0.1:8082;
        }
    }
}

EOF

$t->write_file($_, 'SEE-THIS') for qw/ x after /;

my $backend = $t->run_http_backend(8082, sub {
    my ($req) = @_;
    return "$req->{method} $req->{uri} $req->{body}";
});

$t->run();

###############################################################################

http_get('/x?a=1');

# clients that leave

my @s = map { http_get('/x?a=1', start => 1) } 1 .. 5;
my $h2 = Test::Nginx::HTTP2->connect(port => 8081);
my @streams = map { $h2->send('/x?a=1') } 1 .. 3;

ok(wait_for(sub { $t->log_count(qr/delaying request/) == 8 }), 'eight wait');

$h2->reset($streams[1]);
ok(wait_for(sub { gone('/x') == 1 }), 'a stream that is reset is gone');

close $_ for @s;
$h2->close();
ok(wait_for(sub { gone('/x') == 8 }), 'clients that leave are gone');

# a client that had left before, and one that goes on elsewhere

my $s = http_get('/x?a=1', start => 1);
close $s;
ok(wait_for(sub { gone('/x') == 9 }), 'a client that had left before');

$s = http_get('/after?a=1', start => 1);
wait_for(sub { $t->log_count(qr/delaying request/) == 10 });
close $s;
ok(wait_for(sub { $backend->count(qr/after/) == 1 }), 'a post_action');

# a connection that is kept, requests that are sent ahead, bodies

$s = http_connect();
is(join(' ', map { status(http_get('/short?a=2', socket => $s,
                                   keepalive => 1)) } 1 .. 3),
    '200 200 200', 'one after the other');

$s = http(join('', map { "GET /short?a=3&n=$_ HTTP/1.1\r\nHost: x\r\n\r\n" }
                   1 .. 4), start => 1);
is(join(' ', map { body(http_read($s)) =~ /n=(\d)/ } 1 .. 4), '1 2 3 4',
    'sent ahead, answered in order');

my $long = 'x' x 100000;
@s = map { http_post('/short?a=4', body => "$_$long", start => 1) } 1 .. 3;
is(join(' ', map { length body(http_end($_)) } @s),
    join(' ', (length("POST /short?a=4 ") + 100001) x 3), 'bodies arrive');

$h2 = Test::Nginx::HTTP2->connect(port => 8081);
@streams = map { $h2->send('/short?a=5') } 1 .. 4;
is(join(' ', map { status($h2->response($_)) } @streams), '200 200 200 200',
    'streams of one connection');

cmp_ok($t->log_count(qr/delaying request.*by zone "short"/), '>', 8,
    'that waited');

# workers that are told to go, and do not wait for a minute

@s = map { http_get('/x?a=6', start => 1) } 1 .. 3;
wait_for(sub { $t->log_count(qr/delaying request.*a=6/) == 2 });

ok($t->reload(wait_old => 1), 'a reload ends the wait');
is($backend->count(qr/after/), 1, 'and post_action was run once');

###############################################################################

sub gone {
    my ($uri) = @_;

    my $gone = () = $t->read_file('limits.log') =~ /^\Q$uri\E:499:/mg;

    return $gone;
}

###############################################################################
