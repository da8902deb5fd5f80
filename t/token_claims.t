#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Claims of a verified token in variables, wherever nginx takes those, in every
# phase; of a token that was not verified there are none.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ hmac_sha256 /;
use MIME::Base64 qw/ encode_base64url /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy', 'http_rewrite')->plan(43);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    log_format claims escape=none
        "$uri [$token_claim_sub] [$token_claim_plan] [$token_claim_org__id]";

    map $token_claim_roles $admin {
        "~(^|,)admin(,|$)"  yes;
        default             no;
    }

    map $token_claim_plan $plan_rate {
        gold     3r/h;
        free     1r/h;
        default  "";
    }

    ratelimit_redis_zone $token_claim_org__id zone=org:1m rate=2r/h;
    ratelimit_redis_zone $token_user zone=plan:1m rate=$plan_rate;

    server {
        listen 127.0.0.1:8080;

        access_log %%TESTDIR%%/claims.log claims;

        token_jwt_keys %%TESTDIR%%/keys.json;

        location /claims {
            add_header X-Plan $token_claim_plan;
            add_header X-Name $token_claim_realm_access__displayname;
            add_header X-Admin $admin;
            add_header X-List $token_claim_roles;
            add_header X-Number $token_claim_level;
            add_header X-Fraction $token_claim_ratio;
            add_header X-Boolean $token_claim_verified;
            add_header X-Object $token_claim_realm_access;
            add_header X-Which $token_claim_twice;
            add_header X-Lines $token_claim_lines;
            add_header X-All
                "$token_claim_sub$token_claim_plan$token_sub$token_user"
                always;
        }

        location /rewrite {
            if ($token_claim_plan = gold) {
                return 200 "gold for $token_claim_sub";
            }

            return 200 "none";
        }

        location /set {
            set $early "$token_claim_org__id";
            add_header X-Early $early;
        }

        location /proxy {
            proxy_pass http://127.0.0.1:8081;
            proxy_set_header X-User $token_claim_sub;
            proxy_set_header X-Roles $token_claim_realm_access__roles;
        }

        location /org {
            ratelimit_redis zone=org;
        }

        location /plan {
            ratelimit_redis zone=plan;
        }

        location /off {
            token_jwt_keys off;
            add_header X-Sub "<$token_claim_sub>";
        }
    }

    server {
        listen 127.0.0.1:8081;

        location / {
            return 200 "user=$http_x_user roles=$http_x_roles";
        }
    }
}

EOF

my $secret = 'a secret that is long enough for HS256';

$t->write_file('keys.json', '{"keys":[{"kty":"oct","alg":"HS256","k":"'
                            . encode_base64url($secret) . '"}]}');

$t->write_file($_, 'SEE-THIS') for qw/ claims set org plan off /;
$t->run();

###############################################################################

my $claims = '{"sub":"alice","plan":"gold","roles":["user","admin"],'
             . '"org":{"ID":42},"realm_access":{"roles":["a","b,c"],'
             . '"displayName":"Alice A."},"level":3,"ratio":0.5,'
             . '"verified":true,"Twice":1,"TWICE":2,"lines":"a\r\nX-Evil: 1"}';

my $r = get('/claims', $claims);
is(status($r), 200, 'verified');
is(header($r, 'X-Plan'), 'gold', 'a claim');
is(header($r, 'X-Name'), 'Alice A.', 'nested, with capitals');
is(header($r, 'X-Admin'), 'yes', 'a map of an array');
is(header($r, 'X-List'), 'user,admin', 'an array');
is(header($r, 'X-Number'), '3', 'a number');
is(header($r, 'X-Fraction'), '0.5', 'a fraction');
is(header($r, 'X-Boolean'), 'true', 'a boolean');
is(header($r, 'X-Object'), undef, 'an object is empty');
is(header($r, 'X-Which'), undef, 'two that differ in case are none');
is(header($r, 'X-Lines'), undef, 'a text of two lines is empty');
is(header($r, 'X-Evil'), undef, 'and ends no field');

$r = get('/claims', '{"sub":"bob","roles":"x,admin"}');
is(header($r, 'X-Admin'), 'yes', 'a string is as it is');
is(header($r, 'X-Plan'), undef, 'a claim that is not there');
is(header(get('/claims', '{"roles":["x,admin"]}'), 'X-Admin'), 'no',
    'a comma of an element separates nothing');

# in phases before and after the one that refuses tokens

like(get('/rewrite', $claims), qr/gold for alice$/, 'rewrite');
is(header(get('/set', $claims), 'X-Early'), '42', 'set');
like(get('/proxy', $claims), qr/user=alice roles=a,b%2Cc$/, 'upstream');
like($t->read_file('claims.log'), qr!^/set \[alice\] \[gold\] \[42\]$!m,
    'log');

# nothing of what was not verified; return comes before it is refused

my $forged = token($claims, 'another secret of no less than 32 bytes');
my $none = encode_base64url('{"alg":"none"}') . '.'
           . encode_base64url($claims) . '.';
my $logged = length $t->read_file('claims.log');
my $expired = token('{"sub":"alice","plan":"gold","exp":1000}', $secret);

for (['forged', $forged], ['unsigned', $none], ['expired', $expired],
     ['no', undef], ['malformed', 'x.y.z'])
{
    my ($what, $token) = @$_;

    like(with('/rewrite', $token), qr/none$/, "$what token: nothing early");

    $r = with('/claims', $token);
    is(status($r), $what eq 'no' ? 200 : 401, "$what token");
    is(header($r, 'X-All'), undef, "$what token: nothing told");
}

like(substr($t->read_file('claims.log'), $logged),
    qr!^(?:/\w+ \[\] \[\] \[\]\n){10}$!, 'nothing of those is logged');

is(header(get('/off', $claims), 'X-Sub'), '<>', 'not without keys');

# limits

my $org = '{"sub":"u","org":{"id":"1"}}';

is(join(' ', map { status(get('/org', $org)) } 1 .. 3), '200 200 429',
    'a key of a limit');
is(status(get('/org', '{"sub":"u","org":{"id":"2"}}')), 200, 'another key');
is(join(' ', map { status(get('/org', '{"sub":"u"}')) } 1 .. 4),
    '200 200 200 200', 'without the claim there is no key');

is(rates('{"sub":"g","plan":"gold"}'), '200 200 200 429', 'rate of a plan');
is(rates('{"sub":"f","plan":"free"}'), '200 429 429 429', 'another plan');
is(rates('{"sub":"n"}'), '200 200 200 200', 'no plan');

with('/plan', token('{"sub":"f2","plan":"free"}', $secret . 'x')) for 1 .. 3;
is(rates('{"sub":"f2","plan":"free"}'), '200 429 429 429',
    'forged tokens use up nothing of another');

###############################################################################

sub get {
    my ($uri, $payload) = @_;
    return with($uri, token($payload, $secret));
}

sub with {
    my ($uri, $token) = @_;

    return http_get($uri) if !defined $token;
    return http_get($uri, headers => { Authorization => "Bearer $token" });
}

sub rates {
    my ($payload) = @_;
    return join ' ', map { status(get('/plan', $payload)) } 1 .. 4;
}

sub token {
    my ($payload, $key) = @_;

    my $input = encode_base64url('{"alg":"HS256"}') . '.'
                . encode_base64url($payload);

    return $input . '.' . encode_base64url(hmac_sha256($input, $key));
}

###############################################################################
