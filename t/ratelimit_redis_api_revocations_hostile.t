#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Nothing but an acknowledgement of Redis is one: whatever else it says, or
# does not, is answered with 503, and this host refuses the token all the same.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw/ decode_json /;
use Test::More;
use Test::Nginx;

my @lies = (
    ['+QUEUED' => "+QUEUED\r\n"], ['1' => ":1\r\n"], ['nil' => "\$-1\r\n"],
    ['a string' => "\$2\r\nOK\r\n"], ['an array' => "*1\r\n+OK\r\n"],
    ['ok' => "+ok\r\n"], ['OKAY' => "+OKAY\r\n"], ['nothing' => "+\r\n"],
    ['an error' => "-ERR unknown command\r\n"],
    ['loading' => "-LOADING Redis is loading\r\n"],
    ['read only' => "-READONLY You can't write against a read only\r\n"],
    ['no right' => "-NOPERM this user has no permissions\r\n"],
    ['no memory' => "-OOM command not allowed\r\n"],
    ['garbage' => "HTTP/1.1 200 OK\r\n\r\n"],
    ['too much' => '$99999999999' . "\r\n"],
    ['an end' => undef], ['half of it' => '+O'],
);

my $t = Test::Nginx->new()->plan(2 * 3 * @lies + 8);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=300ms
                           connect_timeout=5s;

    token_blacklist_since_key since:$token_sub;

    server {
        listen 127.0.0.1:8080;

        token_blacklist_on_error allow;

        location / {
            token_blacklist on;
        }

        location /api/ {
            ratelimit_redis_api write=on;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_fake_redis(port => 6379);

$t->run();

###############################################################################

my $n = 0;
my $acknowledged = 0;

for (@lies) {
    my ($name, $reply) = @$_;

    for my $kind (qw/ token user /) {

        # the breaker has not seen anything yet

        ok(wait_for(sub {
            $redis->set(only => undef, reply => { EVAL => "+OK\r\n" },
                        close_after => undef);
            return up();
        }), "$name: Redis is there");

        $redis->set(defined $reply ? (reply => { EVAL => $reply })
                                   : (only => 'EVAL', reply => {},
                                      close_after => 0));

        my $token = 'token-' . ++$n;
        my $r = post($kind, $token);

        is(problem($r), '503 application/problem+json 503',
            "$name: a $kind is not revoked") or diag($r);
        is(get($token), $kind eq 'token' ? 401 : 200, 'on this host it is');
    }
}

# no Redis at all

$redis->stop();

for my $kind (qw/ token jti user /) {
    my $expected = $kind eq 'jti' ? 422 : 503;

    is(problem(post($kind, "away-$kind")),
        "$expected application/problem+json $expected",
        "Redis is away: a $kind");
}

is(get('away-token'), 401, 'refused here');
is(status(http_get('/x')), 200, 'and nginx goes on');

my $errors = join '', grep { !/\[debug\]/ } split /^/,
                      $t->read_file('error.log');

like($errors, qr/redis has not taken it.*\(a token\)/, 'is logged');
unlike($errors, qr/token-\d|away-/, 'but not what it was');

my $done = () = $errors =~ /\[notice\].*revoked by the api/g;

is($done, $acknowledged, 'and only what is done is told to be');

###############################################################################

sub up {
    my $status = status(post('token', 'up'));

    $acknowledged++ if $status == 204;
    return $status == 204;
}

sub post {
    my ($kind, $value) = @_;

    return http_post('/api/revocations', body => qq/{"$kind":"$value"}/,
                     headers => { 'Content-Type' => 'application/json' });
}

sub problem {
    my ($r) = @_;

    my $document = eval { decode_json(body($r)) } || {};

    return join ' ', status($r), header($r, 'Content-Type') // '',
                     $document->{status} // '';
}

sub get {
    my ($token) = @_;

    return status(http_get('/x', headers =>
                           { Authorization => "Bearer $token" }));
}

###############################################################################
