#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A revoked token stays refused over a failover, and while it takes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(7);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:26379 redis://127.0.0.1:26380
                           redis://127.0.0.1:26381 sentinel=mymaster
                           timeout=5s connect_timeout=5s;

    server {
        listen 127.0.0.1:8080;

        location / {
            token_blacklist on;
        }
    }
}

EOC

$t->write_file('x', 'SEE-THIS');

my $set = $t->run_sentinels();
my $old = $set->redis(0);

$t->run();

###############################################################################

revoke($old, 'before');

is(answer('good'), 200, 'a token');
is(answer('before'), 401, 'a revoked one');

is($old->cmd('WAIT', 2, 20000), 2, 'the replicas know');

$old->kill();

my %seen;

ok(wait_for(sub {
    $seen{answer('before')} = 1;
    return answer('good') != 200;
}), 'without a master');

ok(wait_for(sub {
    $seen{answer('before')} = 1;
    return answer('good') == 200;
}, 60), 'by the promoted one');

$seen{answer('before')} = 1;

ok(!$seen{200}, 'the revoked one is refused all the time')
    or diag(join ' ', keys %seen);

revoke($set->wait_other($old), 'after');

is(answer('after'), 401, 'and what is revoked there');

###############################################################################

sub revoke {
    my ($redis, $token) = @_;

    $redis->cmd('SETEX', 'blacklist:' . sha256_hex($token), 300, 1);
}


sub answer {
    my ($token) = @_;

    return status(http_get('/x',
        headers => { Authorization => "Bearer $token" }));
}

###############################################################################
