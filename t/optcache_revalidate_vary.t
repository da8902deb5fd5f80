#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A 304 whose Vary does not tell of Accept-Encoding, as those of servers that
# compress what they send and nothing else: what is stored depends on it still,
# and those behind hear of it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(12);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache c;

    server {
        listen 127.0.0.1:8080;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my %stored = (plain => ['Vary: X-A, accept-encoding'], other => ['Vary: X-A'],
              lines => ['Vary: Accept-Encoding', 'Vary: X-A']);

my %said = (none => [], same => ['Vary: Accept-Encoding, X-A'],
            lines => ['Vary: X-A', 'Vary: X-B']);

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my ($name) = $req->{uri} =~ m{^/(.*)};
    my @fields = ('Cache-Control: max-age=0', 'ETag: W/"a"');

    return [304, [@fields, @{ $said{$name} || ['Vary: X-A'] }], '']
        if $req->{headers}{'if-none-match'};

    my $coding = $name ne 'plain' && $req->{headers}{'accept-encoding'};

    return [200, [@fields, $coding ? "Content-Encoding: $coding" : (),
                  @{ $stored{$name} || ['Vary: X-A, Accept-Encoding'] }],
            $coding || 'plain'];
});

$t->run();

###############################################################################

for (['coded', 'X-A, Accept-Encoding'], ['plain', 'X-A, Accept-Encoding'],
     ['other', 'X-A'], ['none', 'X-A, Accept-Encoding'],
     ['same', 'Accept-Encoding, X-A'],
     ['lines', 'X-A, X-B, Accept-Encoding'])
{
    my ($name, $vary) = @$_;

    is(header(get($name), 'X-Cache'), 'MISS', "$name: stored");
    get($name);

    my $r = get($name);
    is(join(', ', header($r, 'X-Cache'), header($r, 'Vary')),
        "REVALIDATED, $vary", "$name: what it varies on");
}

###############################################################################

sub get {
    my ($name) = @_;
    return http_get("/$name", headers => { 'Accept-Encoding' => 'br' });
}

###############################################################################
