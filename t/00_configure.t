#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What a build needs and has not: configure says what it is, and no compiler
# has to.

use strict;
use warnings;

use Cwd qw/ abs_path /;
use File::Basename;
use File::Temp qw/ tempdir /;
use Test::More;

my $root = dirname(dirname(abs_path(__FILE__)));
my $src = $ENV{NGINX_SRC} || '/usr/share/nginx/src';

plan(skip_all => "no nginx sources at $src") unless -d "$src/auto";
plan(tests => 3);

my $dir = tempdir('optcache-test-XXXXXXXX', TMPDIR => 1, CLEANUP => 1);
my $cc = $ENV{CC} || 'cc';

open(my $out, '>', "$dir/cc") or die "$dir/cc: $!";
print $out <<"EOF";
#!/bin/sh
for word; do [ "\$word" != -lcjson ] || exit 1; done
exec $cc "\$@"
EOF
close($out);
chmod(0755, "$dir/cc");

my $said = `"$root/misc/configure.sh" "$src" "$dir/out" --with-cc="$dir/cc" --add-dynamic-module="$root" 2>&1`;

isnt($?, 0, 'not configured');
like($said, qr/^checking for hiredis library \.\.\. found/m, 'what is there');
like($said, qr/error: no cJSON library found, which these modules need/,
    'what is not there');
