#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A reload reads the files of keys again: what was signed by keys that are gone
# is refused, by new ones let in; a file that is broken by then changes nothing.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Load;
use Test::Nginx::Token;

my $t = Test::Nginx->new()->plan(22);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:8080 reuseport;

        token_jwt_keys %%TESTDIR%%/keys.json;
        token_required on;
        token_source $arg_t$token_of_header;
        keepalive_requests 1000000;

        location / {
        }
    }

    map $http_authorization $token_of_header {
        "~^Bearer (.*)$"  $1;
    }
}

EOF

# one kid for all of them: nothing but the key itself is new

my ($old, $new, $third) = map { Test::Nginx::Token->new('ES256', kid => 'k') }
                              1 .. 3;
my %token = (old => $old->token({ sub => 'a' }),
             new => $new->token({ sub => 'a' }),
             third => $third->token({ sub => 'a' }));

$t->write_file('keys.json', jwks($old));
$t->write_file('x', 'SEE-THIS');
$t->run();

###############################################################################

is(seen('old'), '200', 'the old key');
is(seen('new'), '401', 'the new one is not known');

# without a reload the file is not read

$t->write_file('keys.json', jwks($new));
is(seen('old') . seen('new'), '200401', 'a file that was changed');

# both for a while, then the new one only

$t->write_file('keys.json', jwks($old, $new));
ok($t->reload(wait_old => 1), 'reload with both');
is(seen('old') . seen('new'), '200200', 'both');

$t->write_file('keys.json', jwks($new));
ok($t->reload(wait_old => 1), 'reload with the new one');
is(seen('old'), '401', 'the old key is gone');
is(seen('new'), '200', 'the new one is there');

# a file that cannot be used, in each of the ways it may be there half

for (['empty', ''], ['half of it', substr(jwks($third), 0, 60)],
     ['no key of it can be used', jwks($third) =~ s/ES256|P-256/X/gr],
     ['not there', undef])
{
    my ($what, $bytes) = @$_;

    $t->expect_log(qr/\[emerg\] .*keys\.json/);

    unlink $t->testdir() . '/keys.json';
    $t->write_file('keys.json', $bytes) if defined $bytes;

    ok(!$t->reload(), "$what: refused");
    is(seen('new') . seen('old') . seen('third'), '200401401',
        "$what: all as before");
}

is($t->log_count(qr/\[emerg\] .*keys\.json/), 4, 'which is logged each time');

# and it goes on from there; nobody who has a good token is refused meanwhile

my $load = Test::Nginx::Load->start(ports => [8080], n => 3000, rate => 1500,
    connections => 4, uris => ["/x?t=$token{new}"]);

$t->write_file('keys.json', jwks($third, $new));
$load->until(sub { $_[0]{done} > 200 }, 30);
ok($t->reload(), 'reload of a good one, under load');
$load->finish();

is(join(' ', keys %{ $load->{count}{"/x?t=$token{new}"} }), '200',
    'no token of a key that stays is refused');
cmp_ok($load->{done}, '==', 3000, 'all were answered');
is(seen('third') . seen('new') . seen('old'), '200200401', 'the third key');
is(seen('third'), '200', 'and again');

###############################################################################

# All that was said, of many connections: both workers are among those who are
# asked.

sub seen {
    my ($name) = @_;

    my %seen = map { $_ => 1 }
               map { status(http_get('/x', headers => bearer($token{$name}))) }
               1 .. 16;

    return join ' ', sort keys %seen;
}

###############################################################################
