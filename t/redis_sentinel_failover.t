#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The master is killed: the promoted one is found, the old one is left.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw/ decode_json /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(11);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:26379 redis://127.0.0.1:26380
                           redis://127.0.0.1:26381 sentinel=mymaster
                           timeout=5s connect_timeout=5s;

    ratelimit_redis_zone $arg_a zone=a:1m rate=100000r/h;

    add_header X-Limit $ratelimit_redis_status;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=a on_error=local;
        }

        location /api/ {
            ratelimit_redis_api;
        }
    }
}

EOC

$t->write_file('x', 'SEE-THIS');

my $set = $t->run_sentinels();
my $old = $set->redis(0);

$t->run();

###############################################################################

is(limit(), 'PASSED', 'by the master');

my %seen;

$old->kill();

ok(wait_for(sub { trickle() eq 'LOCAL_PASSED' }), 'without a master: local');

ok(wait_for(sub { trickle() eq 'PASSED' }, 60), 'by the promoted one');

is(join(' ', sort keys %seen), 'LOCAL_PASSED PASSED', 'nothing else meanwhile');

my $new = $set->wait_other($old);
my $n = counted($new);

limit() for 1 .. 5;

cmp_ok(counted($new) - $n, '>=', 5, 'and counted there');

my $host = decode_json(body(http_get('/api/status')))->{redis}{host};

cmp_ok($host->{connects}, '>=', 2, 'both count as one');
is($host->{outages}, 1, 'with one outage');

# it believes to be a master until the sentinels tell it otherwise

$old->restart();

ok(wait_for(sub {
    trickle();
    return $old->info('role') eq 'slave'
           && $old->info('master_link_status') eq 'up';
}, 60), 'the old master is a replica');

is($old->scripts(), 0, 'which was asked nothing');

is($t->log_count(qr/\[error\].*redis "sentinel=mymaster" of ".*" is down/), 1,
    'one outage');
is($t->log_count(qr/\[notice\].*redis "sentinel=mymaster" of ".*" is back/), 1,
    'with one end');

###############################################################################

sub counted { $_[0]->calls('evalsha') + $_[0]->calls('eval') }


sub trickle {
    select undef, undef, undef, 0.02;

    my $status = limit();
    $seen{$status} = 1;

    return $status;
}


sub limit { header(scalar http_get('/x?a=1'), 'X-Limit') // '' }

###############################################################################
