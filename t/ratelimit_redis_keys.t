#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A key may be long and may be any bytes: subjects never meet, in Redis or
# here, and nothing breaks.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256 sha256_hex /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new(log => 'info')->has_program('redis-server')->plan(20);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    %%SERVER%%
    large_client_header_buffers 4 80k;
    ratelimit_redis_prefix "p:";
    ratelimit_redis_zone $http_x_key zone=k:1m rate=2r/m;
    ratelimit_redis zone=k;

    server {
        listen 127.0.0.1:8080;
    }
}

EOF

my $conf = $t->read_file('nginx.conf');
my $redis = $t->run_redis();

###############################################################################

for my $server ('', 'ratelimit_redis_server redis://127.0.0.1:6379'
                    . ' timeout=5s connect_timeout=5s;')
{
    my $how = $server ? ', in Redis' : ', here';

    $t->write_file('nginx.conf', $t->expand($conf =~ s/%%SERVER%%/$server/r));
    $t->write_file('index.html', 'SEE-THIS');
    $t->run();

    # every byte that a header may carry

    my @keys = map { 'x' . chr($_) . 'x' }
               grep { $_ != 0 && $_ != 10 && $_ != 13 } 0 .. 255;
    my %statuses = map { $_ => 1 } map { get($_), get($_) } @keys;
    is(join(' ', keys %statuses), '200', 'every byte' . $how);
    %statuses = map { $_ => 1 } map { get($_) } @keys;
    is(join(' ', keys %statuses), '429', 'each for itself' . $how);

    # long ones that differ only in their last byte

    my $long = 'l' x 65000;
    is(join(' ', map { get($long . 'a') } 1 .. 3), '200 200 429',
        'long' . $how);
    is(join(' ', map { get($long . 'b') } 1 .. 3), '200 200 429',
        'other' . $how);

    # around the lengths at which a key is kept in another way

    my %wrong = map { $_ => 1 }
                grep { join(' ', get('n' x $_), get('n' x $_), get('n' x $_))
                       ne '200 200 429' }
                31 .. 42, 127 .. 130;
    is(join(' ', sort keys %wrong), '', 'all lengths' . $how);

    # what another one is written as

    my $hashed = 'sha256:' . sha256_hex($long . 'c');
    is(join(' ', get($hashed), get($hashed), get($long . 'c')), '200 200 200',
        'a key that looks hashed' . $how);

    my $digest = sha256('n' x 40) . "\x01" x 8;
    is(get($digest), 200, 'or is a digest') if $server eq '';

    $t->stop();
}

my @keys = @{ $redis->cmd('KEYS', '*') };

ok((grep { $_ eq 'p:k:{' . 'n' x 39 . '}' } @keys), 'a key as it is');
ok(!(grep { length > 71 + 6 } @keys), 'none is longer');
ok((grep { $_ eq 'p:k:{sha256:' . sha256_hex('l' x 65000 . 'a') . '}' } @keys),
    'a long one is hashed');
ok((grep { $_ eq "p:k:{x\xffx}" } @keys), 'a byte as it is');
is(scalar(grep { /^p:k:\{sha256:/ } @keys), 11, 'and nothing else is hashed');
unlike($t->error_log(), qr/lll/, 'no key is logged');
is($t->log_count(qr/too (big|large|long)/), 0, 'nor found too long');

###############################################################################

sub get { return status(http_get('/', headers => { 'X-Key' => $_[0] })) }

###############################################################################
