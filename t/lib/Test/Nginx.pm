package Test::Nginx;

# Copyright (C) The Optcache authors

# Starts a real nginx with the configuration a test shows, and everything
# that stands around it.  See docs/development.md for how a test looks.
#
# Whatever a test looks at, it also fails when nginx left an alert, a crash,
# a sanitizer report or a process behind; what is meant to happen is declared
# with expect_log() or kill_worker().

use strict;
use warnings;

use base qw/ Exporter /;

our @EXPORT = (qw/ port wait_for /);

use Cwd qw/ abs_path /;
use File::Basename qw/ dirname /;
use File::Path qw/ rmtree /;
use File::Temp qw/ tempdir /;
use IO::Handle;
use Test::More ();
use Time::HiRes qw/ sleep time /;

use Test::Nginx::Client;
use Test::Nginx::Fake;
use Test::Nginx::FakeRedis;
use Test::Nginx::Port qw/ port /;
use Test::Nginx::Postgres;
use Test::Nginx::Process;
use Test::Nginx::Redis;
use Test::Nginx::RedisCluster;
use Test::Nginx::Sentinel;

push @EXPORT, @Test::Nginx::Client::EXPORT;


my $root = dirname(dirname(dirname(dirname(abs_path(__FILE__)))));
my $nginx = $ENV{TEST_NGINX_BINARY} || Test::Nginx::Process::program('nginx')
            || 'nginx';
my $build = $ENV{OPTCACHE_BUILD} || "$root/build";
my @modules = map { "ngx_http_${_}_module.so" } qw/ optcache ratelimit_redis /;

my $owner = $$;
my ($planned, @instances, $version_text);


$SIG{INT} = $SIG{TERM} = sub { exit 1 };

# nginx takes it for the sockets of a binary upgrade
delete $ENV{NGINX};

# writing to a peer that left is an error to look at, not the end
$SIG{PIPE} = 'IGNORE';


# new(log => LEVEL of error.log, default debug where nginx has it;
#     modules => [PATHS of .so], default both of ours)
#
# Several may run side by side, as the hosts of a fleet.

sub new {
    my ($class, %o) = @_;

    my $self = bless {
        dir => tempdir('/tmp/optcache-test-XXXXXXXX'),
        log => $o{log} || (_built_with('debug') ? 'debug' : 'info'),
        modules => $o{modules} || [map { "$build/$_" } @modules],
        expected => [],
        faults => [],
    }, $class;

    # PostgreSQL runs as a user of its own when the test is run by root
    chmod 0755, $self->{dir};

    push @instances, $self;

    return $self;
}


# Skips the test unless nginx was built with all of these ("http_v2",
# "threads") and the system has them ("ipv6").

sub has {
    my ($self, @features) = @_;

    for my $feature (@features) {
        my $ok = $feature eq 'ipv6' ? _ipv6() : _built_with($feature);
        Test::More::plan(skip_all => "no $feature available") unless $ok;
    }

    return $self;
}


# Skips the test unless these programs are there.

sub has_program {
    my ($self, @programs) = @_;

    for my $name (@programs) {
        my $ok = $name eq 'postgres' ? Test::Nginx::Postgres::program('initdb')
                                     : Test::Nginx::Process::program($name);
        Test::More::plan(skip_all => "$name not found") unless $ok;
    }

    return $self;
}


# has_version('1.25.1')

sub has_version {
    my ($self, $wanted) = @_;

    Test::More::plan(skip_all => "nginx $wanted needed")
        if !_version_reached($wanted);

    return $self;
}


sub _version_reached {
    my ($wanted) = @_;

    my ($have) = _version_text() =~ m{nginx/([0-9.]+)};
    my $number = sub { sprintf '%d%03d%03d', split /\./, $_[0] };

    return $number->($have) >= $number->($wanted);
}


# has_no_version('1.25.1'): what there was before it.

