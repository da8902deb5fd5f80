#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Responses that are not whole yet take a bounded part of a worker's memory,
# however many clients ask for them, and take their time.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Socket qw/ MSG_PEEK /;

use Test::More;
use Test::Nginx;
use Test::Nginx::Gate;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_stub_status /)->plan(8);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    # of which a worker keeps 32 megabytes

    optcache_zone c:24m;

    optcache_valid 10m;
    optcache_max_size 16m;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            proxy_buffering off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /api/ {
            optcache_api;
        }
    }

    server {
        listen 127.0.0.1:8082;

        location / {
            stub_status;
        }
    }
}

EOF

use constant { SIZE => 8000000, FIT => 4, MANY => 6 };

my $gate = Test::Nginx::Gate->new($t);

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    return [200, {}, 'x' x 50000] if $req->{uri} =~ /small/;

    my $s = $req->{socket};

    print $s "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: "
        . SIZE . "\r\n\r\n" . 'x' x 100000;
    $s->flush();

    $gate->pass();

    print $s 'x' x (SIZE - 100000);
    $s->flush();

    return;
});

$t->run();

###############################################################################

my @s = map { begun("/large/$_") } 1 .. FIT;
is(refused(), 0, 'what there is memory for is kept');

push @s, map { begun("/large/$_") } FIT + 1 .. MANY;
is(refused(), MANY - FIT, 'and no more');

# what nobody waits for any more is not kept any longer

close $_ for splice @s, 0, FIT;
$gate->busy(MANY - FIT);

push @s, map { begun("/large/more/$_") } 1 .. FIT;
is(refused(), MANY - FIT, 'others are when some have left');

my @r = $gate->opened(@s);

is(grep(length(body($_)) == SIZE, @r), MANY, 'all are answered');
is(refused(), MANY - FIT, 'and nothing else is refused');

# what was stored is not kept twice

$gate->open();
http_get("/large/again/$_") for 1 .. 2 * FIT;
is(refused(), MANY - FIT, 'nor is what comes behind');
is(header(http_get('/large/again/' . 2 * FIT), 'X-Cache'), 'HIT', 'stored');

http_get('/small');
is(header(http_get('/small'), 'X-Cache'), 'HIT', 'and so is what is small');

###############################################################################

# A response of which some of the body is there, and has passed the filters.

sub begun {
    my ($uri) = @_;

    my $s = http_get($uri, start => 1);

    wait_for(sub { recv($s, my $some, 65536, MSG_PEEK);
                   length($some) > 10000 }, 20)
        or die "$uri does not begin\n";

    return $s;
}


sub refused {
    return decode_json(body(http_get('/api/status')))
           ->{zones}[0]{refused}{memory};
}

###############################################################################
