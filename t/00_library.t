#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Tests of the test library: that its servers do what they say, and that what
# nginx leaves behind really fails a test.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Time::HiRes qw/ time /;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(43);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:8080;

        location / {
            return 200 "$request_method $http_x_field";
        }

        location /http/ {
            proxy_pass http://127.0.0.1:8081;
            proxy_http_version 1.1;
        }

        location /fastcgi/ {
            fastcgi_pass 127.0.0.1:8082;
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param REQUEST_URI $request_uri;
        }
    }
}

EOF

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    if ($req->{uri} eq '/http/chunked') {
        print { $req->{socket} } "HTTP/1.1 200 OK\r\n"
            . "Transfer-Encoding: chunked\r\n\r\n"
            . "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n";
        return undef;
    }

    return [201, { 'X-List' => ['a', 'b'] }, "$req->{body}:$req->{count}"];
});

$t->run_fastcgi(8082, sub {
    my ($params, $body) = @_;
    return "X-Uri: $params->{REQUEST_URI}\r\n\r\n" . $body x 2;
});

$t->run();

###############################################################################

# the client

my $r = http_get('/', headers => { 'X-Field' => 'x' });

is(status($r), 200, 'status');
is(body($r), 'GET x', 'body and field');
is(body(http_head('/')), '', 'no body for HEAD');

$r = http_post('/http/a', body => 'in');
is(status($r), 201, 'status of a backend');
is_deeply([header($r, 'x-list')], ['a', 'b'], 'all values of a field');
is(body($r), 'in:1', 'body through a backend');
is(body(http_post('/http/a', body => 'in')), 'in:2', 'requests are counted');
is($backend->count(qr{^POST /http/a$}), 2, 'requests can be seen');

$r = http_get('/http/chunked');
like($r, qr/chunked/, 'chunks come as they are');
is(body($r), 'abcdefg', 'and are put together');

my $long = 'x' x 100000;
$r = http_post('/fastcgi/a?b', body => $long);
is(header($r, 'X-Uri'), '/fastcgi/a?b', 'fastcgi parameters');
is(body($r), $long x 2, 'fastcgi body, both ways');

my $s = http_connect();
is(body(http_get('/', socket => $s, keepalive => 1)), 'GET ', 'kept alive');
is(body(http_get('/http/chunked', socket => $s, keepalive => 1)), 'abcdefg',
    'kept alive after chunks');
close $s;

is($t->expand('listen [::1]:8080;'), 'listen [::1]:' . port(8080) . ';',
    'ports in the configuration');

# nginx

my ($rc, $out) = $t->conf_check(location => 'nonsense;');
isnt($rc, 0, 'a wrong configuration is refused');
like($out, qr/unknown directive "nonsense"/, 'and the reason shown');

my ($old) = $t->worker_pids();
ok($t->reload(wait_old => 1), 'reload');
my ($new) = $t->worker_pids();
ok($new && $new != $old, 'another worker');
$t->kill_worker();
isnt(($t->worker_pids())[0], $new, 'and another after a kill');

# redis, real and false

my $redis = $t->run_redis(unix => 1);
is($redis->cmd('SET', "a\0\r\n", "\xff"), 'OK', 'redis');
is($redis->cmd('GET', "a\0\r\n"), "\xff", 'any bytes');
is(eval { $redis->cmd('INCR', "a\0\r\n") }, undef, 'an error dies');
like($@, qr/not an integer/, 'with the words of redis');

$redis->suspend();
is(Test::Nginx::Resp->new(port => port(6379), timeout => 0.2)->raw('PING'),
    undef, 'a frozen redis does not answer');
$redis->cont();
is($redis->restart()->cmd('DBSIZE'), 0, 'empty after a restart');

my $fake = $t->run_fake_redis(port => 6380);
my $client = Test::Nginx::Resp->new(port => port(6380), timeout => 2);

$client->cmd('SET', 'k', 'value');
is($client->cmd('GET', 'k'), 'value', 'fake redis');
is_deeply([map { $_->[0] } $fake->log()], ['SET', 'GET'], 'knows its commands');

$fake->set(split => 1);
my @pieces = pieces($client, 'GET', 'k');
is(join('', @pieces), "\$5\r\nvalue\r\n", 'a reply in pieces');
cmp_ok(scalar @pieces, '>', 3, 'of which a busy machine still sees several');

$fake->set(split => undef, delay => 0.3);
my $start = time();
$client->cmd('PING');
cmp_ok(time() - $start, '>=', 0.29, 'a late reply');

$fake->set(delay => undef, reply => { GET => "-LOADING wait\r\n" });
is(eval { $client->cmd('GET', 'k') }, undef, 'an error on demand');
is($client->cmd('PING'), 'PONG', 'for this command only');

$fake->set(reply => undef, half => 'stall');
is(join('', pieces($client, 'GET', 'k')), "\$5\r\nv", 'half a reply');
is(join('', pieces($client, 'PING')), '', 'then silence');

$fake->set(half => undef, close_after => 1)->drop();
$client->disconnect();
is($client->raw('PING'), "+PONG\r\n", 'one reply');
is($client->raw('PING'), undef, 'then a closed connection');

$t->run_fake_redis(port => 6381, behind => $redis, split => 1);
$client = Test::Nginx::Resp->new(port => port(6381));
is_deeply($client->cmd('EVAL', 'return {1, "a"}', 0), [1, 'a'],
    'a real redis behind');

# what nginx leaves behind

like(verdict('$t->append_file("error.log", "$date [alert] 1#1: x\n")'),
    qr/^not ok 1 - nothing left/m, 'an alert fails a test');
like(verdict('$t->expect_log(qr/1#1: x/);'
             . '$t->append_file("error.log", "$date [alert] 1#1: x\n")'),
    qr/^ok 1 - nothing left/m, 'a declared one does not');
like(verdict('kill 9, $t->worker_pids();'
             . '$t->wait_for_log(qr/exited on signal/)'),
    qr/^not ok 1 - nothing left/m, 'a crash fails a test');
like(verdict('$t->write_file("sanitizer.1", "a.c:1: runtime error: x\n")'),
    qr/^not ok 1 - nothing left/m, 'a sanitizer report fails a test');
like(verdict('$t->append_file("error.log", "a.c:1:2: runtime error: x\n")'),
    qr/^not ok 1 - nothing left/m, 'and one in the log does');

###############################################################################

# The pieces in which a reply comes, until none came for a while.

sub pieces {
    my ($client, @args) = @_;

    my @pieces;
    my $s = $client->{socket};

    syswrite $s, Test::Nginx::Resp::command(@args);

    while (IO::Select->new($s)->can_read(0.5)) {
        last if !sysread $s, my $buf, 65536;
        push @pieces, $buf;
    }

    return @pieces;
}


# What a test that does this is told at its end.

sub verdict {
    my ($code) = @_;

    my $file = $t->testdir() . '/verdict.t';

    $t->write_file($file, <<"EOF");
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Nginx;
my \$date = '2000/01/01 00:00:00';
my \$t = Test::Nginx->new()->plan(0);
\$t->write_file_expand('nginx.conf',
    "%%TEST_GLOBALS%%\\nevents {}\\nhttp {\\n%%TEST_GLOBALS_HTTP%%\\n"
    . "server { listen 127.0.0.1:8080; }\\n}\\n");
\$t->run();
$code;
EOF

    return scalar qx{perl $file 2>&1};
}

###############################################################################
