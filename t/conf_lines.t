#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What is found when all of the configuration is read is told with the line
# that it is about, not with that at which the reading ends.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Token;

my $t = Test::Nginx->new()->has(qw/ http_auth_basic http_access /);

my $dir = $t->testdir();
my $all = '0.0.0.0:' . port(8080);
my $ec = Test::Nginx::Token->new('ES256');
my $basic = 'auth_basic a; auth_basic_user_file f; optcache_zone c:1m;';

# what is said; http, server and location, and of these the line with "HERE"

my @cases = (
    ['optcache uses the zone "nosuch"', '', '', 'optcache nosuch; # HERE'],
    ['optcache uses the zone "nosuch"', 'optcache nosuch; # HERE', '', ''],
    ['in "optcache_max_size"', '', 'optcache_max_size 257m; # HERE', ''],
    ['"optcache_methods" with POST', 'optcache_zone c:1m;', '',
        "optcache c;\noptcache_methods POST; # HERE"],
    ['"optcache_methods" with POST',
        "optcache_zone c:1m;\noptcache_methods POST;\n"
        . 'optcache_key $uri$optcache_body;', 'optcache c;',
        'optcache_key $uri;', 'location'],

    ['unknown zone "nosuch"', '', 'ratelimit_redis zone=nosuch; # HERE', ''],
    ['of "token_jwt_keys" failed (2: No such file or directory)', '', '',
        "token_jwt_keys $dir/nosuch; # HERE"],
    ['must be a file of at most', "token_jwt_keys $dir; # HERE", '', ''],
    ['not valid JSON', '', "token_jwt_keys $dir/broken; # HERE", ''],
    ['no key of it can be used', '', "token_jwt_keys $dir/es256;",
        'token_jwt_algorithms HS256;', 'location'],
    ['are not used, the first', '', "token_jwt_keys $dir/some; # HERE", ''],

    ['"optcache_user x" is the same user', $basic, '',
        "optcache c;\noptcache_user x;", 'location'],
    ['"$token_sub" of "optcache_user"', 'optcache_zone c:1m;', '',
        "optcache c;\noptcache_user \$token_sub;", 'location'],
    ['"optcache_key $host" is the same', 'optcache_zone c:1m;', 'optcache c;',
        'optcache_key $host;', 'location'],
    ['for the servers "" and "b"', "optcache_zone c:1m;\noptcache c;\n"
        . "optcache_key \$uri;\n server { location / { } }", 'server_name b;',
        '', 'server'],
    ['"optcache_api write=on"', '', "listen $all;", 'optcache_api write=on;',
        'location'],
    ['"optcache_set_cookie keep"', 'optcache_zone c:1m;', '',
        'optcache c; optcache_user ""; optcache_set_cookie keep;', 'location'],

    ['"ratelimit_redis_api write=on"', '', "listen $all;",
        'ratelimit_redis_api write=on;', 'location'],
    ['"token_jwt_require" in location', '', '',
        "token_required on;\ntoken_jwt_require iss=a;", 'location'],
    ['has nothing to refuse', '', '', 'token_blacklist on;', 'location'],
);

$t->plan(scalar @cases);

$t->write_file('broken', '{');
$t->write_file('es256', '{"keys":[' . JSON::PP->new()->encode($ec->jwk())
                        . ']}');
$t->write_file('some', '{"keys":[{"kty":"XYZ"},'
                       . JSON::PP->new()->encode($ec->jwk()) . ']}');

###############################################################################

for (@cases) {
    my ($message, $http, $server, $location, $block) = @$_;

    my $conf = <<"EOC";
%%TEST_GLOBALS%%
events {
}
http {
    %%TEST_GLOBALS_HTTP%%
    $http
    server { # server
        listen 127.0.0.1:8080;
        $server
        location /x { # location
            $location
        }
    }
}
EOC

    my (undef, $out) = $t->conf_test($conf);
    my $mark = $block // 'HERE';

    my ($above) = $t->read_file('conf_test.conf') =~ /\A(.*?)# \Q$mark\E/s;
    my $line = 1 + ($above =~ tr/\n//);

    like($out, qr/\Q$message\E.* in \S+conf_test\.conf:$line$/m,
        "$message: " . ($block // 'its line')) or diag("$line: $out");
}

###############################################################################
