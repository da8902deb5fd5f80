#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Users of several hosts neither wait for each other's answers nor get them;
# nor do those who may not wait, or ask for something else.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;
use Test::Nginx::CacheHosts;

my $fleet = Test::Nginx::CacheHosts->new(<<'CONF_END', n => 2)->plan(16);

        location / {
            optcache c;
            proxy_pass http://127.0.0.1:8085;
        }

        location /post/ {
            optcache c;
            optcache_methods GET POST;
            optcache_key $uri$optcache_body;
            proxy_pass http://127.0.0.1:8085;
        }
CONF_END

my ($t) = $fleet->hosts();
my ($port, $other_port) = $fleet->ports();
my $gate = $fleet->gate();

my $backend = $t->run_http_backend(8085, sub {
    my ($req) = @_;

    $gate->pass();

    my $user = $req->{headers}{authorization} // 'nobody';

    return [200, { 'Cache-Control' => 'private, max-age=60',
                   'X-User' => $user }, "answer for $user"];
});

$fleet->run();

###############################################################################

# one of a user asks, and at the other host one of each

my @s = (get('/a', $port, 'a'));
ok(asked(qr{/a$}, 1), 'one asks');

my %s = map { $_ => get('/a', $other_port, $_) } qw/ a b /;
my $nobody = get('/a', $other_port);

ok(asked(qr{/a$}, 3), 'others ask for themselves');
is(scalar($fleet->leased()), 3, 'by leases of their own');

my @r = $gate->opened(@s, @s{qw/ a b /}, $nobody);

is(join(' ', map { header($_, 'X-User') } @r), 'a a b nobody',
    'each gets his own');
is(join(' ', map { header($_, 'X-Cache') } @r), 'MISS HIT MISS MISS',
    'and who waits is the same one');
is($backend->count(qr{/a$}), 3, 'nobody asks again');

# many of two users at both hosts

@s = $fleet->start(20, sub { get('/b', $_[0], 'user' . $_[1] % 2) });
$fleet->busy(20);
@r = $gate->opened(@s);
is($backend->count(qr{/b$}), 2, 'one for each user');
is(scalar(grep { body($_) eq 'answer for user0' } @r), 20, 'half of them');
is(scalar(grep { body($_) eq 'answer for user1' } @r), 20, 'each');

# no name of a lease tells who it is of

@s = (get('/c', $port, 'Bearer-secret'));
asked(qr{/c$}, 1);
my %tokens = tokens();
is(join('', map { /^oc:l:\{oc:c:[0-9a-f]{64}\}$/ ? 1 : $_ } values %tokens),
    '1', 'a name');
push @s, get('/c', $other_port, 'other');
asked(qr{/c$}, 2);
%tokens = tokens();
is(join(' ', map { length } keys %tokens), '32 32', 'a token for each fetch');
$gate->opened(@s);

# who wants no stored answer, or only asks for its header

@s = (get('/d', $port));
asked(qr{/d$}, 1);
push @s, get('/d', $other_port, undef, 'Cache-Control' => 'no-cache');
push @s, http_head('/d', port => $other_port, start => 1);
ok(asked(qr{/d$}, 3), 'no-cache and HEAD do not wait');
$gate->opened(@s);

# by its body

@s = $fleet->start(4, sub {
    http_post('/post/', port => $_[0], start => 1, body => 'a' x ($_[1] % 2),
              headers => { Authorization => 'a' });
});
$fleet->busy(4);
@r = $gate->opened(@s);
is($backend->count(qr{/post/}), 2, 'a POST, one for each body');
is(scalar(grep { header($_, 'X-Cache') eq 'HIT' } @r), 6, 'others are hits');

ok(wait_for(sub { !$fleet->leased() }, 10), 'no lease is left');
is($fleet->log_count(qr/timed out/), 0, 'nobody has waited too long');

###############################################################################

sub get {
    my ($uri, $at, $user, %headers) = @_;

    $headers{Authorization} = $user if defined $user;

    return http_get($uri, port => $at, start => 1, headers => \%headers);
}


# Whose leases they are, but for those of uncacheable answers.

sub tokens {
    my %all = map { ($fleet->redis()->cmd('GET', $_) // '') => $_ }
              $fleet->leased();

    delete @all{'', 'u'};

    return %all;
}


sub asked {
    my ($re, $n) = @_;
    return wait_for(sub { $backend->count($re) == $n }, 20);
}

###############################################################################
