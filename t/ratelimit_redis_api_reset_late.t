#!/usr/bin/perl

# Copyright (C) The Optcache authors

# An answer of Redis that was on its way to another worker when a subject was
# reset is not learned after that: the subject would be refused for as long as
# its window lasts.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Select;
use IO::Socket::INET;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_empty_gif')
        ->has_program('redis-server')->plan(7);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=30s
                           connect_timeout=30s;

    ratelimit_redis_zone $arg_a zone=a:1m rate=1r/h;

    server {
        listen 127.0.0.1:8080 reuseport;

        add_header X-Worker $pid always;

        location / {
            ratelimit_redis zone=a;
            empty_gif;
        }

        location /pid {
            return 200;
        }

        location /ratelimit/ {
            ratelimit_redis_api write=on;
        }
    }
}

EOF

my $redis = $t->run_redis();

$t->run();

###############################################################################

my ($one, $other) = workers();

like(ask($one->{socket}, 'GET', '/?a=warm'), qr/ 200 /, 'one asks Redis');
like(ask($other->{socket}, 'GET', '/?a=warm2'), qr/ 200 /, 'so does another');

$redis->suspend();
send_to($other->{socket}, 'GET', '/?a=x');

select undef, undef, undef, 0.5;

kill 'STOP', $other->{pid};
$redis->cont();

ok(wait_for(sub { $redis->cmd('EXISTS', 'rl:a:{x}') }), 'Redis has counted it');

like(ask($one->{socket}, 'DELETE', '/ratelimit/subjects/a/x'), qr/ 204 /,
    'the subject is reset');
is($redis->cmd('EXISTS', 'rl:a:{x}'), 0, 'in Redis, too');

kill 'CONT', $other->{pid};
like(answer($other->{socket}), qr/ 200 /, 'what was on its way is answered');

like(ask($one->{socket}, 'GET', '/?a=x'), qr/ 200 /,
    'and the subject begins anew');

###############################################################################

# A connection of each worker.

sub workers {
    my %found;

    for (1 .. 100) {
        my $s = IO::Socket::INET->new(Proto => 'tcp',
            PeerAddr => '127.0.0.1:' . port(8080)) or die "no connection\n";

        my ($pid) = ask($s, 'GET', '/pid') =~ /^X-Worker: (\d+)/m;
        $found{$pid} ||= { pid => $pid, socket => $s };

        return values %found if keys %found == 2;
    }

    die "one worker has all connections\n";
}


sub send_to {
    my ($s, $method, $uri) = @_;

    $s->print("$method $uri HTTP/1.1\r\nHost: localhost\r\n"
        . "Content-Length: 0\r\n\r\n");
    $s->flush();
}


# The head of the answer; bodies are read and dropped.

sub answer {
    my ($s) = @_;

    my $head = '';
    my $select = IO::Select->new($s);

    while ($head !~ /\r\n\r\n/) {
        $select->can_read(30) or die "no answer\n";
        $s->sysread($head, 4096, length $head) or die "connection closed\n";
    }

    my ($length) = $head =~ /^Content-Length: (\d+)/m;
    my $rest = $head =~ /\r\n\r\n(.*)/s ? length $1 : 0;

    while ($rest < ($length // 0)) {
        $select->can_read(30) or die "no answer\n";
        $rest += $s->sysread(my $buf, 4096) || die "connection closed\n";
    }

    return $head;
}


sub ask {
    my ($s, $method, $uri) = @_;

    send_to($s, $method, $uri);
    return answer($s);
}

###############################################################################
