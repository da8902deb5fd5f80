#!/usr/bin/perl

# Copyright (C) The Optcache authors

# When there is no answer at the host that asks, because its client has left or
# the upstream has failed, another one asks next; so does who has waited too
# long.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::CacheHosts;

my $fleet = Test::Nginx::CacheHosts->new(<<'CONF_END', n => 2)->plan(20);

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8085;
        }

        location /timeout/ {
            optcache c;
            optcache_lock_timeout 200ms;
            proxy_pass http://127.0.0.1:8085;
        }

        location /hasty/ {
            optcache c;
            optcache_lock_timeout 0;
            proxy_pass http://127.0.0.1:8085;
        }

        location /refused/ {
            optcache c;
            proxy_pass http://127.0.0.1:8086;
        }
CONF_END

my ($t) = $fleet->hosts();
my ($port, $other_port) = $fleet->ports();
my $gate = $fleet->gate();

my $backend = $t->run_http_backend(8085, sub {
    my ($req) = @_;

    my ($s, $uri, $n) = @$req{qw/ socket uri count /};

    return 'posted' if $req->{method} eq 'POST';

    $gate->pass();

    return if $uri =~ /nothing/ && $n == 1;
    return [500, {}, 'failed'] if $uri =~ /500/ && $n == 1;

    return [200, { 'Cache-Control' => 'max-age=60' }, "answer $n"];
});

$fleet->run();

###############################################################################

# a client that leaves the host that asks, and some of those that wait

my ($first, @s) = started('/leaves', 10);
close $first;
ok(asked(qr{/leaves}, 2), 'its client leaves: another host asks');
close $_ for splice @s, 1, 5;
my @r = $gate->opened(@s);
is(scalar(grep { body($_) =~ /answer \d/ } @r), 5, 'for those that stay');
cmp_ok($backend->count(qr{/leaves}), '<=', 7, 'one after the other');

# the only one of a host that waits leaves, which does not matter to others

($first, @s) = started('/waits', 1);
close $s[0];
ok(wait_for(sub { $fleet->working($other_port) == 0 }, 20), 'a waiter leaves');
push @s, get('/waits', $other_port);
ok(wait_for(sub { $fleet->working($other_port) == 1 }, 20), 'another comes');
@r = $gate->opened($first, $s[1]);
is(join(' ', map { body($_) } @r), 'answer 1 answer 1', 'and is answered');

# an upstream that closes, is not there, says that it has failed

($first, @s) = started('/nothing', 5);
$gate->open();
@r = map { http_end($_) } $first, @s;
$gate->close();
is(status($r[0]), 502, 'an upstream that says nothing');
is(scalar(grep { body($_) eq 'answer 2' } @r), 5, 'is asked by another one');
is($backend->count(qr{/nothing}), 2, 'and by nobody else');

($first, @s) = started('/500', 5);
$gate->open();
@r = map { http_end($_) } $first, @s;
$gate->close();
is(status($r[0]), 500, 'an upstream that says it has failed');
is(scalar(grep { /answer/ } @r), 5, 'is asked by others at once');

@s = $fleet->start(5, sub { get('/refused/', @_) });
@r = map { http_end($_) } @s;
is(scalar(grep { status($_) == 502 } @r), 10, 'none: all hear of it');
ok(wait_for(sub { !grep { $fleet->redis()->cmd('GET', $_) ne 'u' }
                  $fleet->leased() }, 10), 'no lease is left');

# an answer that is invalidated before it is here

($first, @s) = started('/overtaken', 5);
http_post('/overtaken', port => $port);
@r = $gate->opened($first, @s);
is(join(' ', map { body($_) } @r), join(' ', 'answer 1', ('answer 2') x 5),
    'invalidated under way: one of those that wait asks again');

# who waits too long

($first, @s) = started('/timeout/', 3);
ok(asked(qr{/timeout/}, 4), 'who has waited too long asks by himself');
@r = $gate->opened($first, @s);
is(scalar(grep { /answer/ } @r), 4, 'all are answered');
is($fleet->log_count(qr/lock timed out/), 3, 'and it is told');

@s = $fleet->start(2, sub { get('/hasty/', @_) });
ok(asked(qr{/hasty/}, 4), 'who is not to wait does not');
@r = $gate->opened(@s);
is(scalar(grep { /answer/ } @r), 4, 'all are answered');

is($fleet->log_count(qr/\[(error|crit)\](?!.*upstream)/), 0, 'no error');

###############################################################################

# One asks at the first host, n others wait at another.

sub started {
    my ($uri, $n) = @_;

    my @started = (get($uri, $port));

    asked(qr{$uri}, 1);
    push @started, map { get($uri, $other_port) } 1 .. $n;

    wait_for(sub { $fleet->working($other_port) == $n }, 20)
        or $uri =~ /timeout/ or die "they do not wait\n";

    return @started;
}


sub get {
    my ($uri, $at) = @_;
    return http_get($uri, port => $at, start => 1);
}


sub asked {
    my ($re, $n) = @_;
    return wait_for(sub { $backend->count($re) == $n }, 20);
}

###############################################################################
