#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Who takes gzip (RFC 9110, 12.5.3), as a client says it in its many ways.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my @gzip = (
    'gzip', 'GZIP', 'x-gzip', 'gzip;q=1', 'gzip; q=0.001', 'gzip ; q=1.000',
    'deflate, gzip', 'gzip, deflate, br', 'br;q=1.0, gzip;q=0.8, *;q=0.1',
    'deflate,gzip;q=0.5', '*', '*;q=0.5', "gzip\t", 'identity;q=0, gzip',
);

my @identity = (
    undef, '', 'identity', 'deflate', 'br', 'gzip;q=0', 'gzip; q=0.000',
    'gzip;q=0.0, *', 'gzip;Q=0', 'agzip', 'gzipa', 'gzip-a', 'x gzip', '*;q=0',
    'deflate, gzip;q=0, br', 'br, *;q=0',
);

my $t = Test::Nginx->new()->has('http_proxy')
        ->plan(@gzip + @identity + 5);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            optcache_gzip on;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $text = 'text ' x 1000;
my $packed = do {
    require IO::Compress::Gzip;
    IO::Compress::Gzip::gzip(\$text, \my $out);
    $out;
};

# an upstream that compresses by itself, if asked to or not

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my @fields = ('Cache-Control: max-age=60', 'Content-Type: text/plain');
    my $takes = ($req->{headers}{'accept-encoding'} // '') =~ /gzip/;

    push @fields, 'Vary: Accept-Encoding' if $req->{uri} =~ /own/;

    return [200, [@fields, 'Content-Encoding: gzip'], $packed]
        if $req->{uri} =~ /always/ || $req->{uri} =~ /own/ && $takes;

    return [200, \@fields, $text];
});

$t->run();

###############################################################################

get('/');

is(coding(get('/', $_)), 'gzip', "\"$_\" takes gzip") for @gzip;
is(coding(get('/', $_)), 'plain', defined $_ ? "\"$_\" does not" : 'no field')
    for @identity;

# what was compressed upstream is for those who take that

get('/own', 'gzip');
is(coding(get('/own', 'gzip')), 'gzip', 'compressed upstream');
is(coding(get('/own')), 'plain', 'is not for those who do not take it');
is(coding(get('/own')), 'plain', 'nor later');

get('/always', 'gzip');
is(header(get('/always', 'gzip'), 'X-Cache'), 'HIT', 'it is stored');
is(coding(get('/always', 'gzip')), 'gzip', 'and not compressed twice');

###############################################################################

sub get {
    my ($uri, $accept) = @_;
    return http_get($uri, headers =>
                    [defined $accept ? "Accept-Encoding: $accept" : ()]);
}


sub coding {
    my ($r) = @_;

    my $coding = header($r, 'Content-Encoding') // 'plain';
    my $body = body($r);

    return $coding eq 'gzip' && gunzip($body) eq $text ? 'gzip'
           : $coding eq 'plain' && $body eq $text ? 'plain' : "wrong $coding";
}

###############################################################################
