#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The dashboard is one page that nothing can be added to: its policy names the
# digests of its own script and style.  What changes something is not done for
# a page of another site.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw/ sha256_base64 /;
use JSON::PP qw/ decode_json /;
use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy');

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    ratelimit_redis_zone $arg_k zone=z:1m rate=10r/m;

    server {
        listen 127.0.0.1:8080;

        location /cache/ {
            optcache_api write=on ratelimit=/limits/;
        }

        location /limits/ {
            ratelimit_redis_api write=on;
        }

        location "/no slash" {
            optcache_api;
        }

        location /except/ {
            optcache_api ratelimit=/l/;

            limit_except GET {
                allow 127.0.0.1;
                deny all;
            }
        }

        location /gzip/ {
            optcache_api;
            gzip on;
        }
    }
}

EOF

# POST to /cache/purge with these fields, to this Host

my @requests = (
    [200],
    [200, 'Sec-Fetch-Site: same-origin'],
    [200, 'Sec-Fetch-Site: none'],
    [200, 'Sec-Fetch-Site: same-origin', 'Origin: https://behind.example'],
    [403, 'Sec-Fetch-Site: cross-site'],
    [403, 'Sec-Fetch-Site: same-site'],
    [403, 'Sec-Fetch-Site: '],
    [403, 'Sec-Fetch-Site: same-origin', 'Sec-Fetch-Site: cross-site'],
    [403, 'Sec-Fetch-Site: cross-site', 'Origin: http://a.example'],

    [200, 'Origin: http://a.example'],
    [200, 'Origin: http://A.Example'],
    [200, 'Origin: http://a.example:80'],
    [200, 'Origin: https://a.example'],
    [403, 'Origin: https://a.example:80'],
    [403, 'Origin: http://a.example:8080'],
    [403, 'Origin: http://b.example'],
    [403, 'Origin: http://a.example.b.example'],
    [403, 'Origin: http://xa.example'],
    [403, 'Origin: null'],
    [403, 'Origin: '],
    [403, 'Origin: http://'],
    [403, 'Origin: a.example'],
    [403, 'Origin: ftp://a.example'],
    [403, 'Origin: http://a.example', 'Origin: http://b.example'],

    [200, 'Host: a.example:8080', 'Origin: http://a.example:8080'],
    [403, 'Host: a.example:8080', 'Origin: http://a.example'],
    [200, 'Host: a.example:443', 'Origin: https://a.example'],
    [200, 'Host: [::1]:8080', 'Origin: http://[::1]:8080'],
    [200, 'Host: [::1]', 'Origin: http://[::1]'],
    [403, 'Host: [::1]:8080', 'Origin: http://[::1]'],
    [403, 'Host: [::1]', 'Origin: http://[::2]'],
);

$t->plan(36 + @requests);

$t->run();

###############################################################################

my $r = http_get('/cache/');
my $page = body($r);

is(status($r), 200, 'a page');
is(header($r, 'Content-Type'), 'text/html; charset=utf-8', 'its type');
is(header($r, 'Cache-Control'), 'no-store', 'not for caches');
is(header($r, 'X-Content-Type-Options'), 'nosniff', 'nor to be guessed at');
like($page, qr/\A<!doctype html>.*<\/html>\n\z/s, 'all of it');
unlike($page, qr/[^\n -~]/, 'in ASCII, whatever "charset" is');

# the policy

my %policy = map { /^(\S+) (.*)$/ ? ($1, $2) : ($_, '') }
    split /; /, header($r, 'Content-Security-Policy');

my ($style, @styles) = $page =~ m{<style>(.*?)</style>}gs;
my ($script, @scripts) = $page =~ m{<script>(.*?)</script>}gs;

is(@styles + @scripts, 0, 'one style and one script');
cmp_ok(length $style, '>', 1000, 'which are there');
cmp_ok(length $script, '>', 10000, 'both');

is($policy{'style-src'}, "'sha256-" . sha256_base64($style) . "='",
    'the style');
is($policy{'script-src'}, "'sha256-" . sha256_base64($script) . "='",
    'the script');
is($policy{$_}, "'none'", "no $_")
    for qw/ default-src frame-ancestors base-uri form-action trusted-types /;
is($policy{'connect-src'}, "'self'", 'it asks nobody else');
is($policy{'require-trusted-types-for'}, "'script'", 'text is text');
is(keys %policy, 9, 'and nothing else is said');

# what the policy would not let pass

unlike($page, qr/<(script|link|img|style|iframe)\s/, 'nothing from elsewhere');
unlike($page, qr/<[^>]*\s(style|on\w+)=/, 'no style or script in tags');
unlike($script, qr/innerHTML|insertAdjacent|document\.write|\beval\b/,
    'no markup from text');
unlike($page, qr{//(?!www\.w3\.org/2000/svg)\w}, 'no address');

# other ways to it

$r = http_head('/cache/?x');
is(status($r) . body($r), '200', 'HEAD');
is(header($r, 'Content-Length'), length $page, 'tells the length');
is(status(http_post('/cache/')), 405, 'is not for POST');

like(header(http_get('/cache'), 'Location'), qr!^http://[^/]+/cache/$!,
    'without its slash');

$r = http_get('/no%20slash');
is(status($r), 301, 'a prefix without a slash');
like(header($r, 'Location'), qr!^http://[^/]+/no%20slash/$!, 'gets one');
is(body(http_get('/no%20slash/')), $page, 'there it is');
is(body(http_get('/except/')), $page, 'and under limit_except');
is(header(http_get('/gzip/', headers => ['Accept-Encoding: gzip']),
          'Content-Encoding'), 'gzip', 'may be compressed');

# what the page is told

is_deeply([@{ document('/cache/status') }{qw/ write ratelimit /}],
    [JSON::PP::true, '/limits/'], 'what may be done');
is_deeply([@{ document('/no%20slash/status') }{qw/ write ratelimit /}],
    [JSON::PP::false, undef], 'and what not');
ok(document('/limits/status')->{write}, 'of the limits, too');

# not for pages of other sites

for (@requests) {
    my ($status, @fields) = @$_;
    my ($host) = map { /^Host: (.*)/ ? $1 : () } @fields;

    is(status(http_post('/cache/purge', body => '{"tag":"x"}',
        host => $host // 'a.example',
        headers => ['Content-Type: application/json',
                    grep { !/^Host:/ } @fields])), $status,
        join ', ', 'purge', @fields);
}

is(status(http_request('DELETE', '/limits/subjects/z/k',
    headers => ['Sec-Fetch-Site: cross-site'])), 403, 'DELETE from elsewhere');

###############################################################################

sub document { return decode_json(body(http_get($_[0]))) }

###############################################################################
