#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The documentation has what the sources have: each directive with its syntax,
# default, context and version, each variable; an example of each; links that
# lead somewhere, to all of it; and names, of directives and files, that there
# are.

use strict;
use warnings;

use FindBin;
use File::Basename;
use File::Find;
use File::Spec;

use Test::More;

my $root = "$FindBin::Bin/..";

my %places = (NGX_HTTP_MAIN_CONF => 'http', NGX_HTTP_SRV_CONF => 'server',
    NGX_HTTP_LOC_CONF => 'location', NGX_HTTP_LIF_CONF => 'if in location',
    NGX_HTTP_LMT_CONF => 'limit_except', NGX_HTTP_SIF_CONF => 'if');

my @modules = qw/ ngx_http_optcache_module ngx_http_ratelimit_redis_module /;

my %variables_of = (
    ngx_http_optcache_module => [glob "$root/src/store/*_vars.c"],
    ngx_http_ratelimit_redis_module =>
        [glob("$root/src/limiter/*_vars.c"), glob "$root/src/token/*_vars.c"]
);

my %versions = map { $_ => 1 }
    slurp("$root/docs/changes.md") =~ /^## (\S+)$/mg;

my $examples = join "\n", map { slurp($_) } glob "$root/docs/examples/*.conf";
$examples =~ s/^\s*#.*//mg;

###############################################################################

