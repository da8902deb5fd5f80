#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Whoever sends values that are no rate or cost, or an upstream that does, does
# not fill the log with errors: each is told once a second, and then at "info".

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new(log => 'info')->has('http_proxy')->plan(9);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

worker_processes 1;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_zone $arg_a zone=rate:1m rate=$arg_v;
    ratelimit_redis_zone $arg_a zone=cost:1m rate=9000r/h cost=$arg_v;
    ratelimit_redis_zone $arg_a zone=charge:1m rate=9000r/h
                         charge=$sent_http_x_units;

    server {
        listen 127.0.0.1:8080;

        location = /rate {
            ratelimit_redis zone=rate;
            proxy_pass http://127.0.0.1:8081;
        }

        location = /cost {
            ratelimit_redis zone=cost;
            proxy_pass http://127.0.0.1:8081;
        }

        location = /charge {
            ratelimit_redis zone=charge;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOC

$t->run_http_backend(8081, sub { return [200, { 'X-Units' => 'many' }, ''] });

$t->run();

###############################################################################

many('/rate', 500, qr/invalid value of "rate=/);
many('/cost', 200, qr/invalid value of "cost=/);
many('/charge', 200, qr/invalid value of "charge=/);

###############################################################################

sub many {
    my ($uri, $status, $message) = @_;

    my $began = time();
    my @r = map { http_get("$uri?a=1&v=x") } 1 .. 30;

    is(join(' ', map { status($_) } @r), join(' ', ($status) x 30),
        "$uri: $status");

    # the last is told of when its request has ended

    wait_for(sub { $t->log_count($message) == 30 });

    my $seconds = time() - $began + 1;
    my $errors = $t->log_count(qr/\[error\].*$message/);

    ok($errors >= 1 && $errors <= $seconds, "$uri: an error, once a second")
        or diag("$errors errors in $seconds seconds");
    is($t->log_count(qr/\[info\].*$message/), 30 - $errors, "$uri: the others");
}

###############################################################################
