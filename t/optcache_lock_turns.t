#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Of many who wait for one response not all go on in the same turn of the event
# loop: whoever asks for something else has his turn among them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Gate;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_stub_status /)->plan(9);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
    worker_connections 1024;
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            optcache_lock_timeout 60s;
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

    $gate->pass();

    return [200, { 'Cache-Control' => $req->{uri} =~ /stored/ ? 'max-age=60'
                                                              : 'no-store' },
            'x'];
});

$t->run();

###############################################################################

use constant { TURN => 64, MANY => 150 };

my ($r, @turns) = released('/stored');

is(grep(header($_, 'X-Cache') eq 'HIT', @$r), MANY - 1, 'all are answered');
is($backend->count(qr{/stored}), 1, 'by one response');
is(grep($_ > TURN, @turns), 0, 'some of them in each turn');
cmp_ok(scalar(@turns), '>=', (MANY - 1) / TURN, 'of several');

# those who are to go upstream by themselves, too

($r, @turns) = released('/not');

is(grep(status($_) == 200, @$r), MANY, 'all are answered that go upstream');
is(grep($_ > TURN, @turns), 0, 'some in each turn');
cmp_ok(scalar(@turns), '>=', (MANY - 1) / TURN, 'of several');

# some leave while others go on

($r) = released('/stored/left', 1);

is(grep(status($_) == 200, @$r), MANY / 2, 'all that have not left');
is(header(http_get('/stored/left'), 'X-Cache'), 'HIT', 'and it is stored');

###############################################################################

# Answers to many that wait, and how many of them went on in a turn.

sub released {
    my ($uri, $leave) = @_;

    $gate->close();

    my @waiting = map { http_get($uri, start => 1) } 1 .. MANY;
    $gate->busy(MANY);

    my $before = length $t->error_log();

    $gate->open();

    if ($leave) {
        close $waiting[2 * $_ + 1] for 0 .. MANY / 2 - 1;
        @waiting = @waiting[map { 2 * $_ } 0 .. MANY / 2 - 1];
    }

    my @r = map { http_end($_) } @waiting;

    my @turn = map { scalar(() = /optcache l1 entry|optcache lock: -5/g) }
               split /worker cycle/, substr $t->error_log(), $before;

    return \@r, grep { $_ } @turn;
}

###############################################################################
