#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A client leaves while its limits are asked for, and the request goes on
# without it, elsewhere: the answer that comes then does not disturb it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->has_program('redis-server')
    ->plan(6);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s
                           connect_timeout=5s;
    ratelimit_redis_zone $arg_a zone=a:1m rate=100r/m;

    server {
        listen 127.0.0.1:8080;

        ratelimit_redis zone=a;

        location /free {
            post_action @free;
        }

        location @free {
            ratelimit_redis off;
            proxy_pass http://127.0.0.1:8081;
        }

        location /limited {
            post_action @limited;
        }

        location @limited {
            proxy_pass http://127.0.0.1:8081;
        }

        location = /logout {
            ratelimit_redis off;
            token_revoke;
            post_action @free;
        }
    }
}

EOF

$t->write_file($_, 'SEE-THIS') for qw/ free limited /;

my $fake = $t->run_fake_redis(behind => $t->run_redis(port => 6380));

my $backend = $t->run_http_backend(8081, sub {
    select undef, undef, undef, 2 if $_[0]->{uri} =~ /slow/;
    return [200, [], 'after'];
});

$t->run();

###############################################################################

is(status(http_get('/free?a=1')), 200, 'a client that stays');

$fake->set(delay => 1);

for my $uri ('/free?a=slow', '/limited?a=slow', '/limited?a=fast') {
    leave('GET', $uri);
    is($backend->count(qr/\Q$uri\E/), 1, "$uri goes on once");
}

leave('POST', '/logout?a=slow', 'Authorization: Bearer x');
is($backend->count(qr/logout/), 1, '/logout goes on once');

$fake->set(delay => undef);

is(status(http_get('/limited?a=1')), 200, 'and all is well');

###############################################################################

sub leave {
    my ($method, $uri, @fields) = @_;

    my $asked = $fake->log();
    my $s = http_request($method, $uri, headers => [@fields], body => '',
        start => 1);

    wait_for(sub { $fake->log() > $asked });
    close $s;

    wait_for(sub { $backend->count(qr/\Q$uri\E/) });
    select undef, undef, undef, 1.5;
}

###############################################################################
