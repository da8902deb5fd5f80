#!/usr/bin/perl

# Copyright (C) The Optcache authors

# One question to Redis for each request, in one write with all zones and the
# token; EVAL when Redis has forgotten the script, never SCRIPT LOAD.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha1_hex /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(14);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    ratelimit_redis_zone $arg_a zone=a:1m rate=100r/m rate=1000r/h;
    ratelimit_redis_zone $arg_b zone=b:1m rate=100r/m;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=a;
            ratelimit_redis zone=b;
            token_blacklist on;
            token_blacklist_key "blacklist:$token_digest";
            token_blacklist_key "jti:$arg_jti";
        }
    }
}

EOF

$t->write_file('index.html', 'SEE-THIS');

my $redis = $t->run_redis(port => 6380);
my $fake = $t->run_fake_redis(behind => $redis);

$t->run();

###############################################################################

my %token = (headers => { Authorization => 'Bearer x' });

is(status(http_get('/?a=1&b=1', %token)), 200, 'the first request');

my @log = $fake->log();
is(names(@log), 'EVAL EVALSHA EXISTS EXISTS', 'finds no script');
is(status(other('y')), 200, 'the second');

my @now = $fake->log();
splice @now, 0, @log;

is(names(@now), 'EVALSHA EXISTS EXISTS', 'finds it');

my ($eval) = grep { $_->[0] eq 'EVALSHA' } @now;
my ($first) = grep { $_->[0] eq 'EVAL' } @log;

is($eval->[1], sha1_hex($first->[1]), 'by its name');
is(join(' ', @$eval[2 .. 4]), '2 rl:a:{1} rl:b:{1}',
    'and asks for all zones at once');
is(unpack('H*', join '', @$eval[5 .. 6]),
    '010002' . number(0, 1, 1, 0, 0, 0) . rate(60000, 100) . rate(3600000, 1000)
    . '010001' . number(0, 1, 1, 0, 0, 0) . rate(60000, 100),
    'with what there is to know');

# the script does no more than it must

my $before = $redis->info();
other('z');
my $after = $redis->info();
my %calls = map { $_ => calls($after, $_) - calls($before, $_) }
            qw/ evalsha exists get set time zadd /;

# each second a host says that it is there, with a ZADD and a TIME
$calls{time} -= delete $calls{zadd};

is_deeply(\%calls, { evalsha => 1, exists => 2, get => 2, set => 2, time => 1 },
    'commands');

# forgotten

$redis->cmd('SCRIPT', 'FLUSH');
is(header(http_get('/?a=1&b=1', %token), 'X-RateLimit-Remaining'), 96,
    'forgotten, and counted once all the same');
is(scalar($fake->log('EVAL')), 2, 'by EVAL');
is(scalar($fake->log('SCRIPT')), 0, 'never SCRIPT LOAD');

# a value that nobody of us wrote

$redis->cmd('SET', 'rl:a:{2}', 'x' x 17);
is(header(http_get('/?a=2&b=2'), 'X-RateLimit-Remaining'), 99,
    'a strange value is as good as none');
$redis->cmd('SET', 'rl:a:{2}', "\x01" . 'x' x 1600);
is(header(http_get('/?a=2&b=3'), 'X-RateLimit-Remaining'), 99, 'a long one');

$redis->cmd('DEL', 'rl:a:{2}');
$redis->cmd('LPUSH', 'rl:a:{2}', 'x');
is(status(http_get('/?a=2&b=4')), 200, 'nor does another type break anything');

###############################################################################

# A token of which nothing is known yet.

sub other {
    my ($token) = @_;

    return http_get("/?a=1&b=1&jti=$token",
                    headers => { Authorization => "Bearer $token" });
}


# What requests ask for; connections ask for other things, at any time.

sub names {
    return join ' ', sort grep { /^E/ } map { $_->[0] } @_;
}


sub number { return join '', map { sprintf '%012x', $_ } @_ }


sub rate { return sprintf '%08x%012x', @_ }


sub calls {
    my ($info, $name) = @_;
    return ($info->{"cmdstat_$name"} // '') =~ /calls=(\d+)/ ? $1 : 0;
}

###############################################################################
