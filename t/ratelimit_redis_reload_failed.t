#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A reload that fails changes nothing, however far it has come: what was used
# stays used, and the limits go on.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->plan(14);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_zone $arg_a zone=a:1m %%RATES%%;
    ratelimit_redis_zone %%KEY%% zone=b:1m rate=1r/m;

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

$t->write_file('index.html', 'SEE-THIS');

my $conf = $t->read_file('nginx.conf');

configure('rate=2r/h', '$arg_b');

$t->expect_log(qr/ratelimit_redis_zone "b" uses the "\$arg_c" key/);
$t->run();

###############################################################################

is(get(3), '200 200 429', 'two of them');

my $capacity = capacity();

# the second zone is refused when the first one has been looked at

for my $rates ('rate=2r/h algorithm=sliding_window',
               'rate=2r/h algorithm=gcra',
               join ' ', map { "rate=3r/${_}h" } 1 .. 8)
{
    configure($rates, '$arg_c');

    ok(!$t->reload(), "refused: $rates");
    is(get(1), '429', 'what was used stays used');
    is(get(3, length $rates), '200 200 429', 'others have two');
    is(capacity(), $capacity, 'in as much memory');
}

configure('rate=2r/h algorithm=sliding_window', '$arg_b');
$t->reload(wait_old => 1);
is(get(3), '200 200 429', 'what is not refused begins anew');

###############################################################################

sub configure {
    my ($rates, $key) = @_;
    $t->write_file('nginx.conf',
                   $t->expand($conf =~ s/%%RATES%%/$rates/r
                                    =~ s/%%KEY%%/$key/r));
}


sub get {
    my ($n, $who) = @_;
    $who //= 'one';
    return join ' ', map { status(http_get("/?a=$who")) } 1 .. $n;
}


sub capacity {
    my ($n) = body(http_get('/api/zones')) =~ /"capacity": ?(\d+)/;
    return $n;
}

###############################################################################