sub has_no_version {
    my ($self, $wanted) = @_;

    Test::More::plan(skip_all => "nginx before $wanted needed")
        if _version_reached($wanted);

    return $self;
}


# One more test than the file itself counts: what nginx left behind.

sub plan {
    my ($self, $tests) = @_;

    Test::More::plan(tests => $tests + 1);
    $planned = 1;

    return $self;
}


sub _version_text {
    return $version_text //= qx{'$nginx' -V 2>&1} // '';
}


my %optional = map { $_ => 1 } qw/
    http_ssl http_v2 http_v3 http_realip http_addition http_xslt
    http_image_filter http_geoip http_sub http_dav http_flv http_mp4
    http_gunzip http_gzip_static http_auth_request http_random_index
    http_secure_link http_degradation http_slice http_stub_status http_perl
    stream threads file-aio debug compat
/;

sub _built_with {
    my ($feature) = @_;

    return _version_text() =~ /--with-\Q$feature\E(_module)?(\s|=|$)/m
        if $optional{$feature};

    return _version_text() !~ /--without-\Q$feature\E(_module)?(\s|$)/m;
}


sub _ipv6 {
    my $s;

    require IO::Socket::IP;
    $s = eval {
        IO::Socket::IP->new(LocalAddr => '::1', LocalPort => 0, Listen => 1)
    };

    return defined $s;
}


sub testdir { $_[0]->{dir} }
sub binary { $nginx }
sub build_dir { $build }
sub source_dir { $root }


# Linked statically, our modules need no load_module.

sub is_static {
    return _version_text() =~ /--add-module=\Q$root\E(\s|$)/m;
}


sub write_file {
    my ($self, $name, $content) = @_;

    my $path = $name =~ m{^/} ? $name : "$self->{dir}/$name";

    open my $fh, '>', $path or die "$path: $!\n";
    binmode $fh;
    print $fh $content;
    close $fh or die "$path: $!\n";

    return $self;
}


sub append_file {
    my ($self, $name, $content) = @_;

    open my $fh, '>>', "$self->{dir}/$name" or die "$name: $!\n";
    binmode $fh;
    print $fh $content;
    close $fh or die "$name: $!\n";

    return $self;
}


sub read_file {
    my ($self, $name) = @_;

    my $path = $name =~ m{^/} ? $name : "$self->{dir}/$name";

    open my $fh, '<', $path or return '';
    binmode $fh;
    local $/;
    return <$fh> // '';
}


# %%TEST_GLOBALS%%, %%TEST_GLOBALS_HTTP%%, %%TESTDIR%%, and ports: every
# 127.0.0.1:PORT, [::1]:PORT, *:PORT and %%PORT_N%% gets a port of this test.

sub write_file_expand {
    my ($self, $name, $content) = @_;

    return $self->write_file($name, $self->expand($content));
}


sub expand {
    my ($self, $text) = @_;

    $text =~ s/%%TEST_GLOBALS%%/$self->_globals()/ge;
    $text =~ s/%%TEST_GLOBALS_HTTP%%/$self->_globals_http()/ge;
    $text =~ s/%%TESTDIR%%/$self->{dir}/g;
    $text =~ s/%%PORT_(\d+)%%/port($1)/ge;
    $text =~ s/((?<![\d.])127\.0\.0\.1|\[::1\]|(?<=\s)\*):(\d{4,5})\b
              /"$1:" . port($2)/gex;

    return $text;
}


sub _globals {
    my ($self) = @_;

    my @lines = (
        "pid $self->{dir}/nginx.pid;",
        "error_log $self->{dir}/error.log $self->{log};",
    );

    push @lines, 'user root;' if $> == 0;
    push @lines, map { "load_module $_;" } @{ $self->{modules} }
        unless $self->is_static();

    return join "\n", @lines, $ENV{TEST_NGINX_GLOBALS} // ();
}


