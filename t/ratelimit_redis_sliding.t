#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A sliding window remembers the one before by the part of it that it still
# covers: what was used at its end cannot be used again at the beginning of the
# next.  In Redis as without it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Time::HiRes qw/ sleep time /;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(16);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    %%SERVER%%

    ratelimit_redis_zone $arg_a zone=one:1m rate=10r/4s
                         algorithm=sliding_window;
    ratelimit_redis_zone $arg_a zone=two:1m rate=4r/h rate=2r/1s
                         algorithm=sliding_window;

    server {
        listen 127.0.0.1:8080;

        location /one {
            ratelimit_redis zone=one;
        }

        location /two {
            ratelimit_redis zone=two;
        }
    }
}

EOF

$t->write_file($_, 'SEE-THIS') for qw/ one two /;

my $conf = $t->read_file('nginx.conf');
my $redis = $t->run_redis();

###############################################################################

for my $server ('', 'ratelimit_redis_server redis://127.0.0.1:6379'
                    . ' timeout=5s connect_timeout=5s;')
{
    my $how = $server ? ', in Redis' : ', here';

    $t->write_file('nginx.conf',
                   $t->expand($conf =~ s/%%SERVER%%/$server/r));
    $t->run();

    # one opens the window, nine come at its end

    my $start = time();
    is(passed('/one?a=1', 1), 1, "one$how");
    sleep(3.5 - (time() - $start));
    is(passed('/one?a=1', 12), 9, "nine more, later$how");

    my $r = http_get('/one?a=1');
    my $after = header($r, 'Retry-After');
    is(status($r), 429, "and no more$how");
    cmp_ok($after, '>=', 1, "for a while$how");
    cmp_ok($after, '<=', 1 + 1, "which is short$how");

    # a window that began anew would let ten in; of the one before, which was
    # full, all but a part still counts

    sleep(4.9 - (time() - $start)) if time() - $start < 4.9;

    my $passed = passed('/one?a=1', 10);
    my $took = time() - $start;

    # at 4 s all of the ten count, at 8 s none
    my $most = int(10 * ($took - 4) / 4);

    cmp_ok($passed, '>=', 1, "some$how");
    cmp_ok($passed, '<=', $most, "at most $most of ten at $took s$how");

    # two windows at once: what one of them refuses the other does not count

    is(passed('/two?a=2', 3), 2, "two windows$how");

    $t->stop();
}

###############################################################################

sub passed {
    my ($uri, $n) = @_;
    return scalar grep { status(http_get($uri)) == 200 } 1 .. $n;
}

###############################################################################
