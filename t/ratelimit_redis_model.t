#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Random schedules of requests, costs, rates and clock steps are decided alike
# by a model that is written down in t/lib/Test/Nginx/LimiterModel.pm, by the
# arithmetic in C, by the memory of a host without Redis, and by the scripts in
# a real Redis.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha1_hex /;
use IO::Socket::INET;
use Test::More;
use Test::Nginx;
use Test::Nginx::LimiterModel;
use Test::Nginx::Port;
use Test::Nginx::Resp;

my $replay = "$ENV{OPTCACHE_BUILD}/unit/limiter/ngx_limiter_replay"
    if $ENV{OPTCACHE_BUILD};
$replay ||= "$FindBin::Bin/../build/unit/limiter/ngx_limiter_replay";

plan(skip_all => "no $replay (make unit)") if !-x $replay;

my $STEPS = $ENV{TEST_MODEL_STEPS} || 2500;
my $SEED = $ENV{TEST_MODEL_SEED} || 1;
my $T0 = 1_700_000_000_000;

my @names = ('', 'fixed window', 'sliding window', 'gcra');

my $t = Test::Nginx->new()->has_program('redis-server')->plan(35);

my $redis = $t->run_redis();

my %scripts = scripts();

is(scalar(keys %scripts), 25, 'a general script and eight of each algorithm');

my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1:'
                                               . $redis->port_number());

my ($subject, $model, %ends, %done);

for my $alg (1 .. 3) {
    replay_schedule($alg, 0, $SEED);
    replay_schedule($alg, 1, $SEED);
}

for my $name (qw/ counted refused step_back changed two_zones declined
              very_end /) {
    cmp_ok($done{$name} || 0, '>', 20, "there was: $name");
}

###############################################################################

# A rough schedule is also of clocks that step back, and of leases: there is no
# memory of a host without Redis for these.

