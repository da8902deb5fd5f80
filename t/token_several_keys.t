#!/usr/bin/perl

# Copyright (C) The Optcache authors

# One key that is there revokes a token, whatever is known of its other keys;
# one that nobody can tell about makes it doubtful.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->plan(11);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    server {
        listen 127.0.0.1:8080;

        token_blacklist on;
        token_blacklist_key $arg_a;
        token_blacklist_key $arg_b;

        location / {
        }

        location /allow {
            token_blacklist_on_error allow;
        }
    }
}

EOF

$t->write_file($_, 'SEE-THIS') for qw/ x allow /;

# the key says what is known of it

$t->run_fake(6379, sub {
    my ($s) = @_;

    my %said = (there => ":1\r\n", gone => ":0\r\n", error => "-ERR x\r\n");
    my $in = '';

    while (sysread $s, $in, 65536, length $in) {
        while (defined(my $length = Test::Nginx::Resp::whole(\$in))) {
            my $command = substr $in, 0, $length, '';
            my @words = @{ Test::Nginx::Resp::take(\$command) };

            syswrite $s, $words[0] eq 'EXISTS' ? $said{ $words[1] }
                                               : "+PONG\r\n";
        }
    }
});

$t->run();

###############################################################################

is(get('/x?a=gone&b=gone'), 200, 'none is there');
is(get('/x?a=there&b=gone'), 401, 'the first is');
is(get('/x?a=gone&b=there'), 401, 'the second is');
is(get('/x?a=there&b=error'), 401, 'the first is, the second is doubtful');
is(get('/x?a=error&b=there'), 401, 'the second is, the first is doubtful');
is(get('/x?a=gone&b=error'), 503, 'the second is doubtful');
is(get('/x?a=error&b=gone'), 503, 'the first is doubtful');
is(get('/allow?a=error&b=there'), 401, 'known to be revoked');
is(get('/allow?a=error&b=gone'), 200, 'doubtful is let pass');
is(get('/x?a=gone'), 200, 'the only one is not');
is(get('/x'), 200, 'there is none');

###############################################################################

sub get {
    my ($uri) = @_;
    return status(http_get($uri, headers => { Authorization => 'Bearer t' }));
}

###############################################################################
