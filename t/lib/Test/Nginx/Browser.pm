package Test::Nginx::Browser;

# Copyright (C) The Optcache authors

# A headless Chromium, told what to do by its DevTools protocol: JSON ended
# by NUL, on the descriptors 3 and 4 of the browser.
#
#     my $page = Test::Nginx::Browser->start(dir => $t->testdir());
#
#     $page->open('http://127.0.0.1:8080/', width => 360, dark => 1);
#     is($page->eval('document.title'), 'x', 'title');
#     is_deeply([$page->faults()], [], 'no errors');

use strict;
use warnings;

use Fcntl qw/ F_DUPFD /;
use IO::Select;
use JSON::PP ();
use POSIX ();
use Time::HiRes qw/ time /;

use Test::Nginx::Process;


my $json = JSON::PP->new()->utf8()->allow_nonref();


sub start {
    my ($class, %o) = @_;

    pipe my $theirs, my $to or die "pipe() failed: $!\n";
    pipe my $from, my $back or die "pipe() failed: $!\n";

    my @command = (
        'chromium', '--headless', '--remote-debugging-pipe',
        "--user-data-dir=$o{dir}/chromium", '--disable-gpu',
        '--disable-dev-shm-usage', '--no-first-run', '--disable-extensions',
        '--disable-background-networking', '--disable-component-update',
        '--disable-sync', '--hide-scrollbars',
        '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
    );

    # as root its sandbox cannot be had, nor in most containers
    push @command, '--no-sandbox'
        if $> == 0 || system('unshare --user true 2>/dev/null') != 0;

    my $process = Test::Nginx::Process->start(
        name => 'chromium', log => "$o{dir}/chromium.log", endsig => 'TERM',
        code => sub {
            my $in = fcntl($theirs, F_DUPFD, 10);
            my $out = fcntl($back, F_DUPFD, 10);

            POSIX::dup2($in, 3);
            POSIX::dup2($out, 4);

            # where there is no home, its files are in the test's folder
            $ENV{HOME} = $o{dir};

            exec { $command[0] } @command or die "chromium: $!\n";
        },
    );

    close $theirs;
    close $back;
    binmode $_ for $to, $from;

    my $self = bless {
        process => $process, to => $to, from => $from, buffer => '',
        id => 0, answers => {}, faults => [],
    }, $class;

    my $target = $self->command('Target.createTarget', url => 'about:blank');

    $self->{session} = $self->command('Target.attachToTarget',
        targetId => $target->{targetId}, flatten => JSON::PP::true,
    )->{sessionId};

    $self->command("$_.enable") for qw/ Page Runtime Log /;

    return $self;
}


# Loads a page; returns when that is done, or dies.

sub open {
    my ($self, $url, %o) = @_;

    $self->media(%o);
    $self->{loaded} = 0;
    $self->command('Page.navigate', url => $url);

    $self->_read_until(sub { $self->{loaded} }, "no page $url");

    return $self;
}


# media(width => 1200, height => 900, dark => 0)

sub media {
    my ($self, %o) = @_;

    $self->command('Emulation.setDeviceMetricsOverride',
        width => $o{width} || 1200, height => $o{height} || 900,
        deviceScaleFactor => 1, mobile => JSON::PP::false);

    $self->command('Emulation.setEmulatedMedia', features => [
        { name => 'prefers-color-scheme', value => $o{dark} ? 'dark'
                                                            : 'light' },
    ]);

    return $self;
}


# The value of an expression, a promise's when it is known.

sub eval {
    my ($self, $expression) = @_;

    my $answer = $self->command('Runtime.evaluate',
        expression => $expression, returnByValue => JSON::PP::true,
        awaitPromise => JSON::PP::true);

    die "$expression: $answer->{exceptionDetails}{exception}{description}\n"
        if $answer->{exceptionDetails};

    return $answer->{result}{value};
}


# Errors of scripts, of the console, of loading, of a policy, so far.

sub faults { return @{ $_[0]->{faults} } }


sub screenshot {
    my ($self, $file) = @_;

    require MIME::Base64;

    my $answer = $self->command('Page.captureScreenshot',
                                captureBeyondViewport => JSON::PP::true);

    CORE::open my $fh, '>', $file or die "$file: $!\n";
    binmode $fh;
    print $fh MIME::Base64::decode_base64($answer->{data});
    close $fh;

    return $self;
}


sub stop {
    my ($self) = @_;

    close $self->{to};
    $self->{process}->wait_end(10) or $self->{process}->kill_hard();

    return $self;
}


# A command of the protocol; its result.

sub command {
    my ($self, $method, %params) = @_;

    my $id = ++$self->{id};
    my %message = (id => $id, method => $method, params => \%params);

    $message{sessionId} = $self->{session} if $self->{session};

    my $text = $json->encode(\%message) . "\0";

    for (my $sent = 0; $sent < length $text; ) {
        $sent += syswrite($self->{to}, $text, length($text) - $sent, $sent)
                 // die "the browser has gone: $!\n";
    }

    $self->_read_until(sub { $self->{answers}{$id} }, "no answer to $method");

    my $answer = delete $self->{answers}{$id};
    die "$method: $answer->{error}{message}\n" if $answer->{error};

    return $answer->{result};
}


sub _read_until {
    my ($self, $done, $late) = @_;

    my $until = time() + 60;
    my $select = IO::Select->new($self->{from});

    while (!$done->()) {
        my $left = $until - time();

        die "$late\n" if $left <= 0;
        next unless $select->can_read($left);

        sysread($self->{from}, $self->{buffer}, 65536,
                length $self->{buffer}) or die "the browser has gone\n";

        while ($self->{buffer} =~ s/\A([^\0]*)\0//) {
            $self->_message($json->decode($1));
        }
    }
}


sub _message {
    my ($self, $message) = @_;

    if ($message->{id}) {
        $self->{answers}{$message->{id}} = $message;
        return;
    }

    my ($method, $params) = @{$message}{qw/ method params /};

    if ($method eq 'Page.loadEventFired') {
        $self->{loaded} = 1;

    } elsif ($method eq 'Runtime.exceptionThrown') {
        my $details = $params->{exceptionDetails};
        push @{ $self->{faults} }, $details->{exception}{description}
                                   // $details->{text};

    } elsif ($method eq 'Runtime.consoleAPICalled') {
        push @{ $self->{faults} }, join ' ', $params->{type},
            map { $_->{value} // $_->{description} // '' }
                @{ $params->{args} };

    } elsif ($method eq 'Log.entryAdded') {
        my $entry = $params->{entry};

        return if $entry->{level} eq 'verbose';

        push @{ $self->{faults} }, join ' ', $entry->{source}, $entry->{text},
                                             $entry->{url} // '';
    }
}


1;
