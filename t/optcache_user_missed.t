#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A session that is in the request, but not where nginx finds it by the name of
# optcache_user: who has it is not nobody.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(28);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache c;
    optcache_valid 200 1m;

    underscores_in_headers on;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache_user $cookie_my_session;
            proxy_pass http://127.0.0.1:8081;
        }

        location /two/ {
            optcache_user "${cookie_Session}$http_x_api_key";
            proxy_pass http://127.0.0.1:8081;
        }

        location /argument/ {
            optcache_user $arg_api_key;
            optcache_key $host$uri;
            proxy_pass http://127.0.0.1:8081;
        }

        location /nobody/ {
            optcache_user "";
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    return [200, [$req->{uri} =~ /public/
                  ? 'Cache-Control: public, max-age=60'
                  : ()], "$req->{count}"];
});

$t->run();

###############################################################################

# what applications take for a cookie "my_session"

my $n = 0;

foreach my $cookie (
    'my_session=; my_session=alice',
    "a=1;\tmy_session=alice",
    'a=1 my_session=alice',
    '=my_session=alice',
    'my.session=alice',
    'my-session=alice',
    'my%5fsession=alice',
    'my_session[]=alice')
{
    my $uri = '/' . ++$n;

    get($uri, "Cookie: $cookie");
    is(get($uri), 'MISS 2', "what $cookie was told is not for all");
}

get('/lines', 'Cookie: my_session=', 'Cookie: my_session=alice');
is(get('/lines'), 'MISS 2', 'two lines');
is(get('/lines', 'Cookie: my.session=bob'), 'HIT 2',
    'but all may be told what is');

# what nobody takes for it

foreach my $cookie ('other=1', 'my_session=', 'my_session', 'x-my-session=1',
                    'my_session.sig=1', 'my_sessions=1', '_my_session=1',
                    'other=my_session', '')
{
    my $uri = '/' . ++$n;

    get($uri, "Cookie: $cookie");
    is(get($uri), 'HIT 1', "one for all beside '$cookie'");
}

get('/public', 'Cookie: my.session=alice');
is(get('/public'), 'HIT 1', 'what says that it is for all');

is(get('/named', 'Cookie: my_session=alice; my.session=bob'), 'MISS 1',
    'who is somebody');
is(get('/named', 'Cookie: my_session=alice'), 'HIT 1', 'has his own');

# several variables, a field, an argument

get('/two/cookie', 'Cookie: session=; session=alice');
is(get('/two/cookie'), 'MISS 2', 'a cookie of two variables');

get('/two/field', 'X-Api-Key: ', 'X-Api-Key: alice');
is(get('/two/field'), 'MISS 2', 'a field of two lines');

get('/argument/a?api_key=&api_key=alice');
is(get('/argument/a'), 'MISS 1', 'an argument that comes twice');

get('/argument/b?api%5Fkey=alice');
is(get('/argument/b'), 'MISS 1', 'and one that is encoded');

get('/argument/c?key=alice');
is(get('/argument/c'), 'HIT 1', 'another one');

get('/nobody/', 'Cookie: my_session=alice');
is(get('/nobody/'), 'HIT 1', 'where there are no users');

###############################################################################

sub get {
    my ($uri, @headers) = @_;

    my $r = http_get($uri, headers => \@headers);

    return header($r, 'X-Cache') . ' ' . body($r);
}

###############################################################################
