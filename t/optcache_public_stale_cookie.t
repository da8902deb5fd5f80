#!/usr/bin/perl

# Copyright (C) The Optcache authors

# "public, max-age=0", as frameworks say of any file, for clients with cookies
# that nothing ties to a user: what one is given is neither confirmed for
# another by the ETag that both have, nor his while the upstream is away.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(13);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache c;

    server {
        listen 127.0.0.1:8080;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /files/ {
            optcache_user "";
            proxy_pass http://127.0.0.1:8081;
        }

        location /users/ {
            optcache_user $cookie_session;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

# files of one size and one time, for each session another one

my %said = (zero => 'public, max-age=0', no => 'public, no-cache',
            while => 'public, max-age=0, stale-while-revalidate=60',
            s => 's-maxage=0', fresh => 'public, max-age=60');

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $who = $req->{headers}{cookie} // 'nobody';
    my ($what) = $req->{uri} =~ m!(\w+)$!;

    return undef if $who =~ /away/;

    my @fields = ("Cache-Control: $said{$what}", 'ETag: W/"de-19b76daa800"');

    return [304, \@fields, ''] if $req->{headers}{'if-none-match'};
    return [200, \@fields, $who];
});

$t->run();

###############################################################################

for (qw/ zero no while s /) {
    get("/$_", 'session=alice');
    is(told("/$_", 'session=bobby'), 'MISS session=bobby', "$_: his own");
}

like(told('/zero', 'session=away'), qr/^MISS .*502/s,
    'of nobody else while upstream is away');

# what says that it may be used, and who says that cookies do not matter

get('/fresh', 'session=alice');
is(told('/fresh', 'session=bobby'), 'HIT session=alice', 'fresh for all');

get('/files/zero', 'session=alice');
is(told('/files/zero', 'session=bobby'), 'REVALIDATED session=alice',
    'without users');

# those without a cookie, and of them for those with one

get('/zero');
is(told('/zero'), 'REVALIDATED nobody', 'nobody in particular');
is(told('/zero', 'session=alice'), 'REVALIDATED nobody', 'for somebody');
is(told('/zero'), 'REVALIDATED nobody', 'and it is still there for others');

# each his own

get('/users/zero', 'session=alice');
is(told('/users/zero', 'session=alice'), 'REVALIDATED session=alice', 'a user');
is(told('/users/zero', 'session=bobby'), 'MISS session=bobby', 'another');
is(told('/users/zero', 'session=alice'), 'REVALIDATED session=alice', 'kept');

###############################################################################

sub get {
    my ($uri, $cookie) = @_;
    return http_get($uri, headers => $cookie ? { Cookie => $cookie } : {});
}


sub told {
    my $r = get(@_);
    return header($r, 'X-Cache') . ' ' . body($r);
}

###############################################################################
