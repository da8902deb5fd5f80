#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Each request is counted once, by what became of it, whatever it was and
# whoever has left by then.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw/ decode_json /;
use Test::More;
use Test::Nginx;
use Test::Nginx::Prometheus;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_ssi http_auth_request /)
    ->has_program('redis-server')->plan(37);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache_zone d:4m;
    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;
    optcache c;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache_redis off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /l2/ {
            proxy_pass http://127.0.0.1:8081;
        }

        location /page/ {
            optcache_redis off;
            ssi on;
            proxy_pass http://127.0.0.1:8081;
        }

        location /errors/ {
            optcache_redis off;
            error_page 404 /plain;
            error_page 503 = /other/fallback;
            proxy_intercept_errors on;
            proxy_pass http://127.0.0.1:8081;
        }

        location /accel/ {
            optcache_redis off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /other/ {
            optcache_redis off;
            optcache d;
            proxy_pass http://127.0.0.1:8081;
        }

        location = /plain {
            optcache off;
            return 200 "plain";
        }

        location = /bypass {
            optcache_redis off;
            optcache_bypass $arg_x;
            proxy_pass http://127.0.0.1:8081;
        }

        location /m/ {
            optcache off;
            optcache_api write=on;
        }
    }
}

EOF

my $redis = $t->run_redis();

$t->run_http_backend(8081, sub {
    my ($request) = @_;
    my $uri = $request->{uri};

    return [304, ['Cache-Control: max-age=100'], '']
        if $request->{headers}{'if-none-match'} && $uri =~ /revalidated/;
    return [200, ['Cache-Control: max-age=0', 'ETag: "1"'], 'body']
        if $uri =~ /revalidated/;
    return [200, ['Cache-Control: max-age=0, stale-while-revalidate=100'],
            'body']
        if $uri =~ /updating/;
    return [200, ['Cache-Control: max-age=0, stale-if-error=100'], 'body']
        if $uri =~ /stale/ && $request->{count} == 1;
    return [503, [], 'no'] if $uri =~ /stale/;
    return [200, ['Cache-Control: max-age=100', 'Vary: X-Kind'], 'v']
        if $uri =~ /vary/;
    return [200, ['Cache-Control: max-age=100', 'Content-Type: text/html'],
            '<!--# include virtual="/part1" --><!--# include '
            . 'virtual="/part2" -->'] if $uri =~ /page/;
    return [404, [], 'no'] if $uri =~ /errors.404/;
    return [503, [], 'no'] if $uri =~ /errors.503/;
    return [200, ['X-Accel-Redirect: /other/accel'], ''] if $uri =~ /^.accel/;

    sleep 1 if $uri =~ /slow/;

    return [200, ['Cache-Control: max-age=100'], 'body'];
});

$t->run();

###############################################################################

ok(wait_for(sub { status_of()->{redis}{state} eq 'up' }), 'Redis is there');

is(counted(sub { http_get('/a') }), 'c: misses.absent requests.miss', 'a miss');
is(counted(sub { http_get('/a') }), 'c: hits.l1.fresh requests.hit', 'a hit');
is(counted(sub { http_head('/a') }), 'c: hits.l1.fresh requests.hit', 'HEAD');
is(counted(sub { http_get('/a', headers => ['Range: bytes=0-1']) }),
    'c: hits.l1.fresh requests.hit', 'a range');
is(counted(sub { http_head('/b') }), 'c: misses.absent requests.miss',
    'HEAD of what is not there');

is(counted(sub { http_post('/a') }), 'c: bypasses.method requests.bypass',
    'POST');
is(counted(sub { http_get('/a') }), 'c: misses.absent requests.miss',
    'after it');
is(counted(sub { http_get('/bypass?x=1') }),
    'c: bypasses.configured requests.bypass', 'optcache_bypass');
is(counted(sub { http_get('/a', headers => ['Cache-Control: no-cache']) }),
    'c: bypasses.request requests.bypass', 'no-cache');
is(counted(sub { http("GET /a HTTP/1.1\r\nHost: localhost\r\n"
                      . "Content-Length: 1\r\nConnection: close\r\n\r\nx") }),
    'c: bypasses.body requests.bypass', 'a body');
is(counted(sub { http_get('/absent',
                          headers => ['Cache-Control: only-if-cached']) }),
    'c: misses.absent requests.miss', 'only-if-cached');
is(counted(sub { http_get('/a', headers => ['Cache-Control: min-fresh=500']) }),
    'c: misses.request requests.expired', 'not fresh for so long');

http_get('/revalidated');
is(counted(sub { http_get('/revalidated') }),
    'c: hits.l1.revalidated requests.revalidated', 'a 304');

http_get('/stale');
is(counted(sub { http_get('/stale') }), 'c: hits.l1.stale requests.stale',
    'an error');

http_get('/updating');
is(counted(sub { http_get('/updating') }),
    'c: hits.l1.updating requests.updating', 'an update');
