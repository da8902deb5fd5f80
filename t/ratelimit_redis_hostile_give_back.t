#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What is given back is taken from the window in which it was counted: when that
# has ended, those of the next window have not used it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

use Time::HiRes qw/ time /;

my @zones = qw/ fixed sliding gcra /;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
    ->plan(2 * @zones * 2);

my $conf = <<'EOT';

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    %%SERVER%%

    ratelimit_redis_zone $arg_a zone=fixed:1m rate=10r/4s
                         cost=10 charge=$upstream_http_x_tokens;
    ratelimit_redis_zone $arg_a zone=sliding:1m rate=10r/2s
                         algorithm=sliding_window
                         cost=10 charge=$upstream_http_x_tokens;
    ratelimit_redis_zone $arg_a zone=gcra:1m rate=10r/4s
                         algorithm=gcra burst=9
                         cost=10 charge=$upstream_http_x_tokens;

    proxy_buffering off;

    server {
        listen 127.0.0.1:8080;

        location /fixed {
            ratelimit_redis zone=fixed;
            proxy_pass http://127.0.0.1:8081;
        }

        location /sliding {
            ratelimit_redis zone=sliding;
            proxy_pass http://127.0.0.1:8081;
        }

        location /gcra {
            ratelimit_redis zone=gcra nodelay;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOT

my $redis = $t->run_redis();

$t->run_http_backend(8081, sub {
    my ($req) = @_;
    my ($tokens) = $req->{uri} =~ /t=(\d+)/;

    my $s = $req->{socket};
    print $s "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
        "X-Tokens: $tokens\r\n\r\n1";
    $s->flush();

    if ($req->{uri} =~ /wait=(\w+)/) {
        select undef, undef, undef, 0.02
            until -e $t->testdir() . "/$1" || !$s->connected();
    }

    print $s '2';
    $s->flush();

    return undef;
});

###############################################################################

for my $server ('', 'ratelimit_redis_server redis://127.0.0.1:6379'
                    . ' timeout=5s connect_timeout=5s;')
{
    my $how = $server ? ', in Redis' : ', here';
    my $n = 0;

    $t->write_file_expand('nginx.conf', $conf =~ s/%%SERVER%%/$server/r);
    $t->run();

    # Redis may have to be sent the script, and until then nothing is booked

    wait_for(sub { status(http_get('/fixed?a=first&t=0')) == 200 }) for 1 .. 3;

    for my $zone (@zones) {
        my ($early, $late);

        # a machine that is busy may let another window begin: once more

        for (1 .. 5) {
            ($early, $late) = overlap($zone, length($server) . '_' . ++$n);
            last if defined $late;
        }

        is($early, 200, "$zone: a window each$how");
        is($late, 429, "$zone: it was not this one's$how");
    }

    $t->stop();
}

###############################################################################

# One takes all and is slow, the next takes all of the next window; then the
# first turns out to have cost nothing.

sub overlap {
    my ($zone, $name) = @_;

    my $uri = "/$zone?a=$name";
    my $slow = http_get("$uri&t=0&wait=$name", start => 1);
    my $began;

    sysread $slow, my $half, 4096;
    my $early = status($half);

    wait_for(sub { $began = time(); status(http_get("$uri&t=10")) == 200 });

    $t->write_file($name, '');
    http_end($slow);
    my $late = status(http_get("$uri&t=10"));

    return ($early, time() - $began < 1.5 ? $late : undef);
}

###############################################################################
