#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Subrequests wait like requests do, and never for what waits for them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::Gate;

my $t = Test::Nginx->new(log => 'info')
    ->has(qw/ http_proxy http_stub_status http_ssi http_auth_request /)
    ->plan(11);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:16m;
    optcache_valid 10m;
    optcache_lock_timeout 60s;

    proxy_buffers 4 4k;
    proxy_buffer_size 4k;
    proxy_max_temp_file_size 0;

    server {
        listen 127.0.0.1:8080 reuseport;

        location / {
            optcache c;
            ssi on;
            ssi_types *;
            proxy_pass http://127.0.0.1:8081;
        }

        location /part/ {
            optcache c;
            optcache_key part;
            proxy_pass http://127.0.0.1:8081;
        }

        location /uncached/ {
            ssi on;
            ssi_types *;
            proxy_pass http://127.0.0.1:8081;
        }

        location /guarded/ {
            auth_request /auth/gate;
            proxy_pass http://127.0.0.1:8081;
        }

        location /auth/ {
            optcache c;
            optcache_user $http_authorization;
            proxy_pass http://127.0.0.1:8081;
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

my $gate = Test::Nginx::Gate->new($t);
my $end = Test::Nginx::Gate->new($t, 'end');

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $uri = $req->{uri};

    # of large parts the header first, so that each page leads one of them

    if ($uri =~ m{/part/large/(.)}) {
        my $s = $req->{socket};
        print $s "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n";
        $end->pass();
        print $s $1 x 300000;
        return;
    }

    $gate->pass() if $uri =~ /gate/;

    return "a part\n" if $uri =~ m{/part/};

    return join '', "a page\n",
           map { qq(<!--#include virtual="$_" -->) }
           $uri =~ m{/ab} ? qw( /part/large/a /part/large/b )
           : $uri =~ m{/ba} ? qw( /part/large/b /part/large/a )
           : ('/part/small', '/part/small', '/part/small');
});

$t->run();

###############################################################################

# the same part thrice in a page, and the page many times

my @r = $gate->answers(map { http_get('/page/gate', start => 1) } 1 .. 20);

is($backend->count(qr{/page/}), 1, 'a page is asked for once');
is($backend->count(qr{/part/}), 1, 'and so is a part of it');
is(scalar(grep { body($_) eq "a page\n" . "a part\n" x 3 } @r), 20,
    'which is all there, for all');

@r = $gate->answers(map { http_get("/uncached/gate/$_", start => 1) } 1 .. 5);
is(scalar(grep { body($_) eq "a page\n" . "a part\n" x 3 } @r), 5,
    'as for pages that are not cached');

# one page leads what another waits for, which leads what this one waits for

my @s = map { http_get($_, start => 1) } qw( /uncached/ab /uncached/ba );
wait_for(sub { $backend->count(qr{/part/large/}) >= 2 });
@r = $end->opened(@s);

is(length body($r[0]), 600007, 'a page with a part of another');
is(length body($r[1]), 600007, 'which has one of this');
is($t->log_count(qr/optcache lock timed out/), 0, 'nobody waits in vain');
is($backend->count(qr{/part/large/}), 2, 'each part is asked for once');

# auth_request

@r = $gate->answers(map {
    http_get('/guarded/part/', start => 1,
             headers => { Authorization => 'Basic ' . $_ % 2 })
} 1 .. 20);
is($backend->count(qr{/auth/}), 2, 'access is asked for once for each user');
is(scalar(grep { status($_) == 200 } @r), 20, 'and granted to all');

# clients that leave while a part of theirs waits

@s = map { http_get("/uncached/leave/$_", start => 1) } 1 .. 5;
wait_for(sub { $backend->count(qr{/leave/}) == 5 });
close $_ for @s;
is(status(http_get('/page/alive')), 200, 'clients that leave');

###############################################################################
