#!/usr/bin/perl

# Copyright (C) The Optcache authors

# What is stale is not sent on while it is updated by what may not be stored:
# upstream has answered, and nothing else is going to be heard of it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(80);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:8m;
    optcache c;
    optcache_use_stale error updating;
    optcache_max_size 10k;

    server {
        listen 127.0.0.1:8080;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /user/ {
            optcache_user $cookie_session;
            proxy_pass http://127.0.0.1:8081;
        }

        location /kept/ {
            optcache_use_stale error updating http_404;
            proxy_pass http://127.0.0.1:8081;
        }

        location /page/ {
            error_page 404 429 /error;
            proxy_intercept_errors on;
            proxy_pass http://127.0.0.1:8081;
        }

        location /named/ {
            error_page 404 = @error;
            proxy_intercept_errors on;
            proxy_pass http://127.0.0.1:8081;
        }

        location /moved/ {
            error_page 302 = @error;
            proxy_intercept_errors on;
            proxy_pass http://127.0.0.1:8081;
        }

        location /file/ {
            proxy_pass http://127.0.0.1:8081;
        }

        location /refused/ {
            optcache_no_store $upstream_http_x_no_store;
            proxy_pass http://127.0.0.1:8081;
        }

        location /asked/ {
            optcache_no_store $http_x_no_store;
            proxy_pass http://127.0.0.1:8081;
        }

        location /ignored/ {
            optcache_ignore Cache-Control;
            optcache_valid 1s;
            proxy_pass http://127.0.0.1:8081;
        }

        location /internal/ {
            optcache off;
            alias %%TESTDIR%%/;
        }

        location = /error {
            return 404 "an error page";
        }

        location @error {
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

# The first answer is stale; what comes then the URI says.

my $chunk = sprintf("%x\r\n%s\r\n0\r\n\r\n", 20000, 'x' x 20000);

my %said = (
    'no-store' => [200, ['Cache-Control: no-store']],
    private => [200, ['Cache-Control: private, max-age=60']],
    'set-cookie' => [200, ['Cache-Control: max-age=60', 'Set-Cookie: a=1']],
    any => [200, ['Cache-Control: max-age=60', 'Vary: *']],
    nothing => [200, []],
    gone => [404, []],
    forbidden => [403, []],
    login => [302, ['Location: /login']],
    large => [200, ['Cache-Control: max-age=60'], 'x' x 20000],
    long => [200, ['Cache-Control: max-age=60', 'Transfer-Encoding: chunked'],
             $chunk],
    stream => [200, ['Cache-Control: max-age=60',
                     'Content-Type: text/event-stream']],
    tags => [200, ['Cache-Control: max-age=60',
                   'Cache-Tag: ' . join ',', 1 .. 300]],
    closed => [200, ['Cache-Control: max-age=60', 'Transfer-Encoding: none']],
    law => [451, []],
    'no-store-by-field' => [200, ['Cache-Control: max-age=60',
                                  'X-No-Store: 1']],
    elsewhere => [200, ['X-Accel-Redirect: /internal/new']],
    many => [429, []],
    bad => [400, []],
    'bad-no-store' => [400, ['Cache-Control: no-store']],
    'many-large' => [429, [], 'x' x 20000],
    method => [405, ['Allow: GET, POST']],
    down => [503, []],
    same => [200, ['Cache-Control: max-age=60']],
    'as-old' => [200, ['Cache-Control: public, max-age=60', 'Age: 100',
                       'ETag: "b"']],
);

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my ($what) = $req->{uri} =~ m{([^/?]+)(?:\?|$)};
    my $cookie = $req->{headers}{cookie} // '';
    my $public = $req->{uri} =~ /public/ ? 'public, ' : '';

    my $age = $req->{uri} =~ /older/ ? 200 : $req->{uri} =~ /ignored/ ? 0 : 100;

    return [200, ["Cache-Control: ${public}max-age=60", 'ETag: "a"',
                  "Age: $age"], 'old']
        if $req->{count} == 1;

    return [200, ['Cache-Control: private'], 'new'] if $cookie =~ /who=/;

    my ($status, $fields, $body) = @{$said{$what}};

    return [$status, $fields, $body // 'new'];
});

$t->write_file('new', 'new');

$t->run();

###############################################################################

# what upstream says now is passed on

for my $what (qw/ no-store private set-cookie any nothing gone forbidden login
                  large long stream tags closed law /)
{
    is(get("/$what"), 'MISS old', "$what: stale");
    is(get("/$what"), 'UPDATING old', 'is sent while it is updated');
    like(later("/$what"), qr/^MISS (new|x)/, 'and no longer');
}

for my $what (qw{ /page/gone /named/gone /user/no-store /moved/login
                  /file/elsewhere /refused/no-store-by-field })
{
    my @cookie = $what =~ /user/ ? 'session=1' : ();

    get($what, @cookie);
    is(get($what, @cookie), 'UPDATING old', "$what: stale");
    like(later($what, @cookie), qr/^(MISS new|- new|- an error page)$/,
        'no longer');
}

# an error is no answer, nor is what is said of the request

for my $what (qw{ /down /many /page/many /kept/gone /bad /bad-no-store
                  /many-large /method })
{
    get($what);
    like(asked_again($what), qr/^UPDATING old/, "$what: is sent on");
}

# what somebody is told is not for all, and he is not kept from it for ever

get('/same?1');
is(get('/same?1', 'who=me'), 'UPDATING old', 'sent to somebody');
ok(wait_for(sub { $backend->count(qr{/same\?1$}) == 2 }), 'and asked for');
is(get('/same?1'), 'UPDATING old', 'others are told what they were');
is(later('/same?1'), 'HIT new', 'and have it updated');

get('/same?older');
is(get('/same?older', 'who=me'), 'EXPIRED new', 'not for longer than fresh');
is(get('/same?older'), 'UPDATING old', 'but to others');

get('/same?older-public');
is(get('/same?older-public', 'who=me'), 'UPDATING old', 'or what is public');
like(later('/same?older-public', 'who=me'), qr/^MISS new/,
    'until it is said not to be');

get('/same?public');
is(get('/same?public', 'a=b'), 'UPDATING old', 'public as yet');
is(later('/same?public', 'a=b'), 'MISS new', 'or no longer says so');

get('/as-old?public');
is(get('/as-old?public', 'a=b'), 'UPDATING old', 'stale from the beginning');
ok(wait_for(sub { $backend->count(qr{/as-old\?public$}) == 2 }), 'asked for');
is(get('/as-old?public', 'a=b'), 'UPDATING old', 'as public as it was');

# what the configuration says of a request, and does not hear of a response

get('/asked/same');
is(get('/asked/same', undef, 'X-No-Store: 1'), 'UPDATING old', 'not for him');
ok(wait_for(sub { $backend->count(qr{/asked/same$}) == 2 }), 'asked for');
is(get('/asked/same'), 'UPDATING old', 'but for others');

get('/ignored/same?public');
sleep 3;
is(get('/ignored/same?public', 'a=b'), 'EXPIRED new', 'public is ignored');
is(get('/ignored/same?public'), 'UPDATING old', 'and it stays');

###############################################################################

sub get {
    my ($uri, $cookie, @headers) = @_;

    push @headers, "Cookie: $cookie" if $cookie;

    my $r = http_get($uri, headers => \@headers);

    return (header($r, 'X-Cache') // '-') . ' ' . (body($r) // '');
}


# What is found when it is not what it was any more.

sub later {
    my ($uri, $cookie) = @_;

    my $r;

    wait_for(sub { ($r = get($uri, $cookie)) !~ /^UPDATING/ }, 3);

    return $r;
}


# What is found when it has been updated in vain several times.

sub asked_again {
    my ($uri) = @_;

    my $r;

    wait_for(sub { $r = get($uri); $backend->count(qr{\Q$uri\E$}) >= 4 });

    return $r;
}

###############################################################################
