#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Nothing that a client sends begins a line of the error log, or is in it with
# bytes that a terminal obeys.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new(log => 'info')->plan(4);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=5s
                           connect_timeout=5s;
    ratelimit_redis_zone $uri$arg_key$http_x_key zone=a:1m rate=1r/h;
    ratelimit_redis_zone $uri$http_x_cost zone=cost:1m rate=100r/h
                         cost=$http_x_cost;
    token_zone 1m;

    optcache_redis_server redis://127.0.0.1:6379 timeout=5s
                          connect_timeout=5s;
    optcache_zone c:1m;
    optcache_key $uri$arg_key;
    optcache_tags $uri;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=a;
            ratelimit_redis zone=cost;
            token_blacklist on;
            optcache c;
            proxy_pass http://127.0.0.1:8081;
        }

        location /logout {
            token_revoke;
        }

        location /cache/ {
            optcache_api write=on;
        }

        location /limits/ {
            ratelimit_redis_api write=on;
        }
    }
}

EOF

# whatever is asked for is there, and none of it is what was stored

$t->run_fake_redis(port => 6379, reply => {
    GETRANGE => "\$7\r\ngarbage\r\n",
    EVALSHA => "-ERR \x{1b}[31m\tline\r\n",
});
$t->run_http_backend(8081, sub {
    return [200, { 'Cache-Control' => 'max-age=60' }, 'x'];
});

$t->run();

###############################################################################

my $evil = '%0A2026/01/01%20[alert]%20evil%1b[31m%0d%09';

my %headers = (
    'X-Key' => "k\x{1b}[31mevil",
    'X-Cost' => "c\x{1b}[31mevil",
    Authorization => "Bearer t\x{1b}[31mevil",
);

for my $path ('/', '/logout', '/cache/', '/cache/purge', '/limits/',
    '/limits/subjects/a/', '/limits/revocations/')
{
    for my $method (qw/ GET POST PURGE DELETE /) {
        http_request($method, "$path$evil?key=$evil");
        http_request($method, "$path$evil?key=$evil", headers => \%headers,
            body => "{\"uri\": \"/x\\n[alert] evil\\u001b\"}");
    }
}

ok($t->wait_for_log(qr/no valid entry in Redis/), 'a line with a request');
ok($t->log_count(qr/limiting requests|script of limits/), 'and others');

my $log = $t->error_log();

is(scalar(grep { !m{^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[\w+\] \d+#\d+: } }
          split /\n/, $log), 0, 'each line is one of nginx');

# the name of a field is not looked at, and the value of a line of the request
# is as it came, without what nginx refuses

unlike($log, qr/[^\n\x20-\x7e]/, 'and is text');

###############################################################################
