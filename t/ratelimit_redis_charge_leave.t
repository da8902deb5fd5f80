#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A request is charged however it ends: the client leaves, its stream is reset,
# Redis is away, the worker has to go, or something follows it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_v2 /)
    ->has_program('redis-server')->plan(12);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_shutdown_timeout 2s;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=1s
                           connect_timeout=1s;

    ratelimit_redis_zone $arg_a zone=later:1m rate=10r/h
                         charge=$upstream_http_x_tokens;

    proxy_buffering off;

    server {
        listen 127.0.0.1:8080;
        listen 127.0.0.1:8081 http2;

        ratelimit_redis zone=later;

        location / {
            proxy_pass http://127.0.0.1:8082;
        }

        location /after {
            post_action /next;
            proxy_pass http://127.0.0.1:8082;
        }

        location /named {
            post_action @next;
            proxy_pass http://127.0.0.1:8082;
        }

        location /next {
            ratelimit_redis off;
            proxy_pass http://127.0.0.1:8082/next?t=7;
        }

        location @next {
            rewrite ^ /next?t=7 break;
            proxy_pass http://127.0.0.1:8082;
        }
    }
}

EOF

my $redis = $t->run_redis();

# the header comes at once, the rest when the test says so

my $backend = $t->run_http_backend(8082, sub {
    my ($req) = @_;
    my ($tokens) = $req->{uri} =~ /t=(\d+)/;

    my $s = $req->{socket};
    print $s "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n",
        defined $tokens ? "X-Tokens: $tokens\r\n" : '', "\r\nSEE-";
    $s->flush();

    if ($req->{uri} =~ /slow/) {
        select undef, undef, undef, 0.05
            until -e $t->testdir() . '/go' || !$s->connected();
    }

    print $s 'THIS--';
    $s->flush();

    return undef;
});

$t->run();

###############################################################################

# Redis may have to be sent the script, and until then nothing is booked

http_get('/?a=first&t=3');
wait_for(sub { left('first') == 7 });

is(left('a'), 10, 'all of it');

# a client that leaves while it is being answered

my $s = http_get('/slow?a=a&t=3', start => 1);
half($s);
close $s;
ok(wait_for(sub { left('a') == 7 }), 'a client leaves');

my $h2 = Test::Nginx::HTTP2->connect(port => 8081);
my $stream = $h2->send('/slow?a=a&t=2');
wait_for(sub { $backend->count(qr/slow.*t=2/) });
select undef, undef, undef, 0.3;
$h2->reset($stream);
ok(wait_for(sub { left('a') == 5 }), 'a stream is reset');

# something that follows, from another upstream

is(status(http_get('/after?a=b&t=2')), 200, 'a post_action');
ok(wait_for(sub { $backend->count(qr/next/) == 1 }), 'comes after');
is(left('b'), 8, 'and is not charged for');

is(status(http_get('/named?a=c&t=2')), 200, 'a named one');
ok(wait_for(sub { $backend->count(qr/next/) == 2 }), 'comes after, too');
is(left('c'), 8, 'and is not charged for either');

# workers that are told to go

$s = http_get('/slow?a=d&t=4', start => 1);
half($s);
ok($t->reload(wait_old => 1), 'a worker goes');
ok(wait_for(sub { left('d') == 6 }), 'and books before');
close $s;

# Redis is away when the request ends

$s = http_get('/slow?a=e&t=4', start => 1);
half($s);
$redis->kill();
$t->write_file('go', '');
http_end($s);
$redis->restart();

ok(wait_for(sub {
    my $v = $redis->cmd('GET', 'rl:later:{e}');
    return left('e') == 6 && defined $v;
}), 'Redis is told when it is back');

###############################################################################

sub left { return header(http_get("/?a=$_[0]"), 'X-RateLimit-Remaining') }

# the first part of an answer is there

sub half {
    my ($s) = @_;

    sysread $s, my $buf, 4096;
}

###############################################################################
