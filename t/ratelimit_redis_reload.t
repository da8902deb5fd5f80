#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A reload with other rates takes effect at once, in a zone that is kept: what
# was used stays used. With another algorithm it begins anew. Another key is
# refused.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has_program('redis-server')->plan(25);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    %%SERVER%%
    ratelimit_redis_zone %%KEY%% zone=a:%%SIZE%% %%RATES%%;

    server {
        listen 127.0.0.1:8080;
        ratelimit_redis zone=a %%RULE%%;
    }
}

EOF

$t->write_file('index.html', 'SEE-THIS');

my $conf = $t->read_file('nginx.conf');

$t->run_redis();

###############################################################################

for my $server ('', 'ratelimit_redis_server redis://127.0.0.1:6379'
                    . ' timeout=5s connect_timeout=5s;')
{
    my $how = $server ? ', in Redis' : ', here';
    my %c = (SERVER => $server, KEY => '$arg_a', SIZE => '1m');

    configure(%c, RATES => 'rate=2r/m');
    $t->run();

    is(get(3), '200 200 429', 'two' . $how);

    configure(%c, RATES => 'rate=4r/m');
    ok($t->reload(), 'reload');
    is(get(3), '200 200 429', 'raised: two more' . $how);

    configure(%c, RATES => 'rate=3r/m');
    $t->reload();
    is(get(1), '429', 'lowered' . $how);

    configure(%c, RATES => 'rate=9r/m rate=1r/h rate=8r/d');
    $t->reload();
    is(get(2), '200 429', 'an hour and a day more' . $how);

    configure(%c, RATES => 'rate=9r/m');
    $t->reload();
    is(header(http_get('/?a=1'), 'X-RateLimit-Remaining'), 3,
        'the minute was counted all the while' . $how);

    configure(%c, RATES => 'rate=3r/m algorithm=sliding_window');
    $t->reload();
    is(get(4), '200 200 200 429', 'another algorithm begins anew' . $how);

    configure(%c, RATES => 'rate=1r/m burst=1 algorithm=gcra',
              RULE => 'nodelay');
    $t->reload();
    is(get(3), '200 200 429', 'a bucket, too' . $how);

    configure(%c, RATES => 'rate=1r/m burst=2 algorithm=gcra',
              RULE => 'nodelay');
    $t->reload();
    is(get(2), '200 429', 'a larger burst counts at once' . $how);

    $t->stop();
}

# more rates than the zone has room for: what is known here begins anew

my %c = (SERVER => '', KEY => '$arg_a', SIZE => '1m');

configure(%c, RATES => 'rate=2r/m');
$t->run();
get(3);
configure(%c, RATES => join ' ', map { "rate=2r/${_}m" } 1 .. 8);
ok($t->reload(wait_old => 1), 'eight rates');
is(get(3), '200 200 429', 'begin anew');

# a zone of another size, and one with another key

configure(%c, RATES => 'rate=2r/m', SIZE => '2m');
ok($t->reload(), 'another size');
is(get(3), '200 200 429', 'is another zone');

$t->expect_log(qr/ratelimit_redis_zone "a" uses the "\$arg_b" key/);
configure(%c, RATES => 'rate=9r/m', SIZE => '2m', KEY => '$arg_b');
ok(!$t->reload(), 'another key is refused');
is($t->log_count(qr/"\$arg_b" key while previously it used the "\$arg_a" key/),
    1, 'with the reason');
is(get(1), '429', 'and the old one goes on');

###############################################################################

sub configure {
    my (%c) = @_;
    $t->write_file('nginx.conf',
                   $t->expand($conf =~ s{%%(\w+)%%}{$c{$1} // ''}gre));
}


sub get { return join ' ', map { status(http_get('/?a=1')) } 1 .. $_[0] }

###############################################################################
