#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A signature is checked once: what was verified is known to all workers of the
# host until it expires, and only where the same keys and rules apply.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Token;
use Time::HiRes qw/ sleep time /;

my $t = Test::Nginx->new(log => 'info')->plan(26);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 1;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    token_zone 64k;
    keepalive_requests 100000;

    server {
        listen 127.0.0.1:8080;

        token_jwt_keys keys.json;

        location / {
        }

        location /leeway {
            token_jwt_leeway 3s;
        }

        location /aud {
            token_jwt_require aud=api;
        }

        location /aud/other {
            token_jwt_require aud=other;
        }

        location /keys {
            token_jwt_keys other.json;
        }

        location /algorithms {
            token_jwt_algorithms HS256;
        }

        location /again {
            token_jwt_keys keys.json;
        }
    }
}

EOF

my $key = Test::Nginx::Token->new('ES384', kid => 'k');
my $new = Test::Nginx::Token->new('ES384', kid => 'k');
my $secret = Test::Nginx::Token->new('HS256', kid => 's');

$t->write_file('keys.json', jwks($key, $secret));
$t->write_file('other.json', jwks($new, $secret));
mkdir $t->testdir() . '/aud';
$t->write_file($_, 'SEE-THIS')
    for qw! x leeway aud/x aud/other keys algorithms again !;
$t->run();

###############################################################################

# ES384 costs half a millisecond to verify, ten times a request

my @tokens = map { $key->token({ sub => "u$_" }) } 1 .. 200;

SKIP: {
    skip 'no schedstat', 4 unless -r '/proc/self/schedstat';

    my $first = cpu(@tokens);
    my $again = cpu(@tokens);
    ok($again < $first / 2, 'the second time costs less')
        or diag("$first $again");

    # nobody knows what the worker knew but the shared memory

    $t->kill_worker();
    my $other = cpu(@tokens);
    ok($other < $first / 2, 'for another worker, too') or diag("$first $other");

    ok($t->reload(wait_old => 1), 'reload');
    $other = cpu(@tokens);
    ok($other < $first / 2, 'and after a reload') or diag("$first $other");
}

is(get('/again', $tokens[0]), 200, 'in a location with the same keys');

# not for what it was not verified by

my $aud = $key->token({ aud => 'api' });

is(get('/x', $aud), 200, 'verified');
is(get('/keys', $aud), 401, 'not with other keys');
is(get('/algorithms', $aud), 401, 'nor for other algorithms');
is(get('/aud/x', $aud), 200, 'what is required is there');
is(get('/aud/other', $aud), 401, 'what is not is not');
is(get('/aud/x', $tokens[0]), 401, 'known, but not for that');
is(get('/x', substr($aud, 0, -2) . 'AA'), 401, 'another signature');

# what is too long for a worker to remember is told from another all the same

is(get('/x', $key->token({ sub => 'x' x 3000 })), 200, 'a long one');
is(get('/x', $new->token({ sub => 'y' x 3000 })), 401, 'another, forged');

# until it expires: it is asked for all the time, so that it is never forgotten

my $exp = int(time()) + 3;
my $short = $key->token({ exp => $exp });
my ($early, $late, $leeway, $end) = ('', '', '', 0);

while (time() < $exp + 5.5) {
    my $begin = time();
    my $status = get('/x', $short);

    # nginx looks at its clock once per round of events
    $early .= $status if time() < $exp && $status != 200;
    $late .= $status if $begin > $exp + 0.2 && $status != 401;

    $begin = time();
    $status = get('/leeway', $short);
    $leeway .= $status if time() < $exp + 3 && $status != 200;
    $end += 1 if $begin > $exp + 3.2 && $status == 401;

    sleep 0.02;
}

is($early, '', 'good until it expires');
is($late, '', 'refused from then on');
is($leeway, '', 'good for the leeway where there is one');
cmp_ok($end, '>', 0, 'and refused after that');

# a zone for some hundreds meets thousands

my $s = http_connect();
my %statuses;

for my $i (1 .. 3000) {
    $statuses{ get('/x', $secret->token({ n => $i }), $s) }++;
}

is(join(' ', %statuses), '200 3000', 'more than the zone can hold');
is(get('/x', $aud), 200, 'what was forgotten is verified again');
is(get('/x', $short), 401, 'and refused again');
is(get('/x', $new->token({})), 401, 'and other keys are still others');

# other keys: it was good a moment ago

is(get('/x', $tokens[1]), 200, 'known');
$t->write_file('keys.json', jwks($new, $secret));
ok($t->reload(wait_old => 1), 'reload with other keys');
is(get('/x', $tokens[1]), 401, 'not any more');
is(get('/x', $new->token({})), 200, 'but others');

###############################################################################

sub get {
    my ($uri, $token, $s) = @_;
    return status(http_get($uri, headers => bearer($token),
                           $s ? (socket => $s, keepalive => 1) : ()));
}


# ns of CPU time that the worker takes for a request with each

sub cpu {
    my (@tokens) = @_;

    my ($pid) = $t->worker_pids();
    my $s = http_connect();

    # what it does once does not count
    get('/x', $aud, $s);

    my $begin = worker_ns($pid);
    get('/x', $_, $s) for @tokens;
    return worker_ns($pid) - $begin;
}


sub worker_ns {
    my ($pid) = @_;

    my ($ns) = split / /, $t->read_file("/proc/$pid/schedstat");
    return $ns;
}

###############################################################################
