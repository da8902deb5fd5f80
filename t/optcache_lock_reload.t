#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Workers of all generations wait for each other, and leave when they have
# nothing to wait for.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Gate;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_stub_status /)->plan(12);

sub configure {
    my ($workers, $connections) = @_;

    $t->write_file_expand('nginx.conf', <<"EOF");

%%TEST_GLOBALS%%

worker_processes $workers;

events {
    worker_connections $connections;
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
}

my $gate = Test::Nginx::Gate->new($t);

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    $gate->pass() if $req->{uri} =~ /gate/;
    return "answer $req->{count}";
});

configure(2, 512);
$t->run();

###############################################################################

# some in each of three generations

my @s = map { http_get('/gate', start => 1) } 1 .. 10;
$gate->busy(10);

ok($t->reload(), 'reload while they wait');
push @s, map { http_get('/gate', start => 1) } 1 .. 10;
$gate->busy(20);

ok($t->reload(), 'and another one');
push @s, map { http_get('/gate', start => 1) } 1 .. 10;
my @r = $gate->answers(@s);

is($backend->count(qr{/gate}), 1, 'one request upstream');
is(scalar(grep { body($_) eq 'answer 1' } @r), 30, 'answers all');
ok(wait_for(sub { $t->worker_pids(all => 1) == 2 }, 20), 'old workers leave');

# one that an old worker leads, and nobody else waits there

my $slow = http_get('/gate/slow', start => 1);
wait_for(sub { $backend->count(qr{/gate/slow}) == 1 });
ok($t->reload(), 'reload while an old worker leads');
@s = map { http_get('/gate/slow', start => 1) } 1 .. 10;
$gate->answers($slow, @s);
is($backend->count(qr{/gate/slow}), 1, 'new workers wait for it');

# more workers than the eventfds are for

for my $n (1 .. 2) {
    configure(40, 64);
    ok($t->reload(), "reload with many workers, $n");
}

my @many = map { http_get('/gate/many', start => 1) } 1 .. 20;
$gate->answers(@many);
is($backend->count(qr{/gate/many}), 1, 'those without one wait, too');

configure(2, 512);
ok($t->reload(wait_old => 1), 'reload back');
is(header(http_get('/gate/many'), 'X-Cache'), 'HIT', 'and all goes on');

###############################################################################
