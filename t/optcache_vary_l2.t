#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Hosts that share a Redis share what varies: names and answers.  What fields
# of requests say is in neither.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Time::HiRes qw/ sleep /;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
        ->plan(32);
my $other = Test::Nginx->new();

host($_->[0], $_->[1]) for [$t, 8080], [$other, 8090];

sub host {
    my ($nginx, $port) = @_;

    $nginx->write_file_expand('nginx.conf', <<"EOF");

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;

    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    add_header X-Layer \$optcache_layer always;

    server {
        listen 127.0.0.1:$port;

        optcache c;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF
}

my $redis = $t->run_redis();

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $h = $req->{headers};
    my $vary = $req->{uri} =~ /secret/ ? 'Authorization, Cookie, X-Api-Key'
             : $req->{uri} =~ /two/ && $h->{'x-a'} ? 'X-A, X-B'
             : 'X-A';

    return [200, [], 'posted'] if $req->{method} eq 'POST';

    return [200, ['Cache-Control: max-age=600, public', "Vary: $vary",
                  ($req->{uri} =~ /stale/ ? ('Age: 1000', 'ETag: "a"') : ())],
            join ',', map { $h->{$_} // '-' } qw/ x-a x-b /]
        unless $h->{'if-none-match'};

    return [304, ['Cache-Control: max-age=600'], ''];
});

$_->run() for $t, $other;

###############################################################################

# names and answers

is(get('/a', 'X-A' => 1), 'MISS  1,-', 'one');
is(get('/a', 'X-A' => 2), 'MISS  2,-', 'and another');
stored(3);
is(get_other('/a', 'X-A' => 2), 'HIT L2 2,-', 'are found there');
is(get_other('/a', 'X-A' => 1), 'HIT L2 1,-', 'both');
is(get_other('/a', 'X-A' => 3), 'MISS  3,-', 'a third is not');
is(get_other('/a', 'X-A' => 1), 'HIT L1 1,-', 'they are in memory then');
stored(4);
is(get('/a', 'X-A' => 3), 'HIT L2 3,-', 'what the other has stored');
is(get('/a', 'X-A' => 2), 'HIT L1 2,-', 'the first has its own');

# names that grow: each host ends up with all of them

is(get('/two'), 'MISS  -,-', 'one name');
stored(6);
is(get_other('/two'), 'HIT L2 -,-', 'there too');
is(get_other('/two', 'X-A' => 1, 'X-B' => 1), 'MISS  1,1', 'and two');
is(get_other('/two', 'X-A' => 1, 'X-B' => 2), 'MISS  1,2', 'told apart there');
is(get('/two', 'X-A' => 1, 'X-B' => 3), 'MISS  1,3', 'and here');
is(get('/two', 'X-A' => 1, 'X-B' => 2), 'MISS  1,2', 'never one for another');
is(get('/two', 'X-A' => 1, 'X-B' => 3), 'HIT L1 1,3', 'each its own');
is(get_other('/two', 'X-A' => 1, 'X-B' => 1), 'HIT L1 1,1', 'of its host');

# a purge by the other host

flush();

get('/purge', 'X-A' => 1);
get('/purge', 'X-A' => 2);
stored(3);
http_post('/purge');
stored(2);
is(get_other('/purge', 'X-A' => 1), 'MISS  1,-', 'POST removes the names');
is(get_other('/purge', 'X-A' => 2), 'MISS  2,-',
    'and with the next names comes no old answer');
is(get('/purge', 'X-A' => 2) =~ /^HIT L2|^MISS/, 1, 'here neither');

# each is validated by itself

flush();

get('/stale', 'X-A' => 1);
get('/stale', 'X-A' => 2);
stored(3);
is(get_other('/stale', 'X-A' => 1), 'REVALIDATED  1,-', 'validated there');
wait_for(sub { get('/stale', 'X-A' => 1, 'Cache-Control' => 'only-if-cached')
               =~ /^HIT/ }, 5);
is(get('/stale', 'X-A' => 1), 'HIT L1 1,-', 'and fresh here');
is(get('/stale', 'X-A' => 2), 'REVALIDATED  2,-', 'the other is not yet');

# credentials

flush();

get('/secret', 'X-Api-Key' => 'very-secret-key',
    Cookie => 'session=very-secret-session');
get('/secret', Authorization => 'Bearer very-secret-token',
    Cookie => 'session=very-secret-session');
stored(4);

my @keys = @{ $redis->entry_names() };
my $bytes = join '', @keys, map { $redis->cmd('GET', $_) } @keys;

unlike($bytes, qr/very-secret/, 'no credential in Redis');
unlike($t->error_log() =~ s/^.*\[debug\].*$//mgr =~ s/^(?!\d{4}\/).*$//mgr,
    qr/very-secret/, 'nor in the log');
like($bytes, qr/Vary/, 'only names');

is(get_other('/secret', 'X-Api-Key' => 'another-key',
             Cookie => 'session=very-secret-session') =~ /^MISS/, 1,
    'another key is another client');
is(get_other('/secret', 'X-Api-Key' => 'very-secret-key',
             Cookie => 'session=very-secret-session') =~ /^HIT L2/, 1,
    'the same is the same');
is(get_other('/secret', Authorization => 'Bearer another',
             Cookie => 'session=very-secret-session') =~ /^MISS/, 1,
    'and a user has his own');

# names that somebody has changed

flush();

get('/changed', 'X-A' => 1);
stored(2);

for my $key (@{ $redis->entry_names() }) {
    my $value = $redis->cmd('GET', $key);
    $value =~ s/Vary: X-A/Vary: X-C/i || $value =~ s/X-A/X-C/i;
    $redis->cmd('SET', $key, $value);
}

like(get_other('/changed', 'X-A' => 2), qr/^MISS  2/, 'are not believed');
is(get_other('/changed', 'X-A' => 1) =~ /^(MISS|HIT)\s\S* 1,-/, 1,
    'each gets his own');

# the key of an answer is not that of its names

my ($short, $long) = sort { length $a <=> length $b }
                     @{ $redis->entry_names() };
$redis->cmd('SET', $short, $redis->cmd('GET', $long));
$redis->cmd('SET', $long, $redis->cmd('GET', $short));
like(get_other('/changed', 'X-A' => 5), qr/^MISS  5/, 'whatever is where');

is(get_other('/changed', 'X-A' => 5), 'HIT L1 5,-', 'and goes on');

###############################################################################

sub get {
    my ($uri, %headers) = @_;
    return told(http_get($uri, headers => \%headers));
}


sub get_other {
    my ($uri, %headers) = @_;
    return told(http_get($uri, headers => \%headers, port => 8090));
}


sub told {
    my ($r) = @_;
    return join ' ', (map { scalar header($r, $_) // '' } 'X-Cache', 'X-Layer'),
                     body($r);
}


# Nobody waits for Redis to store.

sub stored {
    my ($n) = @_;

    wait_for(sub { $redis->entries() == $n }, 5);
}

# What is on its way to Redis would come after it.

sub flush {
    my ($n, $last) = (0, -1);

    while ($n != $last) {
        sleep 0.05;
        ($last, $n) = ($n, $redis->entries());
    }

    $redis->forget();
}

###############################################################################