sub replay_schedule {
    my ($alg, $rough, $seed) = @_;

    my $name = $names[$alg] . ($rough ? ', rough' : '');

    srand($seed * 100 + $alg * 10 + $rough);
    note("$name: seed $seed, $STEPS steps");

    my @steps = schedule($alg, $rough);
    my @asked = run_replay(map { $_->{line} } @steps);
    my @replies = ask_redis(\@steps, \@asked);

    my @got = run_replay(map {
        join ' ', $steps[$_]{line}, '=',
            map { $_ eq '0' ? 0 : unpack 'H*', $_ }
                grep { length } @{ $replies[$_] }[0, 1];
    } 0 .. $#steps);

    my (@c, @m, @r, @short, @times);

    for my $i (0 .. $#steps) {
        my $step = $steps[$i];
        my ($c, $m, $r) = $got[$i]
            =~ /^C (.*?)(?: M (.*?))? K .*?( R DECLINED)? R (.*)$/
            ? ($1, $2, $4) : ($got[$i]) x 3;

        $done{declined}++ if $got[$i] =~ /DECLINED/;

        push @c, [$i, $c] if $c ne $step->{answer};
        push @m, [$i, $m] if !$rough && $m ne $step->{answer};
        push @r, [$i, $r] if $r ne $step->{answer};

        # no key is gone before what it tells is

        my (undef, undef, $times, @ttl) = @{ $replies[$i] };

        push @times, [$i, "$times times"] if $times != 1;

        for my $z (0 .. $#{ $step->{lasts} }) {
            my $lasts = $step->{lasts}[$z];
            push @short, [$i, "$ttl[$z] ms of $lasts"]
                if $lasts && $ttl[$z] < $lasts;
        }
    }

    agree("$name: the arithmetic", \@steps, @c);
    agree("$name: a host without Redis", \@steps, @m) if !$rough;
    agree("$name: Redis", \@steps, @r);
    agree("$name: a key lasts", \@steps, @short);
    agree("$name: asks for the time once", \@steps, @times);
}


sub agree {
    my ($name, $steps, @wrong) = @_;

    ok(!@wrong, $name);

    for my $wrong (@wrong[0 .. ($#wrong > 2 ? 2 : $#wrong)]) {
        my ($i, $got) = @$wrong;
        my $step = $steps->[$i];

        diag("step $i: $step->{line}\n  expected $step->{answer}, got $got");
        diag("  after $_->{line} -> $_->{answer}")
            for grep { $_->{subject} == $step->{subject} }
                     @$steps[($i > 40 ? $i - 40 : 0) .. $i - 1];
    }

    diag(@wrong . ' in all') if @wrong > 3;
}


# Steps, with what the model answers.

sub schedule {
    my ($alg, $rough) = @_;

    my ($now, @subjects, @steps) = ($T0);
    my @periods = (1000, 7000, 60000, 3600000);
    my @zones = ($alg - 1, $alg + 2, $alg % 3);
    my %policy;

    $model = Test::Nginx::LimiterModel->new();
    $redis->cmd('FLUSHALL');
    %ends = ();
    $subject = 0;
    @subjects = map { ++$subject } 1 .. 3;

    while (@steps < $STEPS) {
        my $period = $periods[rand @periods];

        if ($rough && rand() < 0.04) {
            $now -= int(rand(rand() < 0.5 ? $period : 3 * $period));
            $done{step_back}++;

        } elsif (rand() < 0.7) {
            $now += int(rand($period / 8));

        } elsif (rand() < 0.5) {
            $now += int(rand(3 * $period));

        } elsif (rand() < 0.2) {
            $now += (1, 2, 3)[rand 3] * $period;
        }

        my $s = \$subjects[rand @subjects];
        my @z = sort { $a <=> $b }
                     (rand() < 0.7 ? $zones[0] : @zones[0, 1 + rand 2]);

        $done{two_zones}++ if @z > 1;

        my @items = map { item($_, $policy{$_} ||= policy(@periods), $rough) }
                        @z;

        if (rand() < 0.02) {
            change($policy{$_}, @periods) for @z;
            $done{changed}++;
        }

        # the very ends, and a millisecond before and after

        if (rand() < 0.2) {
            my @then = grep { $_ > $now && $_ < $now + 40 * 86400_000 }
                           map { $_ - 1, $_, $_ + 1 }
                               $model->moments($$s, $items[0]);

            if (@then) {
                $now = (sort { $a <=> $b } @then)[rand @then];
                $done{very_end}++;
            }
        }

        # Redis forgets what has ended; if it counts again, for the clock has
        # stepped back since or the level leaks by another rate now, memory
        # knows better

        for my $item (@items) {
            my $end = \$ends{"$$s $item->{zone}"};

            next if !defined $$end || $now < $$end;

            $$end = 0;
            $$s = ++$subject if $model->matters($now, $$s, $item);
        }

        # units are given back in the windows that they were used in

        for my $item (@items) {
            $item->{sub} = 0 if ($ends{"$$s $item->{zone}"} || 0) <= $now
                                || !$model->live($now, $$s, $item);
        }

        push @steps, step($now, $$s, $rough, @items);
    }

    note("$subject subjects");

    return @steps;
}


sub policy {
    my $policy = { rates => [], burst => int(rand(15)) };

    change($policy, @_);
    return $policy;
}


# Another limit, or another number of rates, or other periods.

sub change {
    my ($policy, @periods) = @_;

    if (@{ $policy->{rates} } && rand() < 0.5) {
        my $i = int(rand(@{ $policy->{rates} }));

        $policy->{rates} = [map { [@$_] } @{ $policy->{rates} }];
        $policy->{rates}[$i][0] = int(rand(20));
        return;
    }

    my $n = 1 + int(rand(3));
    my @order = sort { $a->[0] <=> $b->[0] } map { [rand(), $_] } @periods;

    $policy->{rates} = [
        map { [rand() < 0.05 ? 0 : 1 + int(rand(20)), $_->[1]] }
            @order[0 .. $n - 1]
    ];
}


sub item {
    my ($zone, $policy, $rough) = @_;

    my $cost = rand() < 0.7 ? 1 : int(rand(6));
    my $item = {
        zone => $zone, alg => 1 + $zone % 3, need => $cost, take => $cost,
        want => 0, add => 0, sub => 0, soft => rand() < 0.1 ? 1 : 0,
        peek => 0, %$policy,
    };

    if (rand() < 0.05) {
        my $limit = $item->{alg} == 3 ? $item->{burst} + 1
                                      : $item->{rates}[0][0];

        @$item{qw/ need take /} = ($limit + int(rand(2))) x 2;

    } elsif (rand() < 0.05) {
        # charged later
        @$item{qw/ need take /} = (1, 0);
    }

    $item->{peek} = 1 if rand() < 0.05;
    $item->{want} = int(rand(12)) if $rough && rand() < 0.15;

    if (!$item->{peek}) {
        $item->{add} = rand() < 0.1 ? 1e12 : int(rand(8)) if rand() < 0.06;
        $item->{sub} = int(rand(8)) if rand() < 0.06;
    }

    return $item;
}


sub step {
    my ($now, $subject, $rough, @items) = @_;

    my ($counted, @answers) = $model->ask($now, $subject, @items);
    my @lasts;

    $done{$counted ? 'counted' : 'refused'}++;

    for my $i (0 .. $#items) {
        my $item = $items[$i];

        next if !$model->wrote()->{$item->{zone}};

        $lasts[$i] = $model->lasts($now, $subject, $item);
        $ends{"$subject $item->{zone}"} = $now + $lasts[$i];
    }

    my $line = join ' ', $now, $subject, 1 - $rough, scalar(@items), map {
        my $item = $_;
        my $zero = grep { !$_->[0] } @{ $item->{rates} };
        my $variable = $zero || rand() < 0.3;

        ($item->{zone},
         $item->{soft} + 4 * $item->{peek} + ($variable ? 8 : 0),
         @$item{qw/ burst need take want add sub /},
         scalar(@{ $item->{rates} }), map { @$_ } @{ $item->{rates} });
    } @items;

    return {
        line => $line, answer => join(' ', $counted, map { @$_ } @answers),
        now => $now, subject => $subject, lasts => \@lasts,
    };
}


# The program that has the limiter's C code in it.

sub run_replay {
    my $in = $t->testdir() . '/steps';

    $t->write_file('steps', join '', map { "$_\n" } @_);

    my @out = `$replay steps < $in`;
    chomp @out;

    die "ngx_limiter_replay left: $?\n" if $? || @out != @_;

    return @out;
}


# Each script, word for word, and then the general one if it says so; but what
# it calls is not quite Redis: TIME and the time to live of keys are those of
# the schedule.

sub scripts {
    my %texts = map { /^(\w+) (\w+)$/ ? ($1 => pack 'H*', $2) : () }
                    `$replay scripts`;

    my ($general) = grep { /local function open/ } values %texts;
    my %scripts;

    for my $sha1 (keys %texts) {
        die "not the text of $sha1\n" if sha1_hex($texts{$sha1}) ne $sha1;

        $scripts{$sha1} = $redis->cmd('SCRIPT', 'LOAD', <<"EOF");
local call, times, fin = redis.call, 0, {}
local now = ARGV[#ARGV-1] * 1000 + math.floor(ARGV[#ARGV] / 1000)
for i, k in ipairs(KEYS) do
  fin[k] = call('GET', 'end:' .. k)
  if fin[k] and fin[k] + 0 <= now then
    call('DEL', k, 'end:' .. k)
    fin[k] = nil
  end
end
local redis = {call = function(command, key, ...)
  if command == 'TIME' then
    times = times + 1
    return {ARGV[#ARGV-1], ARGV[#ARGV]}
  end
  if command == 'PTTL' then return fin[key] and fin[key] - now or -2 end
  if command == 'SET' then
    local value, ex, ttl = ...
    if ex ~= 'PX' or ttl % 1 ~= 0 or ttl + 0 < 1 then
      error('not a time to live: ' .. ttl)
    end
    fin[key] = string.format('%.0f', now + ttl)
    call('SET', 'end:' .. key, fin[key])
    return call('SET', key, value)
  end
  if command == 'GET' or command == 'SETRANGE' and fin[key] then
    return call(command, key, ...)
  end
  error(command)
end}
local function chosen()
$texts{$sha1}
end
local function general()
$general
end
local out = {chosen(), ''}
if out[1] == 0 and times == 1 then
  out, times = {'0', general()}, times - 1
end
out[3] = times
for i, k in ipairs(KEYS) do
  out[i + 3] = fin[k] and fin[k] - now or -2
end
return out
EOF
    }

    return %scripts;
}


# For each step the replies of its scripts, how often these asked for the time,
# and for each zone the time to live.

sub ask_redis {
    my ($steps, $asked) = @_;

    my ($buf, $pending, @replies) = ('', 0);

    for my $i (0 .. $#$steps) {
        my ($sha1, $rest) = $asked->[$i] =~ / K (\w+)((?: \w+)+)$/;
        my @words = map { pack 'H*', $_ } split ' ', $rest;
        my (@keys, @args);

        while (@words) {
            push @keys, shift @words;
            push @args, shift @words;
        }

        my $now = $steps->[$i]{now};

        syswrite $socket, Test::Nginx::Resp::command('EVALSHA',
            $scripts{$sha1}, scalar(@keys), @keys, @args, int($now / 1000),
            $now % 1000 * 1000 + int(rand(1000)));

        next if ++$pending < 50 && $i < $#$steps;

        while ($pending) {
            if (!defined Test::Nginx::Resp::whole(\$buf)) {
                sysread $socket, $buf, 65536, length $buf
                    or die "Redis closed the connection\n";
                next;
            }

            my $reply = Test::Nginx::Resp::take(\$buf);

            die "Redis: $reply->{text}\n" if ref $reply ne 'ARRAY';

            push @replies, $reply;
            $pending--;
        }
    }

    return @replies;
}

###############################################################################
