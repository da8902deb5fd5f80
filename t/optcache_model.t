#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Three hosts, a Redis, a PostgreSQL: rows are changed in all the ways that
# invalidate, and everything breaks that can break.  "make model" does the same
# for longer, and asks for more: here others may be at work on the machine.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program(qw/ redis-server postgres /);

plan tests => 2;

my @command = ('/usr/bin/python3', "$FindBin::Bin/model/invalidation.py",
               '--build', $t->build_dir(), '--nginx', $t->binary(),
               '--seconds', 12, '--slack', 2000, '--readers', 2);

push @command, '--static' if $t->is_static();

open my $fh, '-|', @command or die "$command[0]: $!\n";
my @lines = <$fh>;
my $ok = close $fh;

like($lines[-1] // '', qr/^violations: 0, alerts: 0$/, 'nothing old is served')
    or diag(@lines);
ok($ok, 'and all came back') or diag("exit status: $?");
