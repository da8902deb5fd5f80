#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A revocation by several keys is done when all of them are acknowledged, in
# whatever order Redis answers.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->plan(9);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    server {
        listen 127.0.0.1:8080;

        location / {
            token_blacklist on;
        }

        location /good-good/ {
            token_blacklist_key good:$token_digest;
            token_blacklist_key good:2:$token_digest;
            ratelimit_redis_api write=on;
        }

        location /good-bad/ {
            token_blacklist_key good:$token_digest;
            token_blacklist_key bad:$token_digest;
            ratelimit_redis_api write=on;
        }

        location /bad-good/ {
            token_blacklist_key bad:$token_digest;
            token_blacklist_key good:$token_digest;
            ratelimit_redis_api write=on;
        }

        location /odd-good/ {
            token_blacklist_key odd:$token_digest;
            token_blacklist_key good:$token_digest;
            ratelimit_redis_api write=on;
        }

        location /good-bad-good/ {
            token_blacklist_key good:$token_digest;
            token_blacklist_key bad:$token_digest;
            token_blacklist_key good:2:$token_digest;
            ratelimit_redis_api write=on;
        }

        location /good-gone/ {
            token_blacklist_key good:$token_digest;
            token_blacklist_key gone:$token_digest;
            ratelimit_redis_api write=on;
        }

        location /gone-good/ {
            token_blacklist_key gone:$token_digest;
            token_blacklist_key good:$token_digest;
            ratelimit_redis_api write=on;
        }

        location /users/ {
            token_blacklist_since_key bad:$token_sub;
            ratelimit_redis_api write=on;
        }
    }
}

EOF

# the key says what becomes of it

$t->run_fake(6379, sub {
    my ($s) = @_;

    my %said = (good => "+OK\r\n", bad => "-ERR x\r\n", odd => ":1\r\n");
    my $in = '';

    while (sysread $s, $in, 65536, length $in) {
        while (defined(my $length = Test::Nginx::Resp::whole(\$in))) {
            my $command = substr $in, 0, $length, '';
            my @words = @{ Test::Nginx::Resp::take(\$command) };
            my ($fate) = $words[0] eq 'EVAL' ? $words[3] =~ /^(\w+)/ : ('');

            return if $fate eq 'gone';
            syswrite $s, $said{$fate} // "+PONG\r\n";
        }
    }
});

$t->run();

###############################################################################

for (qw/ good-good good-bad bad-good odd-good good-bad-good good-gone
         gone-good /)
{
    is(post($_, 'token'), $_ eq 'good-good' ? 204 : 503, $_);
}

is(post('users', 'user'), 503, 'a user');

ok(wait_for(sub { post('good-good', 'token') == 204 }), 'and all is well');

###############################################################################

sub post {
    my ($at, $kind) = @_;

    return status(http_post("/$at/revocations", body => qq/{"$kind":"x"}/,
                            headers => { 'Content-Type' =>
                                         'application/json' }));
}

###############################################################################
