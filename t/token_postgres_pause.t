#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A PostgreSQL that greets well, and fails after that, is not asked again and
# again without a pause; that it is back is not said each time.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::FakePostgres;
use Test::Nginx::Revocations;
use Time::HiRes qw/ time /;

my $denied = "SERROR\0C42501\0Mpermission denied\0\0";

my $t = Test::Nginx->new()->has_program('redis-server')->plan(9);

$t->run_redis();

my $fake = $t->run_fake(5432, sub {
    my ($s) = @_;

    my $how = $t->read_file('how');

    startup($s) or return;
    $t->append_file($how, time() . "\n");

    hello($s);

    while (my $query = query($s)) {

        if ($how eq 'refuses') {
            message($s, 'E', $denied);
            ready($s);
            next;
        }

        # what was revoked expires when all that there is has been read

        return if $how eq 'leaves' && $query =~ /^WITH/;

        answer($s, $query);
    }
});

$t->write_file('how', 'refuses');

gateway($t, postgres => '"host=127.0.0.1 port=' . port(5432)
    . ' dbname=a user=b sslmode=disable"');
$t->run();

###############################################################################

my $back = qr/"token_blacklist_postgres" is back after \d+ms/;

# nothing is read

ok(wait_for(sub { times_of('refuses') >= 7 }, 30), 'refuses');
cmp_ok(last_pause('refuses'), '>', 0.5, 'pauses grow');
is($t->log_count(qr/is not there: 42501 permission denied/), 1,
    'logged once');
is($t->log_count($back), 0, 'that it is back is not');

# what there is is read, and then it leaves

$t->write_file('how', 'leaves');
$t->reload(wait_old => 1);

ok(wait_for(sub { times_of('leaves') >= 7 }, 30), 'leaves');
cmp_ok(last_pause('leaves'), '>', 0.5, 'pauses grow');
is($t->log_count($back), 2, 'it is not back again and again');

# it stays

$t->write_file('how', 'stays');

ok(wait_for(sub { $t->log_count($back) == 3 }, 30), 'back when it stays');
is(status(get('/x', 'good')), 200, 'and it is believed');

###############################################################################

sub times_of {
    my ($how) = @_;
    return split /\n/, -e $t->testdir() . "/$how" ? $t->read_file($how) : '';
}


sub last_pause {
    my ($how) = @_;
    my @times = times_of($how);
    return $times[6] - $times[5];
}

###############################################################################
