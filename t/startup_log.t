#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What the log says once nginx has started: what is on, and that a Redis may
# drop what limits rely on, or keeps what a cache would rather drop.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new(log => 'notice')->has_program('redis-server')
    ->plan(18);

$t->write_file('password', "secret1\n");
$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://me@127.0.0.1:6379/1 timeout=5s
                           connect_timeout=5s password_file=password;
    ratelimit_redis_zone $remote_addr zone=api:2m rate=1r/s;

    optcache_redis_server redis://127.0.0.1:6380 timeout=5s
                          connect_timeout=5s;
    optcache_zone answers:1m;
    optcache_zone files:1536k;

    server {
        listen 127.0.0.1:8080;

        location /status {
            optcache_api;
        }

        location / {
            ratelimit_redis zone=api;
            optcache answers;
            return 204;
        }
    }
}

EOF

my ($limits, $cache) = map { port($_) } 6379, 6380;

my $evicts = qr/\[warn\] .*redis "redis:\/\/me\@127.0.0.1:$limits\/1" may evict limits .*"allkeys-lru"/;
my $keeps = qr/\[notice\] .*redis "redis:\/\/127.0.0.1:$cache" stores nothing when/;

my $full = $t->run_redis(port => 6379, args => [
    '--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru',
    '--user', 'me', 'on', '>secret1', '~*', '&*', '+@all',
]);

my $kept = $t->run_redis(port => 6380, args => [
    '--maxmemory', '100mb', '--maxmemory-policy', 'noeviction',
]);

my (undef, $out) = $t->conf_test($t->read_file('nginx.conf'));

unlike($out, qr/optcache \d|ratelimit_redis \d/, 'not when it is only tested');

$t->run();

is($t->log_count(summary('optcache',
    '2 zones \(answers 1m, files 1536k\), '
    . "redis redis:\/\/127.0.0.1:$cache, api")), 1, 'the cache');
is($t->log_count(summary('ratelimit_redis',
    "1 zone \\(api 2m\\), redis redis:\/\/me\@127.0.0.1:$limits\/1")), 1,
    'the limits');
unlike($t->error_log(), qr/secret1/, 'no secret');

ok($t->wait_for_log($evicts), 'limits may be evicted');
ok($t->wait_for_log($keeps), 'a cache that evicts nothing');

# another connection, which is nothing new

$full->cmd('CLIENT', 'KILL', 'TYPE', 'normal');
$kept->cmd('CLIENT', 'KILL', 'TYPE', 'normal');
http_get('/');

# by one worker, for each start; the others may do what they should

$full->cmd('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
$kept->cmd('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lfu');

my $asked = $full->calls('info');

ok($t->reload(wait_old => 1), 'reload');
is($t->log_count(summary('optcache', '2 zones')), 2, 'said again');
ok(wait_for(sub { $full->calls('info') > $asked }), 'asked again');
is($t->log_count($evicts), 1, 'said once by all workers');
is($t->log_count($keeps), 1, 'and of the cache');

# no limit of memory, and one that does not tell

$full->cmd('CONFIG', 'SET', 'maxmemory-policy', 'volatile-lru', 'maxmemory', 0);
$kept->cmd('CONFIG', 'SET', 'maxmemory', 0);
$asked = $full->calls('info');
ok($t->reload(wait_old => 1), 'without a limit');
ok(wait_for(sub { $full->calls('info') > $asked }), 'asked');

$full->cmd('CONFIG', 'SET', 'maxmemory', 100_000_000);
$full->cmd('ACL', 'SETUSER', 'me', '-info', '-config');
$kept->cmd('CONFIG', 'SET', 'maxmemory', 100_000_000,
           'maxmemory-policy', 'noeviction');
ok($t->reload(wait_old => 1), 'not allowed to ask');
ok(wait_for(sub { $t->log_count($keeps) == 2 }), 'the other is asked');
is($t->log_count($evicts), 1, 'nothing is said');

# who closes the connection for it, as proxies may, is not asked for ever

$kept->stop();

my $fake = $t->run_fake_redis(port => 6380, only => 'INFO', half => 'close');

$t->reload(wait_old => 1);

ok(wait_for(sub { $fake->log('INFO') == 3 }, 30), 'three times');
ok(!wait_for(sub { $fake->log('INFO') > 3 }, 2), 'and never again');

###############################################################################

sub summary {
    my ($name, $rest) = @_;

    return qr/\[notice\] [^\n]*: $name \d+\.\d+\.\d+: $rest/;
}

###############################################################################
