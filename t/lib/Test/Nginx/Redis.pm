package Test::Nginx::Redis;

# Copyright (C) The Optcache authors

# A real Redis on loopback that keeps nothing on disk.

use strict;
use warnings;

use base qw/ Test::Nginx::Process /;

use Time::HiRes qw/ sleep time /;

use Test::Nginx::Port qw/ port /;
use Test::Nginx::Resp;


my $count = 0;


# run(dir => DIR, port => 6379, args => [..], unix => 1, tls => 1 or {..})
#
# port: as named in the configuration, default 6379.
# unix: also listens on DIR/redis.sock (redis-PORT.sock for other ports).
# tls: also listens with TLS on tls_port (default 6390), with a certificate
# for tls_name (default "localhost") issued by DIR/ca.crt.

sub run {
    my ($class, %o) = @_;

    my $name = $o{port} || 6379;
    my $self = bless {
        dir => $o{dir},
        port => port($name),
        tls_port => $o{tls} ? port($o{tls_port} || 6390) : undef,
        unix => $o{unix}
                ? "$o{dir}/redis" . ($name == 6379 ? '' : "-$name") . '.sock'
                : undef,
        log => "$o{dir}/redis-$name.log",
    }, $class;

    my @args = (
        '--port', $self->{port}, '--bind', '127.0.0.1', '--dir', $o{dir},
        '--save', '', '--appendonly', 'no', '--daemonize', 'no',
        '--loglevel', 'notice',
    );

    push @args, '--unixsocket', $self->{unix}, '--unixsocketperm', '700'
        if $self->{unix};

    if ($o{tls}) {
        my $cert = $o{tls_name} || 'localhost';

        make_cert($o{dir}, $cert);
        push @args, '--tls-port', $self->{tls_port},
                    '--tls-cert-file', "$o{dir}/$cert.crt",
                    '--tls-key-file', "$o{dir}/$cert.key",
                    '--tls-ca-cert-file', "$o{dir}/ca.crt",
                    '--tls-auth-clients', 'no';
    }

    $self->{args} = [@args, @{ $o{args} || [] }];
    $self->{client} = Test::Nginx::Resp->new(port => $self->{port});

    return $self->launch();
}


sub launch {
    my ($self) = @_;

    my $process = Test::Nginx::Process->start(
        exec => ['redis-server', @{ $self->{args} }], log => $self->{log},
    );

    # the same object is used for the life of all its processes
    $self->{process} = $process;
    $self->{client}->disconnect();

    my $until = time() + 20;

    while (1) {
        # an error is an answer too: a password may be asked for
        last if defined $self->{client}->raw('PING');

        die "redis did not start:\n" . $process->output()
            if !$process->alive() || time() > $until;

        sleep 0.02;
    }

    return $self;
}


for my $method (qw/ pid alive signal wait_end kill_hard stop suspend resume /) {
    no strict 'refs';
    *$method = sub { my $self = shift; $self->{process}->$method(@_) };
}


# The names that read well in a test.

sub kill { $_[0]->{process}->kill_hard() }
sub cont { $_[0]->{process}->resume() }


# Killed if it still runs, then started anew, empty, on the same ports.

sub restart {
    my ($self) = @_;

    $self->{process}->kill_hard();
    return $self->launch();
}


sub port_number { $_[0]->{port} }
sub tls_port { $_[0]->{tls_port} }
sub unix { $_[0]->{unix} }


# cmd('SET', 'a', 'b'): strings and numbers as they are, nil as undef, arrays
# as references; dies of an error reply.
#
# DBSIZE and KEYS do not tell of the stream of invalidations, which comes when
# a host does.

sub cmd {
    my ($self, @args) = @_;

    my $reply = $self->{client}->cmd(@args);
    my $name = uc $args[0];

    return [grep { !/:invalidate\z/ } @$reply] if $name eq 'KEYS';

    return $reply - @{ $self->{client}->cmd('KEYS', '*:invalidate') }
        if $name eq 'DBSIZE';

    return $reply;
}


# FLUSHALL without the stream of invalidations: without that, nothing that is
# in the memory of a host is used.

sub forget {
    my ($self) = @_;

    my @keys = @{ $self->cmd('KEYS', '*') };

    $self->cmd('DEL', @keys) if @keys;
}


# The names of what the cache has stored, and how many there are: keys that it
# has for a moment do not count.

sub entry_names {
    my ($self) = @_;
    return [grep { /:[0-9a-f]{64}$/ } @{ $self->cmd('KEYS', '*') }];
}


sub entries { return scalar @{ $_[0]->entry_names() } }


# One value of INFO, or all of it as a hash.

sub info {
    my ($self, $name) = @_;

    my %info = $self->cmd('INFO', 'everything') =~ /^([^#:\r\n]+):(.*)\r$/mg;

    return defined $name ? $info{$name} : \%info;
}


sub _calls {
    my ($info, $command) = @_;

    return ($info->{"cmdstat_$command"} // '') =~ /calls=(\d+)/ ? $1 : 0;
}


# How often a command was executed since the start ("evalsha"), or all.  The
# signs of life of hosts, which come when they come, are no EVAL.

sub calls {
    my ($self, $command) = @_;

    return $self->info('total_commands_processed') unless defined $command;

    # of one moment: a sign of life may come between two of them

    my $info = $self->info();
    my $calls = _calls($info, lc $command);

    $calls -= _calls($info, 'zadd') if lc $command eq 'eval';

    return $calls;
}


# How many scripts it has run, signs of life among them.  A replica runs none: it
# is told what they did elsewhere, so that for it calls('eval') may shrink.

sub scripts {
    my ($self) = @_;

    my $info = $self->info();

    return _calls($info, 'eval') + _calls($info, 'evalsha');
}


# How many error replies began with this word ("MOVED"), since the start.

sub errors {
    my ($self, $code) = @_;

    my $stat = $self->info("errorstat_$code") // '';
    return $stat =~ /count=(\d+)/ ? $1 : 0;
}


# DIR/ca.crt, DIR/NAME.crt and DIR/NAME.key, made once.

sub make_cert {
    my ($dir, $name) = @_;

    my $quiet = "2>>$dir/openssl.out";
    my $new = "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
              . " -config $dir/openssl.cnf";

    if (!-e "$dir/ca.crt") {
        open my $fh, '>', "$dir/openssl.cnf" or die "openssl.cnf: $!\n";
        print $fh "[req]\ndistinguished_name = dn\n[dn]\n"
                  . "[ca]\nbasicConstraints = critical,CA:TRUE\n";
        close $fh;

        system("$new -x509 -days 2 -extensions ca -subj '/CN=test ca'"
               . " -keyout $dir/ca.key -out $dir/ca.crt $quiet") == 0
            or die "openssl: cannot make a CA\n";
    }

    return "$dir/$name.crt" if -e "$dir/$name.crt";

    my $kind = $name =~ /^[0-9.]+$|:/ ? 'IP' : 'DNS';

    open my $fh, '>', "$dir/$name.ext" or die "$name.ext: $!\n";
    print $fh "subjectAltName = $kind:$name\n";
    close $fh;

    system("$new -subj '/CN=$name' -keyout $dir/$name.key"
           . " -out $dir/$name.csr $quiet && openssl x509 -req -days 2"
           . " -in $dir/$name.csr -CA $dir/ca.crt -CAkey $dir/ca.key"
           . " -CAcreateserial -extfile $dir/$name.ext"
           . " -out $dir/$name.crt $quiet") == 0
        or die "openssl: cannot make a certificate\n";

    return "$dir/$name.crt";
}


1;
