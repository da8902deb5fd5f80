#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A Redis that answers all that is small and gives no large value costs a few
# requests their timeout, and not all of them for ever.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
        ->plan(15);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    # no large value has room there: Redis is asked for it each time

    optcache_zone tiny:32k;
    optcache tiny;
    optcache_lock off;

    optcache_redis_server redis://127.0.0.1:6379 timeout=400ms
                          connect_timeout=5s;

    optcache_valid 1h;
    add_header X-Layer $optcache_layer;

    server {
        listen 127.0.0.1:8080;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $redis = $t->run_redis(port => 6380);
my $fake = $t->run_fake_redis(behind => $redis, only => 'GET');

my $backend = $t->run_http_backend(8081, sub {
    return [200, { 'Content-Type' => 'text/plain' }, 'x' x 100000];
});

$t->run();

###############################################################################

ok(wait_for(sub { get('/a') eq 'L2' }, 20), 'a large value of Redis');

# the replies are not coming: what waits for them goes upstream

$fake->set(stall_after => 0);

my $asked = $fake->log('GET');
my $began = $backend->count(qr{/a});
my @s = map { http_get('/a', start => 1) } 1 .. 6;

is(scalar(grep { length body(http_end($_)) == 100000 } @s), 6, 'all answered');
is($fake->log('GET') - $asked, 6, 'after Redis was asked');
is($backend->count(qr{/a}) - $began, 6, 'and upstream');
my $warning = qr/"optcache_redis_server" gives no large values: no reply in/;

is($t->log_count(qr/\[warn\].*$warning time/), 1, 'logged');

# then they do not wait any more

$asked = $fake->log('GET');
my $ranges = $fake->log('GETRANGE');

is(scalar(grep { get('/a') eq '' } 1 .. 30), 30, 'others are not from Redis');
is($fake->log('GETRANGE') - $ranges, 30, 'which is asked for the first part');
cmp_ok($fake->log('GET') - $asked, '<=', 8, 'and now and then for all of it');

# as often as that fails; a value that is stored does not end it

ok(wait_for(sub { get('/b'); $fake->log('GET') > $asked + 1 }, 20),
    'by some request, again and again');
is($t->log_count(qr/gives large values again/), 0, 'nothing has changed');
is($t->log_count($warning), 1, 'nor is it logged again');
is($t->log_count(qr/is down/), 0, 'it is no outage');

# they are coming again

$fake->set(stall_after => undef);

ok(wait_for(sub { get('/a') eq 'L2' }, 20), 'a large value of Redis');
is(join(' ', map { get('/a') } 1 .. 3), 'L2 L2 L2', 'all of them');
is($t->log_count(qr/\[notice\].*gives large values again after \d+ms/), 1,
    'logged');

###############################################################################

sub get {
    my ($uri) = @_;
    return header(scalar http_get($uri), 'X-Layer') // '';
}
