#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The examples of endpoints of a language model: tries, budgets and prompts that
# were answered before; answers that come piece by piece.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Select;
use Test::More;
use Test::Nginx;
use Test::Nginx::Example;
use Test::Nginx::Token;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
        ->plan(43);

my $key = Test::Nginx::Token->new('HS256', kid => 'a');

$t->write_file('keys.json', jwks($key));

$t->run_redis(port => $_) for 6379, 6380;

my ($first, $second) = map { my $n = $_;
    $t->run_http_backend($_, sub { model($n, @_) }) } 9001, 9002;

###############################################################################

# one worker: what was charged is known to the next request

run_example($t, 'ai.conf', qr/worker_processes auto/ => 'worker_processes 1');

my %tokens = (
    alice => token('alice', team => 'red'),
    bob => token('bob', team => 'red'),
    carol => token('carol', team => 'blue'),
    dave => token('dave'),
    nobody => token(undef),
);

# prompts

is(ask('alice', '/v1/chat/x', 'one'), 'MISS alice one 1', 'a prompt');
is(ask('alice', '/v1/chat/x', 'one'), 'HIT alice one 1', 'the same');
is(ask('alice', '/v1/chat/x', 'two'), 'MISS alice two 2', 'another one');
is(ask('alice', '/v1/chat/y', 'one'), 'MISS alice one 3', 'of another URI');
is(ask('bob', '/v1/chat/x', 'one'), 'MISS bob one 4', 'of another user');
is(ask('alice', '/v1/chat/x', 'one', 'Cache-Control' => 'no-cache'),
    'BYPASS alice one 5', 'asked for anew');
is(ask('alice', '/v1/chat/x', 'one'), 'HIT alice one 5', 'is what is kept');

like(post('alice', '/v1/chat/x', 'one'), qr/^Age: \d/m, 'its age is told');

is(ask('nobody', '/v1/chat/x', 'one'), 'BYPASS  one 6', 'of nobody');
is(ask('nobody', '/v1/chat/x', 'one'), 'BYPASS  one 7', 'is not kept');

is(header(post('nobody', '/v1/chat/x', 'one'), 'X-RateLimit-Remaining'), 17,
    'is limited by itself');

is(ask('alice', '/v1/team/x', 'one'), 'MISS alice one 9', 'of a team');
is(ask('bob', '/v1/team/x', 'one'), 'HIT alice one 9', 'is for all of it');
is(ask('carol', '/v1/team/x', 'one'), 'MISS carol one 10', 'not for others');
is(ask('dave', '/v1/team/x', 'one'), 'BYPASS dave one 11', 'without a team');

is(ask('alice', '/v1/embeddings', 'one'), 'MISS  one 12', 'for everybody');
is(ask('dave', '/v1/embeddings', 'one'), 'HIT  one 12', 'for others, too');
is(ask('dave', '/v1/embeddings', 'two'), 'MISS  two 13', 'not another one');

# a budget

is(ask('dave', '/v1/chat/x', 'cost=99000'), 'MISS dave cost=99000 14',
    'most of it');
