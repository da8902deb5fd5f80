#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The examples of what browsers look at: CORS, security headers, and files
# that are kept for a year.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Compress::Gzip qw/ gzip /;
use Test::More;
use Test::Nginx;
use Test::Nginx::Example;

my $t = Test::Nginx->new()
    ->has(qw/ http_proxy http_rewrite http_gzip_static http_map /)
    ->has_program('redis-server')->plan(63);

$t->run_redis(port => 6379);

my $script = 'a();' x 1000;
my $backend = $t->run_http_backend(9001, \&answer);

my $app = 'https://app.example.com';
my $admin = 'https://admin.example.com';
my $evil = 'https://app.example.com.evil.test';

###############################################################################

# CORS

run_example($t, 'cors.conf');

my $first = from($app);

is(cors($first), "$app true", 'a known origin');
is(header($first, 'X-Cache'), 'MISS', 'a miss');

my $second = from($admin);

is(header($second, 'X-Cache'), 'HIT', 'one answer for all origins');
is(cors($second), "$admin true", 'each told its own');
is(join(', ', header($second, 'Vary')), 'Origin', 'and caches told');
like(header($second, 'Access-Control-Expose-Headers'), qr/Retry-After/,
    'what scripts may read');

is(cors(from('https://pr-17.preview.example.com')),
    'https://pr-17.preview.example.com true', 'one of many');

for my $origin ($evil, 'https://pr-1.preview.example.com.evil.test', 'null') {
    my $r = from($origin);

    is(cors($r) . header($r, 'Vary'), 'Origin', "not $origin");
    unlike($r, qr/Access-Control/, 'nothing at all');
}

unlike(from(), qr/Access-Control/, 'not without an origin');

my $left = header(from($app), 'X-RateLimit-Remaining');
my $preflight = preflight($app);

is(status($preflight), 204, 'a preflight, without a token');
is(cors($preflight), "$app true", 'is granted');
like(header($preflight, 'Access-Control-Allow-Methods'), qr/PATCH/, 'methods');
is(header($preflight, 'Access-Control-Max-Age'), 600, 'a time');
is(header($preflight, 'Vary'), 'Origin', 'of this origin');
unlike(preflight($evil), qr/Access-Control/, 'not to others');
is($backend->count(qr/^OPTIONS/), 0, 'not heard of by the application');
is($left - header(from($app), 'X-RateLimit-Remaining'), 1, 'nor counted');

is(body(http_request('OPTIONS', '/api/x', user('a', Origin => $app))),
    'OPTIONS from https://app.example.com', 'a plain OPTIONS is');
is(body(http_post('/api/x', user('a', Origin => $evil))), "POST from $evil",
    'a forged request can be told');

my $out = http_get('/api/x', headers => { Origin => $app });

is(status($out) . ' ' . cors($out), "401 $app true", 'a 401 can be read');

my $over;
wait_for(sub { status($over = from($app)) == 429 });

is(status($over) . ' ' . cors($over), "429 $app true", 'a 429 can be read');

$t->stop();

# security headers, once each, whoever has made the answer

run_example($t, 'security-headers.conf', qr/600r/ => '30r');

my @fields = qw/ Strict-Transport-Security Content-Security-Policy
                 X-Content-Type-Options Referrer-Policy Permissions-Policy
                 Cross-Origin-Opener-Policy /;

my %got = (
    page => tls('/page'),
    hit => tls('/page'),
    'page that has them' => tls('/own'),
    'hit that has them' => tls('/own'),
    'not modified' => tls('/page', 'If-None-Match' => '"1"'),
    'error of the application' => tls('/broken'),
    forbidden => tls('/internal/x'),
    'no request' => http("GET / HTTP/1.1\r\n"
                         . "X-Forwarded-Proto: https\r\n\r\n"),
);

is(header($got{hit}, 'X-Cache'), 'HIT', 'from the cache');
is(status($got{'not modified'}), 304, 'a 304');
is(status($got{forbidden}), 403, 'a 403');
is(status($got{'no request'}), 400, 'a 400');

for my $name (sort keys %got) {
    is(join(' ', map { my @values = header($got{$name}, $_); scalar @values }
                     @fields), '1 1 1 1 1 1', "once: $name");
}

my $csp = 'Content-Security-Policy';

like(header($got{page}, $csp), qr/'self'.*frame-ancestors 'none'/, 'a page');
is(header($got{'hit that has them'}, $csp), "script-src 'sha256-x'",
    'the policy of the application');
