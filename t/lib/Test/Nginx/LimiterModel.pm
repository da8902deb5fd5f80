package Test::Nginx::LimiterModel;

# Copyright (C) The Optcache authors

# The limiter's rules, written down once more and as plainly as possible, for
# schedules to be replayed against: nothing here knows how the limiter does it.
#
#     fixed window    a window opens with the first unit; in it, the units that
#                     were admitted are listed
#     sliding window  windows follow one another from the first unit on, each
#                     with its number; the one before counts for the part of it
#                     that has not gone by
#     gcra            the time at which the bucket will be empty, as a fraction

use strict;
use warnings;
use integer;

use List::Util qw/ max min sum0 /;

use constant { FIXED => 1, SLIDING => 2, GCRA => 3 };

my $MAX = (1 << 48) - 1;


sub new {
    my ($class) = @_;
    return bless { known => {} }, $class;
}


# ask($now, $subject, ITEM, ...): whether the request is counted, and for each
# item [had room, granted, room that is left]; wrote() is then the zones in
# which something is to be remembered of it.
#
# ITEM: zone, alg, burst, need, take, want, add, sub, soft, peek,
# rates => [[limit, period], ...].

sub ask {
    my ($self, $now, $subject, @items) = @_;

    my $counted = 1;
    my @found;

    $self->{wrote} = {};

    for my $item (@items) {
        my $f = look($self->{known}{"$subject $item->{zone}"}, $now, $item);

        $counted = 0 if $f->{room} < $item->{need} && !$item->{soft};
        push @found, $f;
    }

    my @answers;

    for my $item (@items) {
        my $f = shift @found;
        my $has = $f->{room} >= $item->{need} ? 1 : 0;
        my $granted = 0;

        if ($counted && $has && !$item->{peek}) {
            $granted = max($item->{take}, min($item->{want}, $f->{room}));
        }

        used($item->{alg}, $f->{records}{$_->[1]}, $granted, $now)
            for @{ $item->{rates} };

        if (!$item->{peek} && ($granted || $f->{write})) {
            $self->{known}{"$subject $item->{zone}"} = keep($f, $now, $item);
            $self->{wrote}{$item->{zone}} = 1;
        }

        push @answers, [$has, $granted, room($f, $now, $item)];
    }

    return ($counted, @answers);
}


sub wrote { return $_[0]{wrote} }


# Milliseconds for which all that a zone knows of a subject has to be known.

sub lasts {
    my ($self, $now, $subject, $item) = @_;

    my $known = $self->{known}{"$subject $item->{zone}"} || return 0;

    my %rates = map { $_->[1] => 1 } @{ $item->{rates} };

    return max(0, map {
        my $r = $known->{$_};

        $item->{alg} == GCRA && $rates{$_} && $r->{limit}
            ? ceiling(level($r), $r->{limit})
            : min(ends($item->{alg}, $r) - $now,
                  $item->{alg} == SLIDING ? 2 * $_ : $_);
    } keys %$known);
}


# When something happens by itself: a window ends, a unit has room again.

sub moments {
    my ($self, $subject, $item) = @_;

    my $known = $self->{known}{"$subject $item->{zone}"} || return;

    return map {
        my $r = $known->{$_};
        my $end = ends($item->{alg}, $r);

        $item->{alg} != GCRA ? ($end, $end - $_)
            : $r->{limit} ? map { $r->{now} + ceiling($_, $r->{limit}) }
                                level($r), level($r) % $_, $_
            : ();
    } keys %$known;
}


# Whether anything of it can be told from nothing.

sub matters {
    my ($self, $now, $subject, $item) = @_;

    my $known = $self->{known}{"$subject $item->{zone}"} || return 0;

    for my $period (keys %$known) {
        my $r = $known->{$period};
        my ($rate) = grep { $_->[1] == $period } @{ $item->{rates} };

        return 1 if $item->{alg} == GCRA && $rate
            ? level(opened(GCRA, $r, $rate, $now))
            : ends($item->{alg}, $r) > $now;
    }

    return 0;
}


# Whether every rate of the item has a window that is not over.

sub live {
    my ($self, $now, $subject, $item) = @_;

    my $known = $self->{known}{"$subject $item->{zone}"} || return 0;

    for my $rate (@{ $item->{rates} }) {
        my $r = $known->{$rate->[1]} || return 0;
        my $end = ends($item->{alg}, $r);

        $end -= $rate->[1] if $item->{alg} == SLIDING;
        return 0 if $item->{alg} != GCRA && $end <= $now;
    }

    return 1;
}


