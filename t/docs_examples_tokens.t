#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The example of signed tokens and of the ways to revoke them works as it
# stands, but for paths, ports and a password.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;
use Test::More;
use Test::Nginx;
use Test::Nginx::Example;
use Test::Nginx::Token;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_rewrite http_map /)
        ->has_program(qw/ redis-server postgres /)->plan(27);

my $redis = $t->run_redis();
my $pg = $t->run_postgres();
my $conninfo = $pg->conninfo();

$pg->query($t->read_file($t->source_dir() . '/docs/token_blacklist.sql'));

$t->run_http_backend(9001, sub {
    my ($req) = @_;

    my $headers = $req->{headers};

    return join ' ', map { $headers->{$_} // '-' }
                     qw/ x-user x-roles authorization cookie /;
});

my $key = Test::Nginx::Token->new('ES256', kid => 'a');
my $weak = Test::Nginx::Token->new('ES384', kid => 'b');

$t->write_file('keys.json', jwks($key, $weak));

# of two workers one may find a Redis that is back later than the other

run_example($t, 'tokens.conf',
    qr/worker_processes auto;/ => 'worker_processes 1;',
    qr/token_blacklist_postgres [^;]*;/ =>
        "token_blacklist_postgres \"$conninfo\";");

# until Redis has what is in PostgreSQL
wait_for(sub { status(get(token(sub => 'zoe'), '/api/payments')) == 200 });

###############################################################################

my $alice = token(sub => 'alice', jti => 'a1', roles => ['x', 'admin']);

is(body(get($alice)), 'alice x,admin - -', 'who asks');
is(status(get($alice, '/api/admin/x')), 200, 'an administrator');
is(status(get(token(sub => 'bob', roles => ['not-admin']), '/api/admin/x')),
    403, 'nobody else');
is(body(http_get('/events', headers => { Cookie => "token=$alice" })),
    'alice - - -', 'by a cookie');
is(status(http_get('/api/x')), 401, 'without a token');

my %refused = (
    'for another service' => token(aud => 'other'),
    'for another purpose' => token({ typ => 'JWT' }),
    'of another issuer' => token(iss => 'https://evil.test'),
    'expired' => token(exp => time() - 60),
    'of another algorithm' => token({ key => $weak }),
);

is(status(get($refused{$_})), 401, $_) for sort keys %refused;

is(status(get(token(exp => time() - 2))), 200, 'of another clock');

# four ways

my $second = token(sub => 'alice', jti => 'a2');
my $third = token(sub => 'alice', jti => 'a3', iat => time() - 5);

is(status(http_post('/logout', headers => bearer($alice))), 204, 'a logout');
is(status(get($alice)), 401, 'is one');
ok($redis->cmd('EXISTS', 'blacklist:' . sha256_hex($alice)), 'by its digest');
cmp_ok($redis->cmd('TTL', 'revoked:a1'), '>', 86000, 'and its name');
ok(wait_for(sub { rows() == 2 }), 'and in PostgreSQL');

is(status(get($second)), 200, 'another token');
$redis->cmd('SETEX', 'revoked:a2', 60, 1);
ok(wait_for(sub { status(get($second)) == 401 }), 'revoked by an application');

is(status(get($third)), 200, 'one more');
is(status(revocation('{"user": "https://id.example.com|alice"}')), 204,
    'all of a user, by operators');
is(status(get($third)), 401, 'are gone');
is(status(get(token(sub => 'bob'))), 200, 'those of others are not');

my $carol = token(sub => 'carol', jti => 'c1');

is(status(get($carol)), 200, 'somebody else');
$pg->query("SELECT optcache.token_revoke('revoked:c1',"
           . " now() + interval '1 hour')");
ok(wait_for(sub { status(get($carol)) == 401 }), 'revoked by a row');

# Redis is lost

$redis->restart();

my $dave = token(sub => 'dave', iat => time() - 5);

ok(wait_for(sub { $redis->cmd('EXISTS', 'revoked:c1') }), 'told again');
ok(wait_for(sub { status(get($dave, '/api/payments')) == 200 }), 'goes on');
is(status(get($carol)), 401, 'what was revoked is');

###############################################################################

sub token {
    my %header = ref $_[0] ? %{ shift() } : ();
    my %claims = (sub => 'somebody', iss => 'https://id.example.com',
                  aud => 'api', exp => time() + 3600, iat => time(), @_);

    my $by = delete $header{key} || $key;

    return $by->token(\%claims, typ => 'at+jwt', %header);
}


sub get {
    my ($token, $uri) = @_;

    return scalar http_get($uri // '/api/x', headers => bearer($token));
}


sub revocation {
    return http_post('/ops/limits/revocations', body => $_[0],
                     headers => { 'Content-Type' => 'application/json' });
}


sub rows { return $pg->query('SELECT count(*) FROM optcache.token_blacklist') }
