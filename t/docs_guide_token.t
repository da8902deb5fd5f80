#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The map of the guide finds a token wherever the module does, so that a key
# made of it refuses a revoked token however it is sent.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $guide = do {
    local $/;
    open my $file, '<', "$FindBin::Bin/../docs/guide-from-application.md"
        or die "guide: $!";
    <$file>;
};

my ($map) = $guide =~ /^(map \$http_authorization \$token \{.*?^\})/ms
    or die 'no map in the guide';

my @sent = (
    'Bearer %s', 'bearer %s', 'BEARER   %s', "\tBearer %s", " \t Bearer %s",
    "\t\tbearer  %s",
);

my $t = Test::Nginx->new()->plan(2 * @sent + 1);

my $conf = <<'EOT';

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server redis://127.0.0.1:6379;

    MAP

    server {
        listen 127.0.0.1:8080;

        token_blacklist on;
        token_blacklist_key blacklist:$token;

        location / {
        }
    }
}

EOT

$conf =~ s/MAP/$map/;

$t->write_file_expand('nginx.conf', $conf);
$t->write_file('x', 'SEE-THIS');

my $redis = $t->run_redis();

$redis->cmd('SETEX', 'blacklist:revoked.token', 3600, 1);
$t->run();

###############################################################################

for my $form (@sent) {
    my $name = $form =~ s/\t/\\t/gr;

    is(get(sprintf $form, 'revoked.token'), 401, "$name: revoked");
    is(get(sprintf $form, 'another'), 200, "$name: another");
}

is(get('Basic cmV2b2tlZC50b2tlbg=='), 200, 'another scheme');

###############################################################################

sub get {
    my ($value) = @_;

    return status(http_get('/x', headers => { Authorization => $value }));
}

###############################################################################
