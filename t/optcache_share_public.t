#!/usr/bin/perl

# Copyright (C) The Optcache authors

# optcache_share_public: what is explicitly public is stored once for all, and
# nothing else is shared with or by a user.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my @cases = (
    # fields of the answer, whether it is shared by those with a user

    [['Cache-Control: public, max-age=60'], 1],
    [['Cache-Control: s-maxage=60'], 1],
    [['Cache-Control: s-maxage=60, max-age=0'], 1],
    [['Cache-Control: max-age=60'], 0],
    [['Cache-Control: max-age=60, must-revalidate'], 0],
    [['Cache-Control: public, private, max-age=60'], 0],
    [['Cache-Control: public, s-maxage=0, max-age=60'], 0],
    [['Cache-Control: max-age=60', 'CDN-Cache-Control: public, max-age=60'], 1],
    [['Cache-Control: public, max-age=60', 'CDN-Cache-Control: max-age=60'], 0],
    [['Cache-Control: public, max-age=60', 'CDN-Cache-Control: private'], 0],
    [['Cache-Control: public, max-age=60', 'CDN-Cache-Control: ='], 1],
    [['Cache-Control: public, max-age=60', 'Optcache-Cache-Control: =',
        'CDN-Cache-Control: max-age=60'], 0],
    [['Cache-Control: max-age=60', 'XYZ-Cache-Control: public, max-age=60'], 0],
    [['Cache-Control: public, max-age=60', 'Vary: Accept-Encoding'], 1],
    [['Cache-Control: public, max-age=60', 'Vary: Authorization'], 0],
    [['Cache-Control: public, max-age=60', 'Vary: Accept-Encoding, cookie'],
        0],
    [['Cache-Control: public, max-age=60', 'Set-Cookie: a=b'], 0],
);

