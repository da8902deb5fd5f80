#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What a request cost is booked when it ends: it is let in while anything
# remains, and an advance is replaced by what it cost in the end.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
    ->plan(44);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    %%SERVER%%

    proxy_cache_path %%TESTDIR%%/cache keys_zone=cache:1m;

    ratelimit_redis_zone $arg_a zone=later:1m rate=10r/h rate=99r/d
                         charge=$upstream_http_x_tokens;
    ratelimit_redis_zone $arg_a zone=advance:1m rate=10r/h
                         cost=3 charge=$upstream_http_x_tokens;
    ratelimit_redis_zone $arg_a zone=sent:1m rate=10r/h
                         charge=$sent_http_x_tokens;
    ratelimit_redis_zone $arg_a zone=slide:1m rate=10r/h
                         algorithm=sliding_window
                         charge=$upstream_http_x_tokens;
    ratelimit_redis_zone $arg_a zone=gcra:1m rate=1r/h algorithm=gcra burst=9
                         cost=3 charge=$upstream_http_x_tokens;
    ratelimit_redis_zone $arg_a zone=either:1m rate=10r/h cost=$arg_c
                         charge=$upstream_http_x_tokens;
    ratelimit_redis_zone $arg_r zone=requests:1m rate=3r/h;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=later;
            proxy_pass http://127.0.0.1:8081;
        }

        location /advance {
            ratelimit_redis zone=advance;
            proxy_pass http://127.0.0.1:8081;
        }

        location /either {
            ratelimit_redis zone=either;
            proxy_pass http://127.0.0.1:8081;
        }

        location /slide {
            ratelimit_redis zone=slide;
            proxy_pass http://127.0.0.1:8081;
        }

        location /gcra {
            ratelimit_redis zone=gcra nodelay;
            proxy_pass http://127.0.0.1:8081;
        }

        location /soft {
            ratelimit_redis zone=later dry_run;
            proxy_pass http://127.0.0.1:8081;
        }

        location /two {
            ratelimit_redis zone=later;
            ratelimit_redis zone=requests;
            proxy_pass http://127.0.0.1:8081;
        }

        location /cached {
            ratelimit_redis zone=later;
            proxy_cache cache;
            proxy_cache_key $arg_n;
            proxy_cache_valid 1h;
            proxy_pass http://127.0.0.1:8081;
        }

        location /sent {
            ratelimit_redis zone=sent;
            proxy_cache cache;
            proxy_cache_key $arg_n;
            proxy_cache_valid 1h;
            proxy_pass http://127.0.0.1:8081;
        }

        location /gone {
            ratelimit_redis zone=advance;
            proxy_pass http://127.0.0.1:8082;
        }

        location /error {
            ratelimit_redis zone=later;
            proxy_intercept_errors on;
            error_page 500 /static;
            proxy_pass http://127.0.0.1:8081;
        }

        location /static {
            ratelimit_redis zone=later;
        }
    }
}

EOF

$t->write_file('static', 'SEE-THIS');

my $conf = $t->read_file('nginx.conf');
my $redis = $t->run_redis();

$t->run_http_backend(8081, sub {
    my ($req) = @_;
    my %headers;

    $headers{'X-Tokens'} = $1 if $req->{uri} =~ /t=(-?\w+)/;
    $headers{'X-Accel-Redirect'} = '/static' if $req->{uri} =~ /accel/;

    return [$req->{uri} =~ /error/ ? 500 : 200, \%headers, 'SEE-THIS'];
});

###############################################################################

