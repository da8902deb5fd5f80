#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What a cluster said of a token is kept as long as all of its masters tell of
# changes: a token that was asked for costs the cluster nothing more, and is
# refused soon after an application has revoked it at any of them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;
use Test::More;
use Test::Nginx;
use Time::HiRes qw/ sleep /;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(10);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:7000 cluster
                           timeout=5s connect_timeout=5s;

    server {
        listen 127.0.0.1:8080 reuseport;

        token_blacklist on;

        location / {
        }
    }
}

EOC

$t->write_file('x', 'SEE-THIS');

my $cluster = $t->run_redis_cluster(ports => [7000 .. 7002]);

$t->run();

###############################################################################

# one token of each master

my @tokens;

for my $node ($cluster->nodes()) {
    my $i = 0;
    $i++ until $cluster->master($cluster->slot(key("t$i"))) == $node;
    push @tokens, "t$i";
}

ok(kept(), 'answers are kept, by all workers');
is(join(' ', map { status(get($_)) } @tokens), '200 200 200', 'not revoked');

for my $i (0 .. 2) {
    $cluster->node($i)->cmd('SETEX', key($tokens[$i]), 60, 1);
    ok(refused($tokens[$i]), "revoked at master $i");
}

ok(kept(), 'kept');
is(join(' ', map { status(get($_)) } @tokens), '401 401 401', 'revoked');

$cluster->node($_)->cmd('DEL', key($tokens[$_])) for 0 .. 2;
ok(wait_for(sub { "@{[ map { status(get($_)) } @tokens ]}" eq '200 200 200' }),
   'not any more');

# a flush forgets what was revoked, and what is kept

$cluster->node(1)->cmd('SETEX', key($tokens[1]), 60, 1);
ok(refused($tokens[1]) && kept(), 'revoked and kept');
$cluster->node(1)->cmd('FLUSHALL');
ok(wait_for(sub { status(get($tokens[1])) == 200 }), 'flushed');

###############################################################################

sub key { 'blacklist:' . sha256_hex($_[0]) }


# Kept answers were heard of less than a tenth of a second ago; the rest of the
# time is for a busy machine.

sub refused {
    my ($token) = @_;
    return wait_for(sub { status(get($token)) == 401 }, 5);
}


sub asked {
    my $n = 0;
    $n += $_->calls('exists') for $cluster->nodes();
    return $n;
}


# Whether twenty checks of each in a row ask for nothing: a busy machine may
# break a promise at any time.

sub kept {
    return wait_for(sub {
        get($_) for @tokens;
        my $n = asked();
        get($_) for (@tokens) x 20;
        return asked() == $n;
    }, 30);
}


sub get {
    my ($token) = @_;
    return http_get('/x', headers => { Authorization => "Bearer $token" });
}

###############################################################################
