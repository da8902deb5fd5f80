#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Nobody waits behind a large value on its way from or to Redis.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(7);
my $other = Test::Nginx->new();

for ([$t, 8080, 6379], [$other, 8090, 6380]) {
    my ($nginx, $port, $redis) = @$_;

    $nginx->write_file_expand('nginx.conf', <<"EOF");

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:8m;
    optcache_redis_server redis://127.0.0.1:$redis timeout=1s
                          connect_timeout=5s;

    optcache_valid 1m;
    add_header X-Layer \$optcache_layer;

    server {
        listen 127.0.0.1:$port;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }

        location /late/ {
            optcache c;
            optcache_lock off;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF
}

my $redis = $t->run_redis(port => 6380);
my $fake = $t->run_fake_redis(behind => $redis, only => 'GET');

$t->run_http_backend(8081, sub {
    my ($req) = @_;
    my ($size) = $req->{uri} =~ m{/(\d+)};

    return [200, { 'Content-Type' => 'text/plain' }, 'x' x $size];
});

$_->run() for $t, $other;

###############################################################################

http_get("/$_", port => 8090) for 10, 300000;
wait_for(sub { 2 == grep { $_ > 100 } lengths() });

# many of them are late at once, and nobody is to do without Redis for that

my @late = map { "/late/300000?$_" } 1 .. 6;

http_get($_, port => 8090) for @late;
wait_for(sub { 8 == grep { $_ > 100 } lengths() });

$fake->set(delay => 1.8);
http_end($_) for map { http_get($_, start => 1) } @late;

is($t->log_count(qr/is down/), 0, 'large ones that are late are no outage');

$fake->set(delay => undef);

# they are not asked for at once after that

my $n = 0;

wait_for(sub {
    my $uri = '/late/100000?' . ++$n;

    http_get($uri, port => 8090);
    wait_for(sub { 8 + $n == grep { $_ > 100 } lengths() });

    return (header(scalar http_get($uri), 'X-Layer') // '') eq 'L2';
}, 20);

# the reply is not coming

$fake->set(stall_after => 0);

my $asked = $fake->log('GET');
my $s = http_get('/300000', start => 1);
ok(wait_for(sub { $fake->log('GET') > $asked }),
    'all of the large value is asked for');

is(header(http_get('/10'), 'X-Layer'), 'L2', 'a small one comes meanwhile');
is(header(http_get('/11'), 'X-Cache'), 'MISS', 'and what is not there');
ok(wait_for(sub { 9 + $n == grep { $_ > 100 } lengths() }),
    'and is stored');

is(length body(http_end($s)), 300000, 'nor is there an end to the large one');

# another connection for it, and another attempt

$fake->set(stall_after => undef);

is(length body(http_get('/300000')), 300000, 'which is asked for once more');

###############################################################################

sub lengths {
    return map { $redis->cmd('STRLEN', $_) } @{ $redis->cmd('KEYS', 'oc:*') };
}
