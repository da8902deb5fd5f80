#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A reload that names another stream, or none for a while: nothing is taken from
# Redis before that stream has been read, by no worker, and what was invalidated
# meanwhile is not forgotten.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Gate;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_stub_status
    http_auth_request /)->plan(24);

my $hears = 0;

# with a size of its own a zone begins anew

sub configure {
    my ($prefix, $size, $database) = @_;

    $database //= '';

    my $redis = $prefix
        ? "optcache_redis_server redis://127.0.0.1:6379$database timeout=5s;
           optcache_redis_prefix $prefix;"
        : '';

    $t->write_file_expand('nginx.conf', <<"EOF");

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:$size;
    $redis

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            optcache_purge 1;
            auth_request /check;
            proxy_pass http://127.0.0.1:8081;
        }

        location = /check {
            internal;
            proxy_pass http://127.0.0.1:8081;
        }
    }

    server {
        listen 127.0.0.1:8082;

        location / {
            stub_status;
        }
    }
}

EOF
}

my $redis = $t->run_redis();
my $gate = Test::Nginx::Gate->new($t);

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    $gate->pass() if $req->{headers}{'x-gate'} && $req->{uri} eq '/check';

    return [200, { 'Cache-Control' => 'max-age=3600' }, $req->{count}];
});

# other hosts are there

$redis->cmd('XADD', 'b:invalidate', '*', 'tag', 'others');

configure('a:', '4m');
$t->run();

###############################################################################

reads('a:');

# a request of an old worker, which another stream says nothing of

my $old = stored('/old');
$redis->cmd('XADD', 'a:invalidate', '*', 'uri', '/old');
ok(gone('/old', $old), 'invalidated, what is in Redis, too');
$old = stored('/old');

my $other = stored('/other');

move('a:', '5m');
reads('a:');
$redis->cmd('XADD', 'a:invalidate', '*', 'uri', '/old');
wait_for(sub { told('a:') });
$redis->cmd('XADD', 'b:invalidate', '*', 'tag', 'others');

my $s = http_get('/old', headers => { 'X-Gate' => 1 }, start => 1);
$gate->busy(1);
move('b:', '5m');
reads('b:');

isnt(body(($gate->answers($s))[0]), $old, 'not what an old worker finds');
isnt(body(http_get('/old')), $old, 'nor does it put it into L1');

# what was invalidated here while it was with the other one; L1 is empty

my $both = stored('/both');
is(status(http_request('PURGE', '/other')), 200, 'purged in the other');
move('a:', '5m');
reads('a:');
isnt(body(http_get('/other')), $other, 'is purged in the first');

my $kept = stored('/kept');
move('b:', '6m');
reads('b:');
is(body(http_get('/both')), $both, 'what was not is taken from Redis');

# a stream that cannot be read

$redis->cmd('XADD', 'b:invalidate', '*', 'tag', 'late');
$redis->cmd('XADD', 'a:invalidate', '*', 'uri', '/kept');
wait_for(sub { told('b:') });
$redis->cmd('ACL', 'SETUSER', 'default', '-eval');
move('a:', '4m');
ok($t->wait_for_log(qr/cannot read the stream/), 'a stream is not read');
isnt(body(http_get('/kept')), $kept, 'nothing of Redis is used');
$redis->cmd('ACL', 'SETUSER', 'default', '+eval');
reads('a:');

# none for a while

$kept = stored('/kept');
my $more = stored('/more');
move('', '4m');
is(body(http_get('/kept')), $kept, 'without Redis L1 is used');
$redis->cmd('XADD', 'a:invalidate', '*', 'uri', '/kept');
move('', '5m');
$redis->cmd('ACL', 'SETUSER', 'default', '-eval');
move('a:', '5m');
ok(wait_for(sub { $t->log_count(qr/cannot read the stream/) > 1 }),
    'it is not read again');
isnt(body(http_get('/kept')), $kept, 'what was told meanwhile is not used');
$redis->cmd('ACL', 'SETUSER', 'default', '+eval');
reads('a:');
is(body(http_get('/more')), $more, 'but what nobody has invalidated');

# another database is another stream

my $n = moved();
move('a:', '5m', '/0');
reads('a:');
is(moved(), $n, 'the same one, written otherwise');
move('a:', '5m', '/1');
reads('a:');
is(moved(), $n + 1, 'another one');

###############################################################################

sub move {
    my ($prefix, $size, $database) = @_;

    configure($prefix, $size, $database);
    ok($t->reload(), $prefix ? "a reload to $prefix" : 'a reload to none');
}


# A worker has read it that did not before.

sub reads {
    my ($prefix) = @_;

    wait_for(sub { $t->log_count(qr/hears of invalidations$/) > $hears })
        or die "the stream of $prefix is not read\n";

    $hears = $t->log_count(qr/hears of invalidations$/);
}


sub moved { return $t->log_count(qr/\[notice\].* had not read the stream/) }


# What is added has been read.

sub told {
    my ($prefix) = @_;

    my $n = $t->log_count(qr/stream events:[1-9]/);
    $redis->cmd('XADD', "${prefix}invalidate", '*', 'tag', 'more');

    return wait_for(sub { $t->log_count(qr/stream events:[1-9]/) > $n }, 1);
}


# In L1, and sent to Redis before; its answer.

sub stored {
    my ($uri) = @_;

    my $answer;

    wait_for(sub {
        my $r = http_get($uri);
        $answer = body($r);
        return header($r, 'X-Cache') eq 'HIT';
    }) or die "$uri is not stored\n";

    return $answer;
}


sub gone {
    my ($uri, $answer) = @_;
    return wait_for(sub { body(http_get($uri)) ne $answer });
}

###############################################################################
