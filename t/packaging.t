#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What leaves this tree: the installed files, the tarball and the version,
# which is the same everywhere.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Compare qw/ compare /;
use File::Find qw/ find /;
use File::Temp qw/ tempdir /;
use Test::More;

my $root = "$FindBin::Bin/..";
my $build = $ENV{OPTCACHE_BUILD} || "$root/build";
my $dir = tempdir('optcache-test-XXXXXXXX', TMPDIR => 1, CLEANUP => 1);

my @modules = map { "ngx_http_${_}_module.so" } qw/ optcache ratelimit_redis /;

plan(skip_all => 'no make') unless grep { -x "$_/make" } split /:/, $ENV{PATH};

# an outer make is none of this one's business
delete @ENV{qw/ MAKEFLAGS MFLAGS MAKELEVEL DESTDIR MODULES_DIR /};

plan(tests => 17);

# the modules are those that are tested, built already: not again

SKIP: {
    skip 'no modules', 5 unless -f "$build/$modules[0]";

    make($build, '-o', 'all', 'install', "DESTDIR=$dir/root",
         'MODULES_DIR=/opt/nginx modules');

    is_deeply([files("$dir/root")],
        [map { "opt/nginx modules/$_" } @modules], 'what is installed');

    for (@modules) {
        my $file = "$dir/root/opt/nginx modules/$_";

        is(compare($file, "$build/$_"), 0, $_);
        is((stat($file))[2] & 07777, 0644, "mode of $_") if -f $file;
    }
}

like(make($build, '-o', 'all', 'install', "DESTDIR=$dir/none", 'MODULES_DIR=',
          'NGINX_BINARY=/nonexistent'),
    qr/no MODULES_DIR/, 'not just anywhere');

# the version

my $version = version();

like($version, qr/^\d+\.\d+\.\d+$/, 'a version');
like(slurp("$root/debian/changelog"), qr/\Aoptcache \(\Q$version\E\) /,
    'of the packages');
like(slurp("$root/docs/changes.md"), qr/^# Changes\n\n## \Q$version\E$/m,
    'of the changes');

my @shown = slurp("$root/docs/api.md") =~ /"version": "([^"]*)"/g;

is_deeply([grep { $_ ne $version } @shown], [], 'of the status documents');

# the tarball

make("$dir/build", 'dist');

my $tarball = "$dir/build/optcache-$version.tar.gz";

is(system('tar', '-xzf', $tarball, '-C', $dir), 0, 'a tarball');

my $tree = "$dir/optcache-$version";

is_deeply([map { files($_, '(?:\.[ch]|modules\.map)$') } "$tree/src"],
    [map { files($_, '(?:\.[ch]|modules\.map)$') } "$root/src"],
    'all that is compiled');

ok(-x "$tree/$_" || -f "$tree/$_", "with $_")
    for 'misc/configure.sh', 'docs/examples/gateway.conf';

# one of that is the same

my $again = make("$tree/build", '-C', $tree, 'dist');

is(compare($tarball, "$tree/build/optcache-$version.tar.gz"), 0,
    'made without git, byte by byte the same') or diag($again);

# what is built anew of it may say so, and nothing else

sub told {
    my ($debian) = @_;

    my $text = slurp("$root/debian/changelog");
    $text =~ s/\A(optcache )\(.*?\)/$1($debian)/ or return;

    open my $fh, '>', "$tree/debian/changelog" or die "$tree: $!\n";
    print $fh $text;
    close $fh;

    return scalar qx{"$tree/misc/version.sh" 2>&1};
}

is(told("$version+1"), "$version\n", 'a package that is built anew');
like(told("${version}1"), qr/^the version is "\Q$version\E" in .* "\+1"/,
    'of another version');

###############################################################################

sub make {
    my ($build, @args) = @_;

    open my $out, '-|', 'sh', '-c', 'exec make "$@" 2>&1', 'sh',
        ($args[0] eq '-C' ? () : ('-C', $root)), "BUILD=$build", @args
        or die "make: $!\n";

    local $/;

    return scalar <$out>;
}


sub version {
    my ($found) = slurp("$root/src/api/ngx_http_api_version.h")
        =~ /_VERSION  "(.*)"/;

    return $found // '';
}


sub files {
    my ($top, $like) = @_;
    my @files;

    return unless -d $top;

    find({ no_chdir => 1, wanted => sub {
        push @files, substr($_, length($top) + 1)
            if -f && (!defined $like || /$like/);
    } }, $top);

    return sort @files;
}


sub slurp {
    my ($file) = @_;

    open my $fh, '<', $file or die "$file: $!\n";
    local $/;

    return scalar <$fh>;
}
