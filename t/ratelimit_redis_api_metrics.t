#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What all workers have counted: summed, over a reload and over workers that
# were killed, and in the form that Prometheus reads; whether anything is amiss.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw/ decode_json /;
use Test::More;
use Test::Nginx;
use Test::Nginx::Prometheus;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(51);

my $conf = <<'EOF';

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    map $arg_v $v {
        two      2r/h;
        default  "";
    }

    map $arg_v $none {
        default  "";
    }

    ratelimit_redis_zone $arg_a zone=a:1m rate=3r/m rate=100r/h;
    ratelimit_redis_zone $arg_b zone=b:1m rate=1r/h;
    ratelimit_redis_zone $arg_c zone=c:1m rate=$none rate=$v rate=$v
                         rate=9r/d;
    ratelimit_redis_zone $arg_q "zone=q\"z:32k" rate=1r/h;

    server {
        listen 127.0.0.1:8080 reuseport;

        add_header X-Pid $pid always;

        location / {
            ratelimit_redis zone=a;
            ratelimit_redis zone=c;
        }

        location /dry {
            ratelimit_redis zone=b dry_run;
        }

        location /api/ {
            ratelimit_redis_api;
        }

        location /strict/ {
            ratelimit_redis_api health=503;
        }

        location /if/ {
            ratelimit_redis_api health=503;

            if ($request_method = GET) {
                add_header X-If 1 always;
            }
        }
    }
}

EOF

$t->write_file_expand('nginx.conf', $conf);
$t->write_file($_, 'SEE-THIS') for qw/ x dry /;

my $redis = $t->run_redis();

$t->run();

###############################################################################

# nothing yet, and all of it is there

my $m = metrics();

is(decision($m, 'a', 'passed'), 0, 'nothing yet');
is($m->value('ratelimit_redis_build_info', version => '0.1.0',
             nginx => json('status')->{nginx}), 1, 'versions');
is_deeply([$m->labels('ratelimit_redis_subjects', 'zone')],
    ['a', 'b', 'c', 'q"z'], 'zones, with any name');
ok(!$m->families()->{ratelimit_redis_tokens_total}, 'no tokens');

undocumented($m);

# of two workers

my %pids;

for (1 .. 60) {
    my $r = http_get("/x?a=$_");
    $pids{header($r, 'X-Pid')}++;
}

is(scalar(keys %pids), 2, 'by both workers');

$m = metrics();
is(decision($m, 'a', 'passed'), 60, 'are summed');
is($m->value('ratelimit_redis_subjects', zone => 'a'), 60, 'subjects');
is($m->value('ratelimit_redis_subjects_capacity', zone => 'a'),
    json('zones/a')->{subjects}{capacity}, 'capacity');
is($m->value('ratelimit_redis_subjects_evicted_total', zone => 'a'), 0,
    'none had to leave');

# by which rate

http_get('/x?a=k') for 1 .. 5;
http_get('/x?c=k&v=two') for 1 .. 5;
http_get('/dry?b=1') for 1 .. 3;

$m = metrics();
is(decision($m, 'a', 'rejected'), 2, 'refused');
is(refused($m, 'a', '3r/m'), 2, 'by this rate');
is(refused($m, 'a', '100r/h'), 0, 'and not by that');
is(refused($m, 'c', '$v'), 3, 'by one from a variable');
is(refused($m, 'c', '$none') + refused($m, 'c', '9r/d'), 0,
    'which others are not');
is(join(' ', map { decision($m, 'b', $_) } qw/ passed rejected dry_run /),
    '1 0 2', 'a dry run');
is(refused($m, 'b', '1r/h'), 0, 'refuses nobody');
is($m->value('ratelimit_redis_known_total', zone => 'a')
   + $m->value('ratelimit_redis_known_total', zone => 'b'), 4,
    'without asking');
is_deeply([map { $_->{rejected} } @{ json('zones/c')->{rates} }], [0, 3, 0, 0],
    'as the zone tells');

# Redis

my $commands = 'ratelimit_redis_redis_commands_total';
my $latency = 'ratelimit_redis_redis_command_duration_seconds';

cmp_ok($m->value($commands, result => 'reply'), '>=', 66, 'replies');
is($m->value($commands, result => 'timeout'), 0, 'no timeout');
ok(wait_for(sub {
    $m = metrics();
    return $m->value("${latency}_count")
           == $m->value($commands, result => 'reply')
              + $m->value($commands, result => 'error');
}), 'each took its time');
cmp_ok($m->value("${latency}_sum"), '>', 0, 'which is one');
is($m->value('ratelimit_redis_redis_up'), 1, 'up');
is(connects(), 2, 'a connection each');
is($m->value('ratelimit_redis_fleet_hosts'), 1, 'a host');

