#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What compares servers by turns asks each kind of request as it says, and does
# not take another answer for one.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('cc')->plan(11);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    log_format asked "$request_uri|$http_authorization|$http_accept_encoding";

    server {
        listen 127.0.0.1:8080;
        server_name localhost;
        access_log %%TESTDIR%%/asked.log asked;

        location /none {
            return 404;
        }

        location / {
            return 200 answer;
        }
    }
}

EOF

$t->run();

my $turns = $t->testdir() . '/turns';

is(system('cc', '-O2', '-Wall', '-Wextra', '-Werror', '-o', $turns,
          "$FindBin::Bin/../bench/turns.c"), 0, 'is built');

###############################################################################

my @server = (($t->worker_pids())[0], Test::Nginx::port(8080));

my @lines = turns([@server, '-', '/same'], [@server, 'n', '/never'],
                  [@server, 'u', '/users'], [@server, 'z', '/gzip']);

is(@lines, 4, 'a line for each kind');
is(grep(!/^\d+\.\d\d [+-]\d+\.\d\d( \d+\.\d{3}){3}$/, @lines), 0,
   'of five figures');
like($lines[0], qr/^\d+\.\d\d \+0\.00 1\.000 1\.000 1\.000$/,
     'the first is beside itself');
is(grep(!/^0*[1-9]|\.\d*[1-9]/, @lines), 0, 'none costs nothing');

$t->stop();

my %asked;

for my $line (split /\n/, $t->read_file('asked.log')) {
    push @{ $asked{$1} }, $line if $line =~ m{^/(\w+)};
}

is(grep($_ ne '/same|x|-', @{ $asked{same} }), 0, 'the same request');
is(different('never'), @{ $asked{never} }, 'what was never asked for before');
cmp_ok(different('users'), '>', 64, 'users');
cmp_ok(different('users'), '<=', 1000, 'up to a thousand');
is(grep($_ ne '/gzip|x|gzip', @{ $asked{gzip} }), 0, 'who take gzip');

$t->run();
@server = (($t->worker_pids())[0], Test::Nginx::port(8080));

is(turns([@server, '-', '/none']), 0, 'another answer is none');

###############################################################################

sub different {
    return scalar keys %{{ map { $_ => 1 } @{ $asked{$_[0]} } }};
}


sub turns {
    my $command = join ' ', $turns, 5, 10, "'Authorization: x'",
                       map { @$_ } @_;

    return split /\n/, `$command 2>/dev/null`;
}

###############################################################################
