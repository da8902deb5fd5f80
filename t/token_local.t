#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Without Redis this host is the authority: revocations live in shared memory,
# for their time, for all workers, and outlive a reload.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->plan(11);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    token_zone 64k;

    server {
        listen 127.0.0.1:8080;

        token_blacklist on;

        location / {
        }

        location = /logout {
            token_blacklist off;
            token_revoke;
            token_revoke_ttl 1h;
        }

        location = /short {
            token_revoke;
            token_revoke_ttl 1s;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');
$t->run();

###############################################################################

is(status(get('t')), 200, 'before');
is(status(post('/logout', 't')), 204, 'logout');

my %statuses = map { status(get('t')) => 1 } 1 .. 20;
is(join(' ', keys %statuses), '401', 'all workers refuse');

is(status(post('/short', 's')), 204, 'for a second');
is(status(get('s')), 401, 'refused');
select undef, undef, undef, 1.1;
is(status(get('s')), 200, 'the second is over');

ok($t->reload(wait_old => 1), 'reload');
is(status(get('t')), 401, 'still refused');

# a flood of logouts is bounded: the oldest go, and that is not silent

my $s = http_connect();

for my $i (1 .. 1000) {
    http_request('POST', '/logout', socket => $s, keepalive => 1, body => '',
        headers => { Authorization => "Bearer x$i" });
}

is(status(get('x1000')), 401, 'the newest is refused');
is(status(get('x1')), 200, 'the oldest is forgotten');
ok($t->log_count(qr/\[warn\].*token_zone is full/), 'and that is told');

###############################################################################

sub get {
    my ($token) = @_;
    return http_get('/x', headers => { Authorization => "Bearer $token" });
}


sub post {
    my ($uri, $token) = @_;
    return http_post($uri, headers => { Authorization => "Bearer $token" });
}

###############################################################################
