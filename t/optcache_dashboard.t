#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The dashboard in a browser: it shows what happens, purges, resets, tells that
# Redis is away; it runs nothing that a server's text may hold.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP qw/ decode_json encode_json /;
use Test::More;
use Test::Nginx;
use Test::Nginx::Browser;

my $t = Test::Nginx->new()->has('http_proxy')
    ->has_program(qw/ redis-server chromium /);

# it is the same page, and the browser takes its time
plan(skip_all => 'modules are linked in') if $t->is_static();

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone answers:1m;
    optcache_redis_server redis://127.0.0.1:6379;
    ratelimit_redis_server redis://127.0.0.1:6379;
    ratelimit_redis_zone $arg_k zone=keys:1m rate=5r/h;

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache answers;
            proxy_pass http://127.0.0.1:8081;
        }

        location /limited/ {
            ratelimit_redis zone=keys;
            proxy_pass http://127.0.0.1:8081;
        }

        location /cache/ {
            optcache_api write=on ratelimit=/limits/;
        }

        location /limits/ {
            ratelimit_redis_api write=on;
        }

        location /read/ {
            optcache_api ratelimit=/limits/;
        }

        # the page, with what a test writes

        location /fake/ {
            optcache_api;
        }

        location = /fake/status {
            alias %%TESTDIR%%/status;
        }

        location = /fake/health {
            alias %%TESTDIR%%/health;
        }

        location = /fake/limits/status {
            alias %%TESTDIR%%/limits;
        }

        location = /fake/limits/health {
            alias %%TESTDIR%%/health;
        }
    }

    server {
        listen 127.0.0.1:8082;

        location / {
            return 200 elsewhere;
        }
    }
}

EOF

$t->plan(43);

$t->run_http_backend(8081, sub {
    return [200, ['Cache-Control: max-age=3600'], 'x'];
});

my $redis = $t->run_redis();

$t->run();

my $page = Test::Nginx::Browser->start(dir => $t->testdir());
my $base = 'http://127.0.0.1:' . port(8080);

###############################################################################

# as it changes

view('/cache/');
is(text('#host'), '127.0.0.1:' . port(8080), 'which host');
is(text('#health'), 'healthy', 'healthy');
like(text('#redis'), qr/state up/, 'Redis is there');

http_get("/$_") for 1 .. 3;
ok(shows('#zones', qr/answers.*entries 3/), 'three entries');

http_get("/limited/?k=a") for 1 .. 7;
ok(shows('#limiters', qr/keys by \$arg_k refused 2\b.* passed 5\b/),
    'two refused');
ok(wait_for(sub {
    $page->eval('points.length > 2 && document.querySelector('
                . '"#limited .k-rejected").getAttribute("d").length > 30');
}), 'are drawn');

# purges

is(cached('/1'), 'HIT', 'is cached');
fill('purge', kind => 'uri', value => '/1');
ok(shows('#purge-result', qr/^Purged for all hosts/), 'a purge');
is(cached('/1'), 'MISS', 'is gone');
is(cached('/2'), 'HIT', 'and nothing beside');

fill('purge', kind => 'prefix', value => 'nonsense');
ok(shows('#purge-result', qr/^400 .*must begin with a slash/), 'is refused');

fill('purge', kind => 'all');
is(text('#purge button'), 'Purge everything?', 'asks once more');
is(cached('/2'), 'HIT', 'and waits');
$page->eval('$("purge").requestSubmit()');
ok(shows('#purge-result', qr/^Purged for all hosts/), 'then purges');
is(cached('/2'), 'MISS', 'all');

# subjects

fill('subject', zone => 'keys', key => 'a');
ok(shows('#subject-rates', qr/^5 in 1 h 5 0 /), 'a subject');
$page->eval('$("subject").elements.reset.click()');
ok(shows('#subject-result', qr/^It begins anew/), 'its reset');
is(status(http_get('/limited/?k=a')), 200, 'it does');

my $hostile = '<img src=x onerror="window.owned=1">/..//%2F?#';

fill('subject', zone => 'keys', key => $hostile);
ok(shows('#subject-result', qr/^\Q$hostile\E; as Redis/), 'a hostile key');
fits('with all of it');

# nobody looks

$page->eval('Object.defineProperty(document, "hidden", '
            . '{ value: true, configurable: true }); '
            . 'document.dispatchEvent(new Event("visibilitychange"))');
ok(wait_for(sub { text('#live') eq 'paused' }), 'pauses when hidden');
is($page->eval('timer'), undef, 'and asks no more');
$page->eval('delete document.hidden; '
            . 'document.dispatchEvent(new Event("visibilitychange"))');
ok(wait_for(sub { text('#live') eq 'live' }), 'goes on when seen');

is(join("\n", grep { !m{ 400 .*/cache/purge$} } $page->faults()), '',
    'no errors, no violation of the policy');

# without write=on

view('/read/');
ok(shows('#limiters', qr/keys/), 'shows the limits');
is($page->eval('document.querySelectorAll("form, input, button").length'), 0,
    'nothing is there to write');

# from another origin

http_get('/2');
$page->open('http://127.0.0.1:' . port(8082) . '/');

