#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Redis does not tell whether a token is revoked: it is refused, with 503, or
# let pass where that is asked for. What is revoked here is refused anyway.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->plan(21);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=200ms;

    server {
        listen 127.0.0.1:8080;

        token_blacklist on;
        add_header X-Status $token_status always;

        location / {
        }

        location /allow {
            token_blacklist_on_error allow;
        }

        location = /logout {
            token_blacklist off;
            token_revoke;
        }
    }
}

EOF

$t->write_file($_, 'SEE-THIS') for qw/ x allow /;

my $fake = $t->run_fake_redis(only => 'EXISTS');

$t->run();

###############################################################################

is(status(get('/x', 't')), 200, 'all is well');

# answers that are none

for my $reply ("+OK\r\n", ":2\r\n", ":-1\r\n", "\$1\r\n0\r\n", "*1\r\n:0\r\n",
               "\$-1\r\n")
{
    $fake->set(reply => { EXISTS => $reply });
    is(status(get('/x', 't')), 503, 'deny: ' . $reply =~ s/\r\n/ /gr);
}

my $r = get('/x', 't');
is(header($r, 'X-Status'), 'unavailable', 'status');
is(header($r, 'Retry-After'), 1, 'retry');
like(body($r), qr/#temporary-reduced-capacity/, 'problem');
is(header($r, 'WWW-Authenticate'), undef, 'the token may be good');

$r = get('/allow', 't');
is(status($r) . header($r, 'X-Status'), '200unavailable', 'allow');
is(status(http_get('/x')), 200, 'no token, no question');

$fake->set(reply => { EXISTS => "-ERR x\r\n" });
is(status(get('/x', 't')), 503, 'an error');
$fake->set(reply => { EXISTS => ":1\r\n" });
is(status(get('/allow', 't')), 401, 'known to be revoked');
$fake->set(reply => undef);
is(status(get('/x', 't')), 200, 'all is well again');

# a logout that Redis does not hear of

$fake->set(only => 'EVAL', reply => { EVAL => "-ERR x\r\n" });

$r = post('/logout', 'l');
is(status($r) . header($r, 'X-Status'), '503revoked', 'revoked, but not said');
is(header($r, 'Retry-After'), 1, 'to be tried again');
is(status(get('/allow', 'l')), 401, 'here it is refused at once');

# nobody there

$fake->stop();

is(join(' ', map { status(get('/x', 't')) } 1 .. 10),
    join(' ', (503) x 10), 'nobody there');
is(status(post('/logout', 'm')) . ' ' . status(get('/allow', 'm'))
   . ' ' . status(get('/allow', 't')), '503 401 200', 'logout all the same');

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
