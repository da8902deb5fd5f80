#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What Redis holds is believed as little as what a stranger says: a value that
# was changed, cut, made up or stored for somebody else is a miss.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::XXH64 qw/ xxh64 /;

# for fields of the stored response, something of the same length

my @hostile = (
    ['X-Set-Cook', 'Set-Cookie', 'a cookie'],
    ['X-Transfer-Encode', 'Transfer-Encoding', 'a transfer coding'],
    ['X-Content-Leng', 'Content-Length', 'a length'],
    ['X-Connect.', 'Connection', 'a connection field'],
    ['split_value_here', "a\r\nSet-Cookie: x", 'a field in a value'],
    ['split_value_here', "a\r\n\r\n<script>xx", 'a body in a value'],
    ['split_value_here', "a\0bcdefghijklmno", 'a NUL in a value'],
    ['split_value_here', "a\nbcdefghijklmno", 'a line feed in a value'],
    ['X-Split-Name', "X: a\r\nB: cde", 'a field in a name'],
    ['X-Split-Name', "X-Split Name", 'a space in a name'],
    ['X-Split-Name', "X-Split:Name", 'a colon in a name'],
    ['X-Split-Name', "X-Split\0Name", 'a NUL in a name'],
    ['X-Split-Name', "X-Split\x80Name", 'a byte in a name'],
    ['X-Cach-', 'X-Cache', 'a word of ours'],
    ['A-g', 'Age', 'an age'],
);

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
        ->plan(@hostile + 18);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;
    optcache_zone c:4m;

    add_header X-Layer $optcache_layer;

    server {
        listen 127.0.0.1:8080;

        optcache c;
        optcache_gzip on;
        optcache_gzip_min_length 1;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        # this one stores nothing: it finds what Redis has

        location /reader/ {
            optcache_no_store 1;
            optcache_key /$http_x_key;
            proxy_pass http://127.0.0.1:8081;
        }

        location /writer/ {
            optcache_key /$http_x_key;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $redis = $t->run_redis();

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    return [200, ['Cache-Control: max-age=6000', 'Content-Type: text/plain',
                  'X-Set-Cook: x', 'X-Transfer-Encode: chunked',
                  'X-Content-Leng: 3', 'X-Connect.: close',
                  'X-Split-Name: split_value_here', 'X-Cach-: HIT', 'A-g: 7'],
            "$req->{uri} " . ($req->{headers}{authorization} // '')
            . ' ' . 'x' x 100];
});

$t->run();

###############################################################################

# the value as it is stored

http_get('/writer/', headers => { 'X-Key' => 'a' });
wait_for(sub { $redis->entries() == 1 });

my ($key) = @{ $redis->entry_names() };
my $value = $redis->cmd('GET', $key);

$t->stop();
$t->run();

is(found(sealed($value)), 1, 'the value as it is');

my @found = grep { found($value ^ ("\0" x $_ . "\1")) } 0 .. length($value) - 1;
is_deeply(\@found, [], 'a bit changed anywhere');

@found = grep { found($value ^ ("\0" x $_ . "\xff")) } 0 .. 60;
is_deeply(\@found, [], 'a byte');

@found = grep { found(substr $value, 0, $_) } 0 .. length($value) - 1;
is_deeply(\@found, [], 'cut anywhere');

@found = grep { found(sealed(substr $value, 0, $_)) } 8 .. length($value) - 1;
is_deeply(\@found, [], 'cut anywhere, with the right sum');

is(found("${value}x"), 0, 'longer');
is(found(sealed("${value}x")), 0, 'longer, with the right sum');
is(found($value =~ s/OPC4/OPC5/r), 0, 'of another version');
is(found(sealed($value =~ s/OPC4/OPC3/r)), 0, 'of a version before');
is(found("GIF89a" . "\0" x 1000), 0, 'of something else');
is(found('x' x 100000), 0, 'of something else, large');

# lengths that are no lengths

@found = ();

for my $at (64, 68, 72, 76, 80) {
    for my $length (0xffffffff, 0x7fffffff, 0x80000000, 0xfffffff0, 1) {
        my $v = $value;
        substr $v, $at, 4, pack 'V', $length;
        push @found, [$at, $length] if found(sealed($v));
    }
}

is_deeply(\@found, [], 'wrong lengths');

@found = grep {
    my $v = $value;
    substr $v, 8, 4, pack 'V', $_;
    found(sealed($v));
} 0, 1, 99, 100, 101, 199, 600, 1000, 0xffffffff;
is_deeply(\@found, [], 'wrong statuses');

# what could not be invalidated: of no host, of no URI, of the end of time

@found = grep {
    my $v = $value;
    substr $v, $_->[0], $_->[1], $_->[2] x $_->[1];
    found(sealed($v));
} [56, 4, "\0"], [60, 4, "\0"], [48, 8, "\xff"];
is_deeply(\@found, [], 'not to be invalidated');

for (@hostile) {
    my ($from, $to, $name) = @$_;
    is(found(sealed($value =~ s/\Q$from/$to/r)), 0, $name);
}

# another type is an error of Redis

$redis->cmd('DEL', $key);
$redis->cmd('LPUSH', $key, $value);
is(status(http_get('/reader/', headers => { 'X-Key' => 'a' })), 200,
    'a list is no value');
$redis->cmd('DEL', $key);

# an entry of user A where that of B would be

sub of {
    my ($user) = @_;

    my @keys = @{ $redis->cmd('KEYS', '*') };

    $redis->cmd('DEL', @keys) if @keys;
    http_get("/user", headers => { Authorization => $user });
    wait_for(sub { $redis->entries() == 1 });

    my ($name) = @{ $redis->entry_names() };
    return ($name, $redis->cmd('GET', $name));
}

my ($name_a, $value_a) = of('a');
my ($name_b) = of('b');

$t->stop();
$t->run();

$redis->cmd('SET', $name_b, $value_a);
$redis->cmd('SET', $name_a, $value_a);

my $r = http_get('/user', headers => { Authorization => 'b' });
is(header($r, 'X-Layer'), undef, 'the entry of another user');
like(body($r), qr{^/user b }, 'is not served');
is(header(http_get('/user', headers => { Authorization => 'a' }), 'X-Layer'),
    'L2', 'but to him');

###############################################################################

# Whether this value is served.

sub found {
    my ($v) = @_;

    $redis->cmd('SET', $key, $v);

    my $r = http_get('/reader/', headers => { 'X-Key' => 'a' });

    die "bad answer\n$r" if status($r) ne '200'
                            || body($r) !~ m{^/(reader|writer)/ };

    return 0 if header($r, 'X-Cache') eq 'MISS';

    # out of memory again
    http_post('/reader/', headers => { 'X-Key' => 'a' });
    wait_for(sub { !$redis->cmd('EXISTS', $key) });

    return 1;
}


# With the checksum that belongs to it.

sub sealed {
    my ($v) = @_;

    substr $v, 4, 4, pack 'V', xxh64(substr $v, 8) & 0xffffffff;
    return $v;
}

###############################################################################
