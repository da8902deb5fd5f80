#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Parts of pages, streams of HTTP/2 and requests of workers that are to exit
# wait for other hosts like all others, and pages do not wait for each other in
# a ring.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Time::HiRes qw/ sleep /;

use Test::More;
use Test::Nginx;
use Test::Nginx::CacheHosts;

my $fleet = Test::Nginx::CacheHosts->new(<<'CONF_END', n => 2, http2 => 1)->plan(15);

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8085;
        }

        location /part/ {
            optcache c;
            optcache_key part;
            proxy_pass http://127.0.0.1:8085;
        }

        location /page/ {
            ssi on;
            ssi_types *;
            proxy_pass http://127.0.0.1:8085;
        }
CONF_END

my ($t, $other) = $fleet->hosts();
my ($port, $other_port) = $fleet->ports();
my $gate = $fleet->gate();

$t->has(qw/ http_ssi http_v2 /);

my %page = (
    ab => [qw/ a b /], cd => [qw/ c d /], dc => [qw/ d c /],
    more => [qw/ e c e d c /],
);

my $backend = $t->run_http_backend(8085, sub {
    my ($req) = @_;

    my $uri = $req->{uri};
    if ($uri =~ m{^/page/(\w+)}) {
        return [200, {}, join ' ',
                map { qq{<!--#include virtual="/part/$_" -->} } @{ $page{$1} }];
    }

    $gate->pass() if $uri =~ /gate|part/;

    return [200, { 'Cache-Control' => 'max-age=60' },
            "($uri $req->{count})"];
});

$fleet->run();

###############################################################################

# a page of parts, at both hosts

my @s = map { get('/page/ab', $_) } $port, $other_port;
ok(asked(qr{/part/}, 2), 'two parts');
my @r = $gate->opened(@s);
is($backend->count(qr{/part/a}) . $backend->count(qr{/part/b}), '11',
    'each is asked for once');
is(body($_), '(/part/a 1) (/part/b 1)', 'both pages are whole') for @r;

# pages of the same parts in another order, and again and again in one of them

@s = map { my $uri = $_; map { get("/page/$uri", $_) } $port, $other_port }
     qw/ cd dc more /;
ok(asked(qr{/part/[cde]}, 3), 'pages that wait for each other');
sleep 1.5;
@r = $gate->opened(@s);
is(scalar(grep { () = /\(\/part\/. \d\)/g } @r), 6, 'are all answered');
is($fleet->log_count(qr/timed out/), 0, 'and nobody has waited too long');

# streams

my @h2 = map { Test::Nginx::HTTP2->connect(port => $_ - 10) }
         $port, $other_port;
my @ids = map { my $h2 = $_; [$h2, map { $h2->send('/gate/h2') } 1 .. 10] } @h2;
$fleet->busy(10);
ok(asked(qr{/gate/h2}, 1), 'streams wait, too');
$gate->open();
@r = map { my ($h2, @all) = @$_; map { $h2->response($_) } @all } @ids;
$gate->close();
$_->close() for @h2;
is(scalar(grep { body($_) eq '(/gate/h2 1)' } @r), 20, 'and are answered');

# what a worker that is to exit waits for, and is waited for

@s = (get('/gate/exit', $port));
ok(asked(qr{/gate/exit}, 1), 'one asks');
push @s, map { get('/gate/exit', $other_port) } 1 .. 5;
ok(wait_for(sub { $fleet->working($other_port) == 5 }, 20), 'others wait');

$_->reload() for $t, $other;
$fleet->ready();

push @s, get('/gate/exit', $port), get('/gate/exit', $other_port);
sleep 1.5;
is($backend->count(qr{/gate/exit}), 1, 'nobody else asks, though they exit');
@r = $gate->opened(@s);
is(scalar(grep { body($_) eq '(/gate/exit 1)' } @r), 8, 'all are answered');

ok(wait_for(sub {
    $t->worker_pids(all => 1) == 2 && $other->worker_pids(all => 1) == 2;
}, 20), 'and the old workers go');

ok(wait_for(sub { !$fleet->leased() }, 10), 'no lease is left');

###############################################################################

sub get {
    my ($uri, $at) = @_;
    return http_get($uri, port => $at, start => 1);
}


sub asked {
    my ($re, $n) = @_;
    return wait_for(sub { $backend->count($re) == $n }, 20);
}

###############################################################################
