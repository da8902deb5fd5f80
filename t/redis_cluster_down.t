#!/usr/bin/perl

# Copyright (C) The Optcache authors

# No server of a cluster answers: requests go on at once, and it is found when
# it comes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw/ decode_json /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new(log => 'info')->has_program('redis-server')->plan(13);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:7001 redis://127.0.0.1:7000
                           cluster timeout=5s connect_timeout=5s;
    ratelimit_redis_zone $arg_a zone=a:1m rate=3r/h;

    add_header X-Limit $ratelimit_redis_status always;

    server {
        listen 127.0.0.1:8080 reuseport;

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
$t->run();

###############################################################################

is(join(' ', map { limit('one') } 1 .. 4),
    'LOCAL_PASSED LOCAL_PASSED LOCAL_PASSED LOCAL_REJECTED', 'locally');
is($t->log_count(qr/\[error\].*redis ".*is down/), 2, 'once by each worker');

# a cluster that has no slots is none yet

my $lone = $t->run_redis(port => 7003, args => ['--cluster-enabled', 'yes',
    '--cluster-config-file', 'lone.conf', '--cluster-port', port(17003)]);

my $cluster = $t->run_redis_cluster(ports => [7000 .. 7002]);

ok(wait_for(sub { limit(rand) eq 'PASSED' }), 'found');
ok(wait_for(sub {
    my @s = map { http_get('/x?a=' . rand, start => 1) } 1 .. 20;
    return !grep { header(http_end($_), 'X-Limit') ne 'PASSED' } @s;
}), 'by all workers');

# a seed may have been there before it had slots, and lost again

cmp_ok($t->log_count(qr/\[notice\].*redis ".*is back/), '>=', 2,
    'as the log says');

# all are gone: every answer is immediate, and none is an error

$_->kill() for $cluster->nodes();

ok(wait_for(sub { limit(rand) eq 'LOCAL_PASSED' }), 'gone');
is(join(' ', map { limit('two') } 1 .. 4),
    'LOCAL_PASSED LOCAL_PASSED LOCAL_PASSED LOCAL_REJECTED', 'locally');

ok(wait_for(sub { breaker() eq 'open' }), 'as the status tells');

# they come back, empty but with their slots

$_->launch() for $cluster->nodes();

ok(wait_for(sub { limit(rand) eq 'PASSED' }, 30), 'back');
ok(wait_for(sub { breaker() eq 'closed' }), 'as the status tells');

# a server forgets that it was of a cluster: its slots are nobody's.  One with
# keys refuses to, and a worker may write one in between.

ok(wait_for(sub {
    $cluster->node(2)->cmd('FLUSHALL');
    return eval { $cluster->node(2)->cmd('CLUSTER', 'RESET', 'HARD') };
}), 'a server forgets all');

ok(wait_for(sub {
    my @s = map { limit(rand) } 1 .. 20;
    return grep { $_ eq 'LOCAL_PASSED' } @s;
}), 'slots of nobody are limited locally');

# not a request waits for what is not known

my @s = map { http_get('/x?a=' . rand, start => 1) } 1 .. 50;

is(scalar(grep { status(http_end($_)) != 200 } @s), 0, 'all are answered');

###############################################################################

sub breaker {
    return decode_json(body(http_get('/api/status')))->{redis}{breaker};
}


sub limit { header(scalar http_get("/x?a=$_[0]"), 'X-Limit') // '' }

###############################################################################
