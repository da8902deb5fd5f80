#!/usr/bin/perl

# Copyright (C) The Optcache authors

# An answer that is not stored lets all hosts go that wait for it, as soon as
# its header says so, and nobody queues for another.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::CacheHosts;

my $fleet = Test::Nginx::CacheHosts->new(<<'CONF_END', n => 2)->plan(11);

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8085;
        }
CONF_END

my ($t) = $fleet->hosts();
my ($port, $other_port) = $fleet->ports();
my $gate = $fleet->gate();
my $end = Test::Nginx::Gate->new($t, 'end');

my $backend = $t->run_http_backend(8085, sub {
    my ($req) = @_;

    my $s = $req->{socket};

    $gate->pass();

    if ($req->{uri} =~ /body/) {
        # a header, and a long time nothing
        print $s "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n"
                 . "Content-Length: 4\r\n\r\n";
        $end->pass();
        print $s 'long';
        return;
    }

    return [200, { 'Cache-Control' => 'max-age=60' }, 'stored']
        if $req->{uri} =~ /change/ && $req->{count} > 1;

    return [200, { 'Cache-Control' => 'private, no-store' }, 'not stored'];
});

$fleet->run();

my $redis = $fleet->redis();

###############################################################################

my @s = $fleet->start(10, sub { get('/a', @_) });
$fleet->busy(10);
ok(asked(qr{/a$}, 1), 'one asks');
my @r = $gate->opened(@s);
is(scalar(grep { body($_) eq 'not stored' } @r), 20, 'all are answered');
is($backend->count(qr{/a$}), 20, 'each by an answer of his own');

my ($lease) = $fleet->leased();
is($redis->cmd('GET', $lease), 'u', 'the lease says that it is uncacheable');
my $left = $redis->cmd('PTTL', $lease);
ok($left > 0 && $left <= 5000, 'for 5 seconds');

# who comes then does not wait, at a host that has not asked, either

$gate->close();

@s = (get('/body', $port));
asked(qr{/body}, 1);
push @s, map { get('/body', $other_port) } 1 .. 5;
ok(wait_for(sub { $fleet->working($other_port) == 5 }, 20), 'others wait');
$gate->open();
ok(asked(qr{/body}, 6), 'until there is a header');
push @s, map { get('/body', $_) } $port, $other_port;
ok(asked(qr{/body}, 8), 'nor does anybody wait then');
$end->open();
@r = map { http_end($_) } @s;
is(scalar(grep { body($_) eq 'long' } @r), 8, 'all are answered');

# what can be stored meanwhile is found

get_all('/change', $port);
get_all('/change', $port);
wait_for(sub { $redis->entries() }, 10);
is(header(get_all('/change', $other_port), 'X-Cache'), 'HIT',
    'an answer that is stored is found');
is($fleet->log_count(qr/timed out/), 0, 'nobody has waited too long');

###############################################################################

sub get {
    my ($uri, $at) = @_;
    return http_get($uri, port => $at, start => 1);
}


sub get_all { return http_end(get(@_)) }


sub asked {
    my ($re, $n) = @_;
    return wait_for(sub { $backend->count($re) == $n }, 20);
}

###############################################################################
