#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A server that answers PING and does nothing else, as one of a cluster that is
# down or whose writes are paused: that is one outage, told once, and over when
# a command succeeds.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Time::HiRes qw/ sleep time /;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(10);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=100ms
                           connect_timeout=5s;
    ratelimit_redis_zone $arg_a zone=a:1m rate=1000000r/h;

    add_header X-Limit $ratelimit_redis_status always;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=a;
        }

        location /api/ {
            ratelimit_redis_api;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_redis(args => ['--cluster-enabled', 'yes',
    '--cluster-config-file', 'one.conf', '--cluster-port', port(16379),
    '--maxmemory', '1gb', '--maxmemory-policy', 'allkeys-lru']);

slots('ADDSLOTS');

$t->expect_log(qr/may evict limits/);
$t->run();

###############################################################################

passes('all is well');

# a question that is none of a request's, and that is answered at all times

wait_for(sub { $t->log_count(qr/may evict limits/) });

# a cluster that is down, as some slots are nobody's

slots('DELSLOTS', 1, 2);
fails('CLUSTERDOWN');
is($t->log_count(qr/is down: commands are refused: CLUSTERDOWN/), 1,
    'one outage');

slots('ADDSLOTS', 1, 2);
passes('is over');
is($t->log_count(qr/is back after \d+ms/), 1, 'and told once');

# writes wait, and are given up

$redis->cmd('CLIENT', 'PAUSE', 600_000, 'WRITE');
fails('no answer');
is($t->log_count(qr/is down: .*(?:no reply in|does not answer)/), 1,
    'one outage');

$redis->cmd('CLIENT', 'UNPAUSE');
passes('is over');
is($t->log_count(qr/is back after \d+ms/), 2, 'and told once');

cmp_ok(outages(), '>', 2, 'the breaker was opened again each time');

###############################################################################

sub limit { return header(scalar http_get('/x?a=1'), 'X-Limit') // '' }


sub outages {
    return http_get('/api/status') =~ /"outages":\s*(\d+)/ ? $1 : 0;
}


sub passes {
    my ($name) = @_;

    ok(wait_for(sub { limit() eq 'PASSED' }), $name);
}


# Goes on until the breaker has been closed and opened again.

sub fails {
    my ($name) = @_;

    my %got;
    my $until = time() + 20;
    my $enough = outages() + 3;

    wait_for(sub { limit() eq 'LOCAL_PASSED' });

    while (time() < $until && outages() < $enough) {
        $got{limit()} = 1;
        sleep 0.01;
    }

    is(join(' ', keys %got), 'LOCAL_PASSED', $name);
}


sub slots {
    my ($how, @slots) = @_;

    @slots = (0 .. 16383) unless @slots;
    $redis->cmd('CLUSTER', $how, @slots);

    wait_for(sub {
        $redis->cmd('CLUSTER', 'INFO')
            =~ ($how eq 'ADDSLOTS' ? qr/state:ok/ : qr/state:fail/);
    });
}

###############################################################################
