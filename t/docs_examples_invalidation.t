#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The example of a cache that is told what has changed works as it stands, but
# for paths, ports and a password.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_geo /)
        ->has_program(qw/ redis-server postgres /)->plan(15);

my $root = "$FindBin::Bin/..";
my $conf = $t->read_file("$root/docs/examples/invalidation.conf");

my $redis = $t->run_redis(port => 6380);
my $pg = $t->run_postgres();
my $conninfo = $pg->conninfo();

$pg->query($t->read_file("$root/docs/optcache.sql"));
$pg->query('CREATE TABLE allocations (user_id int, cents int);'
           . 'INSERT INTO allocations VALUES (7, 1), (8, 1)');

# as it is told in the file

my ($watch) = $conf =~ /^ *# +(SELECT optcache\.watch.*?;)$/ms
    or die "nothing is watched\n";
$pg->query($watch =~ s/^ *#//gmr);

$t->run_http_backend(9001, sub {
    my ($req) = @_;

    my ($id) = $req->{uri} =~ m{/(\d+)};

    return [200, [$id ? "X-User-Id: $id" : (), 'Cache-Control: max-age=600',
                  'No-Vary-Search: params=("utm_source")'],
            "$req->{uri} $req->{count}"];
});

$conf =~ s/^(load_module|error_log|pid) [^;]*;//mg;
$conf =~ s/optcache_postgres [^;]*;/optcache_postgres "$conninfo";/;
$conf =~ s/_redis_server [^;]*\K;/ timeout=5s connect_timeout=5s;/;
$conf =~ s/^http \{\K/\n%%TEST_GLOBALS_HTTP%%\n/m;

$t->write_file_expand('nginx.conf', "%%TEST_GLOBALS%%\n$conf")->run();

wait_for(sub { body(http_get('/ops/cache/status')) =~ /"listening"/ });

###############################################################################

is(cached('/api/7'), 'HIT', 'cached');
is(cached('/api/8'), 'HIT', 'another one');

$pg->query('UPDATE allocations SET cents = 2 WHERE user_id = 7');
ok(wait_for(sub { cache('/api/7') eq 'MISS' }), 'a row was changed');
is(cache('/api/8'), 'HIT', 'not that of the other one');

like(purge('{"tag": "api"}'), qr/"hosts":\s*"all"/, 'purged by a tag');
is(cache('/api/8'), 'MISS', 'both are gone');
is(status(http_request('PURGE', '/api/8')), 200, 'purged by a method');
is(cache('/api/8'), 'MISS', 'and again');

is(cached('/api/search?q=1'), 'HIT', 'a search');
http_post('/api/search?q=1');
is(cache('/api/search?q=1'), 'HIT', 'which is no write');
is(cached('/api/9'), 'HIT', 'what is written to');
http_post('/api/9');
is(cache('/api/9'), 'MISS', 'goes');

is(cached('/page?utm_source=a'), 'HIT', 'a page');
is(cache('/page?utm_source=b'), 'HIT', 'is the same for all who are sent');

is(scalar(grep { /^oc:answers:/ } @{ $redis->cmd('KEYS', '*') }), 4,
    'pages are not in Redis');

###############################################################################

sub cache { header(scalar http_get($_[0]), 'X-Cache') // '' }
sub cached { http_get($_[0]); cache($_[0]) }

sub purge {
    return body(http_post('/ops/cache/purge', body => $_[0],
                headers => { 'Content-Type' => 'application/json' }));
}
