#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A worker that nobody asks about a token finds out by itself that Redis has all
# revocations again: its health would keep away those who could ask.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw/ decode_json /;
use Test::More;
use Test::Nginx;
use Test::Nginx::Revocations qw/ install gateway /;

my $t = Test::Nginx->new()->has_program('redis-server')
    ->has_program('postgres')->plan(4);
my $redis = $t->run_redis();
my $pg = $t->run_postgres();

install($t, $pg);

# connections are spread over both workers

gateway($t, postgres => '"' . $pg->conninfo() . '"', workers => 2,
        more => <<'EOC');
    server {
        listen 127.0.0.1:8081 reuseport;

        location / {
            ratelimit_redis_api;
        }
    }
EOC

$t->run();

###############################################################################

ok(wait_for(sub { believe(1) }), 'both workers believe');

$pg->kill();
$redis->restart();

ok(wait_for(sub { believe(0) }), 'neither, without a word of either');

$pg->restart();

ok(wait_for(sub { believe(1) }), 'both again');
is(health(), 'healthy', 'and say so');

###############################################################################

sub get { return decode_json(body(http_get("/$_[0]", port => 8081))) }
sub health { return get('health')->{status} }


# whether both workers believe, or neither does

sub believe {
    my ($what) = @_;
    my %seen;

    for (1 .. 50) {
        my $status = get('status');

        return 0 if !$status->{postgres}{believed} != !$what;

        $seen{$status->{redis}{worker}{pid}} = 1;
        return 1 if keys %seen == 2;
    }

    return 0;
}

###############################################################################
