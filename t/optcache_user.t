#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The partition of a request is whatever optcache_user says, and nothing else.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(23);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;

    # it is not what a field says

    map $arg_who $http_team {
        default $arg_who;
    }

    server {
        listen 127.0.0.1:8080;

        optcache c;

        location /session {
            optcache_user $cookie_session;
            proxy_pass http://127.0.0.1:8081;
        }

        location /several {
            optcache_user "$http_x_tenant:$http_x_user";
            proxy_pass http://127.0.0.1:8081;
        }

        location /team {
            optcache_user $http_team;
            proxy_pass http://127.0.0.1:8081;
        }

        location /tenant {
            optcache_user $http_tenant;
            optcache_key $uri;
            proxy_pass http://127.0.0.1:8081;
        }

        location /nobody {
            optcache_user "";
            proxy_pass http://127.0.0.1:8081;
        }

        location /somebody {
            optcache_user everybody;
            proxy_pass http://127.0.0.1:8081;
        }

        location /map/ {
            optcache_key map;
            proxy_pass http://127.0.0.1:8081;

            location /map/a {
                optcache_user $arg_user;
                proxy_pass http://127.0.0.1:8081;
            }
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $control = $req->{uri} =~ /public/ ? 'public, ' : '';

    return [200, { 'Cache-Control' => "${control}max-age=60" },
            join ' ', map { $req->{headers}{$_} // '' }
                          qw/ cookie authorization x-tenant x-user /];
});

$t->run();

###############################################################################

my %one = (headers => { Cookie => 'other=x; session=1' });
my %two = (headers => { Cookie => 'session=2; other=x' });

is(twice('/session', %one), 'HIT', 'a session has a partition');
is(body(http_get('/session', %two)), 'session=2; other=x   ',
    'another session another');
is(http_get('/session') =~ /session=/, '', 'no session has neither');
is(cache(http_get('/session')), 'HIT', 'but the shared one');
is(cache(http_get('/session', headers => { Cookie => 'session=' })), 'HIT',
    'as has an empty session');
is(cache(http_get('/session', headers => { Cookie => 'x=y; session=1' })),
    'HIT', 'other cookies do not matter');
is(cache(http_get('/session', headers => { Cookie => 'x=y; session=1',
                                           Authorization => 'z' })),
    'HIT', 'nor does a credential that was not named');

# several values as one

my $several = { 'X-Tenant' => 't', 'X-User' => 'u' };
is(twice('/several', headers => $several), 'HIT', 'a user of several values');
is(cache(http_get('/several', headers => { %$several, 'X-Tenant' => 'tt' })),
    'MISS', 'of which one differs');

# a variable that is named like one of a field

is(cache(http_get('/team?who=a', headers => { Team => 'x' })), 'MISS',
    'a variable of the configuration');
is(cache(http_get('/team?who=a', headers => { Team => 'y' })), 'HIT',
    'that tells, not the field');

# fields, however they are written

is(twice('/tenant', headers => { TENANT => 'a' }), 'HIT', 'a field');
is(cache(http_get('/tenant', headers => { tenant => 'a' })), 'HIT',
    'its name in lower case');
is(cache(http_get('/tenant', headers => { Tenant => 'A' })), 'MISS',
    'another value');
is(cache(http_get('/tenant', headers => { 'Tenan' => 'a', 'Tenants' => 'a',
                                          'X-Tenant' => 'a' })), 'MISS',
    'no field of this name');

# the shared partition for all

is(twice('/nobody', headers => { Authorization => 'a' }), 'MISS',
    'empty: a shared cache, with credentials');
is(twice('/nobody/public', headers => { Authorization => 'a' }), 'HIT',
    'where only public answers to them are stored');
is(cache(http_get('/nobody/public', headers => { Authorization => 'b' })),
    'HIT', 'for everybody');

is(twice('/somebody', headers => { Authorization => 'a' }), 'HIT',
    'a constant: a private cache');

# a user is never taken for no user, nor for a part of the key

is(twice('/map/a?user=x'), 'HIT', 'one key for all URLs, by user');
is(cache(http_get('/map/a?user=y')), 'MISS', 'another user');
is(cache(http_get('/map/a?user=')), 'MISS', 'no user');
is(cache(http_get('/map/a?x')), 'HIT', 'is one too');

###############################################################################

sub cache { return header($_[0], 'X-Cache') // '' }


sub twice {
    http_get(@_);
    return cache(http_get(@_));
}

###############################################################################
