#!/usr/bin/perl

# Copyright (C) The Optcache authors

# Two hundred users ask for fifty things, in any way there is, while workers
# die, nginx reloads and its zone is too small: each answer, to the last byte
# of its fields and its body, is for the one who asked.
#
# The backend stamps each answer: for whom (or for all), for which URL, method
# and language, and, when no cache may keep it, for which single request.  It
# knows the rules, but nothing of how they are kept here.
#
# What is asked and answered follows from the seed, which is told;
# TEST_LEAK_SEED sets it, TEST_LEAK_REQUESTS how many requests each client
# makes.  Who comes first does not.

use strict;
use warnings;

use Digest::MD5 qw/ md5 md5_hex /;
use FindBin;
use lib "$FindBin::Bin/lib";
use Time::HiRes qw/ sleep /;

use Test::More;
use Test::Nginx;
use Test::Nginx::Process;

my $seed = $ENV{TEST_LEAK_SEED} || time() * 1000 % 1000003 + $$;
my $requests = $ENV{TEST_LEAK_REQUESTS} || 1600;
my $clients = 5;
my $connections = 4;
my $modified = 'Mon, 01 Jan 2001 00:00:00 GMT';
my @ports = (8080, 8090, 8091);
my @users = map { user($_) } 0 .. 199;
my @uris = map { uri($_) } 0 .. 49;

my $t = Test::Nginx->new(log => 'info')
        ->has(qw/ http_proxy http_upstream_keepalive /)
        ->has_program('redis-server')->plan(8);
my @hosts = ($t, map { Test::Nginx->new(log => 'info') } 1, 2);

my $redis = $t->run_redis(args => ['--maxmemory', '2mb',
                                   '--maxmemory-policy', 'allkeys-lfu']);

# one without a Redis, two with the same

configure(0, '');
configure($_, 'optcache_redis_server redis://127.0.0.1:6379;') for 1, 2;

sub configure {
    my ($n, $more) = @_;

    $hosts[$n]->write_file_expand('nginx.conf', <<"EOF");

%%TEST_GLOBALS%%

worker_processes 4;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    access_log off;
    merge_slashes off;

    optcache_zone c:1m;
    $more

    optcache c;
    optcache_valid 200 1m;
    optcache_gzip on;
    optcache_gzip_min_length 100;

    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host \$host;
    proxy_buffers 8 4k;
    add_header X-Layer \$optcache_layer always;
    keepalive_requests 200;

    upstream backend {
        server 127.0.0.1:8081;
        keepalive 8;
    }

    server {
        listen 127.0.0.1:$ports[$n];

        location / {
            proxy_pass http://backend;
        }

        location /session/ {
            optcache_user \$cookie_session;
            proxy_pass http://backend;
        }

        location /shared/ {
            optcache_user "";
            proxy_pass http://backend;
        }
    }
}

EOF
}

$t->run_fake(8081, \&backend);

$_->run() for @hosts;

###############################################################################

note("seed $seed");

srand($seed);

my $dir = $t->testdir();
my @clients = map {
    my $n = $_;
    Test::Nginx::Process->start(log => "$dir/client-$n.out",
                                code => sub { client($n) });
} 1 .. $clients;

# whatever they do, workers die and are replaced

for my $round (1 .. 4) {
    my $host = $hosts[int rand @hosts];
    my @workers = $host->worker_pids();

    sleep 0.3;
    last if !grep { $_->alive() } @clients;

    if ($round % 2) {
        $host->kill_worker($workers[int rand @workers]);

    } else {
        $host->reload();
    }
}

$_->wait_end(60) for @clients;

my (%count, @faults);

for my $line (map { split /\n/, $t->read_file("client-$_.out") }
              1 .. $clients)
{
    if ($line =~ /^count (.*) (\d+)$/) {
        $count{$1} += $2;

    } else {
        push @faults, $line;
    }
}

note("$_: $count{$_}") for sort keys %count;

is(scalar @faults, 0, "each answer is for who asked (seed $seed)")
    or diag(map { "$_\n" } splice @faults, 0, 10);

