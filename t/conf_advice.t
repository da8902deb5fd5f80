#!/usr/bin/perl

# Copyright (C) The Optcache authors

# "nginx -t" warns of what is allowed and hardly meant, and of nothing else.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Token;

my $zone = 'optcache_zone c:1m;';
my $all = '0.0.0.0:' . port(8080);
my $here = '127.0.0.1:8080';
my $write = 'optcache_api write=on;';
my $limits = 'ratelimit_redis_api write=on;';
my $addr = 'ratelimit_redis_zone %s zone=a:1m rate=1r/s;';
my $limit = 'ratelimit_redis zone=a;';
my $user = 'optcache c; optcache_user nobody;';
my $lists = 'token_blacklist on;';
my $claims = 'token_jwt_require iss=a;';
my $unverified = qr{" in location "/x" does nothing, tokens are not verified};
my $revoked = 'ratelimit_redis_server redis://127.0.0.1:6379;';
my $nothing = qr/"token_blacklist" has nothing to refuse/;

my @cases = (
    # what it is, the warning or '', http, locations, address

    ['X-Forwarded-For', qr/key of zone "a" has "\$http_x_forwarded_for".*:\d+$/,
        sprintf($addr, '$http_x_forwarded_for')],
    ['part of a key', qr/key of zone "a" has "\$HTTP_X_Real_IP"/,
        sprintf($addr, '"u:${HTTP_X_Real_IP}x"')],
    ['appended by us', qr/has "\$proxy_add_x_forwarded_for"/,
        sprintf($addr, '$proxy_add_x_forwarded_for')],
    ['an address', '', sprintf($addr, '$remote_addr$ratelimit_redis_addr')],
    ['some other field', '', sprintf($addr, '$http_x_real_ip_of_mine')],
    ['no dollar', qr/zone "a" is the word "binary_remote_addr", .* "\$binary_/,
        sprintf($addr, 'binary_remote_addr')],
    ['of a field', qr/zone "a" is the word "http_x_api_key"/,
        sprintf($addr, 'http_x_api_key')],
    ['of a map', qr/zone "a" is the word "api_key"/,
        'map $http_x_a $api_key { default $http_x_a; }'
        . sprintf($addr, 'api_key')],
    (map { ["of who it is, $_", qr/zone "a" is the word "$_"/,
            sprintf($addr, $_)] }
         qw/ remote_addr Remote_User http_authorization cookie_session arg_key
             ratelimit_redis_addr token_sub token_claim_a /),
    ['a limit of all', '', sprintf($addr, 'everybody')],
    ['of two words', '', sprintf($addr, '"http_x_a b"')],
    ['that is meant', '', sprintf($addr, 'http_x_api_key:')],
    (map { ["a name, $_", '', sprintf($addr, $_)] }
         qw/ request host status uri connection server_name request_id args
             http_api http_ arg_ sent_http_x_a upstream_http_x_a token_status
             optcache_status /),
    ['a name that a map has, too', '',
        'map $uri $global { default 1; }' . sprintf($addr, 'global')],
    ['and of a part of one', '',
        'map $uri $monkey { default 1; }' . sprintf($addr, 'monkey')],

    ['a limit of no token',
        qr/"\$token_user" in the key of zone "a" is always empty in .* "\/x"/,
        sprintf($addr, '$token_user'), "$limit location /x { }"],
    ['and of all', qr/"\$token_claim_b" in the key of zone "a" is always empty/,
        sprintf($addr, '"u:$token_sub:${token_claim_b}"'),
        "location /x { $limit }"],
    ['of verified ones', '', sprintf($addr, '$token_user'),
        "$limit location /x { token_jwt_keys keys.json; }"],
    ['of none, and meant', '', sprintf($addr, '$token_user'),
        "$limit location /x { token_jwt_keys off; }"],
    ['or by address', '', sprintf($addr, '$token_user$remote_addr'),
        "$limit location /x { }"],
    ['off', '', sprintf($addr, '$token_user'),
        "$limit location /x { ratelimit_redis off; }"],
    ['of malformed tokens', qr/"\$token_digest" in the key of .* is empty with/,
        sprintf($addr, '$token_digest'), "location /x { $limit }"],
    ['that are refused', '', sprintf($addr, '$token_digest'),
        "$limit location /x { token_required on; }"
        . ' location /y { token_jwt_keys keys.json; }'],
    ['or limited', '', sprintf($addr, '$token_digest')
        . ' ratelimit_redis_zone $remote_addr zone=b:1m rate=9r/s;',
        "location /x { $limit ratelimit_redis zone=b; }"],

    ['an open api', qr/"optcache_api write=on" in location "\/x" lets anybody/,
        $zone, "location /x { $write }", $all],
    ['of limits, too', qr/"ratelimit_redis_api write=on" in location "\/x"/,
        '', "location /x { $limits }", $all],
    ['on loopback', '', $zone, "location /x { $write } location /y { $limits }",
        $here],
    ['that reads', '', $zone, 'location /x { optcache_api; }', $all],
    ['with allow', '', $zone,
        "location /x { allow 10.0.0.0/8; deny all; $write }", $all],
    ['inherited', '', "$zone deny all;", "location /x { $limits }", $all],
    ['with a password', '', "$zone auth_basic a; auth_basic_user_file f;",
        "location /x { $write }", $all],
    ['without it', qr/lets anybody/,
        "$zone auth_basic a; auth_basic_user_file f;",
        "location /x { auth_basic off; $write }", $all],
    ['with a token', '', $zone,
        "location /x { token_required on; $write }", $all],
    ['of which one may only read', '', $zone,
        "location /x { limit_except GET { deny all; } $write }", $all],
    ['limited in vain', qr/lets anybody/, $zone,
        "location /x { limit_except GET { proxy_pass http://$here; } $write }",
        $all],
    ['that is internal', '', $zone, "location /x { internal; $write }", $all],

    ['an open purge', qr/"optcache_purge on" in location "\/x" lets any/, '',
        'location /x { optcache_purge $arg_a on; }', $all],
    ['inherited, too', qr/"optcache_purge 1" in location "\/x"/, '',
        'optcache_purge 1; location /x { }', $all],
    ['of a variable', '', '',
        'location /x { optcache_purge $arg_a 0 ""; }', $all],
    ['of some addresses', '', '', 'location /x { optcache_purge 1;'
        . ' limit_except GET { allow 10.0.0.0/8; deny all; } }', $all],
    ['of this host', '', '', 'location /x { optcache_purge 1; }', $here],
    ['none', '', 'optcache_purge 1;', 'location /x { optcache_purge off; }',
        $all],

    ['one user for all', qr/"optcache_user nobody" is the same user for all/,
        $zone, "location /x { auth_basic a; $user }"],
    ['with tokens', qr/"optcache_user nobody" is the same user/, $zone,
        "location /x { token_required on; $user }"],
    ['whom nobody asks', '', $zone, "location /x { $user }"],
    ['a user without dollar',
        qr/"optcache_user cookie_session" is .* "\/x": expected "\$cookie_s/,
        $zone, 'location /x { optcache c; optcache_user cookie_session; }'],
    ['or of a map', qr/"optcache_user my_user" is .*: expected "\$my_user"/,
        "$zone map \$cookie_a \$my_user { default 1; }",
        'location /x { optcache c; optcache_user my_user; }'],
    (map { ["a user called $_", '', $zone,
            "location /x { optcache c; optcache_user $_; }"] }
         qw/ host server_name http_api cookie_session: /),
    ['a cookie with a dot',
        qr/"\$cookie_connect\.sid" of "optcache_user" .* "\/x" is "\$cookie_con/,
        $zone, 'location /x { optcache c; optcache_user $cookie_connect.sid; }'],
    ['a field with dashes, in a key',
        qr/"\$http_x-api-key" of "optcache_key" .* is "\$http_x" and .* "-api-k/,
        $zone, 'location /x { optcache c; optcache_key "$uri|$http_x-api-key"; }'],
    ['of a limit', qr/zone "a" has "\$cookie_a-b", which is "\$cookie_a" and/,
        sprintf($addr, '"$uri ${arg_a}.b $cookie_a-b"')],
    ['a text behind one, which is meant', '', "$zone "
        . sprintf($addr, '"${cookie_connect}.sid $remote_addr.a $arg_a-$arg_b"'),
        'location /x { optcache c; optcache_user "${http_x}-a $cookie_a. b"; }'],
    ['shared', '', $zone,
        'location /x { auth_basic a; optcache c; optcache_user ""; }'],
    ['each', '', $zone, 'location /x { auth_basic a; optcache c;'
        . ' optcache_user $remote_user; }'],

    ['a user without a password',
        qr/"\$remote_user" of "optcache_user" is whoever .* "\/x", where no/,
        "$zone optcache c; optcache_user \$remote_user;",
        'location /x { } location /y { }'],
    ['with it', '', $zone, 'location /x { optcache c;'
        . ' optcache_user "$remote_user\n$http_authorization"; }'],
    ['which is meant', '', $zone,
        'location /x { optcache c; optcache_user ${remote_user}; }'],
    ['asked for by others', '', "$zone optcache_user \$remote_user;",
        'location /x { optcache c; auth_request /a; } location /a { }'],

    ['a user of no token', qr/"\$token_sub" of "optcache_user" is always empty/,
        "$zone optcache_user \$token_sub;",
        'location /x { optcache c; } location /y { optcache c; }'],
    ['a part of one', qr/"\$token_claim_a" of .* in location "\/x", where/,
        "$zone optcache_user \$http_a:\${token_claim_a};",
        'optcache c; location /x { }'],
    ['of a verified one', '', "$zone optcache_user \$token_user;",
        'optcache c; location /x { token_jwt_keys keys.json; }'],
    ['of any token', '', "$zone optcache_user \$token_digest;",
        'location /x { optcache c; }'],

    ['one answer', qr/"optcache_key \$host" is the same for all/, $zone,
        'location /x { optcache c; optcache_key $host; }'],
    ['of one address', '', $zone,
        'location = /x { optcache c; optcache_key $host; }'],
    ['a key', '', $zone,
        'location /x { optcache c; optcache_key $uri$arg_a; }'],
    ['of a map', '', "$zone map \$uri \$mine { default 1; }",
        'location /x { optcache c; optcache_key $mine; }'],

    ['two hosts', qr/same for the servers "a" and "b", which share .* "c"/,
        "$zone server { server_name a; location / { optcache c;"
        . ' optcache_key $request_uri; } }',
        'server_name b; optcache c; optcache_key $request_uri;'],
    ['told apart', '', "$zone server { server_name a; location / {"
        . ' optcache c; optcache_key $host$request_uri; } }',
        'server_name b; optcache c; optcache_key $host$request_uri;'],
    ['one host', '', "$zone server { server_name a; location / {"
        . ' optcache c; optcache_key $request_uri; } }',
        'server_name a; optcache c; optcache_key $request_uri;'],

    ['a time without unit',
        qr/"timeout=50" in "optcache_redis_server" is in seconds/,
        'optcache_redis_server redis://127.0.0.1 timeout=50;'],
    ['of a connection', qr/"connect_timeout=5" in "rate.* "5ms" or "5s" in /,
        'ratelimit_redis_server redis://127.0.0.1 connect_timeout=5;'],
    ['with one', '',
        'optcache_redis_server redis://127.0.0.1 timeout=1s'
        . ' connect_timeout=9ms;'],

    ['no revocations', $nothing, 'token_zone 1m;', "location /x { $lists }"],
    ['some', '', 'token_zone 1m;',
        "location /x { $lists } location /y { token_revoke; }"],
    ['of Redis', '',
        'token_zone 1m; ratelimit_redis_server redis://127.0.0.1:6379;',
        "location /x { $lists }"],

    ['one key of all', qr/"token_blacklist_key foo" is the same for all tokens/,
        $revoked, 'token_blacklist_key a:$token_digest;'
        . ' token_blacklist_key foo; location /x { token_revoke; }'],
    ['that is not revoked', '', $revoked,
        "location /x { $lists token_blacklist_key foo; }"
        . ' location /y { token_revoke; }'],

    ['an issuer of variables',
        qr/"iss=\$host" in "token_jwt_require" is taken as it is/, '',
        'location /x { token_jwt_require aud=$ "aud=a$" iss=$host; }'],

    ['claims of nothing', qr/"token_jwt_require$unverified/, $claims,
        'token_required on; location /x { } location /y { }'],
    ['algorithms', qr/"token_jwt_algorithms$unverified/, '',
        'location /x { token_required on; token_jwt_algorithms RS256; }'],
    ['a time of nobody', qr/"token_blacklist_since_key$unverified/, $revoked,
        "location /x { $lists token_blacklist_since_key a:\$token_sub; }"],
    ['keys of nobody', qr/"token_blacklist_key$unverified/,
        "$revoked token_blacklist_key jti:\$token_claim_jti;",
        "location /x { $lists }"],
    ['a logout of nobody', qr/"token_blacklist_key$unverified/, $revoked,
        'location /x { token_blacklist_key a:${Token_sub}; token_revoke; }'],
    ['one of somebody', '', $revoked, "location /x { $lists"
        . ' token_blacklist_key a:$token_sub; token_blacklist_key b:$arg_a; }'],
    ['keys that are meant', '', $revoked, 'token_jwt_keys off;'
        . " location /x { $lists token_blacklist_key a:\$token_sub; }"],
    ['where nobody looks', '', $claims, 'location /x { }'],
    ['with keys', '', $claims, 'token_required on;'
        . ' location /x { token_jwt_keys keys.json; }'],
    ['without, and meant', '', $claims,
        'location /x { token_required on; token_jwt_keys off; }'],
);

my $t = Test::Nginx->new()
    ->has(qw/ http_auth_basic http_auth_request http_access http_map http_proxy /)
    ->plan(@cases + 1);

$t->write_file('keys.json', jwks(Test::Nginx::Token->new('HS256')));

###############################################################################

for (@cases) {
    my ($what, $warning, $http, $server, $listen) = @$_;

    my ($rc, $out) = test($http, $server // '', $listen // $here);
    my @warned = grep { /\[warn\]/ } split /\n/, $out;

    ok($rc == 0 && ($warning ? @warned == 1 && $warned[0] =~ $warning
                             : !@warned), $what) or diag("$rc: $out");
}

my ($rc, $out) = test($zone, "optcache c; optcache_key \$host; location /x {}"
                             . " location /y {} location /z { $write }"
                             . " location /u { $write }", $all);

is(scalar(() = $out =~ /\[warn\]/g), 2, 'each thing once') or diag($out);

###############################################################################

sub test {
    my ($http, $server, $listen) = @_;

    return $t->conf_test(<<"EOC");
%%TEST_GLOBALS%%
events {
}
http {
    %%TEST_GLOBALS_HTTP%%
    $http
    server {
        listen $listen;
        $server
    }
}
EOC
}

###############################################################################
