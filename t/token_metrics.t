#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What became of tokens is counted: by verdict, by who had verified them, and by
# who knew whether they are revoked.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw/ decode_json /;
use Test::More;
use Test::Nginx;
use Test::Nginx::Prometheus;
use Test::Nginx::Token;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(20);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    server {
        listen 127.0.0.1:8080;

        location / {
        }

        location /jwt {
            token_jwt_keys keys.json;
        }

        location /rules {
            token_jwt_keys keys.json;
            token_jwt_require iss=i aud=a plan=p typ=JWT;
        }

        location /required {
            token_required on;
        }

        location /list {
            token_blacklist on;
            token_blacklist_key 'no:$http_x_key';

            location /list/open {
                token_blacklist_on_error allow;
            }
        }

        location /api/ {
            ratelimit_redis_api;
        }
    }
}

EOF

my $key = Test::Nginx::Token->new('HS256', kid => 'k');

$t->write_file('keys.json', jwks($key));
$t->write_file($_, 'SEE-THIS') for qw/ x jwt required list /;

my $redis = $t->run_redis();

$t->run();

###############################################################################

my $good = $key->token({ sub => 'a', exp => time() + 3600 });
my $old = $key->token({ sub => 'a', exp => time() - 3600 });

get('/jwt', $good) for 1 .. 3;

is(tokens(), 'ok:3', 'accepted');
is(verified(), 'full:1 worker:2', 'verified once');

get('/jwt', $old);
get('/jwt', $old);
get('/jwt', $good . 'A');
get('/jwt', '=');
get('/jwt');

is(tokens(), 'expired:2 malformed:1 missing:1 ok:3 signature:1', 'others');
is(verified(), 'full:4 worker:2', 'are verified each time');

get('/required');
get('/x', $good);
is(tokens(), 'expired:2 malformed:1 missing:2 ok:3 signature:1',
    'where one is wanted');

# another worker knows what this host has verified; and all is kept

$t->reload(wait_old => 1);

get('/jwt', $good) for 1 .. 2;
is(verified(), 'full:4 host:1 worker:3', 'another worker');
is(tokens(), 'expired:2 malformed:1 missing:2 ok:5 signature:1',
    'kept over a reload');

# revocations: what has no key has nobody to be asked

is(checks(), '', 'nobody was asked');
get('/list', 't', 'a');
like(checks(), qr/^redis:1$/, 'Redis knows');

ok(wait_for(sub {
    get('/list', 't', 'a');
    return checks() =~ /^local:1 /;
}), 'which is remembered');

$redis->cmd('SET', 'no:b', 1);
is(status(get('/list', 't', 'b')), 401, 'a revoked one');
like(tokens(), qr/ revoked:1 /, 'is counted');

# Redis is away

$redis->kill();

ok(wait_for(sub { status(get('/list', 't', 'c')) == 503 }), 'closed');
my ($closed) = checks() =~ /failed_closed:(\d+)/;
cmp_ok($closed, '>=', 1, 'is counted');
like(tokens(), qr/ unavailable:$closed$/, 'and what became of them');

get('/list/open', 't', 'd') for 1 .. 2;
like(checks(), qr/failed_closed:$closed failed_open:2/, 'open');

# the status tells the same

my $s = decode_json(body(http_get('/api/status')))->{tokens};

is_deeply([@{ $s }{qw/ ok expired missing revoked error /}],
    [metrics()->value('ratelimit_redis_tokens_total', verdict => 'ok'),
     2, 2, 1, undef], 'the status');

is_deeply([$s->{verified}, $s->{blacklist}{failed_open}],
    [{ full => 4, host => 1, worker => 3 }, 2], 'in all');
is($s->{checked}, $s->{ok} + $s->{expired} + $s->{malformed}
                  + $s->{signature} + $s->{revoked} + $s->{unavailable},
    'and the sum');

# each word is that of some token

my %claims = (iss => 'i', aud => 'a', plan => 'p');

for ([{ %claims, nbf => 4102444800 }], [{ %claims, iss => 'x' }],
     [{ %claims, aud => 'x' }], [{ %claims, plan => 'x' }],
     [\%claims, typ => 'x'], [\%claims, kid => 'x'], [\%claims, crit => []],
     [\%claims, alg => 'HS512'])
{
    my ($payload, %header) = @$_;
    get('/rules', $key->token($payload, typ => 'JWT', %header));
}

my $m = metrics();

is_deeply([grep { !$m->value('ratelimit_redis_tokens_total', verdict => $_) }
                $m->labels('ratelimit_redis_tokens_total', 'verdict')],
    [], 'none is never said');

###############################################################################

sub get {
    my ($uri, $token, $id) = @_;

    my $headers = bearer($token);
    $headers->{'X-Key'} = $id if defined $id;

    return http_get($uri, headers => $headers);
}


sub metrics {
    my $m = Test::Nginx::Prometheus->new(body(http_get('/api/metrics')));

    if (my @errors = $m->errors()) {
        fail('the format');
        diag(join("\n", @errors));
    }

    return $m;
}


# those that are not 0

sub nonzero {
    my ($name, $label) = @_;
    my $m = metrics();

    return join ' ', map { my $n = $m->value($name, $label => $_);
                           $n ? "$_:$n" : () } sort $m->labels($name, $label);
}


sub tokens { nonzero('ratelimit_redis_tokens_total', 'verdict') }
sub verified { nonzero('ratelimit_redis_token_verifications_total', 'source') }


sub checks {
    return nonzero('ratelimit_redis_token_blacklist_checks_total', 'result');
}

###############################################################################
