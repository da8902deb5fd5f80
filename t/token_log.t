#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Whatever becomes of a token, no part of it, nor what it says, is told to the
# client, the logs or Redis; at the level "debug" nginx itself logs the fields
# of a request, and we add nothing to that.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;
use MIME::Base64 qw/ encode_base64url decode_base64url /;
use Test::More;
use Test::Nginx;
use Test::Nginx::Token;

my @levels = Test::Nginx->new()->{log} eq 'debug' ? qw/ info debug / : 'info';
my %hosts = map { $_ => Test::Nginx->new(log => $_) } @levels;
my $t = $hosts{info}->has_program('redis-server');

my $conf = <<'EOF';

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=2s
                           connect_timeout=2s;

    server {
        listen 127.0.0.1:8080;

        add_header X-Status $token_status always;
        large_client_header_buffers 4 64k;

        token_blacklist on;
        token_required on;

        location / {
        }

        location /jwt {
            token_jwt_keys %%TESTDIR%%/keys.json;

            location /jwt/since {
                token_blacklist_since_key since:$token_digest;
            }

            location /jwt/iss {
                token_jwt_require iss=https://good.example.com;
            }

            location /jwt/aud {
                token_jwt_require aud=good;
            }

            location /jwt/typ {
                token_jwt_require typ=good;
            }

            location /jwt/claim {
                token_jwt_require plan=good;
            }
        }

        location /cookie {
            token_source $cookie_session;
        }

        location = /logout {
            token_blacklist off;
            token_revoke;
        }
    }
}

EOF

my $es = Test::Nginx::Token->new('ES256', kid => 'this-is-the-kid');
my $hs = Test::Nginx::Token->new('HS256', kid => 'another-kid-of-it');

my %claims = (iss => 'https://issuer.example.com/of/it',
              sub => 'the-subject-of-it', jti => 'the-number-of-it');

# what the status is, where, and the token

my $good = $es->token({ %claims, n => 1 });
my ($head, $payload, $signature) = split /\./, $good;
my $long = encode_base64url('{"sub":"' . 'long-subject-of-it' x 1000 . '"}');

my $encrypted = encode_base64url('{"alg":"dir","enc":"A256GCM"}');

my @cases = (
    [ok => '/jwt', $good],
    [ok => '/jwt', $hs->token(\%claims)],
    [ok => '/x', 'an-opaque-token-that-nobody-knows'],
    [ok => '/cookie', 'a-session-of-somebody-or-other'],
    [malformed => '/x', "an-opaque-token-of two-words"],
    [malformed => '/x', 'a-token-with-"quotes"-in-it'],
    [malformed => '/x', "a-token-with-\x80-bytes-in-it"],
    [malformed => '/cookie', 'a-session-with-%41-in-it'],
    [malformed => '/x', "$head.$payload.$signature="],
    [malformed => '/jwt', 'an-opaque-token-that-is-no-jwt'],
    [malformed => '/jwt', "$head.$payload"],
    [malformed => '/jwt', "$head.$long.$signature"],
    [malformed => '/jwt', $es->token('{"sub":"the-subject-of-it",}')],
    [malformed => '/jwt', $es->token({ exp => 'the-time-of-it' })],
    [malformed => '/jwt', $es->token({ sub => "the-subject-of-it\n" })],
    [malformed => '/jwt', part('{"alg":"ES256","alg":"HS256"}')],
    [unsupported => '/jwt', $es->token(\%claims, crit => ['what-is-critical'])],
    [unsupported => '/jwt', "$encrypted.$payload.$payload.$payload.$signature"],
    [malformed => '/jwt', "$head.$payload.$payload.$payload.$signature"],
    [algorithm => '/jwt', part('{"alg":"none"}')],
    [algorithm => '/jwt', part('{"alg":"an-unknown-algorithm"}')],
    [key => '/jwt', $es->token(\%claims, kid => 'a-kid-that-nobody-has')],
    [malformed => '/jwt', $es->token(\%claims, kid => 'a-long-kid' x 40)],
    [signature => '/jwt', Test::Nginx::Token->new('ES256')->token(\%claims)],
    [signature => '/jwt', "$head." . encode_base64url('{"sub":"somebody-else"}')
                          . ".$signature"],
    [expired => '/jwt', $es->token({ %claims, exp => 1 })],
    [not_yet => '/jwt', $es->token({ %claims, nbf => 4102444800 })],
    [issuer => '/jwt/iss', $good],
    [audience => '/jwt/aud', $es->token({ %claims, aud => 'audience-of-it' })],
    [type => '/jwt/typ', $es->token(\%claims, typ => 'the-type-of-it')],
    [claim => '/jwt/claim', $es->token({ plan => 'the-plan-of-it' })],
    [revoked => '/x', 'an-opaque-token-that-was-revoked'],
    [revoked => '/jwt', my $revoked = $es->token({ %claims, n => 2 })],
    [revoked => '/jwt/since', my $since = $es->token({ %claims, n => 3 })],
);

