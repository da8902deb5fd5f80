#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Where rates are from variables, the API tells what was used, not of what.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw/ decode_json /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(17);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=500ms
                           connect_timeout=500ms;

    ratelimit_redis_zone $arg_v zone=v:1m rate=$arg_rate rate=50r/h;
    ratelimit_redis_zone $arg_s zone=s:1m rate=$arg_rate
                         algorithm=sliding_window;
    ratelimit_redis_zone $arg_g zone=g:1m rate=$arg_rate algorithm=gcra burst=4
                         cost=2 charge=$arg_c;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=v;
            ratelimit_redis zone=s;
            ratelimit_redis zone=g nodelay;
        }

        location /api/ {
            ratelimit_redis_api write=on;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_redis();

$t->run();

###############################################################################

my $zones = json('/api/zones')->{zones};

is_deeply([map { $_->{rates} } @$zones[0, 1]],
    [[{ value => '$arg_rate', rejected => 0 },
      { limit => 50, period => 3600, rejected => 0 }],
     [{ value => '$arg_rate', rejected => 0 }]], 'as configured');
is("$zones->[2]{burst} $zones->[2]{cost} $zones->[2]{charge}", '4 2 $arg_c',
    'cost and charge');
is_deeply([@{ $zones->[0] }{qw/ cost charge /}], ['1', undef], 'none');

is_deeply(subject('v/k')->{rates}, [], 'a new subject');

http_get('/x?v=k&rate=2r/m') for 1 .. 3;

my $s = subject('v/k');

ok($s->{variable}, 'a variable');
is(used($s), '3600:2 60:2', 'what was used');
is(join(' ', map { join ' ', sort keys %$_ } @{ $s->{rates} }),
    'period reset used period reset used', 'but no limit');

my ($minute, $hour) = sort { $a <=> $b } map { $_->{reset} } @{ $s->{rates} };
ok($minute > 50 && $minute <= 60 && $hour > 3500 && $hour <= 3600, 'until when')
    or diag("$minute $hour");

# another plan

http_get('/x?v=k&rate=9r/d');
is(used(subject('v/k')), '3600:3 60:2 86400:1', 'of each period');

http_get('/x?s=k&rate=3r/h') for 1 .. 2;
is(used(subject('s/k')), '3600:2', 'sliding window');

http_get('/x?g=k&rate=1r/h') for 1 .. 2;
$s = subject('g/k');
is(used($s), '3600:4', 'gcra');
is($s->{rates}[0]{reset}, undef, 'which nobody knows the leak of');

# without Redis, and again

$redis->kill();
ok(wait_for(sub { subject('v/k')->{source} eq 'local' }), 'Redis is away');
is(used(subject('v/k')), '3600:3 60:2 86400:1', 'what this host knows');

$redis->launch();
ok(wait_for(sub { subject('v/k')->{source} eq 'redis' }), 'Redis is back');

# a reset needs no rates

is(status(http_get('/x?v=k&rate=2r/m')) . ' '
   . status(http_request('DELETE', '/api/subjects/v/k')), '429 204', 'reset');
is(status(http_get('/x?v=k&rate=2r/m')), 200, 'begins anew');

###############################################################################

sub json {
    my ($uri) = @_;
    my $r = http_get($uri);
    return status($r) == 200 ? decode_json(body($r)) : {};
}


sub subject { return json("/api/subjects/$_[0]") }


sub used {
    return join ' ', sort map { "$_->{period}:$_->{used}" } @{ $_[0]{rates} };
}

###############################################################################