for my $server ('', 'ratelimit_redis_server redis://127.0.0.1:6379'
                    . ' timeout=5s connect_timeout=5s;')
{
    my $how = $server ? ', in Redis' : ', here';
    my $n = length $server;

    $t->write_file('nginx.conf',
                   $t->expand($conf =~ s/%%SERVER%%/$server/r));
    $t->run();

    # Redis may have to be sent the script, and until then nothing is booked

    left('/?a=first&t=3');
    wait_for(sub { left('/?a=first') eq '7' });

    is(left(map { "/?a=1&t=$_" } 4, 5, 7, 1, 1), '10 6 1 !0 !0',
        'let in while anything remains' . $how);
    is(left('/?a=2&t=0', '/?a=2', '/?a=2&t=1', '/?a=2'), '10 10 10 9',
        'nothing is booked for nothing' . $how);

    for my $uri (qw/ advance gcra /) {
        is(left(map { "/$uri?a=3&t=$_" } 3, 1, 4), '7 4 3',
            "$uri: an advance is replaced" . $how);
        is(left("/$uri?a=4", "/$uri?a=4", "/$uri?a=4&t=0", "/$uri?a=4&t=0",
                "/$uri?a=4&t=9", "/$uri?a=4&t=0"),
            '7 4 1 1 1 !0', "$uri: or stays" . $how);
    }

    is(left(map { "/either?a=3&c=$_" } 3, '', 'x', 0), '7 6 5 5',
        'no advance is one' . $how);

    is(left(map { "/slide?a=3&t=$_" } 4, 5, 7, 1), '10 6 1 !0',
        'a sliding window' . $how);

    # one that is refused costs nothing, wherever it was refused

    is(left(map { "/two?a=5&r=1&t=$_" } 1, 1, 1, 1), '2 1 0 !0',
        'three requests' . $how);
    is(left('/?a=5'), '7', 'are charged' . $how);

    is(left('/soft?a=6&t=30', '/soft?a=6&t=1') . left('/?a=6'), ' !0',
        'a dry run is charged' . $how);

    # what is answered from a cache

    is(left(map { "/cached?a=7&n=c$n&t=$_" } 3, 3, 3), '10 7 7',
        'cached answers are free' . $how);
    is(left(map { "/sent?a=7&n=s$n&t=$_" } 3, 3, 3), '10 7 4',
        'unless asked' . $how);

    # upstreams that fail, and redirects

    is(left('/gone?a=8', '/gone?a=8'), '7 4', 'an upstream fails' . $how);
    is(left('/error?a=9&t=2', '/error?a=9&t=2', '/?a=9'), '10 8 6',
        'an error page: once' . $how);
    is(left('/accel?a=10&t=2', '/accel?a=10&t=2', '/?a=10'), '10 8 6',
        'X-Accel-Redirect: once' . $how);

    # what is no number is not booked, too large a number is all there is

    is(left('/?a=11&t=x', '/?a=11&t=-1', '/?a=11&t=5x', '/?a=11'),
        '10 10 10 10', 'no number is not booked' . $how);
    is(left('/advance?a=11&t=x', '/advance?a=11'), '7 4',
        'the advance stays' . $how);
    is(left('/?a=11&t=99999999999999999999', '/?a=11'), '10 !0',
        'too large a number is too much' . $how);
    is(left('/advance?a=12&t=10&b=' . 'x' x 50, '/advance?a=12'), '7 !0',
        'all' . $how);

    like(header(http_get('/?a=11'), 'Retry-After'), qr/^(8|3)\d{3,4}$/,
        'until the window ends' . $how);

    $t->stop();
}

is($t->log_count(qr/invalid value of "charge=\$upstream_http_x_tok/),
    10, 'logged');

# one command a request, one a charge; none for what costs nothing; the last
# one is there when another request has been answered

$t->run();
http_get('/?a=20');
wait_for(sub { $redis->calls('evalsha') });

my $asked = $redis->calls('evalsha');
left('/?a=20&t=1', '/?a=20&t=0', '/advance?a=20&t=3', '/advance?a=20&t=2',
     '/?a=21');
is($redis->calls('evalsha') - $asked, 7, 'nothing is not booked');

###############################################################################

# what is left when a request is let in; "!" before that of a refused one

sub left {
    return join ' ', map {
        my $r = http_get($_);
        (status($r) == 429 ? '!' : '')
            . (header($r, 'X-RateLimit-Remaining') // '');
    } @_;
}

###############################################################################