is($page->eval(<<"EOC"), 'TypeError opaque', 'writes from elsewhere');
(async () => {
    const send = (mode, type) => fetch('$base/cache/purge', {
        method: 'POST', mode, body: '{"all": true}',
        headers: {'Content-Type': type} });
    const asked = await send('cors', 'application/json').catch((e) => e.name);
    return asked + ' ' + (await send('no-cors', 'text/plain')).type;
})()
EOC
is(cached('/2'), 'HIT', 'do nothing');
like($t->read_file('access.log'), qr{"POST /cache/purge [^"]*" 403 },
    'are refused');

# a server that says anything

my $evil = '<img src=x onerror="window.owned=1"><script>window.owned=1'
           . '</script>' . 'x' x 200;
my $before = $page->faults();

fake(0);
view('/fake/');
fake(1);

ok(shows('#figures', qr/hit ratio, 1 min 75\.0%/), 'the hit ratio');
ok(shows('#misses', qr/absent \S+ 50 bypass: cookie \S+ 10/), 'reasons');
ok(shows('#refused', qr/\Q$evil\E/), 'whatever they are');
ok(shows('#tokens', qr/\Q$evil\E/), 'verdicts');
ok(shows('#limiters', qr/\Q$evil\E by .* by 5 in 1 min 7, /), 'zones');
ok(shows('#redis', qr/50% below 0\.17 ms .* 99% below 0\.25 ms/),
    'quantiles');
like(text('#redis'), qr/state down breaker open at \Q$evil\E/, 'states');
like(text('#reasons'), qr/\Q$evil\E/, 'what is amiss');
is($page->eval('document.images.length + document.scripts.length'), 1,
    'is text');
is($page->eval('window.owned'), undef, 'and not done');
fits('whatever it is');
is(join("\n", ($page->faults())[$before ..  $page->faults() - 1]), '',
    'no errors here either');

# Redis goes

view('/cache/');
$redis->kill();
http_get("/x$_") for 1 .. 3;
ok(wait_for(sub { text('#health') eq 'degraded' }), 'Redis is away');
ok(shows('#reasons', qr/redis: it does not answer/), 'it says so');

# it has connections that nginx would wait for
$page->stop();

###############################################################################

# Loads the page, until it has had an answer.

sub view {
    my ($uri) = @_;

    $page->open("$base$uri");

    wait_for(sub { text('#live') eq 'live' })
        or diag("$uri: " . text('#live'), $page->faults());
}


# What a reader sees of an element, in one line.

sub text {
    my ($selector) = @_;

    my $text = $page->eval("document.querySelector('$selector').innerText");

    $text =~ s/[\s\xa0]+/ /g;

    return $text =~ s/^ | $//gr;
}


sub shows {
    my ($selector, $re) = @_;

    return 1 if wait_for(sub { text($selector) =~ $re });

    diag("$selector: " . text($selector));
    return 0;
}


sub cached { return header(http_get($_[0]), 'X-Cache') // '' }


# Fills in a form as a user does, and sends it.

sub fill {
    my ($form, @fields) = @_;

    while (my ($name, $value) = splice @fields, 0, 2) {
        $value = encode_json([$value]);
        $page->eval("(() => { const el = \$('$form').elements.$name;"
                    . "el.value = ${value}[0];"
                    . 'for (const type of ["input", "change"])'
                    . 'el.dispatchEvent(new Event(type, {bubbles: true}));'
                    . '})()');
    }

    $page->eval("\$('$form').requestSubmit()");
}


# On a telephone nothing is to be found by scrolling sideways.

sub fits {
    my ($what) = @_;

    my @wide;

    for my $dark (0, 1) {
        $page->media(width => 360, dark => $dark);
        push @wide, $page->eval('document.documentElement.scrollWidth');
    }

    $page->media();

    is("@wide", '360 360', "fits into 360 pixels, $what");
}


# What might be said of a host, at first and then.

sub fake {
    my ($then) = @_;

    my %redis = (state => 'down', breaker => 'open', servers => [$evil],
        worker => { pid => 1 },
        host => { commands => 100 * $then, errors => 3 * $then,
                  latency => { le => [100, 250], sum => 1,
                               counts => [0, 100 * $then, 0] } });

    write_document('health', { status => $evil, reasons => [$evil] });

    write_document('status', { version => $evil, nginx => $evil,
        write => JSON::PP::false, ratelimit => '/fake/limits/',
        redis => \%redis, postgres => { state => $evil, told => $evil },
        invalidation => { events => 1, pending => 1,
                          stream => { state => $evil, position => $evil } },
        zones => [{ name => $evil, size => 1000, used => 500, free => 500,
            entries => 5, evicted => 1, oldest => undef, unknown => [$evil],
            requests => { hit => 150 * $then, miss => 50 * $then,
                          bypass => 10 * $then },
            misses => { absent => 50 * $then },
            bypasses => { cookie => 10 * $then },
            refused => { $evil => 1 }, l2 => { refused => { hostile => 2 } },
        }] });

    write_document('limits', { write => JSON::PP::true, redis => \%redis,
        tokens => { checked => 1, $evil => 1 },
        zones => [{ name => $evil, key => $evil,
            rates => [{ limit => 5, period => 60, rejected => 7 * $then },
                      { value => $evil }],
            totals => { passed => 1, rejected => 7 } }] });
}


sub write_document {
    my ($name, $document) = @_;

    # a reader sees the one or the other
    $t->write_file("$name.new", encode_json($document));
    rename $t->testdir() . "/$name.new", $t->testdir() . "/$name";
}

###############################################################################
