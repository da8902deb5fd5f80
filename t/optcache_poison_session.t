#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A user that is read from a cookie or a field: with several of them, the
# cache and the upstream would not mean the same one.  Told what the cache has
# seen, as the documentation says, the upstream cannot mean another.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

# what an attacker has a browser send beside the cookie of its user

my @tossed = ('session=', 'session=x', 'SESSION=', 'SESSION=x', 'Session=x',
              ' session=x', "\tsession=x", 'session=x;', 'session="x"',
              'a="; session=x', 'session', 'session =x', '=session=x',
              'session=x,');
my @lines = ('X-Key: ', 'X-Key: x', 'x_key: ', 'X_Key: x', 'X_KEY: x');

my $t = Test::Nginx->new()->has('http_proxy')
        ->plan(2 * @tossed + @lines + 10);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:4m;
    optcache c;
    optcache_valid 1m;

    underscores_in_headers on;

    server {
        listen 127.0.0.1:8080;

        location /session {
            optcache_user $cookie_session;
            proxy_set_header Cookie "session=$cookie_session";
            proxy_pass http://127.0.0.1:8081;
        }

        location /cookies {
            optcache_user $http_cookie;
            proxy_pass http://127.0.0.1:8081;
        }

        location /key {
            optcache_user $http_x_key;
            proxy_set_header X-Key $http_x_key;
            proxy_set_header X_Key "";
            proxy_pass http://127.0.0.1:8081;
        }

        location /two {
            # no field has a line feed
            optcache_user "$http_x_tenant\n$http_x_user";
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

# it takes the last of several cookies, and of several fields

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $h = $req->{headers};
    my ($session) = ($h->{cookie} // '') =~ /.*\bsession=([^;]*)/s;
    my ($key) = ($h->{'x-key'} // $h->{x_key} // '') =~ /([^, ]*)$/;

    return join '|', $session // '', $key,
                     map { $_ // '' } @$h{qw/ x-tenant x-user /};
});

$t->run();

###############################################################################

my $n = 0;

for my $cookie (@tossed) {
    for my $where ('/session', '/cookies') {
        my $uri = "$where?" . ++$n;

        get($uri, "Cookie: $cookie; session=victim") for 1 .. 2;
        get($uri, "Cookie: $cookie", 'Cookie: session=victim') for 1 .. 2;
        get($uri, "Cookie: session=victim; $cookie") for 1 .. 2;

        my @seen = map { get($uri, @$_) } [], ["Cookie: $cookie"],
                   ["Cookie: $cookie; session=attacker"], ['Cookie: session='],
                   ['Cookie: session=x'], ['Cookie: session=attacker'];

        is(scalar(grep { /victim/ } @seen), 0, "$where, beside $cookie");
    }
}

for my $line (@lines) {
    my $uri = '/key?' . ++$n;

    get($uri, $line, 'X-Key: victim') for 1 .. 2;
    get($uri, 'X-Key: victim', $line) for 1 .. 2;

    my @seen = map { get($uri, @$_) } [], [$line], ['X-Key: x'],
               [$line, 'X-Key: attacker'], ['X-Key: attacker'];

    is(scalar(grep { /victim/ } @seen), 0, "a field beside $line");
}

# of two values, where the one ends the other begins

get('/two', 'X-Tenant: a', 'X-User: b:c');
is(body(get('/two', 'X-Tenant: a', 'X-User: b:c')), '||a|b:c', 'two values');
is(body(get('/two', 'X-Tenant: a:b', 'X-User: c')), '||a:b|c', 'two others');
is(body(get('/two', 'X-Tenant: a')), '||a|', 'one of them');
is(body(get('/two', 'X-User: a')), '|||a', 'the other');

# and there is a cache

for my $user ([], ['Cookie: a=b; session=u', 'X-Key: v']) {
    for my $uri ('/session', '/cookies', '/key') {
        get($uri, @$user);
        is(header(get($uri, @$user), 'X-Cache'), 'HIT',
            "$uri, " . (@$user ? 'of a user' : 'of all'));
    }
}

###############################################################################

sub get {
    my ($uri, @headers) = @_;
    return http_get($uri, headers => \@headers);
}

###############################################################################
