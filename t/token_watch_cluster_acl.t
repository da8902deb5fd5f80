#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What an ACL user needs for answers of a cluster to be kept.  With less every
# check asks, and the log tells why, once.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Revoker;

my $t = Test::Nginx->new(log => 'info')->has_program('redis-server')->plan(10);

my $conf = <<'EOF';

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://USER@127.0.0.1:7000 cluster
                           password_file=%%TESTDIR%%/password
                           timeout=5s connect_timeout=5s;

    server {
        listen 127.0.0.1:8080;

        token_blacklist on;

        location / {
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');
$t->write_file('password', "secret\n");

my $cluster = $t->run_redis_cluster(ports => [7000 .. 7002]);
my $r = Test::Nginx::Revoker->new(cluster => $cluster, dir => $t->testdir());

my @asks = qw/ +ping +asking +cluster|slots +exists /;
my @listens = qw/ +client|id +client|tracking +subscribe
                  +cluster|nodes +cluster|info /;
my @tokens = map { $r->tokens($_, 1) } $cluster->nodes();

for my $node ($cluster->nodes()) {
    my @rules = ('on', '>secret', '~blacklist:*', 'resetchannels', @asks);

    $node->cmd('ACL', 'SETUSER', 'all', @rules, @listens,
               '&__redis__:invalidate');
    $node->cmd('ACL', 'SETUSER', 'deaf', @rules, @listens);

    for my $i (0 .. $#listens) {
        $node->cmd('ACL', 'SETUSER', "user$i", @rules,
                   '&__redis__:invalidate',
                   @listens[grep { $_ != $i } 0 .. $#listens]);
    }
}

configure('all');
$t->run();

###############################################################################

ok($r->kept(@tokens), 'all of it');

for my $user ('deaf', map { "user$_" } 0 .. $#listens) {
    configure($user);
    $t->reload();

    my $name = $user =~ /(\d)/ ? $listens[$1] : '&__redis__:invalidate';
    my $n = 0;

    # nothing is kept that was

    wait_for(sub {
        $n = $r->asked();
        $r->get($_) for (@tokens) x 5;
        return $r->asked() - $n == 15;
    });

    is($r->asked() - $n, 15, "all are asked without $name");
}

configure('all');
$t->reload();
ok($r->kept(@tokens), 'kept again');

cmp_ok($t->log_count(qr/\[warn\].*does not tell of changed keys: "NOPERM"/), '>=', 5,
    'and the log tells why');
is($t->log_count(qr/\[warn\].*[Ss]ecret/), 0, 'but not more');

###############################################################################

sub configure {
    my ($user) = @_;

    my $text = $conf;
    $text =~ s/USER/$user/;
    $t->write_file_expand('nginx.conf', $text);
}

###############################################################################
