#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A worker that dies while it sends entries to slow clients leaves nothing
# behind in the zone: their memory is used again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new(log => 'info')->has('http_proxy')->plan(11);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:3m;
    optcache_max_size 2m;
    optcache_valid 10m;

    server {
        listen 127.0.0.1:8080;
        listen 127.0.0.1:8090 sndbuf=32k;

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $line = join '', 'a' .. 'z', "\n";

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my ($letter) = $req->{uri} =~ m{/(.)$};
    return $line x 70000 if $req->{uri} =~ /big/;
    return $letter x 30000;
});

$t->run();

###############################################################################

http_get('/big/a');
is(header(http_get('/big/a'), 'X-Cache'), 'HIT',
    'an entry larger than half of the zone');

for my $round (1 .. 3) {
    my @slow = map { slow('/big/a') } 1 .. 4;

    $t->kill_worker($_) for $t->worker_pids();
    close $_ for @slow;

    my $r = http_get('/big/a');
    is(length body($r), 27 * 70000, "after a kill, $round");
}

# were its memory lost, there would be none for another as large

http_get('/big/b');
is(header(http_get('/big/b'), 'X-Cache'), 'HIT', 'another as large');
is(body(http_get('/big/b')), $line x 70000, 'whole');

# and many small ones

http_get("/small/$_") for 'a' .. 'z';
is(scalar(grep { header(http_get("/small/$_"), 'X-Cache') eq 'HIT' }
    'a' .. 'z'), 26, 'and many small ones');

# removed while it is being sent: those who have it get the rest of it

my $slow = slow('/big/b');
http_post('/big/b');
http_get("/small/$_$_") for 'a' .. 'z', 'A' .. 'Z';
my $r = http_end($slow);
ok(body(start($slow) . $r) eq $line x 70000,
    'an entry that is removed while it is being sent');

# pushed out while it is being sent

http_get('/big/c');
$slow = slow('/big/c');
http_get("/push/$_/a") for 1 .. 100;
ok(body(start($slow) . http_end($slow)) eq $line x 70000,
    'or pushed out');

# and removed while a worker dies that sends it

http_get('/big/d');
$slow = slow('/big/d');
http_post('/big/d');
$t->kill_worker($_) for $t->worker_pids();
close $slow;

http_get('/big/e');
is(header(http_get('/big/e'), 'X-Cache'), 'HIT',
    'removed, and its sender killed');

# a client that leaves halfway is no worker that dies

for (1 .. 5) {
    close slow('/big/e');
}

ok(wait_for(sub { header(http_get('/big/f'), 'X-Cache') eq 'HIT' }),
    'clients that leave halfway');

###############################################################################

my %start;

# A client that has read the first bytes and then no more.

sub slow {
    my ($uri) = @_;

    my $s = http_get($uri, port => 8090, start => 1);

    wait_for(sub { sysread $s, $start{$s}, 1000 });

    return $s;
}


sub start { return $start{$_[0]} }

###############################################################################