sub look {
    my ($known, $now, $item) = @_;

    my $alg = $item->{alg};
    my $f = { records => { %{ $known || {} } }, write => 0 };

    for my $rate (@{ $item->{rates} }) {
        my $r = opened($alg, $known->{$rate->[1]}, $rate, $now);

        $f->{write} = 1 if delete $r->{stepped};

        used($alg, $r, $item->{add}, $now);
        used($alg, $r, -$item->{sub}, $now);

        $f->{records}{$rate->[1]} = $r;
    }

    $f->{write} = 1 if $item->{add} || $item->{sub};
    $f->{room} = room($f, $now, $item);

    return $f;
}


# Records of other periods are remembered as long as they may count.

sub keep {
    my ($f, $now, $item) = @_;

    my %rates = map { $_->[1] => 1 } @{ $item->{rates} };

    return {
        map { $_ => $f->{records}{$_} }
            grep { $rates{$_} || ends($item->{alg}, $f->{records}{$_}) > $now }
                keys %{ $f->{records} }
    };
}


# A copy of the record as it is now.

sub opened {
    my ($alg, $r, $rate, $now) = @_;

    my ($limit, $period) = @$rate;

    if ($alg == GCRA) {
        my $level = $r ? level($r) : 0;
        my $stepped = $r && $now < $r->{now} && $level > 0;

        $level = max(0, $level - ($now - $r->{now}) * $limit)
            if $r && $now > $r->{now};

        return { period => $period, limit => $limit, now => $now,
                 empty => $now * $limit + $level, stepped => $stepped };
    }

    my $start = $r && $r->{start} + $r->{number} * $period;

    if ($r && $now < $start) {
        return { %$r, units => { %{ $r->{units} } }, stepped => 1,
                 start => $now - $r->{number} * $period };
    }

    if ($r && $now < $start + $period) {
        return { %$r, units => { %{ $r->{units} } } };
    }

    if ($r && $alg == SLIDING && $now < $start + 2 * $period) {
        return { %$r, units => { %{ $r->{units} } },
                 number => $r->{number} + 1 };
    }

    return { period => $period, start => $now, number => 0, units => {} };
}


# gcra: in parts of a unit, a period of which are a unit.

sub level {
    my ($r) = @_;
    return $r->{empty} - $r->{now} * $r->{limit};
}


# The first millisecond at which it counts for nothing, or nobody knows.

sub ends {
    my ($alg, $r) = @_;

    return $r->{now} + $r->{period} if $alg == GCRA;
    return $r->{start} + ($r->{number} + $alg) * $r->{period};
}


sub used {
    my ($alg, $r, $units, $now) = @_;

    return if !$units;

    if ($alg == GCRA) {
        my $level = min($MAX, level($r) + min($MAX, $units * $r->{period}));
        $r->{empty} = $now * $r->{limit} + max(0, $level);
        return;
    }

    my $max = $alg == SLIDING ? (1 << 52) / $r->{period} : $MAX;
    my @units = @{ $r->{units}{$r->{number}} || [] };

    push @units, $units if $units > 0;

    while ($units < 0 && @units) {
        $units += pop @units;
        push @units, $units if $units > 0;
    }

    @units = ($max) if sum0(@units) > $max;

    $r->{units}{$r->{number}} = \@units;
}


# The number of units that have room under all rates: the largest for which
# none is above what it admits.

sub room {
    my ($f, $now, $item) = @_;

    return min(map { rate_room($f->{records}{$_->[1]}, $_, $now, $item) }
                   @{ $item->{rates} });
}


sub rate_room {
    my ($r, $rate, $now, $item) = @_;

    my ($limit, $period) = @$rate;

    if ($item->{alg} == GCRA) {
        return 0 if !$limit;

        # the latest time at which the bucket may be empty, and unit by unit

        my $latest = $now * $limit + ($item->{burst} + 1) * $period;
        my $room = 0;

        $room++ while $r->{empty} + ($room + 1) * $period <= $latest;
        return $room;
    }

    my $used = sum0(@{ $r->{units}{$r->{number}} || [] });
    return max(0, $limit - $used) if $item->{alg} == FIXED;

    my $gone = $now - $r->{start} - $r->{number} * $period;
    my $before = sum0(@{ $r->{units}{$r->{number} - 1} || [] });

    # weighed as fractions of a period, and unit by unit

    my $weight = $before * ($period - $gone);
    my $room = 0;

    $room++ while ($used + $room + 1) * $period + $weight <= $limit * $period;
    return $room;
}


sub ceiling {
    my ($a, $b) = @_;
    return ($a + $b - 1) / $b;
}


1;
