#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Whatever Redis answers, a request gets its answer, and the limit holds.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(22);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=1s
                           connect_timeout=1s;

    log_format limits $uri:$status:$ratelimit_redis_status;
    access_log %%TESTDIR%%/limits.log limits;

    ratelimit_redis_zone $arg_a zone=a:1m rate=3r/m;
    ratelimit_redis_zone $arg_a zone=b:1m rate=1r/m;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=a;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_redis(port => 6380);
my $fake = $t->run_fake_redis(behind => $redis, only => 'EVALSHA');

$t->run();

###############################################################################

my $n = 0;

# the script is in the cache of Redis: no EVAL is asked for later on

is(four(), '200 200 200 429', 'all is well');

for my $error ('LOADING Redis is loading the dataset in memory',
               'NOAUTH Authentication required.',
               'READONLY You can\'t write against a read only replica.',
               'OOM command not allowed when used memory > \'maxmemory\'.',
               'WRONGTYPE', '', "\x1b[31m \"\xff")
{
    is(spoiled(reply => { EVALSHA => "-$error\r\n" }), '200 200 200 429',
        printable($error));
}

unlike($t->error_log(), qr/\x1b/, 'what is no word is not logged');
ok($t->log_count(qr/redis refused the script of limits: "OOM"/) <= 1,
    'and what is, once');

my @odd = (
    "+OK\r\n", ":1\r\n", "\$-1\r\n", "*0\r\n", "*-1\r\n",
    "*4\r\n:1\r\n:1\r\n:1\r\n\$5\r\n60000\r\n",
    "*5\r\n:1\r\n:1\r\n:1\r\n:60000\r\n:1\r\n",
    "*4\r\n:1\r\n:1\r\n:-1\r\n:60000\r\n",
    "*4\r\n:1\r\n:0\r\n:1\r\n:60000\r\n",
    "*4\r\n:1\r\n:1\r\n:1\r\n:9223372036854775807\r\n",
);

restart();

my $asked = $fake->log('EVALSHA');
my $refused = 0;

for (@odd) {
    $fake->set(reply => { EVALSHA => $_ });
    $refused++ if four() eq '200 200 200 429';
}

is($refused, scalar @odd, 'replies of another shape');
is($fake->log('EVALSHA') - $asked, 3 * @odd, 'to each question');
unlike(join(' ', statuses(4 * @odd)), qr/(^| )PASSED/, 'and are not believed');

$fake->set(reply => undef);

$fake->set(split => 1);
is(four(), '200 200 200 429', 'a byte at a time');
ok(wait_for(sub {
    four();
    return $t->log_count(qr/redis runs the script of limits again after \d+ms/);
}), 'the end is logged');
$fake->set(split => undef);

# these lose the connection

for my $fault ([garbage => "HTTP/1.1 400 Bad Request\r\n\r\n"],
               [half => 'close'], [half => 'stall'], [close_after => 1])
{
    is(spoiled(@$fault), '200 200 200 429', "@$fault" =~ s/[^ -~]+/ /gr);
}

# and it comes back by itself

ok(wait_for(sub {
    http_get('/x?a=' . $n++);
    $t->read_file('limits.log') =~ /:PASSED\n\z/;
}), 'Redis is asked again');

is(four(), '200 200 200 429', 'and all is well');
like($t->read_file('limits.log'),
    qr/(:PASSED\n\S+:PASSED\n\S+:PASSED\n\S+:REJECTED\n)\z/,
    'as it was');

###############################################################################

sub statuses {
    my ($n) = @_;
    my @all = $t->read_file('limits.log') =~ /:(\w*)\n/g;
    return @all[-$n .. -1];
}


# a new subject each time; the fourth is one too many

sub four {
    $n++;
    return join ' ', map { status(http_get("/x?a=n$n")) } 1 .. 4;
}


# the same with a worker that knows nothing against Redis, which is asked

sub spoiled {
    my ($name, $value) = @_;

    restart();
    $fake->set($name => $value);

    my $asked = $fake->log('EVALSHA');
    my $answers = four();

    $fake->set($name => undef);

    return $fake->log('EVALSHA') > $asked ? $answers : 'not asked';
}


sub restart {
    $t->stop();

    # nobody counts on the host that has just been stopped

    $redis->cmd('DEL', 'rl:{fleet}');

    $t->run();

    wait_for(sub {
        http_get('/x?a=' . $n++);
        return $t->read_file('limits.log') =~ /:PASSED\n\z/;
    });
}


sub printable { return "-$_[0]" =~ s/[^ -~]+/?/gr }

###############################################################################
