package Test::Nginx::Postgres;

# Copyright (C) The Optcache authors

# A real PostgreSQL, on loopback and a unix socket, in a directory of the
# test.  It refuses to run as root and then gets a user of its own.

use strict;
use warnings;

use base qw/ Test::Nginx::Process /;

use Time::HiRes qw/ sleep time /;

use Test::Nginx::Port qw/ port /;


# Debian keeps the server's programs out of the PATH.

sub program {
    my ($name) = @_;

    my ($newest) = sort { _major($b) <=> _major($a) }
                   glob "/usr/lib/postgresql/*/bin/$name";

    return $newest || Test::Nginx::Process::program($name);
}


sub _major { $_[0] =~ m{/postgresql/(\d+)/} ? $1 : 0 }


# run(dir => DIR, port => 5432, args => ['-c', 'max_connections=10'])

sub run {
    my ($class, %o) = @_;

    my $name = $o{port} || 5432;
    my $self = bless {
        data => "$o{dir}/postgres-$name",
        port => port($name),
        user => $> == 0 ? 'postgres' : undef,
        log => "$o{dir}/postgres-$name.log",
        args => $o{args} || [],
    }, $class;

    mkdir $self->{data} or die "$self->{data}: $!\n";

    if (defined $self->{user}) {
        my ($uid, $gid) = (getpwnam $self->{user})[2, 3];
        chown $uid, $gid, $self->{data} or die "chown: $!\n";
    }

    my $initdb = Test::Nginx::Process->start(
        exec => [program('initdb'), '-D', $self->{data}, '-U', 'postgres',
                 qw/ --auth trust --encoding UTF8 --locale C --no-sync /],
        user => $self->{user}, log => $self->{log},
    );

    $initdb->wait_end(60);
    die "initdb failed:\n" . $initdb->output() if $initdb->exit_status() // 1;

    return $self->launch();
}


sub launch {
    my ($self) = @_;

    my $data = $self->{data};

    $self->{process} = Test::Nginx::Process->start(
        exec => [program('postgres'), '-D', $data, '-p', $self->{port},
                 '-k', $data, '-c', 'listen_addresses=127.0.0.1',
                 '-c', 'fsync=off', '-c', 'full_page_writes=off',
                 '-c', 'shared_buffers=8MB', '-c', 'max_connections=40',
                 '-c', 'autovacuum=off',
                 @{ $self->{args} }],
        user => $self->{user}, log => $self->{log}, deathsig => 'INT',
        endsig => 'QUIT',
    );

    my $until = time() + 30;

    while (system("psql '" . $self->conninfo() . "' -c '' >/dev/null 2>&1")) {
        die "postgres did not start:\n" . $self->{process}->output()
            if !$self->{process}->alive() || time() > $until;
        sleep 0.05;
    }

    return $self;
}


for my $method (qw/ pid alive signal wait_end suspend resume /) {
    no strict 'refs';
    *$method = sub { my $self = shift; $self->{process}->$method(@_) };
}


sub cont { $_[0]->{process}->resume() }


sub port_number { $_[0]->{port} }


# For libpq: TCP by default, the unix socket with conninfo('unix').