cmp_ok($count{answers} // 0, '>', $clients * $requests * 0.9, 'all answered');
cmp_ok($count{'HIT'} // 0, '>', 200, 'many of them by the cache');
cmp_ok($count{'HIT of a user'} // 0, '>', 50, 'or the cache of a user');
cmp_ok($count{'HIT gzip'} // 0, '>', 20, 'with gzip');
cmp_ok($count{'HIT 206'} // 0, '>', 5, 'ranges');
cmp_ok($count{'HIT 304'} // 0, '>', 5, 'or nothing new');
cmp_ok($count{'HIT L2'} // 0, '>', 10, 'or of another host');

###############################################################################

# Somebody, or nobody: fields as they are sent.  Some of them differ in little.

sub user {
    my ($n) = @_;

    my @forms = (
        ["Authorization: Bearer token-$n"],
        ["Authorization: bearer token-" . ($n - 1)],
        ["authorization: Bearer TOKEN-" . ($n - 2)],
        ["AUTHORIZATION:    Basic dXNlcjpwYXNz$n  "],
        ["Authorization: Bearer token-" . ($n - 4), "Cookie: session=s$n"],
        ["Cookie: a=b; session=s$n"],
        ["Authorization: ", "Cookie: session=s" . ($n - 1) . '; a=b'],
        ["Cookie: session="],
        ['Authorization:'],
        [],
    );

    return $forms[$n % 10];
}


sub uri {
    my ($n) = @_;

    my $where = ('', 'session/', 'shared/')[$n % 3];
    my @forms = ("p$n", "p$n?a=b", "p$n;x", "p$n/", "/p$n", "p%2f$n",
                 "p$n.css", "p/%2e%2e/$n", "p$n?", "p$n/..");

    return "/$where" . $forms[$n % 10];
}


# For whom an answer is, and who else may have it: the partition of a request.

sub who {
    my ($uri, $authorization, $cookie) = @_;

    my ($session) = ($cookie // '') =~ /\bsession=([^;]+)/;
    my $user = ($authorization // '') ne '' ? "a:$authorization" : undef;
    my $own;

    $session = "s:$session" if defined $session;

    if ($uri =~ m{^/session/}) {
        $own = $session;
        $user = $session // $user;

    } elsif ($uri =~ m{^/shared/}) {
        # where a session means nothing

    } else {
        $own = $user;
        $user //= $session;
    }

    return { user => defined $user ? md5_hex($user) : '-',
             shared => !defined $own };
}


# Numbers that follow from the seed and a name.

sub dice {
    my ($name) = @_;

    my @bytes = unpack 'n*', md5("$seed $name") . md5("$name $seed");

    return sub { return (shift(@bytes) // 0) % $_[0] };
}


# The body that goes with a stamp.

sub text {
    my ($stamp) = @_;

    my ($length) = $stamp =~ / (\d+)$/;
    return substr "$stamp\n" x ($length / length($stamp) + 1), 0, $length;
}

###############################################################################

sub backend {
    my ($socket) = @_;

    my $buf = '';

    while (1) {
        while ($buf !~ /\r\n\r\n/) {
            sysread $socket, $buf, 65536, length $buf or return;
        }

        $buf =~ s/^(.*?)\r\n\r\n//s;
        my ($line, @lines) = split /\r\n/, $1;
        my ($method, $uri) = split / /, $line;
        my %h = map { /^([^:]*): *(.*?) *$/ ? (lc $1, $2) : () } @lines;

        my $length = $h{'content-length'} // 0;

        while (length $buf < $length) {
            sysread $socket, $buf, 65536, length $buf or return;
        }

        substr $buf, 0, $length, '';

        syswrite $socket, answer($method, $uri, \%h, $length) or return;
        return if dice($h{'x-nonce'})->(50) == 0;
    }
}


sub answer {
    my ($method, $uri, $h, $fat) = @_;

    my $dice = dice($h->{'x-nonce'});
    my $who = who($uri, $h->{authorization}, $h->{cookie});

    # the connection ends before all of the body
    my $broken = $dice->(50) == 0;

    my @control = (
        ['max-age=60'], ['max-age=60'], ['max-age=60', 'public'],
        ['public, max-age=1'], ['private, max-age=60'], ['private'],
        ['s-maxage=60'], ['max-age=60, must-revalidate'], ['no-store'],
        ['max-age=60', 'no-cache'], ['Public', 'PRIVATE, max-age=60'], [],
        ['public, max-age=60, no-store'], ['max-age=0'],
        ['private, public, s-maxage=60'], ['max-age=60, x="public'],
    )[$dice->(16)];
    my @vary = ([], [], [], ['Accept-Encoding'], ['Accept-Language'],
                ['accept-encoding, ACCEPT-LANGUAGE'], ['*'],
                ['Accept-Encoding', 'Accept-Language'])[$dice->(8)];
    my $cookie = $dice->(10) == 0;
    my $status = (200, 200, 200, 200, 200, 200, 200, 404, 301, 503)
                 [$dice->(10)];
    my $part = defined $h->{range} && $dice->(3) == 0;
    my $same = ($h->{'if-none-match'} || $h->{'if-modified-since'})
               && $dice->(4) == 0;
    # none of the ranges is beyond it
    my $length = $dice->(6) ? 300 + $dice->(3700) : 10000 + $dice->(20000);

    my $cc = join ', ', @{ $control[0] };
    my $vary = join ', ', @{ $vary[0] };
    my $language = $vary =~ /language/i ? $h->{'accept-language'} // '' : '-';
    my $public = $cc =~ /\b(public|s-maxage)\b/i && $cc !~ /x="public/;

    $status = 206 if $part;
    $status = 304 if $same;

    my $storable = $method eq 'GET' && !$fat && !$part && !$same && !$cookie
                   && $vary !~ /\*/ && $cc !~ /no-store/;

    if ($who->{shared}) {
        $storable = 0 if $cc =~ /private/i;
        $storable = 0 if ($h->{authorization} // '') ne '' && !$public
                         && $cc !~ /must-revalidate/;
        $storable = 0 if defined $h->{cookie} && !$public
                         && $uri !~ m{^/(session|shared)/};
    }

    my $user = $storable && $who->{shared} ? 'all' : $who->{user};
    my $nonce = $storable ? '-' : $h->{'x-nonce'};
    my $stamp = "$user $h->{host}$uri $method $language $nonce $length";
    my $body = text($stamp);
    my $tag = md5_hex($stamp);

    my @fields = (
        "X-Stamp: $stamp", "X-User: $user", "ETag: \"$tag\"", "X-Tag: $tag",
        (map { "Cache-Control: $_" } @{ $control[0] }),
        (map { "Vary: $_" } @{ $vary[0] }),
    );

    push @fields, "Last-Modified: $modified" if $dice->(2);
    push @fields, "Set-Cookie: session=$tag" if $cookie;
    push @fields, "Location: /$tag" if $status == 301;
    push @fields, 'Content-Type: text/plain';
    push @fields, 'X-Accel-Buffering: no' if $dice->(4) == 0;

    if ($part) {
        push @fields, "Content-Range: bytes 0-9/$length";
        $body = substr $body, 0, 10;
    }

    # it says no more than that

    ($body, @fields) = ('') if $same;

    my $chunked = $dice->(3) == 0 && !$same && !$part;
    my $say = length $body;

    if ($chunked) {
        push @fields, 'Transfer-Encoding: chunked';
        $body = join '', map({ sprintf "%x\r\n%s\r\n", length $_, $_ }
                             unpack '(a3000)*', $body),
                         $broken ? '' : "0\r\n\r\n";

    } elsif (!$same) {
        $say += 100 if $broken;
        push @fields, 'Content-Length: ' . $say;
    }

    $body = '' if $method eq 'HEAD';

    return join("\r\n", "HTTP/1.1 $status Status", @fields, '', '') . $body;
}

###############################################################################

sub client {
    my ($n) = @_;

    my ($sent, %sockets, %tags, %n) = (0);

    while ($sent < $requests) {
        my @waiting;

        for my $c (1 .. $connections) {
            my $r = ask("$n-" . $sent++, \%tags);
            my $name = "$r->{port}-$c";

            $sockets{$name} //= http_connect(port => $r->{port}) or next;
            push @waiting, [$name, $r];
            http($r->{bytes}, socket => $sockets{$name}, start => 1);
        }

        for my $w (@waiting) {
            my ($name, $r) = @$w;
            my $answer = http_read($sockets{$name},
                                   head => $r->{method} eq 'HEAD');

            my $whole = check($r, $answer, \%tags, \%n);

            if (!$whole || (header($answer, 'Connection') // '') =~ /close/) {
                close delete $sockets{$name};
            }
        }
    }

    print "count $_ $n{$_}\n" for keys %n;
}


sub ask {
    my ($nonce, $tags) = @_;

    my $dice = dice("ask $nonce");

    # half of them want the same few things
    my ($users, $uris) = $dice->(3) ? (10, 6) : (200, 50);
    my $fields = $users[$dice->($users)];
    my $uri = $uris[$dice->($uris)];
    my $host = ('one', 'two', 'one')[$dice->(3)];
    my $method = ('GET', 'GET', 'GET', 'GET', 'GET', 'GET', 'GET', 'GET',
                  'GET', 'GET', 'GET', 'GET', 'GET', 'GET', 'GET', 'HEAD',
                  'HEAD', 'POST', 'PUT', 'DELETE')[$dice->(20)];
    my $language = ('de', 'en')[$dice->(2)];
    my @lines = ("$method $uri HTTP/1.1", "Host: $host", "X-Nonce: $nonce",
                 "Accept-Language: $language", @$fields);
    my $body = '';

    # two credentials are none
    my $double = $dice->(40) == 0 && "@$fields" =~ /authorization/i;

    push @lines, "Authorization: Bearer token-$nonce" if $double;
    push @lines, 'Accept-Encoding: ' . ('gzip', 'br, gzip;q=1')[$dice->(2)]
        if $dice->(2);
    push @lines, "Range: bytes=" . ('0-9', '5-', '-7', '3-200')[$dice->(4)]
        if $dice->(8) == 0;

    my ($auth, $cookie);

    for (@$fields) {
        $auth = $1 if /^authorization: *(.*?) *$/i;
        $cookie = $1 if /^cookie: *(.*?) *$/i;
    }

    my $who = who($uri, $auth, $cookie);

    # what anybody was told is as good a condition as what one was told

    my $known = $tags->{$uri};

    push @lines, "If-None-Match: $known" if $known && $dice->(6) == 0;
    push @lines, "If-Modified-Since: $modified" if $dice->(12) == 0;
    push @lines, 'Cache-Control: no-cache' if $dice->(30) == 0;

    if ($method =~ /^P/ || $dice->(40) == 0) {
        $body = "x=$nonce";
        push @lines, 'Content-Length: ' . length $body;
    }

    return {
        bytes => join("\r\n", @lines, '', '') . $body, who => $who,
        uri => $uri, host => $host, method => $method, nonce => $nonce,
        language => $language, double => $double, port => $ports[$dice->(3)],
    };
}


# Whether the answer was whole; whatever is wrong with it is printed.

sub check {
    my ($r, $answer, $tags, $n) = @_;

    # the worker died
    return 0 if !defined $answer || $answer !~ /\r\n\r\n/;

    my $status = status($answer);
    my $stamp = header($answer, 'X-Stamp');
    my $body = body($answer);

    # nginx has no answer: the backend broke off, or a request is none

    if (!defined $stamp) {
        return 1 if $answer =~ m{^HTTP/1.1 304 } && $answer !~ /^ETag/mi;

        fault($r, $answer, 'has no stamp')
            if $answer =~ /\d+-\d+ \d+\n/
               || $status !~ ($r->{double} ? qr/^400$/ : qr/^(502|416)$/);
        return 0;
    }

    return fault($r, $answer, 'of two users') if $r->{double};

    my ($user, $url, $method, $language, $nonce, $length) = split / /, $stamp;
    my $hit = (header($answer, 'X-Cache') // '') eq 'HIT';
    my $tag = md5_hex($stamp);

    $n->{answers}++;

    return fault($r, $answer, 'is for another user')
        if $user ne $r->{who}{user}
           && !($user eq 'all' && $r->{who}{shared});
    return fault($r, $answer, 'is for another URL')
        if $url ne "$r->{host}$r->{uri}";
    return fault($r, $answer, 'is for another method')
        if $method ne $r->{method}
           && !($hit && "$method $r->{method}" eq 'GET HEAD');
    return fault($r, $answer, 'is for another language')
        if $language ne '-' && $language ne $r->{language};
    return fault($r, $answer, 'is for another request')
        if $nonce ne '-' && $nonce ne $r->{nonce};
    return fault($r, $answer, 'hit what may not be kept')
        if $nonce ne '-' && $hit;

    # every field is one of these, with its value

    my %value = (
        'x-stamp' => $stamp, 'x-user' => $user, 'x-tag' => $tag,
        etag => qr{^(W/)?"$tag"$}, 'set-cookie' => "session=$tag",
        location => "/$tag",
        'content-type' => qr{^text/plain$}, server => qr/^nginx/,
        'content-length' => qr/^\d+$/, 'x-cache' => qr/^[A-Z]+$/,
        connection => qr/^(keep-alive|close)$/, age => qr/^\d+$/,
        'cache-control' => qr/^[a-zA-Z0-9="_, -]*$/, date => qr/ GMT$/,
        vary => qr/^[A-Za-z, *-]+$/, 'transfer-encoding' => 'chunked',
        'content-encoding' => 'gzip', 'accept-ranges' => 'bytes',
        'x-layer' => qr/^L[12]$/, 'last-modified' => $modified,
        'content-range' => qr{^bytes \d+-\d+/$length$},
    );

    for my $field (headers($answer)) {
        my ($name, $has) = @$field;
        my $value = $value{lc $name};

        return fault($r, $answer, "has $name: $has")
            if !defined $value
               || !(ref $value ? $has =~ $value : $has eq $value);
    }

    return fault($r, $answer, 'sets a cookie')
        if $nonce eq '-' && defined header($answer, 'Set-Cookie');

    # every byte is one of the text

    my $text = text($stamp);

    if ($status == 206) {
        my ($from, $to) = header($answer, 'Content-Range') =~ /(\d+)-(\d+)/;
        $text = substr $text, $from, $to - $from + 1;
    }

    $text = '' if $status == 304 || $r->{method} eq 'HEAD';

    my $whole = defined $body
                && length $body >= (header($answer, 'Content-Length') // 0);

    if (!defined $body) {
        # chunks without an end: the stamp is all there is to look at
        return 0;
    }

    if ((header($answer, 'Content-Encoding') // '') eq 'gzip') {
        $body = gunzip($body) if $text ne '';
        $n->{'HIT gzip'}++ if $hit;
    }

    return fault($r, $answer, 'has another body')
        if !$whole && $text ne '' ? index($text, $body // '') != 0
                                  : ($body // '') ne $text;
    return fault($r, $answer, 'hit a part') if $hit && !$whole && $text ne '';

    $tags->{$r->{uri}} = header($answer, 'ETag');

    if ($hit) {
        $n->{$_}++ for 'HIT', "HIT $status",
                       'HIT ' . header($answer, 'X-Layer'),
                       $r->{who}{shared} ? () : 'HIT of a user';
    }

    return $whole || $text eq '';
}


sub fault {
    my ($r, $answer, $text) = @_;

    my ($head) = split /\r\n\r\n/, "$r->{bytes} => $answer", 2;
    my ($told) = split /\r\n\r\n/, $answer, 2;

    print "$text: ", join(' | ', split /\r?\n/, "$head\n=> $told"), "\n";

    return 0;
}

###############################################################################
