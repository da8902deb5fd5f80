#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The keys of one revocation may be in different slots, at different masters:
# each is written where it is, and all have to be before it is said to be done.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(12);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:7000 cluster
                           timeout=2s connect_timeout=2s;

    server {
        listen 127.0.0.1:8080;

        token_blacklist_key a:$token_digest;
        token_blacklist_key b:$token_digest:b;
        token_blacklist_key c:$token_digest:c:c;
        token_blacklist_since_key since:$token_sub;

        location / {
            token_blacklist on;
        }

        location /api/ {
            ratelimit_redis_api write=on;
        }
    }
}

EOC

$t->write_file('x', 'SEE-THIS');

my $cluster = $t->run_redis_cluster(ports => [7000 .. 7002]);

$t->run();

###############################################################################

# a token whose keys are each at another master

my $i = 0;
$i++ until masters("t$i") == 3;

my $token = 't' . $i++;

ok(wait_for(sub { get('other') == 200 }), 'the cluster is there');
is(get($token), 200, 'before');
is(status(post('token', $token)), 204, 'revoked');
is(join(' ', map { exists_at(key($_, $token)) } qw/ a b c /), '1 1 1',
    'each key is at its master');
is(get($token), 401, 'refused');

for my $user (qw/ u1 u2 u3 /) {
    post('user', $user);
}

is(join(' ', map { exists_at("since:$_") } qw/ u1 u2 u3 /), '1 1 1',
    'users, too');

# one master of three does not answer

$i++ until masters("t$i") == 3;
$token = "t$i";

my $node = $cluster->master($cluster->slot(key('b', $token)));

$node->suspend();

my $r = post('token', $token);

is(status($r), 503, 'not revoked if one master does not answer');
is(header($r, 'Content-Type'), 'application/problem+json', 'which is told');
is(get($token), 401, 'though this host refuses it');

$node->cont();

ok(wait_for(sub { status(post('token', $token)) == 204 }),
   'revoked when it is back');
is(join(' ', map { exists_at(key($_, $token)) } qw/ a b c /), '1 1 1',
    'by all keys');
is(status(post('token', $token)), 204, 'and again');

###############################################################################

sub key {
    my ($name, $text) = @_;

    return "$name:" . sha256_hex($text)
           . { a => '', b => ':b', c => ':c:c' }->{$name};
}

sub masters {
    my ($text) = @_;

    my %ports = map {
        $cluster->master($cluster->slot(key($_, $text)))->port_number() => 1
    } qw/ a b c /;

    return scalar keys %ports;
}

sub exists_at {
    my ($key) = @_;
    return $cluster->master($cluster->slot($key))->cmd('EXISTS', $key);
}

sub post {
    my ($kind, $value) = @_;

    return http_post('/api/revocations',
                     body => qq/{"$kind":"$value","ttl":600}/,
                     headers => { 'Content-Type' => 'application/json' });
}

sub get {
    my ($text) = @_;
    return status(http_get('/x', headers => { Authorization =>
                                              "Bearer $text" }));
}

###############################################################################