my $host = json('status')->{redis}{host};
cmp_ok($host->{replies}, '>=', 66, 'replies in the status');
is(scalar(@{ $host->{latency}{counts} }),
    scalar(@{ $host->{latency}{le} }) + 1, 'and their latencies');
is(json('status')->{redis}{breaker}, 'closed', 'and the breaker');

# kept over a reload, which may change a rate: that one begins anew

$t->write_file_expand('nginx.conf', $conf =~ s/rate=9r\/d/rate=8r\/d/r);
$t->reload(wait_old => 1);

$m = metrics();
is(decision($m, 'a', 'rejected'), 2, 'kept over a reload');
is(refused($m, 'a', '3r/m'), 2, 'for this rate');
is(refused($m, 'c', '$v'), 0, 'anew where there is another');
ok(wait_for(sub { connects() == 4 }), 'two more workers');
my $replies = $m->value($commands, result => 'reply');
cmp_ok($replies, '>=', 66, 'replies are kept');

http_get('/x?a=k') for 1 .. 2;
is(refused(metrics(), 'a', '3r/m'), 4, 'and counted on');

# all that serve are killed, one by one

$t->kill_worker($_) for $t->worker_pids();

ok(wait_for(sub { $t->worker_pids() == 2 }), 'two others');
ok(wait_for(sub { json('health')->{status} eq 'healthy' }), 'healthy');

$m = metrics();
is(refused($m, 'a', '3r/m'), 4, 'nothing is lost with them');
cmp_ok($m->value($commands, result => 'reply'), '>=', $replies, 'of Redis');
ok(wait_for(sub { connects() == 6 }), 'and counted on');

is(refusals_of(2), 2, 'by new workers, too');

# health

is(health('api'), '200 healthy', 'healthy');
is(health('strict'), '200 healthy', 'with health=503, too');

$redis->kill();

ok(wait_for(sub { health('api') =~ /degraded/ }), 'amiss');

# each worker has to find out

ok(wait_for(sub {
    return 10 == grep { health('strict') eq
                        '503 degraded redis: it does not answer' } 1 .. 10;
}), 'with 503 and a reason');

like(health('if'), qr/^503 degraded/, 'inherited with the API');

$m = metrics();
is($m->value('ratelimit_redis_degraded', reason => 'redis'), 1, 'told');
is($m->value('ratelimit_redis_redis_breaker', state => 'open'), 1, 'open');
is($m->value('ratelimit_redis_redis_up'), 0, 'not up');
cmp_ok($m->value('ratelimit_redis_redis_outages_total'), '>=', 2, 'outages');

http_get('/x?a=local') for 1 .. 2;
is(metrics()->value('ratelimit_redis_local_total', zone => 'a'), 2,
    'decided here');

###############################################################################

sub json { return decode_json(body(http_get("/api/$_[0]"))) }


# every text is one that Prometheus understands

sub metrics {
    my $parsed = Test::Nginx::Prometheus->new(body(http_get('/api/metrics')));

    if (my @errors = $parsed->errors()) {
        fail('the format');
        diag(join("\n", @errors));
    }

    return $parsed;
}


sub connects { metrics()->value('ratelimit_redis_redis_connects_total') }


sub decision {
    my ($parsed, $zone, $result) = @_;
    return $parsed->value('ratelimit_redis_decisions_total',
                          zone => $zone, result => $result);
}


sub refused {
    my ($parsed, $zone, $rate) = @_;
    return $parsed->value('ratelimit_redis_rejected_total',
                          zone => $zone, rate => $rate);
}


sub refusals_of {
    my ($n) = @_;
    my $before = refused(metrics(), 'a', '3r/m');

    http_get('/x?a=k') for 1 .. $n;

    return refused(metrics(), 'a', '3r/m') - $before;
}


sub health {
    my $r = http_get("/$_[0]/health");
    my $h = decode_json(body($r));
    return join(' ', status($r), $h->{status}, @{ $h->{reasons} });
}


sub undocumented {
    my ($parsed) = @_;

    open my $fh, '<', $t->source_dir() . '/docs/api.md' or die $!;
    my $text = do { local $/; <$fh> };

    is(join(' ', grep { $text !~ /`\Q$_\E`/ }
                 sort keys %{ $parsed->families() }), '',
        'all are in the documentation');
}

###############################################################################
