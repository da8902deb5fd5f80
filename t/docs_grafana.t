#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The dashboard and the alerts can be read, and lead to sections that there are;
# and nginx with both modules tells of every metric, label and value that they
# ask for.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use CPAN::Meta::YAML;
use JSON::PP qw/ decode_json /;
use MIME::Base64 qw/ encode_base64url /;
use Test::More;
use Test::Nginx;
use Test::Nginx::Prometheus;

my $docs = "$FindBin::Bin/../docs";

my $t = Test::Nginx->new()->has('http_proxy')
    ->has_program(qw/ redis-server postgres /)->plan(13);

my $redis = $t->run_redis();
my $pg = $t->run_postgres();

$pg->query($t->read_file("$docs/$_.sql")) for qw/ optcache token_blacklist /;

my $conninfo = $pg->conninfo();
my $k = encode_base64url('k' x 32);

$t->write_file_expand('nginx.conf', <<"EOF");

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;
    optcache_postgres "$conninfo";

    ratelimit_redis_zone \$remote_addr zone=l:1m rate=1000r/m;
    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;
    token_blacklist_postgres "$conninfo";

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            ratelimit_redis zone=l;
            token_jwt_keys keys.json;
            token_blacklist on;
            proxy_pass http://127.0.0.1:8081;
        }

        location /cache/ {
            optcache_api;
        }

        location /ratelimit/ {
            ratelimit_redis_api;
        }
    }
}

EOF

$t->write_file('keys.json',
    qq({"keys": [{"kty": "oct", "alg": "HS256", "k": "$k"}]}));

$t->run_http_backend(8081, sub {
    return [200, ['Cache-Control: max-age=600'], 'SEE-THIS'];
});

$t->run();

###############################################################################

# those of Prometheus itself

my %own = map { $_ => 1 } qw/ instance job /;

my %words = map { $_ => 1 }
    qw/ sum max count by on and or rate increase changes histogram_quantile
        max_over_time count_over_time label_values /;

