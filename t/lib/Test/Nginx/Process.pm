package Test::Nginx::Process;

# Copyright (C) The Optcache authors

# A child process of a test: a program or a piece of Perl.  Whatever happens
# to the test, its children end with it: Test::Nginx calls cleanup() from
# END, and a test that is killed takes them along (PR_SET_PDEATHSIG, or a
# look at the parent for those in Perl).

use strict;
use warnings;

use IO::Handle;
use POSIX ();
use Time::HiRes qw/ sleep time /;


my @children;


# start(exec => [PROGRAM, ARGS], log => FILE, user => NAME, env => {},
#       deathsig => what it gets if the test is killed, default KILL,
#       endsig => what it gets at the end of the test, default KILL)
# start(code => sub { ... }, log => FILE)

sub start {
    my ($class, %o) = @_;

    my $self = bless {
        name => $o{name}, log => $o{log}, endsig => $o{endsig} || 'KILL',
    }, $class;
    my $parent = $$;
    my $pid = fork();

    die "fork() failed: $!\n" unless defined $pid;

    if ($pid == 0) {
        $SIG{$_} = 'DEFAULT' for qw/ INT TERM HUP PIPE ALRM CHLD __DIE__ /;

        eval {
            _redirect($o{log});
            %ENV = (%ENV, %{ $o{env} || {} });
            _exec($parent, \%o) if $o{exec};
            $o{code}->();
            1;
        } or print STDERR "$@";

        POSIX::_exit($@ ? 1 : 0);
    }

    $self->{pid} = $pid;
    push @children, $self;

    return $self;
}


sub _redirect {
    my ($log) = @_;

    $log = '/dev/null' unless defined $log;

    open STDIN, '<', '/dev/null' or die "/dev/null: $!\n";
    open STDOUT, '>>', $log or die "$log: $!\n";
    open STDERR, '>&', \*STDOUT or die "$log: $!\n";

    STDOUT->autoflush(1);
}


sub _exec {
    my ($parent, $o) = @_;

    my @program = @{ $o->{exec} };
    my $user = $o->{user};
    my @wrap;

    if (program('setpriv')) {
        @wrap = ('setpriv', '--pdeathsig', $o->{deathsig} || 'KILL');
        push @wrap, '--reuid', $user, '--regid', $user, '--init-groups'
            if defined $user;
        push @wrap, '--';

    } elsif (defined $user) {
        @wrap = ('runuser', '-u', $user, '--');
    }

    # the parent could be gone before it was asked after
    POSIX::_exit(1) if getppid() != $parent;

    no warnings 'exec';
    exec { ($wrap[0] || $program[0]) } @wrap, @program;
    die "$program[0]: $!\n";
}


# The path of a program, or undef.

sub program {
    my ($name) = @_;

    return -x $name ? $name : undef if $name =~ m{/};

    for my $dir (split(/:/, $ENV{PATH}), '/usr/sbin', '/sbin') {
        return "$dir/$name" if -x "$dir/$name" && !-d _;
    }

    return undef;
}


sub pid { $_[0]->{pid} }


sub alive {
    my ($self) = @_;

    return 0 if $self->{ended};

    local ($?, $!);

    if (waitpid($self->{pid}, POSIX::WNOHANG()) == $self->{pid}) {
        $self->{ended} = 1;
        $self->{status} = $?;
        return 0;
    }

    return 1;
}


# What waitpid() said of a process that ended.

sub exit_status { $_[0]->{status} }


sub signal {
    my ($self, $signal) = @_;

    return $self->alive() ? kill($signal, $self->{pid}) : 0;
}


# Bounded wait for the end; true if it came.

sub wait_end {
    my ($self, $seconds) = @_;

    my $until = time() + ($seconds || 10);

    while ($self->alive()) {
        return 0 if time() > $until;
        sleep 0.01;
    }

    return 1;
}


sub kill_hard {
    my ($self) = @_;

    $self->signal('KILL');
    return $self->wait_end(5);
}


# Politely, then not.  True if it went by itself.

sub stop {
    my ($self, $signal, $seconds) = @_;

    $self->signal('CONT') if $self->{suspended};
    $self->signal($signal || 'TERM');

    return 1 if $self->wait_end($seconds || 5);

    $self->kill_hard();
    return 0;
}


# Frozen: the kernel still accepts connections, nobody answers.

sub suspend {
    my ($self) = @_;

    $self->{suspended} = 1;
    return $self->signal('STOP');
}


sub resume {
    my ($self) = @_;

    $self->{suspended} = 0;
    return $self->signal('CONT');
}


sub output {
    my ($self) = @_;

    return '' unless defined $self->{log} && open my $fh, '<', $self->{log};
    local $/;
    return <$fh> // '';
}


sub cleanup {
    $_->stop($_->{endsig}, 5) for reverse @children;
    @children = ();
}


# In a child that is forked to serve: children of other processes are not its
# own to end.

sub forget { @children = () }


1;
