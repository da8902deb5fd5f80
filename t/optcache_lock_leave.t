#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Clients that leave one after the other while they ask upstream: of those that
# wait only the next one goes on, however many there are.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Gate;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_stub_status debug /)
    ->plan(4);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache_valid 10m;
    optcache_lock_timeout 60s;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }
    }

    server {
        listen 127.0.0.1:8082;

        location / {
            stub_status;
        }
    }
}

EOF

my $gate = Test::Nginx::Gate->new($t);

my $backend = $t->run_http_backend(8081, sub {
    $gate->pass();
    return "answer $_[0]->{count}";
});

$t->run();

###############################################################################

my @s = http_get('/', start => 1);
asked(1) or die "/ is not asked for\n";
push @s, map { http_get('/', start => 1) } 2 .. 60;
$gate->busy(60);

# how often requests have looked whether they are to ask or to wait

my $looks = qr/optcache lock: -?\d+, hash/;
my $before = $t->log_count($looks);

my $asked = 1;

while ($asked < 21) {
    close shift @s;
    $asked++ if asked($asked + 1);
}

cmp_ok($t->log_count($looks) - $before, '<=', 60, 'the others are left alone');

my @r = $gate->opened(@s);
is(scalar(grep { body($_) eq "answer $asked" } @r), scalar @s,
    'and get the answer of the last one');
is($backend->count(qr{/}), $asked, 'which is the last that is asked for');
is(header(http_get('/'), 'X-Cache'), 'HIT', 'and stored');

###############################################################################

sub asked {
    my ($n) = @_;
    return wait_for(sub { $backend->count(qr{/}) == $n }, 5);
}

###############################################################################