my $string = qr/"(?:[^"\\]|\\.)*"/;
my $braces = qr/\{(?:[^{}"]|$string)*\}/;
my $parens = qr/(\((?:[^()"]++|$string|(?-1))*+\))/;

# the dashboard

my $board = decode_json($t->read_file("$docs/grafana/optcache.json"));
my @panels = @{ $board->{panels} };
my @variables = @{ $board->{templating}{list} };
my %ids;

none([grep { $ids{$_->{id}}++ } @panels], 'each panel has its number');

none([map { $_->{title} } grep { overlap($_) } @panels], 'and its place');

my @shown = map { my $panel = $_; map { { %$_, panel => $panel } }
                  @{ $panel->{targets} || [] } } @panels;

none([grep { $_ ne '${datasource}' } map { $_->{datasource}{uid} }
      @shown, grep { $_->{targets} } @panels], 'the source is chosen');

# the alerts

my $yaml = CPAN::Meta::YAML->read("$docs/grafana/alerts.yml");

is(ref $yaml, 'CPAN::Meta::YAML', 'alerts')
    or diag(CPAN::Meta::YAML->errstr());

my @alerts = map { @{ $_->{rules} } } @{ $yaml->[0]{groups} };
my %names;

none([grep { $names{$_}++ } map { $_->{alert} } @alerts],
    'each has its name');

none([map { $_->{alert} // 'none' } grep { incomplete($_) } @alerts],
    'and all that it needs');

none([map { $_->{alert} } grep { !leads($_->{annotations}{runbook}) }
      @alerts], 'and leads to a section');

# is asked for by all of them: [where, expression, labels that it is told by]

my @asked = map { [$_->{panel}{title}, $_->{expr},
                   [$_->{legendFormat} =~ /\{\{(\w+)\}\}/g]] } @shown;

push @asked, map { [$_->{name}, label_values($_->{query}{query}), []] }
    grep { $_->{type} eq 'query' } @variables;

push @asked, map { [$_->{alert}, $_->{expr},
                    [$_->{annotations}{summary} =~ /\$labels\.(\w+)/g]] }
    @alerts;

none([map { words($_) } @asked], 'nothing else is in expressions');

SKIP: {
    my $promtool = Test::Nginx::Process::program('promtool');

    skip 'promtool not found', 2 unless $promtool;

    is(check($promtool, "$docs/grafana/alerts.yml"), '', 'promtool: alerts');

    $t->write_file('shown.yml', join "\n", 'groups:', '  - name: shown',
        '    rules:', map { rule($_->{expr}) } @shown);
    is(check($promtool, $t->testdir() . '/shown.yml'), '',
        'promtool: the dashboard');
}

# what nginx has: of some things only once they have happened

my @missing;
my %told;

wait_for(sub {
    http_get('/x');

    %told = map { $_ => metrics("/$_/metrics") } qw/ cache ratelimit /;
    @missing = map { metrics_missing($_) } @asked;
    return !@missing;
}, 30);

none(\@missing, 'nginx has all metrics, labels and values');
none([map { labels_missing($_) } @asked],
    'and all labels by which they are summed, and told');
none([map { $_->errors() } values %told], 'the format');

###############################################################################

# shows all of them

sub none {
    my ($found, $name) = @_;

    return is(join("\n", @$found), '', $name);
}


sub metrics { Test::Nginx::Prometheus->new(body(http_get($_[0]))) }


# the module's metrics, or undef if it is not one of them

sub teller {
    my ($name) = @_;

    my ($m) = grep { defined $_->sum($name) } values %told;

    return $m;
}


sub overlap {
    my ($panel) = @_;
    my $p = $panel->{gridPos};

    return 1 if $p->{x} + $p->{w} > 24;

    return grep {
        my $q = $_->{gridPos};
        $_ != $panel && $p->{x} < $q->{x} + $q->{w}
            && $q->{x} < $p->{x} + $p->{w} && $p->{y} < $q->{y} + $q->{h}
            && $q->{y} < $p->{y} + $p->{h};
    } @panels;
}


sub incomplete {
    my ($alert) = @_;

    return 1 if ($alert->{labels}{severity} // '')
                !~ /^(?:critical|warning|info)$/;

    return grep { ref || ($_ // '') eq '' } @{ $alert }{qw/ alert expr /},
        @{ $alert->{annotations} }{qw/ summary description runbook /};
}


# FILE#SECTION: what is made of a heading

sub leads {
    my ($file, $section) = split /#/, $_[0] // '', 2;

    return if !defined $section || !-f "$docs/$file";

    return grep { lc =~ s/[^\w\- ]//gr =~ tr/ /-/r eq $section }
           $t->read_file("$docs/$file") =~ /^#+ (.*?)\s*$/mg;
}


sub label_values {
    my ($query) = @_;

    my ($expr, $label) = $query =~ /^label_values\((.*), (\w+)\)$/
        or return 'not_label_values';

    return "max by ($label) ($expr)";
}


# what is neither a metric of ours nor known

sub words {
    my ($where, $expr) = @{ $_[0] };

    $expr =~ s/$braces|$string|\[[^\]]*\]//g;
    $expr =~ s/\b(?:by|on) \([\w, ]*\)//g;

    return map { "$where: $_" }
           grep { !$words{$_} && !/^(?:(?:optcache|ratelimit_redis)_\w+|up)$/ }
           $expr =~ /\b([a-z_]\w*)/gi;
}


# [metric, its labels and what they are compared with]

sub selectors {
    my ($expr) = @_;
    my @found;

    $expr =~ s/\b(?:by|on) \([\w, ]*\)//g;

    while ($expr =~ /((?:optcache|ratelimit_redis)_\w+|\bup\b)?($braces)?/g) {
        my ($name, $labels) = ($1, $2 // '');

        next if !defined $name && $labels eq '';

        my @labels = map { [@$_[0, 2]] } matchers($labels);
        my ($names) = map { $_->[1] } grep { $_->[0] eq '__name__' } @labels;

        push @found, map { [$_, grep { $_->[0] ne '__name__' } @labels] }
            $name // split /\|/, $names // 'no_name';
    }

    return grep { $_->[0] ne 'up' } @found;
}


sub matchers {
    my ($text) = @_;
    my @found;

    push @found, [$1, $2, $3]
        while $text =~ /(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g;

    return @found;
}


sub metrics_missing {
    my ($where, $expr) = @{ $_[0] };
    my @found;

    for my $s (selectors($expr)) {
        my ($name, @labels) = @$s;
        my $m = teller($name);

        push @found, "$where: $name" if !$m;

        for my $label ($m ? @labels : ()) {
            push @found, "$where: $name $label->[0]=\"$_\""
                for values_missing($m, $name, @$label);
        }
    }

    return @found;
}


# of the alternatives in a comparison

sub values_missing {
    my ($m, $name, $label, $wanted) = @_;

    return if $own{$label};

    my @values = $m->labels($name, $label);

    return $wanted if !@values;
    return if $wanted =~ /^\$/;

    return grep { my $one = $_; !grep { /^(?:$one)$/ } @values }
           split /\|/, $wanted;
}


# All metrics that are summed by a label have it; and what is told of a result
# is what it was summed by, or is of the metrics themselves.

sub labels_missing {
    my ($where, $expr, $told) = @{ $_[0] };
    my (@found, %by);

    while ($expr =~ /\bby \(([\w, ]*)\)\s*(?=$parens)/g) {
        my ($labels, $inner) = ($1, $2);

        for my $label (split /, /, $labels) {
            $by{$label} = 1;
            push @found, map { "$where: $_ has no $label" }
                grep { !has_label($_, $label) }
                map { $_->[0] } selectors($inner);
        }
    }

    for my $label (@$told) {
        my $there = %by ? $by{$label}
            : !grep { !has_label($_->[0], $label) } selectors($expr);

        push @found, "$where: $label is told of" if !$there;
    }

    return @found;
}


sub has_label {
    my ($name, $label) = @_;
    my $m = teller($name);

    return $own{$label} || $m && $m->labels($name, $label);
}


# an expression of the dashboard, as a rule

sub rule {
    my ($expr) = @_;

    $expr =~ s/\$__rate_interval/5m/g;
    $expr =~ s/\$(?:instance|zone)/.*/g;

    return "      - record: shown\n        expr: '$expr'\n"
         . '        labels: { n: "' . ++$ids{rules} . '" }';
}


sub check {
    my ($promtool, $file) = @_;

    my $out = `$promtool check rules $file 2>&1`;

    return $? ? $out : '';
}

###############################################################################
