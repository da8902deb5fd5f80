#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A logout location may guard its methods by limit_except.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->plan(8);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    token_blacklist on;

    server {
        listen 127.0.0.1:8080;

        location / {
        }

        location = /logout {
            token_blacklist off;
            token_revoke;

            limit_except GET {
                allow 127.0.0.1;
                deny all;
            }
        }

        location = /denied {
            token_blacklist off;
            token_revoke;

            limit_except GET {
                deny all;
            }
        }

        location = /if {
            token_blacklist off;
            token_revoke;

            if ($arg_a) {
                set $b 1;
            }
        }

        location /outer/ {
            token_revoke;

            location /outer/inner {
            }
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

mkdir $t->testdir() . '/outer';
$t->write_file('outer/inner', 'SEE-THIS');

$t->run();

###############################################################################

is(status(post('/logout', 't')), 204, 'let through by limit_except');
is(status(get('/x', 't')), 401, 'and revoked');
is(status(get('/logout', 't')), 405, 'others are not allowed');

is(status(post('/denied', 'u')), 403, 'denied by it');
is(status(get('/x', 'u')), 200, 'and not revoked');

is(status(post('/if?a=1', 'v')), 204, 'if');
is(status(get('/x', 'v')), 401, 'revokes');

is(status(get('/outer/inner', 'w')), 200, 'a location within has its own');

###############################################################################

sub get {
    my ($uri, $token) = @_;
    return http_get($uri, headers => { Authorization => "Bearer $token" });
}


sub post {
    my ($uri, $token) = @_;
    return http_post($uri, headers => { Authorization => "Bearer $token" });
}

###############################################################################
