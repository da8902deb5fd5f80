#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What the build promises: two objects that show nginx nothing but themselves
# and load in any order, and a Makefile that tells what it can do.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('nm', 'make')->plan(8);
my @names = map { "ngx_http_${_}_module" } qw/ optcache ratelimit_redis /;
my @so = map { $t->build_dir() . "/$_.so" } @names;

for my $i (0, 1) {
    is_deeply([symbols($so[$i])],
        [qw/ ngx_module_names ngx_module_order ngx_modules /],
        "$names[$i] shows no symbol of its own");
}

SKIP: {
    skip 'modules are linked in', 2 if $t->is_static();

    for my $i (0, 1) {
        my ($rc, $out) = $t->conf_test(conf($so[$i], $so[1 - $i]));
        is($rc, 0, "both load, $names[$i] first") or diag($out);
    }
}

my $help = qx{make -s -C '$FindBin::Bin/..' help};
my $makefile = $t->read_file("$FindBin::Bin/../Makefile");

is(undescribed(qw/ all run tour test install deb bench fuzz asan coverage /),
    '', 'make help lists the targets');
is(undescribed($makefile =~ /^\.PHONY: ([a-z-]+)$/mg), '', 'and forgets none');

# there may be no compiler yet, and make must not look for one number by another

delete @ENV{qw/ MAKEFLAGS MAKELEVEL MFLAGS /};    # of a make that runs us

my $said = qx{make -n -C '$FindBin::Bin/..' CC=/no/such help 2>&1 >/dev/null};

is($said, '', 'and complains of nothing');

my ($rc, $out) = $t->conf_check();
is($rc, 0, 'a configuration without our directives') or diag($out);

###############################################################################

# Defined symbols that the dynamic linker can see, but for those that the
# linker itself makes.

sub symbols {
    my ($so) = @_;

    return sort grep { !/^_(init|fini|edata|end)$|^__bss_start$/ }
                map { /^\S+ [A-TV-Z] (\S+)$/ ? $1 : () }
                qx{nm -D --defined-only '$so'};
}


sub conf {
    my (@modules) = @_;

    my $conf = "%%TEST_GLOBALS%%\nevents {\n}\n"
               . "http {\n%%TEST_GLOBALS_HTTP%%\n}\n";

    $conf = $t->expand($conf);
    $conf =~ s/^load_module .*\n//mg;

    return join '', map({ "load_module $_;\n" } @modules), $conf;
}


sub undescribed {
    my (@targets) = @_;

    return join ' ', grep { $help !~ /^\Q$_\E\s+\S/m } @targets;
}

###############################################################################
