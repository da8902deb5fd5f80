#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Whoever calls the logout again and again does not fill the log with errors:
# each is told once a second, and then at the level "info".

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->plan(6);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 1;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379;

    server {
        listen 127.0.0.1:8080;

        location = /logout {
            token_revoke;
        }

        location = /keyless {
            token_revoke;
            token_blacklist_key $arg_key;
        }
    }
}

EOF

$t->run();

###############################################################################

many('/logout', 503, qr/redis has not taken it, the token is revoked on this/);
many('/keyless', 500, qr/the token cannot be revoked, no "token_blacklist_key/);

###############################################################################

sub many {
    my ($uri, $status, $message) = @_;

    my $began = time();
    my @r = map { http_post($uri, headers => ["Authorization: Bearer t$_"]) }
                1 .. 50;

    # time() may lag behind nginx by some milliseconds
    my $seconds = time() - $began + 2;

    is(join(' ', map { status($_) } @r), join(' ', ($status) x 50),
        "$uri: $status");

    my $errors = $t->log_count(qr/\[error\].*$message/);

    ok($errors >= 1 && $errors <= $seconds, "$uri: an error, once a second")
        or diag("$errors errors in $seconds seconds");
    is($t->log_count(qr/\[info\].*$message/), 50 - $errors, "$uri: the others");
}

###############################################################################
