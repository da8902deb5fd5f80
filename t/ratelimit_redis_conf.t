#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Every directive says what is wrong with a wrong value, and what it expected.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $z = 'ratelimit_redis_zone $arg_a zone=a:1m rate=1r/s; '
        . 'ratelimit_redis_zone $arg_a zone=g:1m rate=9r/s algorithm=gcra '
        . 'burst=5 lease=6;';

# where, the directive, what is said of it

my @bad = (
    [http => 'ratelimit_redis_zone $arg_a zone=a:1m;', 'must have "rate"'],
    [http => 'ratelimit_redis_zone $arg_a rate=1r/s rate=1r/m;',
     'must have "zone"'],
    [http => 'ratelimit_redis_zone $arg_a zone=a rate=1r/s;',
     'invalid zone "zone=a" of "ratelimit_redis_zone", it must be '
     . '"zone=NAME:SIZE"'],
    [http => 'ratelimit_redis_zone $arg_a zone=:1m rate=1r/s;', 'invalid zone'],
    [http => 'ratelimit_redis_zone $arg_a zone=a:b rate=1r/s;',
     'invalid zone size "zone=a:b"'],
    [http => 'ratelimit_redis_zone $arg_a zone=a:1g rate=1r/s;',
     'invalid zone size "zone=a:1g" of "ratelimit_redis_zone", it must be '
     . '"zone=NAME:SIZE", a number of bytes, k or m'],
    [http => 'ratelimit_redis_zone $arg_a zone=a:b:1m rate=1r/s;',
     'invalid zone size'],
    [http => 'ratelimit_redis_zone $arg_a zone=a:4k rate=1r/s;',
     'zone "zone=a:4k" of "ratelimit_redis_zone" is too small, it must be at '
     . 'least 32k'],
    [http => "$z $z", 'duplicate zone "a"'],
    [http => 'ratelimit_redis_zone "" zone=a:1m rate=1r/s;',
     '"ratelimit_redis_zone" has an empty key'],
    [http => 'ratelimit_redis_zone $arg_a zone=a:1m rate=1r/s rate=2r/s;',
     'duplicate rate "rate=2r/s" of "ratelimit_redis_zone"'],
    [http => 'ratelimit_redis_zone $arg_a zone=a:1m rate=60r/m rate=1r/60s;',
     'duplicate rate "rate=1r/60s"'],
    [http => 'ratelimit_redis_zone $arg_a zone=a:1m '
             . join(' ', map { "rate=1r/${_}s" } 1 .. 9) . ';',
     'too many rates at "rate=1r/9s" of "ratelimit_redis_zone", a zone has at '
     . 'most 8'],
    (map { my $twice = $_;
           [http => "ratelimit_redis_zone \$arg_a zone=a:1m rate=1r/s "
                    . "algorithm=gcra burst=1 lease=1 cost=1 charge=\$arg_c "
                    . "$twice;",
            "duplicate parameter \"$twice\" of \"ratelimit_redis_zone\""] }
     'zone=b:1m', 'algorithm=gcra', 'burst=1', 'lease=2', 'cost=$arg_d',
     'charge=$arg_d'),
    [http => 'ratelimit_redis_zone $arg_a zone=a:1m rate=1r/s x=y;',
     'invalid parameter "x=y"'],
    [http => 'ratelimit_redis_zone $nosuch zone=a:1m rate=1r/s;',
     'unknown "nosuch" variable'],

    (map { [http => "ratelimit_redis_zone \$arg_a zone=a:1m rate=$_;",
            "invalid rate \"rate=$_\" of \"ratelimit_redis_zone\""] }
     '1', 'r/s', '1r', '1r/', '1r/x', '1r/0s', '1r/32d', '1r/s2', '0r/s',
     '-1r/s', '1.5r/s', '1r/1.5s', '1000001r/s', '2000001r/2s', '1r/ss',
     '9999999999999999r/s', '1r/9999999999999999s', '', '1r/-1s', '1/s'),

    (map { [http => "ratelimit_redis_zone \$arg_a zone=a:1m rate=9r/s $_->[0];",
            $_->[1]] }
     ['algorithm=leaky', 'the algorithm must be "fixed_window", '
      . '"sliding_window" or "gcra"'],
     ['burst=5', '"burst=5" of "ratelimit_redis_zone" needs "algorithm=gcra"'],
     ['burst=0', '"burst=0" of "ratelimit_redis_zone" needs'],
     ['burst=x algorithm=gcra', 'invalid parameter "burst=x"'],
     ['burst=1000000000000 algorithm=gcra', 'the burst is too large'],
     ['cost=10', 'invalid cost "10" of zone "a", it must be a number from 0 '
      . 'to 9'],
     ['cost=x', 'invalid cost "x"'],
     ['cost=$nosuch', 'unknown "nosuch" variable'],
     ['cost=', 'invalid parameter "cost="'],
     ['charge=5', 'invalid charge "5" of zone "a", it must have a variable'],
     ['charge=', 'invalid parameter "charge="'],
     ['lease=0', 'invalid parameter "lease=0"'],
     ['lease=10', 'invalid lease "10" of zone "a", it must be a number from '
      . '1 to 9'],
     ['lease=5 charge=$arg_c', 'and without "charge"'],
     ['lease=-1', 'invalid parameter "lease=-1"']),
    [http => 'ratelimit_redis_zone $arg_a zone=a:1m rate=$nosuch;',
     'unknown "nosuch" variable'],
    [http => 'ratelimit_redis_zone $arg_a zone=a:1m rate=1000000r/s '
             . 'rate=1000000000000r/31d algorithm=sliding_window;',
     'the rate is too large for a sliding window of this length'],

    [location => 'ratelimit_redis zone=nosuch;',
     'unknown zone "nosuch" of "ratelimit_redis"'],
    [location => 'ratelimit_redis zone=;', 'invalid parameter "zone="'],
    [location => 'ratelimit_redis dry_run;', 'must have "zone" parameter'],
    [location => 'ratelimit_redis on;', 'invalid parameter "on"'],
    [location => 'ratelimit_redis zone=a x;', 'invalid parameter "x"'],
    [location => 'ratelimit_redis zone=a on_error=x;',
     'invalid parameter "on_error=x"'],
    [location => 'ratelimit_redis zone=a; ratelimit_redis zone=a;',
     'has zone "a" twice on one level'],
    (map { [location => "ratelimit_redis zone=a on_error=deny dry_run "
                        . "stage=access nodelay $_;",
            "duplicate parameter \"$_\" of \"ratelimit_redis\""] }
     'zone=g', 'on_error=allow', 'stage=precontent', 'dry_run', 'nodelay'),
    (map { [location => "ratelimit_redis zone=g $_;",
            '"ratelimit_redis" directive has both "nodelay" and "delay"'] }
     'nodelay delay=5', 'delay=5 nodelay'),
    [location => 'ratelimit_redis off; ratelimit_redis zone=a;',
     'must be the only one on its level'],
    [location => 'ratelimit_redis zone=a; ratelimit_redis off;',
     'must be the only one on its level'],
    [location => 'ratelimit_redis off x;', 'invalid parameter "x"'],

    (map { [location => "ratelimit_redis zone=a $_;",
            "\"ratelimit_redis\" of zone \"a\" has \"nodelay\" or \"delay\", "
            . 'which need a zone with "algorithm=gcra"'] }
     'nodelay', 'delay=5'),
    [location => 'ratelimit_redis zone=a delay=x;',
     'invalid parameter "delay=x"'],
    [location => 'ratelimit_redis zone=a stage=x;',
     'invalid parameter "stage=x"'],
    [location => 'ratelimit_redis zone=g;',
     'needs "nodelay", for units of a "lease" cannot wait'],

    (map { [location => "ratelimit_redis_status $_;",
            "invalid value \"$_\" of \"ratelimit_redis_status\", it must be "
            . 'a number between 400 and 599'] }
     '200', '399', '600', 'x', '429x', '-1'),
    [location => 'ratelimit_redis_status 429; ratelimit_redis_status 429;',
     'is duplicate'],

    [location => 'ratelimit_redis_headers y;',
     'invalid value "y" of "ratelimit_redis_headers", it must be one of '
     . '"off", "x", "ietf", "all"'],
    [location => 'ratelimit_redis_on_error x;',
     'it must be one of "local", "allow", "deny"'],
    [location => 'ratelimit_redis_dry_run x;',
     'invalid value "x" in "ratelimit_redis_dry_run"'],
    [location => 'ratelimit_redis_log_level x;',
     'it must be one of "info", "notice", "warn", "error"'],

    [http => 'ratelimit_redis_prefix a; ratelimit_redis_prefix b;',
     'is duplicate'],
    [http => 'ratelimit_redis_server x;',
     'invalid parameter "x" in "ratelimit_redis_server", expected '
     . '"password_file=", "connections="'],
    [http => 'ratelimit_redis_server rediss://127.0.0.1 tls_ca=/no/such;',
     'could not load "tls_ca" "/no/such" in "ratelimit_redis_server", expected '
     . 'certificates in PEM (2: No such file or directory)'],
    [http => 'ratelimit_redis_server rediss://127.0.0.1 tls_ca=conf_test.conf;',
     'in "ratelimit_redis_server": no certificate or crl found, expected'],
    [http => 'ratelimit_redis_server redis://127.0.0.1:1;
              ratelimit_redis_server redis://127.0.0.1:2;', 'is duplicate'],
    [server => 'ratelimit_redis_server redis://127.0.0.1:1;',
     'is not allowed here'],
    [server => 'ratelimit_redis_zone $arg_a zone=b:1m rate=1r/s;',
     'is not allowed here'],

    [http => 'token_zone x;', 'invalid value "x" of "token_zone"'],
    [http => 'token_zone 1g;', '"token_zone", it must be a number of bytes, k'],
    [http => 'token_zone 4k;', 'it must be a size of at least 32k'],
    [http => 'token_zone 1m; token_zone 1m;', 'is duplicate'],
    [location => 'token_source;', 'invalid number of arguments'],
    [location => 'token_source $nosuch;', 'unknown "nosuch" variable'],
    (map { [location => "token_source $_;", 'invalid value "' . s/"//gr
            . '" of "token_source", it must have a variable'] }
     '""', 'cookie_session'),
    [location => 'token_required x;', 'invalid value "x" in "token_required"'],
    [location => 'token_blacklist x;',
     'invalid value "x" in "token_blacklist"'],
    [location => 'token_blacklist_key "";',
     '"token_blacklist_key" must not be empty'],
    [location => join(' ', map { "token_blacklist_key $_;" } 1 .. 9),
     'too many "token_blacklist_key" on one level, at most 8'],
    [location => 'token_blacklist_on_error local;',
     'it must be one of "deny", "allow"'],
    [location => 'token_revoke on;', 'invalid number of arguments'],
    [server => 'token_revoke;', 'is not allowed here'],
    [location => 'token_revoke_ttl 0;', 'it must be a time between 1s and 10y'],
    [location => 'token_revoke_ttl x;', 'invalid value "x"'],
    [location => 'token_revoke_ttl 11y;', 'invalid value "11y"'],
);

my @good = (
    'rate=1r/s', 'rate=1000000r/s', 'rate=31000000r/31s', 'rate=1r/31d',
    'rate=2678400000000r/31d', 'rate=1r/744h', 'rate=60r/m rate=500r/h '
    . 'rate=2000r/d rate=1000r/30s', 'rate=1r/s algorithm=fixed_window',
    'rate=9r/s algorithm=gcra burst=5', 'burst=0 rate=9r/s algorithm=gcra',
    'rate=$arg_r lease=10 cost=20',
    'rate=9r/s algorithm=sliding_window cost=9 charge=$upstream_http_x',
);

my $t = Test::Nginx->new()->plan(@bad + @good + 3);

###############################################################################

for (@bad) {
    my ($where, $directive, $message) = @$_;

    my $zone = $directive =~ /ratelimit_redis_zone .*zone=a/ ? '' : $z;
    my ($code, $out) = $t->conf_check($where => $directive,
        $where eq 'http' ? (http => "$zone $directive") : (http => $zone));

    ok($code && index($out, $message) >= 0
       && $out =~ /\[emerg\].*(conf_test\.conf:\d+|unknown "\w+" variable)/,
        substr $directive, 0, 70) or diag($out);
}

for (@good) {
    my ($code, $out) = $t->conf_check(
        http => "ratelimit_redis_zone \$arg_a zone=a:1m $_;",
        location => 'ratelimit_redis zone=a;');

    is($code, 0, $_) or diag($out);
}

# a zone may be named before it is there

is(($t->conf_check(http => "ratelimit_redis zone=a; $z",
                   location => 'ratelimit_redis zone=a stage=access;'))[0], 0,
    'a zone that comes later');

# what the module keeps for itself is no name that a zone could have

is(($t->conf_check(http => 'ratelimit_redis_server unix:/tmp/r;'
        . ' ratelimit_redis_zone $arg_a zone=ratelimit_redis_fleet:32k'
        . ' rate=1r/s;', location => ''))[0], 0, 'any name');

# everything at once

my ($code, $out) = $t->conf_check(http => <<"EOC", location => <<'EOC2');
    $z
    ratelimit_redis_server redis://127.0.0.1:6379 unix:/tmp/r connections=2;
    ratelimit_redis_prefix "";
    token_zone 32k;
    token_source \$arg_t;
    token_required on;
    token_blacklist on;
    token_blacklist_key "x:\$token_digest";
    token_blacklist_on_error allow;
    token_revoke_ttl 1y;
EOC
    ratelimit_redis zone=a on_error=deny dry_run;
    ratelimit_redis_status 599;
    ratelimit_redis_headers x;
    ratelimit_redis_on_error allow;
    ratelimit_redis_dry_run off;
    ratelimit_redis_log_level info;
    token_revoke;
EOC2

is($code, 0, 'everything at once') or diag($out);

###############################################################################
