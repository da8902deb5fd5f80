#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The key of a limit, its rate, its cost and the source of a token may match what
# they like: the captures of the location stay as they are, so that nobody
# chooses by a cookie what upstream is asked for.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has(qw/ http_proxy http_rewrite /)
        ->has_program('redis-server')->plan(20);

$t->run_redis();

$t->write_file_expand('nginx.conf', <<"EOF");

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;

    map \$cookie_session \$user {
        ~^user-(.*)\$  \$1;
    }

    map \$cookie_plan \$rate {
        ~^plan-(.*)\$  2r/m;
        default        1r/m;
    }

    map \$cookie_size \$units {
        ~^units-(.)\$  \$1;
        default        1;
    }

    map \$cookie_token \$token {
        ~^token-(.*)\$  \$1;
    }

    map \$cookie_session \$whole {
        ~^(?<named>.*)\$  x;
    }

    ratelimit_redis_zone \$user zone=k:1m rate=1r/m;
    ratelimit_redis_zone "\$user-\$1" zone=m:1m rate=1r/m;
    ratelimit_redis_zone "\$1-\$user" zone=b:1m rate=1r/m;
    ratelimit_redis_zone "\$named\$whole\$named" zone=n:1m rate=1r/m;
    ratelimit_redis_zone \$uri zone=r:1m rate=\$rate;
    ratelimit_redis_zone \$uri zone=c:1m rate=9r/m cost=\$units;

    server {
        listen 127.0.0.1:8080;

        location ~ ^/key/(.*)\$ {
            ratelimit_redis zone=k;
            proxy_pass http://127.0.0.1:8081/of/\$1;
        }

        location ~ ^/more/(.*)\$ {
            ratelimit_redis zone=m;
            proxy_pass http://127.0.0.1:8081/of/\$1;
        }

        location ~ ^/before/(.*)\$ {
            ratelimit_redis zone=b;
            proxy_pass http://127.0.0.1:8081/of/\$1;
        }

        location ~ ^/named/(.*)\$ {
            ratelimit_redis zone=n;
            proxy_pass http://127.0.0.1:8081/of/\$1;
        }

        location ~ ^/rate/(.*)\$ {
            ratelimit_redis zone=r;
            proxy_pass http://127.0.0.1:8081/of/\$1;
        }

        location ~ ^/cost/(.*)\$ {
            ratelimit_redis zone=c;
            proxy_pass http://127.0.0.1:8081/of/\$1;
        }

        location ~ ^/token/(.*)\$ {
            token_source \$token;
            token_blacklist on;
            proxy_pass http://127.0.0.1:8081/of/\$1;
        }
    }
}

EOF

$t->run_http_backend(8081, sub { $_[0]{uri} });

$t->run();

###############################################################################

is(get('/key/home', 'session=user-evil'), '200 /of/home', 'a key');
like(get('/key/home', 'session=user-evil'), qr/^429/, 'is what was matched');
is(get('/key/a', 'session=user-other'), '200 /of/a', 'another');

is(get('/more/a', 'session=none'), '200 /of/a', 'with a capture in it');
is(get('/more/b', 'session=none'), '200 /of/b', 'where nothing was matched');
like(get('/more/a', 'session=nobody'), qr/^429/, 'is the same, too');

# a capture is that of the location where the match comes behind it, too: it was
# measured before, and a match may be longer

my $long = 'user-' . 'A' x 6000;

is(get('/before/a', 'session=user-x'), '200 /of/a', 'before a match');
is(get('/before/b', 'session=user-x'), '200 /of/b', 'another');
like(get('/before/a', 'session=user-x'), qr/^429/, 'the same');
is(get('/before/c', "session=$long"), '200 /of/c', 'a long match');
like(get('/before/c', "session=$long"), qr/^429/, 'the same');

is(get('/named/a', "session=$long"), '200 /of/a', 'of a name');
like(get('/named/a', "session=$long"), qr/^429/, 'the same');
is(get('/named/a', "session=${long}A"), '200 /of/a', 'a longer one');
is(get('/named/a', ''), '200 /of/a', 'and none');

is(get('/rate/home', 'plan=plan-evil'), '200 /of/home', 'a rate');
is(get('/rate/home', 'plan=plan-evil'), '200 /of/home', 'is, too');
is(get('/cost/home', 'size=units-9'), '200 /of/home', 'a cost');
like(get('/cost/home', ''), qr/^429/, 'was all there is');

is(get('/token/home', 'token=token-evil'), '200 /of/home', 'a token');

###############################################################################

sub get {
    my ($uri, $cookie) = @_;

    my $r = http_get($uri, headers => { Cookie => $cookie });

    return status($r) . ' ' . (body($r) // '');
}

###############################################################################
