#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What measures is seldom run: it must go on to be built from the sources as
# they are, and to be understood by the shell.

use strict;
use warnings;

use FindBin;

use Test::More;

my $bench = "$FindBin::Bin/../bench";

$ENV{BUILD} = $ENV{OPTCACHE_BUILD} || "$FindBin::Bin/../build";

plan(skip_all => 'no headers of a build')
    unless -e "$ENV{BUILD}/objs/ngx_auto_config.h";

my @scripts = glob("$bench/*.sh");

plan(tests => @scripts + 1);

for my $script (@scripts) {
    is(system('bash', '-n', $script), 0, "$script is understood");
}

is(system("$bench/entries.sh", 'true'), 0, 'the store is built apart');