for my $module (@modules) {
    my %commands = commands($module);
    my $text = slurp("$root/docs/$module.md");
    my %entries = entries($text);

    is_deeply([sort keys %entries], [sort keys %commands],
        "$module: the directives");

    is_deeply([$text =~ /^<a id="(\w+)"><\/a>\n\n\| \| \|$/mg],
        [sort keys %commands], "$module: in order, each with an anchor");

    for my $name (sort keys %commands) {
        my $entry = $entries{$name} or next;

        is_deeply(wrong($name, $entry, $commands{$name}), [], $name);
        ok($examples =~ /^\s*\Q$name\E[\s;]/m, "$name: an example");
    }

    my @missing = grep { $text !~ /^(?=`\$)[^\n]*`[\$]\Q$_\E`/m }
        variables($module);

    is("@missing", '', "$module: the variables");
}

my @pages = ('README.md', files('docs', qr/\.md$/));
my %reached = map { $_ => 1 } 'README.md', 'docs/README.md';
my %anchors;

for my $page (@pages) {
    is_deeply([dangling($page)], [], "the links of $page");
}

my @found = keys %reached;

while (defined(my $page = shift @found)) {
    next if $page !~ /\.md$/ || !-f "$root/$page";
    push @found, grep { !$reached{$_}++ } map { $_->[0] } links($page);
}

is_deeply([grep { !$reached{$_} } files('docs', qr/./)], [],
    'all of docs can be found from README.md and docs/README.md');

my $known = join ' ', map { slurp("$root/docs/$_.md") }
    @modules, qw/ api postgres tokens redis-keys /;
my %known = map { $_ => 1 } $known =~ /\w+/g;

for my $guide (grep { /guide-|README/ } @pages) {
    my %used = map { $_ => 1 }
        slurp("$root/$guide") =~ /\b((?:ratelimit_redis|optcache|token)_\w+)/g;

    is_deeply([grep { !$known{$_} } sort keys %used], [],
        "$guide: what it names is in the reference");
}

my %sources = map { basename($_, '.c', '.h') => 1 }
    files('src', qr/\.[ch]$/), glob "$root/*.c";

is_deeply([grep { !$sources{$_} }
    slurp("$root/docs/internals.md") =~ /\b(ngx_\w+)/g], [],
    'internals.md names files that there are');

done_testing();

###############################################################################

# the command table: name => flags

sub commands {
    my ($module) = @_;

    my ($table) = slurp("$root/$module.c")
        =~ /^static ngx_command_t [^{]*\{(.*?)^\};/ms;

    return $table =~ /\{ ngx_string\("(\w+)"\),\s+([A-Z0-9_|\s]+?),/g;
}


sub variables {
    my ($module) = @_;

    return map { /ngx_http_variable_t [^{;]*\{(.*?)^\};/ms
                 ? $1 =~ /\{ ngx_string\("(\w+)"\)/g : () }
        map { slurp($_) } @{ $variables_of{$module} };
}


# what tables of the reference say: name => { Syntax => ..., ... }

sub entries {
    my ($text) = @_;
    my %entries;

    while ($text =~ /^((?:\| Syntax: .*\n)(?:\|.*\n)*)/mg) {
        my %row = map { /^\| ([A-Z]\w+): \| (.*) \|$/ ? ($1, $2)
                        : /^\| \| appeared in version (\S+) \|$/
                        ? (Appeared => $1) : () } split /\n/, $1;
        my ($name) = $row{Syntax} =~ /^\*\*(\w+)\*\*/ or next;

        $entries{$name} = \%row;
    }

    return %entries;
}


sub wrong {
    my ($name, $row, $flags) = @_;
    my @wrong = grep { !defined $row->{$_} } qw/ Default Context Appeared /;

    return \@wrong if @wrong;

    my $context = join ', ', map { $places{$_} }
        sort { index($flags, $a) <=> index($flags, $b) }
        grep { $flags =~ /\b$_\b/ } keys %places;

    push @wrong, "context: $row->{Context}, not $context"
        if $row->{Context} ne $context;
    push @wrong, "default: $row->{Default}"
        if $row->{Default} =~ /;$/ && $row->{Default} !~ /^$name /;
    push @wrong, "syntax: $row->{Syntax}"
        if grep { !/^\*\*$name\*\*[ ;]/ || !/;$/ }
           split /<br>/, $row->{Syntax};
    push @wrong, "version: $row->{Appeared}" if !$versions{$row->{Appeared}};

    return \@wrong;
}


# links to files here: [path from the root, anchor]

sub links {
    my ($page) = @_;

    my $text = slurp("$root/$page");
    $text =~ s/^```.*?^```//msg;
    $text =~ s/^    .*//mg;

    return map {
        my ($path, $anchor) = /^([^#]*)#?(.*)$/;
        $path = $path eq '' ? $page : dirname($page) . "/$path";
        1 while $path =~ s{(?:^|/)\K(?:\./|(?!\.\./)[^/]+/\.\./)}{};
        [$path, $anchor]
    } grep { !/^[a-z]+:/ } $text =~ /\]\(([^()\s]+)\)/g;
}


sub dangling {
    my ($page) = @_;

    return map { "$_->[0]#$_->[1]" } grep {
        my ($path, $anchor) = @$_;
        !-e "$root/$path"
            || $anchor ne '' && !(anchors($path)->{$anchor})
    } links($page);
}


# of headings, as they are made where the pages are shown, and written ones

sub anchors {
    my ($page) = @_;

    return $anchors{$page} if $anchors{$page};

    my %seen;
    my $text = $page =~ /\.md$/ ? slurp("$root/$page") : '';

    $seen{$_} = 1 for $text =~ /<a id="([^"]+)">/g;
    $text =~ s/^```.*?^```//msg;

    for my $heading ($text =~ /^#+ (.*?)\s*$/mg) {
        $heading =~ s/\[([^\]]*)\]\([^)]*\)/$1/g;
        $heading = lc $heading;
        $heading =~ s/[^\w\- ]//g;
        $heading =~ tr/ /-/;

        my $n = $seen{$heading}++;
        $seen{"$heading-$n"} = 1 if $n;
    }

    return $anchors{$page} = \%seen;
}


sub files {
    my ($dir, $wanted) = @_;
    my @files;

    find({ no_chdir => 1, wanted => sub {
        push @files, File::Spec->abs2rel($_, $root) if -f && /$wanted/;
    } }, "$root/$dir");

    return sort @files;
}


sub slurp {
    my ($path) = @_;

    open my $fh, '<', $path or return '';
    local $/;
    return scalar <$fh>;
}