$t->plan(@levels * (2 * @cases + 9));

my $redis = $t->run_redis();

###############################################################################

for my $level (@levels) {
    my $host = $hosts{$level};

    $host->write_file('keys.json', jwks($es, $hs));
    mkdir $host->testdir() . '/jwt';
    $host->write_file($_, 'SEE-THIS') for qw! x jwt/x cookie !;
    $host->write_file("jwt/$_", 'SEE-THIS') for qw/ since iss aud typ claim /;
    $host->write_file_expand('nginx.conf', $conf);
    $redis->cmd('FLUSHALL');
    $host->run();

    check($host, $level);
}

###############################################################################

sub check {
    my ($host, $level) = @_;
    my @answers;

    # those that are to be revoked, by their owner and by an application

    push @answers, http_post('/logout', headers => bearer($_))
        for 'an-opaque-token-that-was-revoked', $revoked;
    is(join(' ', map { status($_) } @answers), '204 204', "$level: revoked");

    $redis->cmd('SET', 'since:' . sha256_hex($since), 2000);

    for (@cases) {
        my ($status, $uri, $token) = @$_;

        my $r = get($uri, $token);
        push @answers, $r;
        is(header($r, 'X-Status'), $status, "$level: $uri $status");
        is(leaks($r, $token), '', "$level: $uri $status, answer");
    }

    # Redis says nothing, and then is not there

    my @late = map { $es->token({ %claims, n => $_ }) } 'late', 'later', 'last';

    $redis->suspend();
    push @answers, get('/jwt', $late[0]);
    is(header($answers[-1], 'X-Status'), 'unavailable', "$level: silent");
    $redis->cont();
    my $all = join ' ', @{ $redis->cmd('KEYS', '*') };
    $redis->stop();
    push @answers, get('/jwt', $late[1]),
                   http_post('/logout', headers => bearer($late[2]));
    is(join(' ', map { status($_) } @answers[-2, -1]), '503 503',
        "$level: not there");
    $redis->launch();

    my @tokens = (@late, map { $_->[2] } @cases);

    is(join('', map { leaks(join('', @answers[-3 .. -1]), $_) } @late), '',
        "$level: answers");

    $host->stop();

    # fields of requests are logged by nginx, if anybody asks for that

    my $log = join "\n", grep { !/ http (header|script var|cookie)/
                                && !/ parse header: /
                                && !/ http args: / }
                              split /\n/, $host->error_log();

    isnt(leaks("a $late[0] b", $late[0]), '', "$level: would be seen");
    cmp_ok(length $log, '>', 500, "$level: there is a log");
    is(join('', map { leaks($log, $_) } @tokens), '', "$level: error log");
    is(join('', map { leaks($host->read_file('access.log'), $_) } @tokens), '',
        "$level: access log");
    is(join('', map { leaks($all, $_) } @tokens), '', "$level: Redis");
}


# What of a token there is in a text: any 12 characters of it in a row, or a
# word that is in its parts.

sub leaks {
    my ($text, $token) = @_;

    my @words = map { decode_base64url($_) =~ /([\w:\/.-]{9,})/g }
                split /\./, $token;

    for my $piece (@words, pieces($token)) {
        return "[$piece]" if index($text, $piece) >= 0;
    }

    return '';
}


sub pieces {
    my ($token) = @_;
    return map { substr $token, 12 * $_, 12 } 0 .. int(length($token) / 12) - 1;
}


sub part { return encode_base64url($_[0]) . ".$payload.$signature" }


sub get {
    my ($uri, $token) = @_;

    $uri .= '/x' if $uri eq '/jwt';

    return http_get($uri, headers => { Cookie => "session=$token" })
        if $uri eq '/cookie';
    return http_get($uri, headers => bearer($token));
}

###############################################################################
