#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What a 304 says replaces what was said before (RFC 9111, 3.2), but for what
# describes the body that is kept, and it may forbid what was allowed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX qw/ strftime /;

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy /)->plan(55);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache c;

    server {
        listen 127.0.0.1:8080;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /strip/ {
            optcache_set_cookie strip;
            proxy_pass http://127.0.0.1:8081;
        }

        location /keep/ {
            optcache_set_cookie keep;
            proxy_pass http://127.0.0.1:8081;
        }

        location /gzip/ {
            optcache_gzip on;
            proxy_pass http://127.0.0.1:8081;
        }

        location /hidden/ {
            proxy_hide_header Cache-Control;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

# of twenty minutes ago

my $date = strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime(time() - 1200));
my @fresh = ('Cache-Control: max-age=60');

my %stored = (
    lines => ['X-Line: 1', 'X-Line: 2', 'X-Other: a'],
    coding => ['Content-Encoding: zz'],
    length => [],
    type => ['Content-Type: text/html'],
    expires => ['Expires: Mon, 01 Jan 2001 00:00:00 GMT'],
    vary => ['X-For: nobody'],
);

my %said = (
    fields => [@fresh, 'X-New: 1', 'ETag: "a"'],
    lines => [@fresh, 'X-Line: 3', 'X-Line: 4', 'X-Line: 5'],
    date => [@fresh, 'Date: Mon, 01 Jan 2035 00:00:00 GMT'],
    age => [@fresh, 'Age: 30'],
    coding => [@fresh, 'Content-Encoding: gzip', 'Content-MD5: x',
               'Content-Digest: sha-256=:eA==:'],
    length => [@fresh, 'Content-Length: 3'],
    type => [@fresh, 'Content-Type: text/css; charset=utf-8'],
    expires => ['Expires: Mon, 01 Jan 2035 00:00:00 GMT'],
    nothing => [],
    'fields-none' => [],
    'no-store' => ['Cache-Control: no-store'],
    private => [@fresh, 'Cache-Control: private'],
    cookie => [@fresh, 'Set-Cookie: a=1', 'Set-Cookie: b=2'],
    'strip/cookie' => [@fresh, 'Set-Cookie: a=1'],
    'keep/cookie' => [@fresh, 'Set-Cookie: a=1'],
    star => [@fresh, 'Vary: *'],
    vary => [@fresh, 'Vary: X-Lang'],
    connection => [@fresh, 'Connection: keep-alive, X-Hop', 'X-Hop: 1'],
    'hidden/304' => [@fresh],
    other => [@fresh, 'ETag: "other"'],
    weak => [@fresh, 'ETag: W/"a"'],
    'gzip/plain' => [@fresh],
    'gzip/digest' => [@fresh, 'Repr-Digest: sha-256=:QUJD:'],
    'gzip/old-digest' => [@fresh, 'Digest: sha-256=QUJD'],
    'gzip/transform' => ['Cache-Control: max-age=60, no-transform'],
    'gzip/invalid' => ['Cache-Control: max-age=60, no-transform',
                       "X-Odd: a\x01b"],
);

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my ($name) = $req->{uri} =~ m{^/(.*)};

    return [304, $said{$name}, '']
        if $req->{count} > 1 && $req->{headers}{'if-none-match'};

    return [200, ['Cache-Control: max-age=60', 'Age: 100', 'ETag: "a"',
                  'X-Old: 1', "Date: $date",
                  $name =~ /gzip/ ? 'Content-Type: text/plain' : (),
                  @{ $stored{$name} || [] }],
            $name =~ /gzip/ ? "answer $req->{count} " x 1000
                            : "answer $req->{count}"];
});

$t->run();

###############################################################################

my $r = twice('fields');
is(told($r), 'REVALIDATED answer 1', 'what a 304 was said of');
is(header($r, 'X-New') . header($r, 'X-Old'), '11', 'has fields of both');
$r = get('fields');
is(told($r), 'HIT answer 1', 'and so has the hit');
is(header($r, 'X-New') . header($r, 'X-Old'), '11', 'after it');
is(scalar(my @etags = header($r, 'ETag')), 1, 'one validator');
is(scalar(my @cc = header($r, 'Cache-Control')), 1, 'one Cache-Control');

$r = twice('lines');
is(join(' ', header($r, 'X-Line')), '3 4 5', 'all lines are replaced');
$r = get('lines');
is(join(' ', header($r, 'X-Line')), '3 4 5', 'for hits too');
is(header($r, 'X-Other'), 'a', 'no others');

# Date and Age are those of the 304

$r = twice('date');
is(header($r, 'Date'), 'Mon, 01 Jan 2035 00:00:00 GMT', 'the new Date');
is(scalar(my @dates = header($r, 'Date')), 1, 'only that');
is(header(get('date'), 'Date'), 'Mon, 01 Jan 2035 00:00:00 GMT', 'of hits');

