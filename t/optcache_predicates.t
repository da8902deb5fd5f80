#!/usr/bin/perl

# Copyright (C) The Optcache authors

# optcache_bypass decides who is not answered from the cache, optcache_no_store
# what is not put into it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(24);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache_valid 1m;

    map "$http_x_a $upstream_http_x_secret" $changes {
        volatile;
        default 0;
        "1 "    1;
        "1 no"  0;
    }

    map $http_x_a $matches {
        default   0;
        ~^(no)$   0;
        ~^(yes)$  1;
    }

    server {
        listen 127.0.0.1:8080;

        optcache c;

        location /bypass/ {
            optcache_bypass $http_x_a $http_x_b;
            proxy_pass http://127.0.0.1:8081;
        }

        location /no_store/ {
            optcache_no_store $upstream_http_x_secret $arg_private;
            proxy_pass http://127.0.0.1:8081;
        }

        location /both/ {
            optcache_bypass $http_x_a;
            optcache_no_store $http_x_a;
            proxy_pass http://127.0.0.1:8081;
        }

        location /changes/ {
            optcache_bypass $changes;
            optcache_no_store $changes;
            proxy_pass http://127.0.0.1:8081;
        }

        location ~ ^/matches/(.*)$ {
            optcache_key $1;
            optcache_bypass $matches;
            optcache_no_store $matches;
            proxy_pass http://127.0.0.1:8081;
        }
    }

    server {
        listen 127.0.0.1:8082;

        optcache c;
        optcache_key $server_port$uri;
        optcache_bypass $http_x_a;
        optcache_no_store $http_x_b;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /own {
            optcache_bypass $http_x_c;
            optcache_no_store $http_x_c;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;
    my %fields = $req->{uri} =~ /secret=(\w+)/ ? ('X-Secret' => $1) : ();
    return [200, \%fields, "answer $req->{count}"];
});

$t->run();

###############################################################################

http_get('/bypass/');

is(get('/bypass/'), 'HIT answer 1', 'no value');
is(get('/bypass/', 'X-A: 0', 'X-B:'), 'HIT answer 1', 'empty and 0');
is(get('/bypass/', 'X-B: 1'), 'BYPASS answer 2', 'one of them');
is(get('/bypass/'), 'HIT answer 2', 'what came is stored');
is(get('/bypass/', 'X-A: 00'), 'BYPASS answer 3', '00 is a value');
is(get('/bypass/', 'X-A: no'), 'BYPASS answer 4', 'as is any word');

is(get('/bypass/new', 'X-A: 1'), 'BYPASS answer 1', 'with nothing stored');
is(get('/bypass/new'), 'HIT answer 1', 'it is stored too');

http_get('/no_store/');
is(get('/no_store/'), 'HIT answer 1', 'stored');
http_get('/no_store/?secret=yes');
is(get('/no_store/?secret=yes'), 'MISS answer 2', 'a field of the response');
http_get('/no_store/?secret=0');
is(get('/no_store/?secret=0'), 'HIT answer 1', 'that says 0');
http_get('/no_store/?private=1');
is(get('/no_store/?private=1'), 'MISS answer 2', 'a value of the request');

http_get('/both/');
is(get('/both/', 'X-A: 1'), 'BYPASS answer 2', 'both');
is(get('/both/'), 'HIT answer 1', 'leave what was stored');

http_get('/changes/?secret=no', headers => ['X-A: 1']);
is(get('/changes/?secret=no'), 'HIT answer 1', 'both, until it is answered');

is(get('/matches/a', 'X-A: yes'), 'BYPASS answer 1', 'an expression');
is(get('/matches/a', 'X-A: no'), 'MISS answer 2', 'that finds something else');
is(get('/matches/b', 'X-A: no'), 'MISS answer 1', 'than the key is made of');

http_get('/x', port => 8082);
is(get8082('/x', 'X-A: 1'), 'BYPASS answer 2', 'inherited bypass');
is(get8082('/y', 'X-B: 1'), 'MISS answer 1', 'inherited no_store');
is(get8082('/y'), 'MISS answer 2', 'stored nothing');

http_get('/own', port => 8082);
is(get8082('/own', 'X-A: 1'), 'HIT answer 1', 'not where there is one');
is(get8082('/own', 'X-C: 1'), 'BYPASS answer 2', 'which then decides');
is(get8082('/own'), 'HIT answer 1', 'on both');

###############################################################################

sub get {
    my ($uri, @fields) = @_;

    my $r = http_get($uri, headers => \@fields);
    return join ' ', header($r, 'X-Cache') // '', body($r) // '';
}


sub get8082 {
    my ($uri, @fields) = @_;

    my $r = http_get($uri, headers => \@fields, port => 8082);
    return join ' ', header($r, 'X-Cache') // '', body($r) // '';
}

###############################################################################