ok(wait_for(sub { zone('c')->{updates} == 1 }), 'that is no request');

http_get('/vary', headers => ['X-Kind: a']);
is(counted(sub { http_get('/vary', headers => ['X-Kind: b']) }),
    'c: misses.vary requests.miss', 'another one of the same URI');

# subrequests

is(counted(sub { http_get('/page/') }),
    'c: misses.absent*3 requests.miss*3', 'a page and its parts');
is(counted(sub { http_get('/page/') }),
    'c: hits.l1.fresh*3 requests.hit*3', 'stored');

# redirected

is(counted(sub { http_get('/errors/404') }), 'c: misses.absent requests.miss',
    'an error page that is not cached');
is(counted(sub { http_get('/errors/503') }), 'd: misses.absent requests.miss',
    'one that is');
is(counted(sub { http_get('/errors/503') }), 'd: hits.l1.fresh requests.hit',
    'and is stored');
is(counted(sub { http_get('/accel/1') }), 'd: misses.absent requests.miss',
    'X-Accel-Redirect');
is(counted(sub { http_get('/accel/1') }), 'd: hits.l1.fresh requests.hit',
    'the same stored');

# who leaves is counted, and what it had wanted is not stored

is(counted(sub { close http_get('/slow/1', start => 1) }),
    'c: misses.absent requests.miss', 'a client that leaves');

# two at a time

my $s = http_get('/slow/2', start => 1);
is(counted(sub { http_get('/slow/2'); http_end($s) }, 2),
    'c: hits.l1.fresh misses.absent requests.hit requests.miss', 'one waits');
is(zone('c')->{coalesced}, 1, 'and is answered by the other');
is(zone('c')->{waits}{host}, 1, 'of this host');

# the second level

is(counted(sub { http_get('/l2/1') }), 'c: misses.absent requests.miss',
    'not in Redis');
ok(wait_for(sub { zone('c')->{stored}{l2} == 1 }), 'then stored there');

my ($name) = @{ $redis->entry_names() };
my $value = $redis->cmd('GET', $name);

http_post('/m/purge', body => '{"all":true}',
          headers => ['Content-Type: application/json']);

is(counted(sub { http_get('/l2/1') }), 'c: misses.invalidated requests.miss',
    'purged in both');

# the text, and that both tell the same

my $m = metrics();
is(join("\n", $m->errors()), '', 'the text is as it has to be');
is(header(http_get('/m/metrics'), 'Content-Type'),
    'text/plain; version=0.0.4; charset=utf-8', 'of its type');

my $zone = zone('c');
is($m->value('optcache_hits_total', zone => 'c', layer => 'l1',
             kind => 'fresh'), $zone->{hits}{l1}{fresh}, 'the same hits');
is($m->sum('optcache_requests_total', zone => 'c'),
    $m->sum('optcache_hits_total', zone => 'c')
    + $m->sum('optcache_misses_total', zone => 'c')
    + $m->sum('optcache_bypasses_total', zone => 'c')
    + $m->value('optcache_requests_total', zone => 'c', status => 'left'),
    'requests are all of these');
is($m->value('optcache_invalidations_total', kind => 'all', mode => 'hard'), 1,
    'a purge of everything');

###############################################################################

sub status_of { return decode_json(body(http_get('/m/status'))) }


sub zone {
    my ($name) = @_;
    my ($zone) = grep { $_->{name} eq $name } @{ status_of()->{zones} };
    return $zone;
}


sub metrics {
    return Test::Nginx::Prometheus->new(body(http_get('/m/metrics')));
}


# Numbers by name: c.misses.absent.

sub numbers {
    my %n;

    for my $zone (@{ status_of()->{zones} }) {
        for my $group (qw/ requests hits misses bypasses /) {
            flat(\%n, "$zone->{name}:$group", $zone->{$group});
        }
    }

    return \%n;
}


sub flat {
    my ($n, $name, $value) = @_;

    if (ref $value) {
        flat($n, "$name.$_", $value->{$_}) for keys %$value;
    } else {
        $n->{$name} = $value;
    }
}


# What has grown, of each zone; a number behind it if by more than one.

sub counted {
    my ($code, $more) = @_;
    my ($before, $grown) = (numbers(), '');

    $code->();

    wait_for(sub { $grown = grown($before, numbers()); $grown ne '' }, 5);

    # what is counted twice would be so by now

    return grown($before, numbers());
}


sub grown {
    my ($before, $after) = @_;
    my %zones;

    for my $name (sort keys %$after) {
        my $n = $after->{$name} - ($before->{$name} // 0) or next;
        my ($zone, $what) = split /:/, $name;
        push @{ $zones{$zone} }, $n == 1 ? $what : "$what*$n";
    }

    return join '; ', map { join ' ', "$_:", @{ $zones{$_} } }
                      sort keys %zones;
}

###############################################################################