is(join(' ', map { ask('dave', '/v1/chat/x', 'cost=99000') =~ s/ .*//r }
             1 .. 4), 'HIT HIT HIT HIT', 'costs once');
is(ask('dave', '/v1/chat/x', 'cost=600'), 'MISS dave cost=600 15', 'the rest');
is(status(post('dave', '/v1/chat/x', 'more')), 429, 'no more');

# tries

is(status(post('carol', '/v1/chat/x', 'fail')), 503, 'a failure');
is(tries('fail'), 1, 'is not asked for again');
is(join(' ', map { status(post('carol', '/v1/embeddings', "odd $_")) } 1 .. 4),
    '200 200 200 200', 'an embedding is');

# a reload forgets which servers have failed

$first->stop();
$t->reload();

is(join(' ', map { status(post('carol', '/v1/chat/x', "a $_")) } 1 .. 4),
    '200 200 200 200', 'nobody there: the other one');

is(status(post('carol', '/v1/chat/x', 'hang up')), 502, 'no answer');
is(tries('hang up'), 1, 'is not asked for again');

$t->stop();

my $log = $t->read_file('example-access.log');

like($log, qr/"dave" "POST [^"]*" cache:MISS used:99000 /, 'logged: paid');
like($log, qr/"dave" "POST [^"]*" cache:HIT used:0 /, 'not paid again');
like($log, qr!200 .*POST /v1/$_.* tries:"\S+, \S+"!, "two tries: $_")
    for qw/ embeddings chat /;

# streams

$first = $t->run_http_backend(9001, \&stream);

run_example($t, 'streaming.conf');

is(events('/v1/chat/x'), 'one two', 'events as they come');
is(events('/v1/chat/close'), 'one two', 'of an old server');
is(events('/v1/story'), 'one two', 'if the model says so');
is(events('/v1/story'), 'one two', 'it is never stored');

http_get('/v1/whole', headers => bearer('b'));
is(header(http_get('/v1/whole', headers => bearer('b')), 'X-Cache'), 'HIT',
    'what is whole is');

my @open = map { begin('/v1/chat/x', 'c') } 1 .. 3;
is(status(http_get('/v1/chat/x', headers => bearer('c'))), 429,
    'not too many at a time');
$t->write_file('go', '');
is(join(' ', map { (http_end($_) // '') =~ /data: two/ ? 'two' : 'none' }
             map { $_->[0] } @open), 'two two two', 'others go on');

# four were begun by "a" before

like(http_get('/v1/chat/x', headers => bearer('a')), qr/^X-RateLimit-\w+: 5\r/m,
    'counted');
http_get('/v1/chat/x', headers => bearer('a')) for 1 .. 5;

my $r = http_get('/v1/chat/x', headers => bearer('a'));

is(status($r), 429, 'limited');
is(header($r, 'Content-Type'), 'application/problem+json', 'by a document');
ok(defined header($r, 'Retry-After'), 'that says until when');

###############################################################################

sub model {
    my ($n, $req) = @_;

    my $prompt = $req->{body};
    my $user = $req->{headers}{'x-user'} // '';

    $t->append_file('tries', "$prompt\n");

    return undef if $prompt eq 'hang up';
    return [503, {}, ''] if $prompt eq 'fail' || $n == 9001 && $prompt =~ /odd/;

    my ($cost) = $prompt =~ /cost=(\d+)/;

    return [200, { 'X-Tokens-Used' => $cost // 10, Connection => 'close' },
            "$user $prompt " . lines('tries')];
}


sub lines { return scalar(() = $t->read_file($_[0]) =~ /\n/g) }


sub tries { return scalar(() = $t->read_file('tries') =~ /^\Q$_[0]\E$/mg) }


sub token {
    my ($sub, %claims) = @_;

    return $key->token({ iss => 'https://id.example.com', aud => 'ai', %claims,
                         defined $sub ? (sub => $sub) : () });
}


sub post {
    my ($user, $uri, $prompt, %headers) = @_;

    return scalar http_post($uri, body => $prompt, headers =>
        { 'Content-Type' => 'text/plain', %headers,
          %{ bearer($tokens{$user}) } });
}


sub ask {
    my $r = post(@_);
    return header($r, 'X-Cache') . ' ' . body($r);
}


# The second event comes when there is a file "go".  What has no chunks is what
# nginx holds back if nobody tells it not to.

sub stream {
    my ($req) = @_;

    my $s = $req->{socket};
    my $chunked = $req->{uri} =~ /x/;

    return [200, { 'Cache-Control' => 'private, max-age=60' }, 'whole']
        if $req->{uri} =~ /whole/;

    print $s "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        . ($req->{uri} =~ /story/ ? "X-Accel-Buffering: no\r\n" : '')
        . ($chunked ? "Transfer-Encoding: chunked\r\n"
                    : "Connection: close\r\n")
        . "Cache-Control: max-age=60\r\n\r\n"
        . ($chunked ? "b\r\ndata: one\n\n\r\n" : "data: one\n\n");

    wait_for(sub { -e $t->testdir() . '/go' }, 20);

    print $s $chunked ? "b\r\ndata: two\n\n\r\n0\r\n\r\n" : "data: two\n\n";
    return undef;
}


# A stream of which one event has come: its socket, and what was read.

sub begin {
    my ($uri, $token) = @_;

    my $s = http_get($uri, start => 1, headers =>
        { 'Accept-Encoding' => 'gzip', %{ bearer($token) } });
    my $data = '';

    while ($data !~ /data: one/) {
        last if !IO::Select->new($s)->can_read(10)
                || !sysread $s, $data, 65536, length $data;
    }

    return [$s, $data];
}


sub events {
    my ($uri) = @_;

    unlink $t->testdir() . '/go';

    my ($s, $data) = @{ begin($uri, 'a') };

    return $data if $data =~ /X-Cache: HIT|data: two/ || $data !~ /data: one/;

    $t->write_file('go', '');
    $data .= http_end($s);
    unlink $t->testdir() . '/go';

    return join ' ', $data =~ /data: (\w+)/g;
}
