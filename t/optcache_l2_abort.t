#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Clients that leave while their request waits for Redis, and those that send
# more meanwhile.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Socket qw/ SOL_SOCKET SO_LINGER /;

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_ssi http_v2 /)->plan(11);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache_redis_server redis://127.0.0.1:6379 timeout=30s connect_timeout=5s;

    optcache_valid 1m;

    server {
        listen 127.0.0.1:8080;
        listen 127.0.0.1:8090 http2;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }

        location /page {
            ssi on;
            ssi_types *;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    return '<!--#include virtual="/part" -->' if $req->{uri} eq '/page';
    return "answer $req->{uri}";
});

my $redis = $t->run_fake_redis();

$t->run();

###############################################################################

my $asked = 0;

wait_until_asked(1, sub { http_get('/warm') });

# Redis answers, but not now

$redis->set(only => 'GETRANGE', stall_after => 0);

my @s = wait_until_asked(5, sub {
    return map { http_get("/a/$_", start => 1) } 1 .. 5;
});
close $_ for @s;
ok(left(5), 'clients that leave are let go');
is($backend->count(qr{ /a/}), 0, 'and their requests with them');

@s = wait_until_asked(5, sub {
    return map { http_get("/b/$_", start => 1) } 1 .. 5;
});
setsockopt($_, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0) && close $_ for @s;
ok(left(10), 'as are those that reset');

my $h2 = Test::Nginx::HTTP2->connect(port => 8090);
my @ids = wait_until_asked(3, sub { map { $h2->send("/h2/$_") } 1 .. 3 });
$h2->reset($ids[1]);
ok(left(11), 'a stream that is left');
$h2->close();
ok(left(13), 'and a connection of some');

# who leaves while a part of his page waits

my ($s) = wait_until_asked(1, sub { http_get('/page', start => 1) });
close $s;

# the replies come when nobody is there

$redis->set(only => undef, stall_after => undef)->drop();

my $n = 0;
ok(wait_for(sub {
    $n++;
    http_get("/alive/$n");
    return grep { $_->[2] =~ m{/alive/$n} } $redis->log('SET');
}), 'they all left nothing behind');

# more behind a request that waits

$redis->set(only => 'GETRANGE', delay => 0.3);
$asked = $redis->log('GETRANGE');

($s) = wait_until_asked(1, sub {
    return http(request('/p/1'), start => 1);
});
http(request('/p/2') . request('/p/3', 'Connection: close'),
     socket => $s, start => 1);
is(join(' ', http_end($s) =~ m{answer (/p/\d)}g), '/p/1 /p/2 /p/3',
    'requests behind one that waits');

# a body behind one that waits

my $r = http2_get('/h2', port => 8090, method => 'POST', body => 'x' x 100000);
is(status($r), 200, 'a body over HTTP/2');

# a client that is done with talking, and listens

($s) = wait_until_asked(1, sub { http_get('/half', start => 1) });
shutdown $s, 1;
$r = http_end($s);
ok($r eq '' || body($r) eq 'answer /half', 'half-closed');

$redis->set(only => undef, delay => undef);
is(status(http_get('/end')), 200, 'after all');
ok(wait_for(sub { $redis->connections() <= 1 }), 'by one connection');

###############################################################################

# Returns when Redis has been asked n more times.

sub wait_until_asked {
    my ($n, $code) = @_;

    my @result = $code->();

    $asked += $n;
    wait_for(sub { my @gets = $redis->log('GETRANGE'); @gets >= $asked })
        or die "Redis was not asked\n";

    return @result;
}


# Whether n clients were seen to leave.

sub left {
    my ($n) = @_;

    return wait_for(sub {
        my @lines = $t->read_file('access.log') =~ /" 499 /g;
        return @lines >= $n;
    });
}


sub request {
    my ($uri, @fields) = @_;
    return join "\r\n", "GET $uri HTTP/1.1", 'Host: localhost', @fields, '', '';
}

###############################################################################