$r = twice('fields-none');
is(told($r), 'REVALIDATED answer 1', 'a 304 that says nothing');
isnt(header($r, 'Date'), $date, 'without Date it is that of the 304');
cmp_ok(header($r, 'Age'), '<', 30, 'and so is the Age');

twice('age');
cmp_ok(header(get('age'), 'Age'), '>=', 30, 'Age of the 304');

# what describes the body stays as it is

$r = twice('coding');
is(header($r, 'Content-Encoding'), 'zz', 'its coding');
is(header($r, 'Content-MD5'), undef, 'no digest of something else');
is(header($r, 'Content-Digest'), undef, 'nor a newer one');
$r = get('coding');
is(header($r, 'Content-Encoding'), 'zz', 'neither is stored');

$r = twice('length');
is(header($r, 'Content-Length'), 8, 'its length');
is(told(get('length')), 'HIT answer 1', 'is that of the body');

$r = twice('type');
like(header($r, 'Content-Type'), qr{^text/css; ?charset=utf-8$}, 'a type');
like(header(get('type'), 'Content-Type'), qr{^text/css; ?charset=utf-8$},
    'that is replaced');

# lifetimes

twice('expires');
is(header(get('expires'), 'Expires'), 'Mon, 01 Jan 2035 00:00:00 GMT',
    'Expires');
twice('nothing');
is(told(get('nothing')), 'HIT answer 1', 'the old lifetime, begun anew');
$r = twice('hidden/304');
is(header($r, 'Cache-Control'), undef, 'a field that is hidden');
is(told(get('hidden/304')), 'HIT answer 1', 'counts all the same');

# what forbids to keep it

$r = twice('no-store');
is(told($r), 'REVALIDATED answer 1', 'no-store: it is sent');
is(told(get('no-store')), 'MISS answer 3', 'and forgotten');

twice('private');
is(told(get('private')), 'MISS answer 3', 'private: not for all any more');

twice('star');
is(told(get('star')), 'MISS answer 3', 'Vary: *');

# a dependence that is new

$r = twice('vary', 'X-Lang' => 'a');
is(told($r), 'REVALIDATED answer 1', 'Vary is new');
is(told(get('vary', 'X-Lang' => 'a')), 'HIT answer 1', 'for this client');
isnt(header(get('vary', 'X-Lang' => 'b'), 'X-Cache'), 'HIT',
    'not for another');

# cookies are for who asked

$r = twice('cookie');
is(join(' ', header($r, 'Set-Cookie')), 'a=1 b=2', 'a cookie is passed on');
is(told(get('cookie')), 'MISS answer 3', 'and nothing kept');

$r = twice('strip/cookie');
is(header($r, 'Set-Cookie'), 'a=1', 'strip: passed on');
$r = get('strip/cookie');
is(told($r) . (header($r, 'Set-Cookie') // '-'), 'HIT answer 1-', 'not kept');

$r = twice('keep/cookie');
is(join(' ', header($r, 'Set-Cookie')), 'a=1', 'keep: passed on, once');
is(header(get('keep/cookie'), 'Set-Cookie'), 'a=1', 'and kept');

# fields of the connection

$r = twice('connection');
is(header(get('connection'), 'X-Hop'), undef, 'what Connection names');

# what speaks against the form that was compressed here

for my $name ('plain', 'digest', 'old-digest', 'transform') {
    my @gzip = ("gzip/$name", 'Accept-Encoding' => 'gzip');
    my $coding = $name eq 'plain' ? 'gzip' : undef;

    is(header(twice(@gzip), 'Content-Encoding'), $coding, "$name: what is sent");
    is(header(get(@gzip), 'Content-Encoding'), $coding, "$name: and stored");
}

is(header(twice('gzip/invalid', 'Accept-Encoding' => 'gzip'),
          'Content-Encoding'), undef, 'also by a 304 that cannot be stored');

# the condition was the validator that is stored, whatever a 304 says of its own

twice('other');
is(told(get('other')), 'HIT answer 1', 'a validator of something else');
is(header(get('other'), 'ETag'), '"a"', 'is passed over');
twice('weak');
is(told(get('weak')), 'HIT answer 1', 'as one of another strength');
is(header(get('weak'), 'ETag'), '"a"', 'which stays');

###############################################################################

sub get {
    my ($name, %headers) = @_;
    return http_get("/$name", headers => \%headers);
}


# The second of two answers, which is made by a 304.

sub twice {
    my ($name, %headers) = @_;

    get($name, %headers);
    return get($name, %headers);
}


sub told {
    my ($r) = @_;
    return join ' ', header($r, 'X-Cache') // '', body($r) // '';
}

###############################################################################
