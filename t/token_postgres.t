#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Revocations are in PostgreSQL too: a Redis that was emptied is told of them
# before it is believed again, and rows that are written there reach it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program(qw/ redis-server postgres /)->plan(20);

my $pg = $t->run_postgres();
my $conninfo = $pg->conninfo();

$t->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;
    token_blacklist_postgres "$conninfo";

    server {
        listen 127.0.0.1:8080;

        token_blacklist on;
        add_header X-Status \$token_status always;

        location / {
        }

        location = /logout {
            token_blacklist off;
            token_revoke;
        }
    }
}

EOC

$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_redis();

$pg->query($t->read_file($t->source_dir() . '/docs/token_blacklist.sql'));
pass('installed');
$pg->query($t->read_file($t->source_dir() . '/docs/token_blacklist.sql'));
pass('installed again');

$pg->query(revoke('before'));

$t->run();

###############################################################################

ok(believed(), 'believed');
is(status(get('/x', 'good')), 200, 'not revoked');
is(status(get('/x', 'before')), 401, 'a row of before');

my $key = 'blacklist:' . sha256_hex('before');
is($redis->cmd('GET', $key), 1, 'its key');
cmp_ok($redis->cmd('TTL', $key), '>', 3590, 'its time');
cmp_ok($redis->cmd('TTL', $key), '<=', 3601, 'and no longer');

# new rows

$pg->query(revoke('later'));
ok(wait_for(sub { status(get('/x', 'later')) == 401 }), 'a new row');

# what is revoked here is in the table

is(status(post('/logout', 'here')), 204, 'logout');
ok(wait_for(sub { rows('here') == 1 }), 'is in the table');
is(status(post('/logout', 'here')), 204, 'logout again');

# never let in while Redis is told again

$redis->cmd('FLUSHALL');

my %seen;
my $until = wait_for(sub {
    $seen{status(get('/x', $_))}++ for qw/ before later here /;
    return status(get('/x', 'good')) == 200;
});

ok($until, 'believed again');
is($seen{200}, undef, 'nobody was let in');
is(status(get('/x', $_)), 401, "$_ is revoked") for qw/ before later /;
is($redis->cmd('EXISTS', 'blacklist:' . sha256_hex('here')), 1,
    'what was revoked here');

# an empty Redis

%seen = ();
$redis->restart();

ok(wait_for(sub {
    $seen{status(get('/x', $_))}++ for qw/ before later /;
    return status(get('/x', 'good')) == 200;
}), 'believed after a restart');
is($seen{200}, undef, 'nobody was let in');

# what has expired goes

$pg->query("UPDATE optcache.token_blacklist SET expires = now()"
           . " WHERE key = '$key'");
ok(wait_for(sub { !rows('before') }, 15), 'an expired row goes');

###############################################################################

sub believed { wait_for(sub { status(get('/x', 'b')) == 200 }) }


sub revoke {
    my ($token) = @_;
    return "SELECT optcache.token_revoke('blacklist:" . sha256_hex($token)
           . "', now() + interval '1 hour')";
}


sub rows {
    my ($token) = @_;
    return $pg->query("SELECT count(*) FROM optcache.token_blacklist"
        . " WHERE key = 'blacklist:" . sha256_hex($token) . "'");
}


sub get {
    my ($uri, $token) = @_;
    return http_get($uri, headers => { Authorization => "Bearer $token" });
}


sub post {
    my ($uri, $token) = @_;
    return http_post($uri, headers => { Authorization => "Bearer $token" });
}

###############################################################################
