package Test::Nginx::Revoker;

# Copyright (C) The Optcache authors

# Tokens of a cluster that are used all the time by clients in processes of
# their own, and revoked as an application does it; how long each was let in
# after that.

use strict;
use warnings;

use Digest::SHA qw/ sha256_hex /;
use Time::HiRes qw/ clock_gettime CLOCK_MONOTONIC sleep time /;

use Test::Nginx::Client;
use Test::Nginx::Process;


my $count = 0;


# new(cluster => Test::Nginx::RedisCluster, dir => DIR)

sub new {
    my ($class, %o) = @_;
    return bless { %o, revoked => {} }, $class;
}


sub key { 'blacklist:' . sha256_hex($_[1]) }


# Tokens whose keys are with a node.

sub tokens {
    my ($self, $node, $n) = @_;

    my ($line) = grep { /\bmyself,master\b/ }
                 split /\n/, $node->cmd('CLUSTER', 'NODES');
    my (undef, undef, undef, undef, undef, undef, undef, undef, @slots)
        = split / /, $line;
    my @tokens;

    while (@tokens < $n) {
        my $token = 't' . $count++;
        my $slot = $node->cmd('CLUSTER', 'KEYSLOT', $self->key($token));

        push @tokens, $token
            if grep { /^(\d+)(?:-(\d+))?$/
                      && $slot >= $1 && $slot <= ($2 // $1) } @slots;
    }

    return @tokens;
}


sub get {
    my ($self, $token) = @_;
    return status(http_get('/x',
                           headers => { Authorization => "Bearer $token" }));
}


sub asked {
    my ($self) = @_;

    my $n = 0;
    $n += $_->calls('exists') for grep { $_->alive() }
                                  $self->{cluster}->nodes();
    return $n;
}


# Whether there comes a time when twenty checks of each token in a row ask for
# nothing: a busy machine may break a promise at any time.

sub kept {
    my ($self, @tokens) = @_;

    my $until = time() + 60;

    while (time() < $until) {
        $self->get($_) for @tokens;
        my $n = $self->asked();
        $self->get($_) for (@tokens) x 20;
        return 1 if $self->asked() == $n;
        sleep 0.05;
    }

    return 0;
}


# Whether a token is refused; not how soon.

sub refused {
    my ($self, $token) = @_;

    my $until = time() + 10;

    while (time() < $until) {
        return 1 if $self->get($token) == 401;
        sleep 0.01;
    }

    return 0;
}


# SETEX at whichever server takes it, until "replicas" of them have it.

sub revoke {
    my ($self, $token, %o) = @_;

    my $until = time() + 60;

    while (time() < $until) {

        for my $node (grep { $_->alive() } $self->{cluster}->nodes()) {
            my $done = eval { $self->_set($node, $self->key($token)) };
            my $now = clock_gettime(CLOCK_MONOTONIC);

            next unless $done;
            next if $o{replicas}
                    && eval { $done->cmd('WAIT', $o{replicas}, 1000) }
                       < $o{replicas};

            return $self->revoked($token, $now);
        }

        sleep 0.02;
    }

    die "$token could not be revoked\n";
}


# It was done by other means.

sub revoked {
    my ($self, $token, $now) = @_;

    $self->{revoked}{$token} = $now // clock_gettime(CLOCK_MONOTONIC);
    return 1;
}


sub _set {
    my ($self, $node, $key) = @_;

    my @set = ('SETEX', $key, 600, 1);

    return $node if eval { $node->cmd(@set) };

    $@ =~ /ASK \d+ \S*:(\d+)/ or return undef;

    my ($other) = grep { $_->port_number() == $1 } $self->{cluster}->nodes();

    $other->cmd('ASKING');
    return $other->cmd(@set) ? $other : undef;
}


# Clients that use these tokens until late() is asked for, and each of them at
# least ten times.

sub load {
    my ($self, $n, @tokens) = @_;

    for (1 .. $n) {
        pipe my $in, my $out or die "pipe: $!\n";

        Test::Nginx::Process->start(code => sub {
            close $in;
            print $out $self->_client(@tokens), "\n";
            close $out;
        });

        close $out;
        push @{ $self->{clients} }, $in;
    }
}


sub _client {
    my ($self, @tokens) = @_;

    my (%last, %n);

    for (my $i = 0; $i < 10 || !-e "$self->{dir}/enough"; $i++) {
        for my $token (@tokens) {
            my $start = clock_gettime(CLOCK_MONOTONIC);
            my $status = $self->get($token);

            $n{$status}++;
            $last{$token} = $start if $status == 200;
        }
    }

    return join ' ', (map { "$_=$last{$_}" } keys %last),
                     (map { "$_:$n{$_}" } keys %n);
}


# Ends the clients.  The longest time, in seconds, from the moment a token was
# revoked to the start of a request that was let in with it; 0 if there was
# none; and the number of answers by status.

sub late {
    my ($self) = @_;

    my ($late, %n) = (0);

    open my $fh, '>', "$self->{dir}/enough" or die "enough: $!\n";
    close $fh;

    for my $client (@{ delete $self->{clients} }) {
        my $line = <$client> // '';

        $n{$1} += $2 while $line =~ /(\w+):(\d+)/g;

        while ($line =~ /(\w+)=(\S+)/g) {
            my $at = $self->{revoked}{$1} // next;
            $late = $2 - $at if $2 - $at > $late;
        }

        close $client;
    }

    unlink "$self->{dir}/enough";

    return ($late, \%n);
}


1;
