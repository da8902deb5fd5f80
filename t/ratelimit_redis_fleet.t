#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Several hosts with several workers and one Redis admit exactly the limit
# between them, however their requests race.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my @ports = (8080, 8081, 8082);
my @hosts = map { Test::Nginx->new(log => 'info') } @ports;

$hosts[0]->has_program('redis-server')->plan(5);

for my $i (0 .. $#hosts) {
    $hosts[$i]->write_file_expand('nginx.conf', <<"EOF");

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;
    ratelimit_redis_zone \$arg_a zone=a:1m rate=100r/h;
    ratelimit_redis_zone \$arg_b zone=b:1m rate=70r/h;

    server {
        listen 127.0.0.1:$ports[$i] reuseport;

        location / {
            ratelimit_redis zone=a;
        }

        location /both {
            ratelimit_redis zone=b;
            ratelimit_redis zone=a;
        }
    }
}

EOF

    $hosts[$i]->write_file($_, 'SEE-THIS') for qw/ x both /;
}

my $redis = $hosts[0]->run_redis();

$_->run() for @hosts;

###############################################################################

is(race('/x?a=1', 400), '200:100 429:300', 'one zone');

# of a pair the smaller limit decides, and the other is not charged for more

is(race('/both?a=2&b=2', 200), '200:70 429:130', 'two zones');
is(race('/x?a=2', 200), '200:30 429:170', 'one of them has some left');

# once refused costs Redis nothing; two answers that crossed may be asked for
# again

my $asked = $redis->calls('evalsha');
is(race('/x?a=1', 200), '429:200', 'refused everywhere');
cmp_ok($redis->calls('evalsha') - $asked, '<=', 2, 'with hardly a question');

###############################################################################

sub race {
    my ($uri, $n) = @_;

    my %count;
    my $i = 0;

    while ($n > 0) {
        my @s = map { http_get($uri, start => 1, port => $ports[$i++ % 3]) }
                1 .. ($n > 100 ? 100 : $n);
        $count{ status(http_end($_)) }++ for @s;
        $n -= @s;
    }

    return join ' ', map { "$_:$count{$_}" } sort keys %count;
}

###############################################################################
