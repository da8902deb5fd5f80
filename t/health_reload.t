#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Health does not tell of the moment in which the workers of a reload have yet
# to hear of PostgreSQL and of Redis: whoever probes it would take a host out
# of service at each reload.  What lasts for a second it does tell.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw/ decode_json /;
use Test::More;
use Test::Nginx;
use Test::Nginx::Outbox;
use Test::Nginx::Revocations ();
use Time::HiRes qw/ sleep time /;

my $t = Test::Nginx->new()->has_program('redis-server')
    ->has_program('postgres')->plan(8);
my $redis = $t->run_redis();
my $pg = $t->run_postgres();

install($t, $pg);
Test::Nginx::Revocations::install($t, $pg);

my $conninfo = $pg->conninfo();

$t->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server    redis://127.0.0.1:6379;
    token_blacklist_postgres  "$conninfo";

    optcache_zone      c:1m;
    optcache_postgres  "$conninfo";

    server {
        listen 127.0.0.1:8080 reuseport;

        location /cache/ {
            optcache_api;
        }

        location /limits/ {
            ratelimit_redis_api;
        }

        location / {
            token_blacklist on;
            return 204;
        }
    }
}

EOC

$t->run();

###############################################################################

ok(wait_for(\&settled), 'is healthy');

# not later than what lasts is told of

my %told;

for (1 .. 3) {
    my $until = time() + 0.9;

    kill HUP => $t->master_pid();

    while (time() < $until) {
        for my $api (qw/ cache limits /) {
            my $reasons = reasons($api);
            $told{$reasons} = 1 if $reasons && time() < $until;
        }
        sleep 0.002;
    }

    wait_for(\&settled);
}

is(join("\n", sort keys %told), '', 'all along a reload');

$pg->kill();

ok(wait_for(sub { reasons('cache') =~ /^postgres: /m }), 'without postgres');
ok($t->reload(), 'a reload');
isnt(reasons('cache'), '', 'is not forgotten by it');

$redis->cmd('FLUSHALL');

ok(wait_for(sub { reasons('limits') =~ /^revocations: /m }),
   'without revocations');
ok($t->reload(), 'a reload');
ok(wait_for(sub { reasons('limits') =~ /^revocations: /m }), 'nor is that');

###############################################################################

sub get { return decode_json(body(http_get($_[0]))) }
sub reasons { return join "\n", @{ get("/$_[0]/health")->{reasons} } }


# what it waits for is there, in both workers, whatever health says

sub settled {
    my %believes;

    for (1 .. 20) {
        return 0 if get('/cache/status')->{postgres}{state} ne 'listening';

        my $status = get('/limits/status');

        return 0 if !$status->{postgres}{believed};
        $believes{$status->{redis}{worker}{pid}} = 1;
    }

    return keys %believes == 2;
}

###############################################################################