sub conninfo {
    my ($self, $kind, $database) = @_;

    my $host = ($kind // '') eq 'unix' ? $self->{data} : '127.0.0.1';

    $database //= $self->{database} || 'postgres';

    return "host=$host port=$self->{port} user=postgres dbname=$database";
}


# The same server, and another database of it.

sub of {
    my ($self, $name) = @_;
    return bless { %$self, database => $name }, ref $self;
}


# Rows as lines, columns parted by "|".  Dies of an error.  The database is
# "postgres", or another one.

sub query {
    my ($self, $sql, $database) = @_;

    local $ENV{PGOPTIONS} = '-c client_min_messages=error';

    open my $fh, '-|', 'sh', '-c', 'exec "$@" 2>&1', 'sh',
                       qw/ psql -XAtq -v ON_ERROR_STOP=1 /,
                       $self->conninfo('tcp', $database), '-c', $sql
        or die "psql: $!\n";

    my $out = do { local $/; <$fh> } // '';

    close $fh or die "psql: $out";
    chomp $out;

    return $out;
}


# What pg_dump writes, as statements that query() takes.

sub dump {
    my ($self, @args) = @_;

    open my $fh, '-|', program('pg_dump'), '--inserts', @args,
                       $self->conninfo()
        or die "pg_dump: $!\n";

    my $out = do { local $/; <$fh> } // '';

    close $fh or die "pg_dump failed\n";

    return $out =~ s/^\\(?:un)?restrict .*\n//mgr;
}


# In the schema public, which a role looks at first from then on: what looks
# like the functions and operators of PostgreSQL itself, and writes down that
# it was called.  The operators "but" are left out.

sub set_traps {
    my ($self, $role, @but) = @_;

    my $but = join ', ', map { "'$_'::regoperator" } '=(aclitem,aclitem)',
                                                     @but;

    $self->query("ALTER ROLE $role SET search_path = public, pg_catalog");
    $self->query(<<"EOQ");
CREATE TABLE public.called (who text, what text);
GRANT ALL ON public.called TO PUBLIC;

CREATE FUNCTION pg_temp.trap(name text, args text, result text, is_set bool)
RETURNS void LANGUAGE plpgsql AS \$f\$
BEGIN
    EXECUTE format('CREATE FUNCTION public.%I(%s) RETURNS %s %s'
        ' LANGUAGE plpgsql AS %L', name, args,
        CASE WHEN is_set THEN 'SETOF' ELSE '' END, result,
        format('BEGIN INSERT INTO public.called VALUES (session_user, %L);'
               ' RETURN %s; END', name,
               CASE WHEN is_set THEN '' ELSE 'NULL' END));
END
\$f\$;

SELECT pg_temp.trap(proname, oidvectortypes(proargtypes),
                    prorettype::regtype::text, proretset)
FROM pg_proc
WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f'
      AND NOT EXISTS (SELECT FROM pg_type AS t
                      WHERE t.typtype = 'p'
                            AND (t.oid = prorettype
                                 OR t.oid = ANY (proargtypes)));

SELECT pg_temp.trap(name, args, 'text', false)
FROM (VALUES ('concat', 'bigint, text, bigint, text'),
             ('concat', 'xid8, text, xid8, text'),
             ('concat_ws', 'text, numeric, oid, oid'),
             ('concat_ws', 'text, double precision, oid, oid'))
     AS v (name, args);

SELECT pg_temp.trap('trap_' || oid, oprleft::regtype || ', '
                    || oprright::regtype, oprresult::regtype::text, false)
FROM pg_operator
WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprkind = 'b'
      AND oid NOT IN ($but)
      AND NOT EXISTS (SELECT FROM pg_type AS t
                      WHERE t.typtype = 'p'
                            AND t.oid IN (oprleft, oprright, oprresult));

DO \$d\$
DECLARE
    sql text;
BEGIN
    FOR sql IN
        SELECT format('CREATE OPERATOR public.%s (LEFTARG = %s, RIGHTARG = %s,'
                      ' FUNCTION = public.%I)', oprname, oprleft::regtype,
                      oprright::regtype, proname)
        FROM pg_proc JOIN pg_operator AS o ON proname = 'trap_' || o.oid
    LOOP
        EXECUTE sql;
    END LOOP;
END
\$d\$;
EOQ
}


# What a role has called of these.

sub trapped {
    my ($self, $role) = @_;

    return $self->query("SELECT DISTINCT what FROM public.called"
                        . " WHERE who = '$role'");
}


# An immediate shutdown of all its processes, as of a crash.

sub kill {
    my ($self) = @_;
    return $self->{process}->stop('QUIT', 10);
}


# Numbers that transactions had which were not written down: with a delay of
# the WAL writer of 10s those that have changed nothing.  Who listens looks.

sub lose_numbers {
    my ($self, $n, $channel) = @_;

    $self->query("DO 'BEGIN FOR i IN 1 .. $n LOOP PERFORM txid_current();"
                 . " COMMIT; END LOOP; END'");
    $self->query("NOTIFY $channel");
}


# One of its processes is killed: it ends the others, and goes on without what
# was in memory only.

sub crash {
    my ($self) = @_;

    eval { $self->query('COPY (SELECT 1) TO PROGRAM \'kill -9 $PPID\'') };

    my $until = time() + 30;

    while (!eval { $self->query('SELECT 1') }) {
        die "postgres did not come back\n" if time() > $until;
        sleep 0.05;
    }
}


sub stop {
    my ($self) = @_;
    return $self->{process}->stop('INT', 10);
}


sub restart {
    my ($self) = @_;

    $self->kill();
    return $self->launch();
}


# A copy of its directory, as a backup is, and the server of it: in the place
# of this one, or beside it, at another port.

sub save {
    my ($self) = @_;

    $self->stop();
    _run('cp', '-a', $self->{data}, "$self->{data}.saved");

    return $self->launch();
}


sub restore {
    my ($self) = @_;

    $self->kill();
    _run('rm', '-rf', $self->{data});
    _run('cp', '-a', "$self->{data}.saved", $self->{data});

    return $self->launch();
}


sub copy {
    my ($self, $name) = @_;

    my $copy = bless {
        %$self, data => "$self->{data}-$name", port => port($name),
        log => "$self->{data}-$name.log",
    }, ref $self;

    _run('cp', '-a', "$self->{data}.saved", $copy->{data});

    return $copy;
}


# Its next transaction gets this number: that of the first one of a page.

sub forward {
    my ($self, $xid) = @_;

    $xid -= $xid % 32768;
    $self->stop();

    my $reset = Test::Nginx::Process->start(
        exec => [program('pg_resetwal'), '-f', '-x', $xid, $self->{data}],
        user => $self->{user}, log => $self->{log},
    );

    $reset->wait_end(30);
    die "pg_resetwal failed:\n" . $reset->output()
        if $reset->exit_status() // 1;

    return $self->launch();
}


sub _run {
    system(@_) == 0 or die "$_[0] failed: $?\n";
}


1;
