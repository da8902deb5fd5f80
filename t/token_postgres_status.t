#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The status tells how PostgreSQL does.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw/ decode_json /;
use Test::More;
use Test::Nginx;
use Test::Nginx::Prometheus;
use Test::Nginx::Revocations;

my $t = Test::Nginx->new()->has_program(qw/ redis-server postgres /)->plan(19);

my $redis = $t->run_redis();
my $pg = $t->run_postgres();

my %conf = (server => 'location /api/ { token_blacklist off;'
                      . 'ratelimit_redis_api; }');

gateway($t, %conf, postgres => '"' . $pg->conninfo() . '"');
$t->run();

###############################################################################

ok($t->wait_for_log(qr/is not there/), 'no table');

my $s = told();
ok(!$s->{believed}, 'not believed');
ok(exists $s->{heard} && !defined $s->{heard}, 'never heard');

is(metric('believed'), 0, 'as the metrics tell');
is(metric('lag_seconds'), undef, 'without a time');
ok(wait_for(sub {
    body(http_get('/api/health'))
        =~ /"degraded".*"revocations: .*"postgres: /;
}), 'which is amiss');

post('/logout', $_) for qw/ a a b /;
is(told()->{waiting}, 2, 'two wait');

install($t, $pg);
$pg->query(revoke('c'));
is(enters('good'), 'refused', 'believed');

ok(wait_for(sub { told()->{written} >= 3 }), 'written');
$s = told();
ok($s->{believed}, 'believed');
cmp_ok($s->{heard}, '<=', 3, 'heard');
is($s->{waiting}, 0, 'nothing waits');
is($s->{fills}, 1, 'all of it once');

is(metric('believed'), 1, 'as the metrics tell');
cmp_ok(metric('lag_seconds'), '<=', 3, 'and how long ago');
ok(wait_for(sub { metric('rows_written_total') == told()->{written} }),
    'and how many');
like(body(http_get('/api/health')), qr/"healthy"/, 'nothing is amiss');

$pg->query("SELECT optcache.token_revoke('no:x', 'infinity')");
ok(wait_for(sub { told()->{ignored} == 1 }), 'ignored');

gateway($t, %conf, postgres => 'off');
$t->reload(wait_old => 1);
is(told(), undef, 'off');

###############################################################################

sub told { decode_json(body(http_get('/api/status')))->{postgres} }


sub metric {
    my $m = Test::Nginx::Prometheus->new(body(http_get('/api/metrics')));
    diag($_) for $m->errors();
    return $m->value("ratelimit_redis_postgres_$_[0]");
}

###############################################################################
