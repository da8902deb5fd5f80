#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What zones are configured as, what became of their requests, and how this
# host does.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw/ decode_json /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(22);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;
    ratelimit_redis_prefix p:;

    ratelimit_redis_zone $arg_a zone=a:1m rate=3r/m rate=100r/h;
    ratelimit_redis_zone "x$arg_g" zone=g:64k rate=5r/s algorithm=gcra burst=4;
    ratelimit_redis_zone $arg_d zone=dry:32k rate=1r/h;
    ratelimit_redis_zone $arg_l zone=l:32k rate=90r/s lease=20;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=a;
        }

        location /dry {
            ratelimit_redis zone=dry dry_run;
        }

        location /api/ {
            ratelimit_redis_api;
        }
    }
}

EOF

$t->write_file($_, 'SEE-THIS') for qw/ x dry /;

my $redis = $t->run_redis();

$t->run();

###############################################################################

my $zones = json('/api/zones')->{zones};

is(join(' ', map { $_->{name} } @$zones), 'a g dry l',
    'all zones, in their order');

my ($a, $g, $dry, $l) = @$zones;

is($a->{key}, '$arg_a', 'key');
is($a->{size}, 1048576, 'size');
is($a->{algorithm}, 'fixed_window', 'algorithm');
is_deeply($a->{rates}, [{ limit => 3, period => 60, rejected => 0 },
                        { limit => 100, period => 3600, rejected => 0 }],
    'rates');
is("$g->{key} $g->{algorithm} $g->{burst}", 'x$arg_g gcra 4', 'gcra');
is("$l->{lease} $a->{lease}", '20 1', 'lease');

cmp_ok($a->{subjects}{capacity}, '>', 5000, 'capacity');
cmp_ok($a->{subjects}{capacity}, '>', 10 * $g->{subjects}{capacity},
    'is a matter of size');
is_deeply([@{ $a->{subjects} }{qw/ used evicted /}], [0, 0], 'not used');

# what requests leave

http_get('/x?a=1') for 1 .. 5;
http_get('/x?a=2');
http_get('/dry?d=1') for 1 .. 3;

is_deeply(totals('a'), { passed => 4, rejected => 2, known => 2 },
    'passed and refused');
is(json('/api/zones/a')->{subjects}{used}, 2, 'two subjects');

# a dry run refuses nobody

is_deeply(totals('dry'), { passed => 1, dry_run => 2, known => 2 },
    'a dry run');

# looking is no request

json('/api/subjects/a/1');
is_deeply(totals('a'), { passed => 4, rejected => 2, known => 2 },
    'looking is not counted');

http_get('/x?a=' . $_) for 1 .. 3;
is(json('/api/zones/a')->{subjects}{used}, 3, 'three subjects');

# all of it

ok(wait_for(sub { defined json('/api/status')->{redis}{heard} }),
    'Redis was heard');

my $s = json('/api/status');

is($s->{version}, '0.1.0', 'version');
is_deeply([map { $_->{name} } @{ $s->{zones} }], [qw/ a g dry l /], 'zones');
is_deeply([@{ $s->{redis} }{qw/ state hosts rank /}], ['up', 1, 0], 'Redis');
is_deeply($s->{redis}{servers}, ['redis://127.0.0.1:' . port(6379)],
    'its servers');
cmp_ok($s->{redis}{worker}{replies}, '>=', 6, 'what the worker asked');
is_deeply([@{ $s->{redis}{worker} }{qw/ timeouts outages pid /}],
    [0, 0, ($t->worker_pids())[0]], 'without trouble');

###############################################################################

sub json {
    my ($uri) = @_;
    my $r = http_get($uri);
    return status($r) == 200 ? decode_json(body($r)) : {};
}


# those that are not 0

sub totals {
    my $totals = json("/api/zones/$_[0]")->{totals};
    return { map { $totals->{$_} ? ($_ => $totals->{$_}) : () } keys %$totals };
}

###############################################################################
