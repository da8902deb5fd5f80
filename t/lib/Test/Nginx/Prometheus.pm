package Test::Nginx::Prometheus;

# Copyright (C) The Optcache authors

# Prometheus' text format, version 0.0.4, read strictly: more so than
# Prometheus does, by what it asks of who writes it.
#
#   my $m = Test::Nginx::Prometheus->new($text);
#
#   $m->errors()                          lines on what is wrong; empty: nothing
#   $m->value('NAME', label => 'v', ..)   of the one sample that has just these
#                                         labels; undef if there is none
#   $m->sum('NAME', label => 'v', ..)     of all that have these and any others
#   $m->labels('NAME', 'label')           its values, in order, each once
#   $m->families()                        { NAME => 'counter', .. }
#   $m->text()

use strict;
use warnings;


my $name = qr/[a-zA-Z_:][a-zA-Z0-9_:]*/;
my $label = qr/[a-zA-Z_][a-zA-Z0-9_]*/;
my $number = qr/[+-]?(?:\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|NaN|[+-]Inf/;
my $value = qr/"((?:[^"\\\n]|\\["\\n])*)"/;


sub new {
    my ($class, $text) = @_;

    my $self = bless {
        text => $text, errors => [], families => {}, samples => [], seen => {},
    }, $class;

    $self->_read();
    $self->_check_histogram($_) for $self->_of_type('histogram');

    return $self;
}


sub errors { @{ $_[0]{errors} } }
sub text { $_[0]{text} }


sub families {
    my ($self) = @_;
    return { map { $_ => $self->{families}{$_}{type} }
             keys %{ $self->{families} } };
}


sub value {
    my ($self, $sample, %labels) = @_;

    my $s = $self->{seen}{_identity($sample, \%labels)};

    return $s ? $s->{value} : undef;
}


sub sum {
    my ($self, $sample, %labels) = @_;
    my $sum;

    for my $s (grep { $_->{name} eq $sample } @{ $self->{samples} }) {
        next if grep { ($s->{labels}{$_} // '') ne $labels{$_} } keys %labels;
        $sum += $s->{value};
    }

    return $sum;
}


sub labels {
    my ($self, $sample, $wanted) = @_;
    my %seen;

    return grep { !$seen{$_}++ } map { $_->{labels}{$wanted} // () }
           grep { $_->{name} eq $sample } @{ $self->{samples} };
}


sub _read {
    my ($self) = @_;

    $self->_error(0, 'no line feed at the end')
        if $self->{text} !~ /\n\z/;
    $self->_error(0, 'not in UTF-8')
        if !utf8::decode(my $copy = $self->{text});
    $self->_error(0, 'a carriage return') if $self->{text} =~ /\r/;

    my $n = 0;

    for my $line (split /\n/, $self->{text}, -1) {
        $n++;

        if ($line =~ /^# HELP /) {
            $self->_help($n, $line);

        } elsif ($line =~ /^# TYPE /) {
            $self->_type($n, $line);

        } elsif ($line =~ /^#/) {
            $self->_error($n, 'another comment');

        } elsif ($line ne '') {
            $self->_sample($n, $line);
        }
    }

    for my $family (sort keys %{ $self->{families} }) {
        $self->_error(0, "$family has no sample")
            if !$self->{families}{$family}{samples};
    }
}


sub _help {
    my ($self, $n, $line) = @_;

    my ($family, $help) = $line =~ /^# HELP ($name) (\S.*)\z/
        or return $self->_error($n, 'no help');

    $self->_error($n, "the help of $family comes twice")
        if $self->{families}{$family};
    $self->_error($n, 'a backslash in the help') if $help =~ /\\/;

    $self->{families}{$family} = { samples => 0 };
    $self->{current} = $family;
}


sub _type {
    my ($self, $n, $line) = @_;

    my ($family, $type) =
        $line =~ /^# TYPE ($name) (counter|gauge|histogram)\z/
        or return $self->_error($n, 'no type, or another one');

    if (($self->{current} // '') ne $family
        || $self->{families}{$family}{type})
    {
        return $self->_error($n, "the type of $family is not after its help");
    }

    $self->{families}{$family}{type} = $type;

    # what promtool says of names

    $self->_error($n, "$family is a counter, and has no _total")
        if $type eq 'counter' && $family !~ /_total\z/;
    $self->_error($n, "$family is none, and has _total")
        if $type ne 'counter' && $family =~ /_total\z/;
    $self->_error($n, "$family has the suffix of a histogram's sample")
        if $family =~ /_(?:bucket|sum|count)\z/;
    $self->_error($n, "$family is not in a base unit")
        if $family =~ /_(?:milliseconds|ms|microseconds|us|kilobytes|kb
                         |minutes|percent)(?:_|\z)/x;
}


sub _sample {
    my ($self, $n, $line) = @_;

    my ($sample, $labels, $v) = $line =~ /^($name)(\{.*\})? ($number)\z/
        or return $self->_error($n, "not understood: $line");

    my ($family, $suffix) = $self->_family($sample);

    return $self->_error($n, "$sample is not of the family before it")
        if !defined $family;

    my $parsed = $self->_labels($n, $labels);
    my $type = $self->{families}{$family}{type};

    $self->_error($n, "$sample has no \"le\"")
        if $suffix eq '_bucket' && !exists $parsed->{le};
    $self->_error($n, "$sample has an \"le\"")
        if $suffix ne '_bucket' && exists $parsed->{le};
    $self->_error($n, "$sample is not a number of events")
        if $type eq 'counter' && $v !~ /^[0-9.]+\z/
           || $suffix =~ /_(?:bucket|count)/ && $v !~ /^[0-9]+\z/;

    my $s = { name => $sample, labels => $parsed, value => $v };
    my $identity = _identity($sample, $parsed);

    $self->_error($n, "$identity comes twice") if $self->{seen}{$identity};

    $self->{seen}{$identity} = $s;
    $self->{families}{$family}{samples}++;
    push @{ $self->{samples} }, $s;
}


sub _family {
    my ($self, $sample) = @_;

    my $family = $self->{current} // return;
    my $type = $self->{families}{$family}{type} // return;

    return ($family, '') if $type ne 'histogram' && $sample eq $family;

    return ($family, $1)
        if $type eq 'histogram'
           && $sample =~ /^\Q$family\E(_bucket|_sum|_count)\z/;

    return;
}


sub _labels {
    my ($self, $n, $text) = @_;
    my %labels;

    return {} if !defined $text;

    $text =~ s/^\{//;

    while ($text =~ s/^($label)=$value(,(?!\})|(?=\}))//) {
        $self->_error($n, "the label $1 comes twice") if exists $labels{$1};
        $self->_error($n, "the label $1 is reserved") if $1 =~ /^__/;

        my ($key, $v) = ($1, $2);
        $v =~ s/\\(.)/$1 eq 'n' ? "\n" : $1/ge;
        $labels{$key} = $v;
    }

    $self->_error($n, "labels not understood, from $text") if $text ne '}';

    return \%labels;
}


# Each set of labels has its buckets, ascending in both, up to all of them.

sub _check_histogram {
    my ($self, $family) = @_;
    my %buckets;

    for my $s (@{ $self->{samples} }) {
        next if $s->{name} !~ /^\Q$family\E(_bucket|_sum|_count)\z/;

        my %labels = %{ $s->{labels} };
        my $le = delete $labels{le};
        my $b = $buckets{_identity($family, \%labels)} //= { le => [] };

        if (defined $le) {
            push @{ $b->{le} }, [$le, $s->{value}];
        } else {
            $b->{$1} = $s->{value};
        }
    }

    for my $identity (sort keys %buckets) {
        my $b = $buckets{$identity};
        my @le = @{ $b->{le} };

        $self->_error(0, "$identity has no _sum or no _count")
            if !defined $b->{_sum} || !defined $b->{_count};
        $self->_error(0, "$identity does not end in +Inf")
            if !@le || $le[-1][0] ne '+Inf';
        $self->_error(0, "$identity has another _count than +Inf")
            if @le && $le[-1][1] != ($b->{_count} // -1);

        for my $i (1 .. $#le) {
            $self->_error(0, "buckets of $identity do not ascend")
                if $le[$i][0] <= $le[$i - 1][0]
                   || $le[$i][1] < $le[$i - 1][1];
        }
    }
}


sub _of_type {
    my ($self, $type) = @_;
    my $families = $self->families();

    return sort grep { ($families->{$_} // '') eq $type } keys %$families;
}


sub _identity {
    my ($sample, $labels) = @_;
    return $sample . '{' . join(',', map { "$_=$labels->{$_}" }
                                     sort keys %$labels) . '}';
}


sub _error {
    my ($self, $n, $what) = @_;
    push @{ $self->{errors} }, $n ? "line $n: $what" : $what;
    return;
}


1;