like(header(tls('/data.json'), $csp), qr/^default-src 'none'/, 'no page');
like(header(tls('/embed/x'), $csp), qr{frame-ancestors https://partner},
    'in a frame');
unlike(http_get('/page'), qr/Strict-Transport/, 'not without TLS');
unlike($got{'page that has them'}, qr/X-Frame-Options|X-Powered/, 'dropped');

my $limited;
wait_for(sub { status($limited = tls('/page')) == 429 });
is(scalar(grep { defined header($limited, $_) } @fields), 6, 'a refusal');

$t->stop();

# files

mkdir $t->testdir() . "/$_" for qw( www www/app www/app/assets );

gzip(\$script, \my $compressed);

$t->write_file('mime.types',
    'types { text/html html; text/javascript js; }');
$t->write_file('www/app/index.html', '<html>');
$t->write_file('www/app/robots.txt', 'User-agent: *');
$t->write_file('www/app/assets/app.3f9a01bc.js', $script);
$t->write_file('www/app/assets/app.3f9a01bc.js.gz', $compressed);
$t->write_file('www/app/assets/logo.js', 'b();');

run_example($t, 'static-assets.conf');

my $year = 'public, max-age=31536000, immutable';
my $asset = zipped('/assets/app.3f9a01bc.js');

is(caching($asset), $year, 'a file with a hash');
is(gunzip(body($asset)), $script, 'compressed');
is(header($asset, 'Vary'), 'Accept-Encoding', 'for who takes it');
is(body(http_get('/assets/app.3f9a01bc.js')), $script, 'or not');
is(caching(http_get('/assets/logo.js')), 'no-cache', 'one without');

my $missing = http_get('/assets/app.00000000.js');

is(status($missing), 404, 'one that is not there');
unlike($missing, qr/Cache-Control|html>$/, 'is so for a moment');

for my $uri ('/', '/index.html', '/users/7') {
    my $page = http_get($uri);

    is(caching($page) . body($page), 'no-cache<html>', "the page: $uri");
}

is(caching(http_get('/robots.txt')), 'max-age=3600', 'another file');

my $bundle = '/bundles/app.3f9a01bc.js';

is(caching(http_get($bundle, user('a'))), $year, 'of a storage');

my $hit = zipped("$bundle?x", Cookie => 'session=b');

is(header($hit, 'X-Cache'), 'HIT', 'one for all');
is(gunzip(body($hit)), $script, 'compressed there');
is(caching($hit), $year, 'for a year');
unlike($hit, qr/Set-Cookie|Expires/, 'and nothing else');
is($backend->count(qr/bundles/), 1, 'fetched once');

my $none = http_get('/bundles/none.00000000.js') . http_get('/bundles/x.js');

unlike($none, qr/immutable/, 'not those that are not there');

$t->stop();

###############################################################################

sub answer {
    my ($req) = @_;

    my ($uri, $headers) = @$req{qw/ uri headers /};

    return api($req) if $uri =~ m{^/api/};

    return [$uri =~ /none/ ? 404 : 200,
            { 'Cache-Control' => 'no-store', 'Content-Type' => 'text/css',
              'Set-Cookie' => 'storage=1', Expires => 0 },
            $headers->{cookie} ? 'who?' : $script]
        if $uri =~ m{^/bundles/};

    return [$uri eq '/broken' ? 500 : 200,
            { 'Cache-Control' => 'public, max-age=60', ETag => '"1"',
              'Content-Type' => $uri =~ /json/ ? 'application/json'
                                               : 'text/html',
              $uri eq '/own' ? own() : () }, 'x'];
}


# an application with security headers of its own

sub own {
    return (map { $_ => 'of the application' }
            qw/ Strict-Transport-Security X-Content-Type-Options
                Referrer-Policy Permissions-Policy X-Frame-Options
                Cross-Origin-Opener-Policy X-Powered-By /),
           'Content-Security-Policy' => "script-src 'sha256-x'";
}

sub api {
    my ($req) = @_;

    return [200, { 'Cache-Control' => 'private, max-age=60',
                   'Access-Control-Allow-Origin' => '*',
                   'Access-Control-Max-Age' => 1 },
            "$req->{method} from " . ($req->{headers}{origin} // 'anywhere')];
}


sub tls {
    my ($uri, %headers) = @_;

    return scalar http_get($uri, headers => { 'X-Forwarded-Proto' => 'https',
                                              %headers });
}

sub zipped {
    my ($uri, %headers) = @_;

    return scalar http_get($uri, headers => { 'Accept-Encoding' => 'gzip',
                                              %headers });
}

sub caching { return join '; ', header($_[0], 'Cache-Control') }

sub user {
    my ($user, %headers) = @_;

    return (headers => { Cookie => "session=$user", %headers });
}

sub from {
    my ($origin) = @_;

    return scalar http_get('/api/x', user('a', $origin ? (Origin => $origin)
                                                       : ()));
}

sub preflight {
    return scalar http_request('OPTIONS', '/api/x', headers => {
        Origin => $_[0], 'Access-Control-Request-Method' => 'PUT' });
}


# all values of both fields

sub cors {
    my ($r) = @_;

    return join ' ', header($r, 'Access-Control-Allow-Origin'),
                     header($r, 'Access-Control-Allow-Credentials');
}