sub _globals_http {
    my ($self) = @_;

    my $dir = $self->{dir};
    my @lines = (
        "root $dir;",
        "access_log $dir/access.log;",
        "client_body_temp_path $dir/client_body_temp;",
        'default_type text/plain;',
    );

    push @lines, map { "${_}_temp_path $dir/${_}_temp;" }
                 grep { _built_with("http_$_") } qw/ proxy fastcgi uwsgi scgi /;

    return join "\n    ", @lines, $ENV{TEST_NGINX_GLOBALS_HTTP} // ();
}


# Starts nginx with nginx.conf and returns when it accepts connections and a
# worker is there to serve them; and, if it can, hears of invalidations, without
# which nothing in Redis is used.

sub run {
    my ($self) = @_;

    my $dir = $self->{dir};

    unlink "$dir/nginx.pid";

    my $conf = $self->read_file('nginx.conf');
    my $hears = qr/optcache hears of|\bredis\b.* (down|not) /;
    my $heard = $self->log_count($hears);

    $self->{nginx} = Test::Nginx::Process->start(
        name => 'nginx', deathsig => 'TERM',
        exec => [$nginx, '-p', "$dir/", '-c', 'nginx.conf',
                 '-e', "$dir/error.log", '-g', 'daemon off;'],
        log => "$dir/nginx.out",
        env => { $self->_sanitizer_env() },
    );

    # the pid file is written after the sockets have been opened
    wait_for(sub { -s "$dir/nginx.pid" || !$self->{nginx}->alive() }, 30);

    if (!-s "$dir/nginx.pid" || !$self->{nginx}->alive()) {
        Test::More::diag($self->read_file('nginx.out'));
        die "nginx did not start\n";
    }

    # one may answer before the next one is there
    my ($workers) = $conf =~ /^\s*worker_processes\s+(\d+)/m;

    wait_for(sub { my @pids = $self->worker_pids(); @pids >= ($workers // 1) },
             20)
        unless $conf =~ /^\s*master_process\s+off/m;

    wait_for(sub { $self->log_count($hears) > $heard }, 2)
        if $conf =~ /^\s*optcache_redis_server/m
           && $conf =~ /^\s*optcache_zone/m;

    return $self;
}


# nginx never frees its cycle at exit, so leaks are not looked for.  Reports
# go to files, since error.log may be at any place and level.

sub _sanitizer_env {
    my ($self) = @_;

    my $log = "log_path=$self->{dir}/sanitizer";

    return (
        ASAN_OPTIONS => "detect_leaks=0:abort_on_error=1:"
                        . "strict_string_checks=1:$log",
        UBSAN_OPTIONS => "print_stacktrace=1:$log",
    );
}


# Graceful, in a bounded time; a nginx that does not leave is a fault.

sub stop {
    my ($self, $signal) = @_;

    my $nginx = delete $self->{nginx} or return $self;
    my @workers = $nginx->alive() ? _children($nginx->pid()) : ();

    if (!$nginx->alive()) {
        $self->_fault('nginx was gone before it was stopped');

    } elsif (!$nginx->stop($signal || 'QUIT', 20)) {
        $self->_fault('nginx did not stop within 20 seconds: '
                      . join(', ', map { _title($_) } @workers));

    } elsif ($nginx->exit_status()) {
        $self->_fault('nginx ended with status ' . $nginx->exit_status());
    }

    for my $pid (grep { _title($_) =~ /^nginx/ } @workers) {
        $self->_fault('left behind: ' . _title($pid));
        kill 'KILL', $pid;
    }

    return $self;
}


# Reloads, and waits until new workers took over.  wait_old => 1 waits until
# the old ones have left too.  False if the new configuration was refused, or
# if the old workers stay.

sub reload {
    my ($self, %o) = @_;

    my %old = map { $_ => 1 } $self->worker_pids(all => 1);
    my $refusals = $self->log_count(qr/\[emerg\]/);

    $self->{nginx}->signal('HUP');

    my $state = wait_for(sub {
        return 'refused' if $self->log_count(qr/\[emerg\]/) > $refusals;

        my @new = grep { !$old{$_} } $self->worker_pids();
        my @not_told = grep { $old{$_} } $self->worker_pids();

        return @new && !@not_told ? 'done' : '';
    }, 20) || 'late';

    return 0 if $state ne 'done';
    return 1 if !$o{wait_old};

    return wait_for(sub {
        !grep { $old{$_} } $self->worker_pids(all => 1);
    }, 20) ? 1 : 0;
}


# Workers that serve; with all => 1 also those that are shutting down.

sub worker_pids {
    my ($self, %o) = @_;

    return () unless $self->{nginx} && $self->{nginx}->alive();

    my $title = $o{all} ? qr/^nginx: worker process/
                        : qr/^nginx: worker process\s*$/;

    return grep { _title($_) =~ $title } _children($self->{nginx}->pid());
}


sub master_pid { $_[0]->{nginx}->pid() }


# Kills a worker the hard way, as declared, and waits for the next one.

sub kill_worker {
    my ($self, $pid) = @_;

    ($pid) = $self->worker_pids() unless $pid;

    # 0 would be all of the test
    die "no worker to kill\n" unless $pid;

    $self->expect_log(qr/worker process $pid exited on signal 9/);

    # ngx_unlock_mutexes() tells of locks that the dead worker held
    $self->expect_log(qr/shared memory zone .* was locked by $pid/);

    kill 'KILL', $pid;

    wait_for(sub {
        my @now = $self->worker_pids();
        return @now && !grep { $_ == $pid } @now;
    }, 20);

    return $self;
}


sub _children {
    my ($parent) = @_;

    my @pids;

    for my $dir (glob '/proc/[0-9]*') {
        open my $fh, '<', "$dir/stat" or next;
        my $stat = <$fh> // '';
        push @pids, $1
            if $stat =~ /^(\d+) \(.*\) [^Z] (\d+) /s && $2 == $parent;
    }

    return sort { $a <=> $b } @pids;
}


sub _title {
    my ($pid) = @_;

    open my $fh, '<', "/proc/$pid/cmdline" or return '';
    local $/;
    my $title = <$fh> // '';
    $title =~ tr/\0/ /;
    return $title;
}


# (exit code, output) of "nginx -t" with this configuration.

sub conf_test {
    my ($self, $conf) = @_;

    my $dir = $self->{dir};

    $self->write_file_expand('conf_test.conf', $conf);

    my $test = Test::Nginx::Process->start(
        exec => [$nginx, '-t', '-p', "$dir/", '-c', 'conf_test.conf',
                 '-e', 'stderr'],
        log => "$dir/conf_test.out",
        env => { $self->_sanitizer_env() },
    );

    $test->wait_end(30) or $test->kill_hard();

    my $output = $self->read_file('conf_test.out');
    unlink "$dir/conf_test.out";

    return ($test->exit_status(), $output);
}


# The same with single directives in place:
# conf_check(main => '', http => '...;', server => '...;', location => '...;')

sub conf_check {
    my ($self, %in) = @_;

    $_ //= '' for @in{qw/ main http server location /};

    return $self->conf_test(<<"EOC");
%%TEST_GLOBALS%%
$in{main}
events {
}
http {
    %%TEST_GLOBALS_HTTP%%
    $in{http}
    server {
        listen 127.0.0.1:8080;
        $in{server}
        location / {
            $in{location}
        }
    }
}
EOC
}


sub error_log { $_[0]->read_file('error.log') }


sub log_count {
    my ($self, $re) = @_;

    my @lines = grep { /$re/ } split /\n/, $self->error_log();

    return scalar @lines;
}


sub wait_for_log {
    my ($self, $re, $seconds) = @_;

    return wait_for(sub { $self->log_count($re) }, $seconds);
}


# Alerts that match are meant to happen.

sub expect_log {
    my ($self, $re) = @_;

    push @{ $self->{expected} }, $re;

    return $self;
}


# Polls until the code says true (and returns that) or the time is over.

sub wait_for {
    my ($code, $seconds) = @_;

    my $until = time() + ($seconds || 10);

    while (1) {
        my $result = $code->();
        return $result if $result;
        return '' if time() > $until;
        sleep 0.01;
    }
}


# What stands around nginx.

sub run_redis {
    my ($self, %o) = @_;
    return Test::Nginx::Redis->run(dir => $self->{dir}, %o);
}


sub run_postgres {
    my ($self, %o) = @_;
    return Test::Nginx::Postgres->run(dir => $self->{dir}, %o);
}


sub run_sentinels {
    my ($self, %o) = @_;
    return Test::Nginx::Sentinel->run(dir => $self->{dir}, %o);
}


sub run_redis_cluster {
    my ($self, %o) = @_;
    return Test::Nginx::RedisCluster->run(dir => $self->{dir}, %o);
}


sub run_fake_redis {
    my ($self, %o) = @_;
    return Test::Nginx::FakeRedis->run(dir => $self->{dir}, %o);
}


sub run_fake {
    my ($self, $port, $code) = @_;
    return Test::Nginx::Fake->run($port, $code, dir => $self->{dir});
}


sub run_http_backend {
    my ($self, $port, $code) = @_;
    return Test::Nginx::Fake->run_http($port, $code, dir => $self->{dir});
}


sub run_fastcgi {
    my ($self, $port, $code) = @_;
    return Test::Nginx::Fake->run_fastcgi($port, $code, dir => $self->{dir});
}


# A certificate authority and a certificate of it for this name:
# ca.crt, NAME.crt and NAME.key in the test's directory.

sub make_cert {
    my ($self, $name) = @_;
    return Test::Nginx::Redis::make_cert($self->{dir}, $name);
}


sub _fault {
    my ($self, $text) = @_;

    push @{ $self->{faults} }, $text;
}


sub _look_at_logs {
    my ($self) = @_;

    my @lines = split /\n/, $self->error_log();

    for my $line (@lines) {
        next unless $line =~ m{^[\d/]+ [\d:]+ \[(alert|emerg)\] }
                    || $line =~ /(Address|Leak|UndefinedBehavior)Sanitizer:/
                    || $line =~ /: runtime error: /;
        next if grep { $line =~ $_ } @{ $self->{expected} };

        $self->_fault($line);
    }

    for my $file (glob("$self->{dir}/sanitizer.*"),
                  glob("$self->{dir}/nginx.out"))
    {
        my $report = $self->read_file($file);

        $self->_fault("$file:\n$report")
            if $report =~ /Sanitizer|runtime error:/;
    }
}


sub finish {
    my ($self) = @_;

    $self->stop();
    $self->_look_at_logs();

    return @{ $self->{faults} };
}


# The last test of every file.

END {
    if ($$ == $owner) {
        my $status = $?;
        my @faults = map { $_->finish() } @instances;

        Test::Nginx::Process::cleanup();

        Test::More::ok(!@faults, 'nothing left by nginx') if $planned;
        Test::More::diag($_) for map { substr $_, 0, 4000 } @faults;

        my $failed = $status || @faults
                     || !Test::More->builder()->is_passing();

        for my $t (@instances) {
            if ($ENV{TEST_NGINX_LEAVE}) {
                Test::More::diag("left: $t->{dir}");

            } else {
                Test::More::diag(_tail($t)) if $failed && $t->error_log();
                rmtree($t->{dir});
            }
        }

        $? = $status || (@faults ? 1 : 0);
    }
}


sub _tail {
    my ($self) = @_;

    my @lines = grep { !/\[debug\]/ } split /\n/, $self->error_log();
    my $from = @lines > 20 ? @lines - 20 : 0;

    return join "\n", "end of $self->{dir}/error.log:",
                      @lines[$from .. $#lines];
}


1;
