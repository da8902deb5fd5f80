#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Of more purges than are kept while Redis is away, the others hear that all was
# purged before they hear of any of them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new(log => 'info')->has_program('redis-server')->plan(5);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    server {
        listen 127.0.0.1:8080;

        location /api/ {
            optcache_api write=on;
        }
    }
}

EOF

use constant KEPT => 4096;

my $redis = $t->run_redis();

$t->run();

###############################################################################

my $last = 0;

is(purge(1), 200, 'Redis is there');
like(join(' ', events()), qr/^[0-9a-f]+$/, 'and has a mark');

$redis->kill();
wait_for(sub { purge(1) == 202 }, 20);

is(grep($_ != 202, map { purge(60) } 0 .. KEPT / 60), 0, 'many, without it');

$redis->restart();

ok(wait_for(sub { pending() == 0 }, 60), 'all are told');

my ($first) = events();

is($first, all(), 'that all was purged, first');

###############################################################################

# Purges so many tags, which were not before.

sub purge {
    my $tags = join ',', map { '"t' . ++$last . '"' } 1 .. $_[0];

    return status(http_post('/api/purge', body => qq/{"tags":[$tags]}/,
        headers => { 'Content-Type' => 'application/json' }));
}


# The mark of all, after one more.

sub all {
    http_post('/api/purge', body => '{"all":true}',
        headers => { 'Content-Type' => 'application/json' });

    return (events())[-1];
}


sub pending {
    return http_get('/api/status') =~ /"pending":(\d+)/ ? $1 : -1;
}


# The marks of what is in the stream, in its order.

sub events {
    return grep { defined } map {
        my %fields = @{ $_->[1] };
        $fields{mark};
    } @{ $redis->cmd('XRANGE', 'oc:invalidate', '-', '+') };
}

###############################################################################
