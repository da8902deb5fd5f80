#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A purge while Redis is away is in force on this host, says so, and reaches
# the others when Redis is back.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw/ decode_json /;
use Test::More;
use Test::Nginx;

my @ports = (8080, 8081);
my @hosts = map { Test::Nginx->new() } @ports;

$hosts[0]->has('http_proxy')->has_program('redis-server')->plan(36);

for my $i (0 .. $#hosts) {
    $hosts[$i]->write_file_expand('nginx.conf', <<"EOF");

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache_redis_server redis://127.0.0.1:6379 timeout=500ms
                          connect_timeout=500ms;

    server {
        listen 127.0.0.1:$ports[$i];

        optcache_purge 1;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8082;
        }

        location /api/ {
            optcache_api write=on health=503;
        }
    }
}

EOF
}

my $backend = $hosts[0]->run_http_backend(8082, sub {
    my ($req) = @_;
    return [200, ['Cache-Control: max-age=3600'], "answer $req->{count}"];
});

my $redis = $hosts[0]->run_redis();

$_->run() for @hosts;

###############################################################################

ok(wait_for(sub { health($_) eq 'healthy' }), "host $_ is healthy") for 0, 1;

# Redis is there

my $r;

for my $purge (\&by_api, \&by_method) {
    fill();
    $r = $purge->('/x');
    is(status($r), 200, 'purged');
    is(body($r), qq/{"purged":1,"hosts":"all"}\n/, 'everywhere');
    is(cache(0, '/x'), 'MISS', 'here');
    ok(wait_for(sub { stale(1, '/x') }), 'and there');
}

# it stands still, and then goes on

for my $purge (\&by_api, \&by_method) {
    fill();
    $redis->suspend();

    $r = $purge->('/x');
    is(status($r), 202, 'Redis stands still');
    is(body($r), qq/{"purged":1,"hosts":"this","pending":true}\n/, 'is told');
    unlike(cache(0, '/x'), qr/HIT/, 'purged here');

    $redis->resume();

    ok(wait_for(sub { pending(0) == 0 }), 'nothing is pending in the end');
    ok(wait_for(sub { stale(1, '/x') }), 'and is purged there');
    ok(wait_for(sub { health(0) eq 'healthy' }), 'is well again');
}

# a moment is nothing that operators are to be told of

ok(wait_for(\&moment), 'cut off for a moment is healthy');

# it is gone

fill();
$redis->kill();
ok(wait_for(sub { health(0) eq 'degraded' }), 'Redis is gone');

$r = by_api('/x');
is(status($r), 202, 'it cannot be told');
unlike(cache(0, '/x'), qr/HIT/, 'purged here');
cmp_ok(pending(0), '>', 0, 'is pending');

$redis->launch();

ok(wait_for(sub { pending(0) == 0 }), 'is told when Redis is back');
ok(wait_for(sub { stale(1, '/x') }), 'and purged there');

# it is full: it answers, and takes nothing

$redis->cmd('CONFIG', 'SET', 'maxmemory', 1);

is(status(by_api('/x')), 202, 'a full Redis cannot be told');
ok(wait_for(sub { health(0) eq 'degraded' }), 'which is known');
like(http_get('/api/health', port => $ports[0]), qr/cannot be told of inv/,
    'and why');

$redis->cmd('CONFIG', 'SET', 'maxmemory', 0);

ok(wait_for(sub { pending(0) == 0 }), 'is told when there is room');
ok(wait_for(sub { health(0) eq 'healthy' }), 'is well again');

cmp_ok($hosts[0]->log_count(
    qr/\[error\].*redis has not taken it, .*other hosts will be told/), '>=', 3,
    'is logged');
cmp_ok($hosts[0]->log_count(
    qr/\[error\].*redis "redis:.*" of "optcache_redis_server" is down/), '>', 0,
    'for which directive Redis was down');

###############################################################################

my %first;

sub fill {
    for (0, 1) {
        get($_, '/x');
        $first{$_} = body(get($_, '/x'));
    }
}


# what was there at first is no more

sub stale {
    my ($host, $uri) = @_;
    return body(get($host, $uri)) ne $first{$host};
}


sub get { return http_get($_[1], port => $ports[$_[0]]) }


sub cache { return header(get(@_), 'X-Cache') }


sub by_api {
    return http_post('/api/purge', body => qq/{"uri":"$_[0]"}/,
                     headers => ['Content-Type: application/json']);
}


sub by_method { return http_request('PURGE', $_[0]) }


sub status_of {
    return decode_json(body(http_get("/api/$_[1]", port => $ports[$_[0]])));
}


sub health { return status_of($_[0], 'health')->{status} }


# to be tried again on a machine that was too busy for it

sub moment {
    my ($health, $ok);

    $redis->suspend();

    if (wait_for(sub { stream()->{state} eq 'cut off' })) {
        $health = status_of(0, 'health');
        $ok = stream()->{heard} < 1000
              && !grep { /not heard of/ } @{ $health->{reasons} };
    }

    $redis->resume();

    return $ok && wait_for(sub { health(0) eq 'healthy' });
}


sub stream { return status_of(0, 'status')->{invalidation}{stream} }


sub pending { return status_of($_[0], 'status')->{invalidation}{pending} }

###############################################################################
