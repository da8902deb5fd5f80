#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The worker is killed that leads those of others: one of these asks next.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Gate;

my $t = Test::Nginx->new(log => 'info')
    ->has(qw/ http_proxy http_stub_status /)->plan(6);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 4;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache_valid 10m;
    optcache_lock_timeout 60s;

    server {
        listen 127.0.0.1:8080 reuseport;

        location / {
            optcache c;
            proxy_set_header X-Worker $pid;
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
    my ($req) = @_;

    $t->write_file("leader-$req->{count}", $req->{headers}{'x-worker'});
    $gate->pass();

    return "answer $req->{count}";
});

$t->run();

###############################################################################

my @s = http_get('/', start => 1);
asked(qr{/$}, 1);
push @s, map { http_get('/', start => 1) } 2 .. 40;
$gate->busy(40);

$t->kill_worker($t->read_file('leader-1'));

ok(asked(qr{/$}, 2), 'another one asks');

my @r = grep { $_ } $gate->opened(@s);
is(scalar(grep { body($_) eq 'answer 2' } @r), scalar @r,
    'and what it gets is for all');
cmp_ok(scalar @r, '>', 0, 'who have not been lost with it');
is($backend->count(qr{/$}), 2, 'in two requests');

# nginx does not know any more how many it works on

for my $n (1 .. 3) {
    my $s = http_get("/$n", start => 1);
    asked(qr{/$n}, 1);
    $t->kill_worker($_) for $t->worker_pids();
    close $s;
}

$gate->open();
is(scalar(grep { body(http_get("/$_")) eq 'answer 2' } 1 .. 3), 3,
    'all are killed, and nobody waits for them');

is(header(http_get('/3'), 'X-Cache'), 'HIT', 'and all goes on');

###############################################################################

sub asked {
    my ($re, $n) = @_;
    return wait_for(sub { $backend->count($re) == $n }, 20);
}

###############################################################################
