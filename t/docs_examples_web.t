#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The example of an application that nothing stood in front of before.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_hex /;
use Test::More;
use Test::Nginx;
use Test::Nginx::Example;

my $t = Test::Nginx->new()
    ->has(qw/ http_proxy http_map http_gzip /)
    ->has_program('redis-server')->plan(40);

my $redis = $t->run_redis(port => 6379);
my $cache = $t->run_redis(port => 6380);

my $app = 'https://app.example.com';
my $own = 'https://own.example.com';

$t->run_http_backend($_, \&answer) for 9001, 9002;

run_example($t, 'web-application.conf');

###############################################################################

# what the application is told of a client

my %heard = heard('/x', 'X-Forwarded-For' => '6.6.6.6',
    'X-Forwarded-Host' => 'evil.test', 'X-Forwarded-Proto' => 'https',
    Forwarded => 'for=6.6.6.6', Connection => 'Upgrade', Upgrade => 'h2c');

is($heard{host}, 'localhost', 'the host');
is($heard{'x-forwarded-for'}, '6.6.6.6, 127.0.0.1', 'the address is the last');
is($heard{'x-forwarded-proto'}, 'http', 'how it came');
is($heard{$_}, undef, "no $_")
    for qw/ x-forwarded-host forwarded upgrade connection /;

%heard = heard('/api/x', 'X-Forwarded-Host' => 'evil.test',
    Connection => 'Upgrade', Upgrade => 'h2c', 'Accept-Encoding' => 'gzip');

is($heard{'x-forwarded-for'}, '127.0.0.1', 'of the api, too');
is($heard{$_}, undef, "no $_")
    for qw/ x-forwarded-host upgrade accept-encoding /;

%heard = heard('/ws', Connection => 'Upgrade', Upgrade => 'websocket');

is("$heard{connection} $heard{upgrade}", 'upgrade websocket', 'a handshake');
is($heard{'x-forwarded-for'}, '127.0.0.1', 'of whom');

# a token that is logged out

my @token = (Authorization => 'Bearer a.b.c', Origin => $app);

like(http_get('/api/me', headers => { @token }), qr/^HTTP\S+ 200/, 'good');
$redis->cmd('setex', 'blacklist:' . sha256_hex('a.b.c'), 60, 1);

my $r;
ok(wait_for(sub { status($r = http_get('/api/me', headers => { @token }))
                  == 401 }), 'not any more');
is(header($r, 'Access-Control-Allow-Origin'), $app, 'which a script may read');
is(header($r, 'Access-Control-Allow-Credentials'), 'true', 'as it was asked');

for my $origin ('https://app.example.com.evil.test', 'null') {
    unlike(http_get('/api/me', headers => { @token, Origin => $origin }),
        qr/Access-Control/, "not of $origin");
}

$r = http_get('/api/cors', headers => { Origin => $app });
is(join(' ', header($r, 'Access-Control-Allow-Origin')), $own,
    'what the application says stands alone');
unlike($r, qr/Allow-Credentials/, 'with nothing added');

# where a page can send no field

my %handshake = (Connection => 'Upgrade', Upgrade => 'websocket');

for my $uri ('/ws', '/api/events') {
    is(status(http_get("$uri?token=a.b.c", headers => { %handshake })), 401,
        "$uri: a token of the query");
    is(status(http_get("$uri?token=d.e.f", headers => { %handshake })), 200,
        "$uri: another one");
}

$t->stop();
unlike($t->read_file('example-access.log'), qr/[?]|d\.e\.f/, 'is not logged');
$t->run();

# of a preflight

$r = http_request('OPTIONS', '/api/cors', headers => { Origin => $app,
    'Access-Control-Request-Method' => 'PUT' });
is(body($r), 'OPTIONS', 'is for the application');

# who logs in and out

is(body(http_post('/auth/logout', headers => { Cookie => 'refresh_token=1' })),
    'POST', 'a logout, too');

# sessions

my @sid = map { "lang=de; connect.sid=s%3A$_.x" } 'alice', 'bobby';

is(told('/page', $sid[0]), "MISS $sid[0]", 'a page');
is(told('/page', $sid[0]), "HIT $sid[0]", 'of a session');
is(told('/page', $sid[1]), "MISS $sid[1]", 'of another');

$cache->cmd('xadd', 'oc:invalidate', '*', 'user', sha256_hex('s%3Aalice.x'));
ok(wait_for(sub { told('/page', $sid[0]) =~ /^MISS/ }), 'that has ended');
is(told('/page', $sid[1]), "HIT $sid[1]", 'and no other');

is(told('/file', $sid[0]), "MISS $sid[0]", 'a file');
is(told('/file', $sid[1]), "MISS $sid[1]", 'that Express calls public');
is(told('/static/a.css', $sid[0]), 'MISS nobody', 'one for all');
is(told('/static/a.css', $sid[1]), 'HIT nobody', 'whoever asks');

# in gzip

for my $what (qw/ MISS HIT /) {
    $r = http_get('/api/large', headers => { 'Accept-Encoding' => 'gzip',
        Authorization => 'Bearer d.e.f' });
    is(join(' ', map { header($r, $_) } 'X-Cache', 'Content-Encoding'),
        "$what gzip", "$what in gzip");
}

$r = http_get('/api/large', headers => { Authorization => 'Bearer d.e.f' });
is(length body($r), 10_000, 'and without');

###############################################################################

sub answer {
    my ($req) = @_;

    my $h = $req->{headers};
    my ($what) = $req->{uri} =~ m!(\w+)[^/]*$!;

    my %said = (
        page => ['Cache-Control: private, max-age=60'],
        file => ['Cache-Control: public, max-age=0', 'ETag: W/"de-19b"'],
        a => ['Cache-Control: public, max-age=60'],
        cors => ["Access-Control-Allow-Origin: $own"],
        large => ['Cache-Control: private, max-age=60',
                  'Content-Type: application/json'],
    );

    return [304, $said{$what}, ''] if $h->{'if-none-match'};

    return [200, $said{$what} || [],
            $req->{uri} eq '/ws' || $what eq 'x'
                ? join("\n", map { "$_: $h->{$_}" } keys %$h)
            : $what eq 'large' ? '0' x 10_000
            : $req->{method} ne 'GET' ? $req->{method}
            : $h->{cookie} // 'nobody'];
}


sub heard {
    my ($uri, %headers) = @_;

    return map { /^([^:]+): (.*)/ }
               split /\n/, body(http_get($uri, headers => \%headers));
}


sub told {
    my ($uri, $cookie) = @_;

    my $r = http_get($uri, headers => { Cookie => $cookie });
    return header($r, 'X-Cache') . ' ' . body($r);
}

###############################################################################
