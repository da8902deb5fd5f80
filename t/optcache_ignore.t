#!/usr/bin/perl

# Copyright (C) The Optcache authors

# optcache_ignore: fields of a response that say nothing to the cache, but are
# passed on.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $past = 'Thu, 01 Jan 1970 00:00:01 GMT';
my $modified = 'Last-Modified: Mon, 01 Jan 2018 00:00:00 GMT';

my @cases = (
    # where, fields of the response, whether it is stored

    ['none', ['Cache-Control: no-store'], 0],
    ['none', ['Cache-Control: private'], 0],
    ['none', ['Vary: *'], 0],
    ['none', ["Expires: $past"], 1],

    ['control', ['Cache-Control: no-store'], 1],
    ['control', ['Cache-Control: private'], 1],
    ['control', ['Cache-Control: no-cache'], 1],
    ['control', ['Cache-Control: max-age=0, must-revalidate'], 1],
    ['control', ['CDN-Cache-Control: no-store'], 1],
    ['control', ['Optcache-Cache-Control: max-age=0'], 1],
    ['control', ["Expires: $past"], 0],
    ['control', ['Cache-Control: max-age=60', "Expires: $past"], 0],

    ['expires', ["Expires: $past"], 1],
    ['expires', ['Expires: 0'], 1],
    ['expires', ['Cache-Control: no-store'], 0],
    ['expires', ['Cache-Control: max-age=0', "Expires: $past"], 0],

    ['vary', ['Vary: Origin'], 1],
    ['vary', ['Vary: *'], 1],
    ['vary', ['Vary: a, b', 'Vary: Cookie'], 1],
    ['vary', ['Cache-Control: no-store', 'Vary: *'], 0],

    ['all', ['Cache-Control: no-store', "Expires: $past", 'Vary: *'], 1],

    # no lifetime but that of Last-Modified: Pragma forbids to guess one

    ['guess', ['Pragma: no-cache', $modified], 0],
    ['guess/control', ['Pragma: no-cache', $modified], 1],
);

my $t = Test::Nginx->new()->has('http_proxy')->plan(2 * @cases + 14);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache c;
    optcache_user $http_x_user;

    server {
        listen 127.0.0.1:8080;

        optcache_valid any 1m;
        optcache_ignore Vary;

        location /none/ {
            # in place of Vary above; it is inherited below
            optcache_ignore Expires;
            location /none/ {
                proxy_pass http://127.0.0.1:8081;
            }
        }

        location /control/ {
            optcache_ignore Cache-Control;
            optcache_gzip on;
            optcache_gzip_min_length 1;
            proxy_pass http://127.0.0.1:8081;
        }

        location /expires/ {
            optcache_ignore Expires;
            proxy_pass http://127.0.0.1:8081;
        }

        location /vary/ {
            optcache_gzip on;
            optcache_gzip_min_length 1;
            proxy_pass http://127.0.0.1:8081;
        }

        location /all/ {
            optcache_ignore Cache-Control Expires;
            optcache_ignore Vary;
            proxy_pass http://127.0.0.1:8081;
        }
    }

    server {
        listen 127.0.0.1:8082;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /guess/control/ {
            optcache_ignore Cache-Control;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF
$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $fields = [];

    $fields = $cases[$1]->[1] if $req->{uri} =~ m{/n(\d+)$};
    $fields = ['Cache-Control: max-age=60, no-transform']
        if $req->{uri} =~ /transform/;
    $fields = ['Cache-Control: max-age=60', 'Vary: Origin']
        if $req->{uri} =~ /origin/;
    $fields = ['Cache-Control: private="X-A", max-age=60', 'X-A: b']
        if $req->{uri} =~ /list/;

    return [200, ['Content-Type: text/plain', @$fields],
            "$req->{uri} $req->{count} " . 'x' x 100];
});

$t->run();

###############################################################################

for my $n (0 .. $#cases) {
    my ($where, $fields, $stored) = @{ $cases[$n] };

    my %o = (port => $where =~ /guess/ ? 8082 : 8080);

    http_get("/$where/n$n", %o);
    my $r = http_get("/$where/n$n", %o);

    is(cache($r), $stored ? 'HIT' : 'MISS', "$where: @$fields");

    my %want = map { (split ': ', $_, 2)[0] => 1 } @$fields;
    my @got = grep { $_->[1] ne 'Accept-Encoding' && $want{$_->[0]} }
              headers($r);
    is_deeply([map { join ': ', @$_ } @got], $fields, 'passed on');
}

# what is ignored does not free from the rules of partitions

my $a = { Authorization => 'Bearer A' };

http_get('/control/a', headers => $a);
is(cache(http_get('/control/a', headers => $a)), 'MISS',
    'the shared partition takes no answer to Authorization');

my $u = { Authorization => 'Bearer A', 'X-User' => 'a' };

http_get('/control/a', headers => $u);
is(cache(http_get('/control/a', headers => $u)), 'HIT', 'that of a user does');
is(cache(http_get('/control/a', headers => { 'X-User' => 'b' })), 'MISS',
    'for this user');

# what it means for the coding

my $gzip = { 'Accept-Encoding' => 'gzip' };

http_get('/control/transform', headers => $gzip);
my $r = http_get('/control/transform', headers => $gzip);
is(cache($r), 'HIT', 'no-transform: stored');
is(header($r, 'Content-Encoding'), undef, 'as it is');

$r = http_get('/vary/origin');
is(vary($r), 'Accept-Encoding|Origin', 'another Vary: what is said of a miss');
$r = http_get('/vary/origin', headers => $gzip);
is(cache($r), 'HIT', 'is ignored');
is(header($r, 'Content-Encoding'), 'gzip', 'compressed');
is(vary($r), 'Accept-Encoding|Origin', 'and what is said of a hit');

# lists of fields

http_get('/none/list');
$r = http_get('/none/list');
is(cache($r), 'HIT', 'private names a field');
is(header($r, 'X-A'), undef, 'which is not stored');

http_get('/all/list');
$r = http_get('/all/list');
is(cache($r), 'HIT', 'ignored');
is(header($r, 'X-A'), 'b', 'it is');
is(header($r, 'Cache-Control'), 'private="X-A", max-age=60', 'passed on');

###############################################################################

sub cache { return header($_[0], 'X-Cache') // '' }


sub vary {
    return join '|', sort map { $_->[1] } grep { $_->[0] eq 'Vary' }
                          headers($_[0]);
}

###############################################################################