my $t = Test::Nginx->new()->has(qw/ http_proxy http_auth_request /)
        ->has_program('redis-server')->plan(4 * @cases + 63);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_redis_server redis://127.0.0.1:6379 timeout=5s connect_timeout=5s;
    optcache_zone c:4m;
    optcache c;
    optcache_share_public on;

    # a kept cookie is one more way to share what is not to be

    optcache_set_cookie keep;

    add_header X-Layer $optcache_layer;

    server {
        listen 127.0.0.1:8080;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /off/ {
            optcache_share_public off;
            optcache_key $arg_key;
            proxy_pass http://127.0.0.1:8081;
        }

        location /on/ {
            optcache_key $arg_key;
            proxy_pass http://127.0.0.1:8081;
        }

        location /ignore/ {
            optcache_ignore Cache-Control Vary;
            optcache_valid 1m;
            proxy_pass http://127.0.0.1:8081;
        }

        location /vary/ {
            optcache_ignore Vary;
            proxy_pass http://127.0.0.1:8081;
        }

        location /cookie/ {
            optcache_user $cookie_session;
            proxy_pass http://127.0.0.1:8081;
        }

        location /hidden/ {
            proxy_hide_header Cache-Control;
            proxy_hide_header CDN-Cache-Control;
            proxy_pass http://127.0.0.1:8081;
        }

        location /strip/ {
            optcache_set_cookie strip;
            optcache_key $arg_key;
            proxy_pass http://127.0.0.1:8081;
        }

        location /refuse/ {
            optcache_set_cookie refuse;
            optcache_key $arg_key;
            proxy_pass http://127.0.0.1:8081;
        }

        location /hidden/vary/ {
            proxy_hide_header Vary;
            optcache_ignore Vary;
            proxy_pass http://127.0.0.1:8081;
        }

        location /hidden/target/ {
            proxy_hide_header CDN-Cache-Control;
            proxy_pass http://127.0.0.1:8081;
        }

        location /keep/ {
            optcache_key $arg_key;
            proxy_pass http://127.0.0.1:8081;
        }

        location /strip/hidden/ {
            optcache_set_cookie strip;
            proxy_hide_header Set-Cookie;
            proxy_pass http://127.0.0.1:8081;
        }

        location /asking/ {
            auth_request /decides;
            proxy_pass http://127.0.0.1:8081;
            optcache off;
        }

        location = /decides {
            optcache_key decides;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my $redis = $t->run_redis();

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $h = $req->{headers};
    my $user = $h->{authorization} // $h->{cookie} // 'nobody';
    my @fields = ('Cache-Control: ' . ($h->{'x-control'}
                                       // 'public, max-age=60'));

    @fields = @{ $cases[$1]->[0] } if $req->{uri} =~ m{/n(\d+)$};
    push @fields, $req->{uri} =~ /auth/ ? 'Vary: Authorization' : 'Vary: Cookie'
        if $req->{uri} =~ /vary/;
    push @fields, 'Set-Cookie: a=b' if $req->{uri} =~ /strip/;
    push @fields, 'ETag: "a"' if $req->{uri} =~ /etag/;
    push @fields, 'CDN-Cache-Control: public, max-age=60'
        if $req->{uri} =~ /cdn/;

    push @fields, 'CDN-Cache-Control: max-age=60' if $req->{uri} =~ /target/;

    return [304, \@fields, ''] if $h->{'if-none-match'};

    return [($user eq 'evil') ? 403 : 204, \@fields, '']
        if $req->{uri} =~ /decides/;

    return [200, \@fields, $user];
});

$t->run();

###############################################################################

for my $n (0 .. $#cases) {
    my ($fields, $shared) = @{ $cases[$n] };

    my $name = join ', ', @$fields;

    asked("/a/n$n", 'A');
    is(asked("/a/n$n", 'B'), $shared ? 'HIT A' : 'MISS B', "another: $name");
    like(asked("/a/n$n"), $shared ? qr/^HIT A$/ : qr/^\w+ nobody$/, 'nobody');

    # the other way round

    asked("/b/n$n");
    is(asked("/b/n$n", 'A'), $shared ? 'HIT nobody' : 'MISS A',
        "after nobody: $name");
    like(asked("/b/n$n", 'A'), $shared ? qr/^HIT nobody$/ : qr/^\w+ A$/,
        'and again');
}

# the user's own goes first, and stays his own

asked('/own', 'A', 'public, max-age=60');
is(asked('/own', 'B'), 'HIT A', 'shared');
is(asked('/own', 'B', 'private, max-age=60', 'Cache-Control' => 'no-cache'),
    'BYPASS B', 'but this one gets something private');
is(asked('/own', 'B'), 'HIT B', 'which is what he is given');
is(asked('/own', 'C'), 'HIT A', 'and has removed nothing of others');
is(asked('/own'), 'HIT A', 'nor of nobody');

is(asked('/own', 'B', 'public, max-age=60', 'Cache-Control' => 'no-cache'),
    'BYPASS B', 'now it is public');
is(asked('/own', 'A'), 'HIT B', 'for everybody');

# a stale one of his own is asked for again, and not hidden

asked('/stale', 'A');
asked('/stale', 'B', 'private, max-age=1', 'Cache-Control' => 'no-cache');
my $got;
ok(wait_for(sub {
    ($got = asked('/stale', 'B', 'private, max-age=1')) !~ /^HIT/;
}), 'stale');
like($got, qr/^\w+ B$/, 'asked for');
ok(wait_for(sub {
    ($got = asked('/stale', 'B', 'public, max-age=60')) !~ /^HIT/;
}), 'stale again');
is(asked('/stale', 'B'), 'HIT B', 'what is public replaces it');
is(asked('/stale', 'C'), 'HIT B', 'for everybody');

# what changes it

asked('/write', 'A');
is(asked('/write', 'B'), 'HIT A', 'shared');
http_post('/write', headers => { Authorization => 'C' });
is(asked('/write', 'B'), 'MISS B', 'a write by a user invalidates it');

# elsewhere

asked('/on/?key=k', 'A');
is(asked('/off/?key=k', 'B'), 'MISS B', 'off: not looked for');
is(asked('/off/?key=k', 'B'), 'HIT B', 'nor shared');
is(asked('/off/?key=k', 'C'), 'MISS C', 'with anybody');
is(asked('/on/?key=k', 'B'), 'HIT B', 'on: his own goes first');
is(asked('/on/?key=k', 'D'), 'HIT A', 'on: looked for');

asked('/ignore/', 'A');
is(asked('/ignore/', 'B'), 'MISS B', 'ignored, nothing is public');
is(asked('/ignore/', 'A'), 'HIT A', 'but of a user');

for my $uri ('/vary/', '/vary/auth') {
    asked($uri, 'A');
    is(asked($uri, 'B'), 'MISS B', "$uri: against it, ignored or not");
    is(asked($uri, 'A'), 'HIT A', "$uri: in his own it is not");
}

http_get('/cookie/', headers => { Cookie => 'session=A' });
is(body(http_get('/cookie/', headers => { Cookie => 'session=B' })),
    'session=A', 'users of another kind');

# what says so has to be seen where it is found

for my $uri ('/hidden/', '/hidden/cdn') {
    asked($uri, 'A');
    is(asked($uri, 'A'), 'HIT A', "$uri: his own");
    is(asked($uri, 'B'), 'MISS B', "$uri: is not shared");
}

# what is stale at once is nobody's but his, who can have it validated

for my $control ('public, no-cache', 'public, max-age=0') {
    my $uri = '/etag/' . $control =~ s/\W/-/gr;

    asked($uri, 'A', $control);
    is(asked($uri, 'A', $control), 'REVALIDATED A', "$control: his own");
    is(asked($uri, 'B', $control), 'MISS B', "$control: is not shared");
}

# what was sent with a cookie is for no user but who was sent it, though others
# without a user may get it

for my $uri ('/strip/?key=s', '/strip/hidden/') {
    asked($uri);
    is(asked($uri), 'HIT nobody', "$uri: nobody");
    is(asked($uri, 'A'), 'MISS A', "$uri: a user");
}

my $r = http_get('/keep/?key=s');
is(body($r), 'nobody', 'where cookies are kept');
is(scalar(my @cookies = header($r, 'Set-Cookie')), 0, 'there is none');
is(asked('/keep/?key=s', 'B'), 'MISS B', 'which is still known');

asked('/strip/?key=etag', undef, 'public, max-age=0');
$r = http_get('/strip/?key=etag');
is(header($r, 'X-Cache'), 'REVALIDATED', 'validated');
is(join('|', header($r, 'Set-Cookie')), 'a=b', 'with the cookie of the 304');
is(asked('/strip/?key=etag', 'A'), 'MISS A', 'it is no more public');

# where cookies are refused, what is left without its own is renewed

asked('/strip/?key=refuse-etag', undef, 'public, max-age=0');
is(asked('/refuse/?key=refuse-etag'), 'REVALIDATED nobody', 'without it');
is(asked('/refuse/?key=refuse-etag'), 'HIT nobody', 'is renewed');
is(asked('/refuse/?key=refuse-etag', 'A'), 'MISS A', 'but not public');

# nor is it what a field speaks against that is hidden

for my $uri ('/hidden/vary/', '/hidden/target/') {
    asked($uri);
    is(asked($uri), 'HIT nobody', "$uri: nobody");
    is(asked($uri, 'A'), 'MISS A', "$uri: a user");
    is(asked($uri, 'A'), 'HIT A', "$uri: his own");
}

# decisions about users

is(status(http_get('/asking/', headers => { Authorization => 'A' })), 200,
    'who is let in');
is(status(http_get('/asking/', headers => { Authorization => 'evil' })), 403,
    'does not let others in');

# from Redis

$redis->forget();
asked('/redis', 'A');
asked('/redis/own', 'B', 'private, max-age=60');
asked('/redis/own', 'A');
asked('/redis/nobody', undef, 'max-age=60');
asked('/strip/?key=redis');
wait_for(sub { $redis->entries() == 5 });

$t->stop();
$t->run();

is(asked('/redis', 'B'), 'HIT A', 'shared in Redis');
is(asked('/redis/own', 'B'), 'HIT B', 'his own in Redis');
is(asked('/redis/own', 'C'), 'HIT A', 'of others');
is(asked('/redis/nobody', 'C', 'max-age=60'), 'MISS C', 'what is not public');
is(asked('/redis/nobody'), 'HIT nobody', 'is for nobody');
is(asked('/strip/?key=redis', 'C'), 'MISS C', 'what came with a cookie');
is(asked('/strip/?key=redis'), 'HIT nobody', 'is, too');
is(header(http_get('/redis', headers => { Authorization => 'B' }), 'X-Layer'),
    'L1', 'found there, it is kept here');

###############################################################################

sub asked {
    my ($uri, $user, $control, %headers) = @_;

    $headers{Authorization} = $user if defined $user;
    $headers{'X-Control'} = $control if defined $control;

    my $r = http_get($uri, headers => \%headers);

    return (header($r, 'X-Cache') // '') . ' ' . body($r);
}

###############################################################################
