#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Workers of two configurations share zones: they lock several of them in one
# order, or wait for each other for ever.  The order is seen in who refuses.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->plan(4);

my $conf = <<'EOF';

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_zone $arg_a zone=%%ONE%%:1m rate=1r/h;
    ratelimit_redis_zone $arg_a zone=%%TWO%%:1m rate=1r/h;

    server {
        listen 127.0.0.1:8080;

        location / {
            ratelimit_redis zone=%%TWO%%;
            ratelimit_redis zone=%%ONE%%;
        }
    }
}

EOF

$t->write_file('x', 'SEE-THIS');

write_conf(one => 'a', two => 'ab');
$t->run();

###############################################################################

is(status(http_get('/x?a=1')), 200, 'both have room');
is(order(), 'a ab', 'both refuse');

write_conf(one => 'ab', two => 'a');
$t->reload();

is(status(http_get('/x?a=1')), 429, 'known after a reload');
is(order(), 'a ab', 'defined the other way round, in the same order');

###############################################################################

sub write_conf {
    my (%name) = @_;
    my $text = $conf =~ s/%%(ONE|TWO)%%/$name{lc $1}/gr;
    $t->write_file_expand('nginx.conf', $text);
}


sub order {
    my ($names) = body(http_get('/x?a=1')) =~ /"violated-policies":\[(.*?)\]/;
    return join ' ', $names =~ /\w+/g;
}

###############################################################################
