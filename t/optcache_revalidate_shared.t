#!/usr/bin/perl

# Copyright (C) The Optcache authors

# A client whose answers are not stored in the shared partition validates what
# is there for others: it is used, not brought up to date, and stays.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $t = Test::Nginx->new()->has('http_proxy')->plan(66);

$t->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;
    optcache c;
    optcache_headers all;

    server {
        listen 127.0.0.1:8080;

        location / {
            proxy_pass http://127.0.0.1:8081;
        }

        location /hidden/ {
            proxy_hide_header CDN-Cache-Control;
            proxy_pass http://127.0.0.1:8081;
        }

        location /unseen/ {
            proxy_hide_header Cache-Control;
            proxy_pass http://127.0.0.1:8081;
        }

        location /shared/ {
            optcache_user "";
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $h = $req->{headers};
    my @age = $req->{uri} =~ /stale/ ? 'Age: 100' : ();

    # what a 304 says for one client that was not so before

    my %now = (private => 'Cache-Control: private',
               nocache => 'Cache-Control: max-age=60, no-cache',
               short => 'Cache-Control: max-age=0', vary => 'Vary: Cookie',
               any => 'Vary: *', set => 'Set-Cookie: a=b');
    my ($what) = $req->{uri} =~ m!/(\w+)$!;
    my $one = $h->{authorization} || $h->{cookie};

    # rules by which it is asked for each time

    my %ever = (each => ['Cache-Control: no-cache'],
                old => ['Cache-Control: max-age=0'],
                cdn => ['Cache-Control: max-age=60',
                        'CDN-Cache-Control: no-cache'],
                hushed => ['Cache-Control: max-age=60',
                           'CDN-Cache-Control: max-age=60'],
                expires => ['Expires: Thu, 01 Jan 1970 00:00:01 GMT']);

    if ($ever{$what}) {
        my @rules = $ever{$what}->@*;

        return [200, [@rules, 'ETag: "a"'], "answer $req->{count}"]
            if ($h->{'if-none-match'} // '') ne '"a"';

        $rules[1] = 'CDN-Cache-Control: max-age=60, must-revalidate'
            if $one && $req->{uri} =~ m!/other/!;

        return [304, [@rules, 'ETag: "a"'], ''];
    }

    return [304, [$one && $now{$what} || 'Cache-Control: max-age=60',
                  'ETag: "a"'], '']
        if ($h->{'if-none-match'} // '') eq '"a"';

    my $public = $what eq 'public' ? 'public, ' : '';

    return [200, ["Cache-Control: ${public}max-age=60", @age, 'ETag: "a"'],
            "answer $req->{count}"];
});

$t->run();

###############################################################################

for (['/a', 'Cookie: a=b'], ['/shared/a', 'Authorization: Basic YQ==']) {
    my ($uri, $field) = @$_;

    get($uri);
    my $r = get($uri, $field, 'Cache-Control: no-cache');
    is(told($r), 'REVALIDATED answer 1', "$uri: validated for one");
    is(header($r, 'Cache-Status'), 'Optcache; fwd=request; fwd-status=304',
        'and not stored');
    is(told(get($uri)), 'HIT answer 1', 'is there for others');

    get("$uri/stale");
    is(told(get("$uri/stale", $field)), 'REVALIDATED answer 1',
        "$uri: stale for one");
    is(told(get("$uri/stale")), 'REVALIDATED answer 1', 'for another, too');
    is(told(get("$uri/stale")), 'HIT answer 1', 'who brings it up to date');
}

# also what is to be validated each time

for my $rule (qw/ each old cdn expires /) {
    get("/$rule");
    is(told(get("/$rule")), 'REVALIDATED answer 1', "$rule: each time");
    is(told(get("/$rule", 'Cookie: a=b')), 'REVALIDATED answer 1', 'for one');
    is(told(get("/$rule")), 'REVALIDATED answer 1', 'and is there for others');
}

# what goes before Cache-Control is compared, too, unless nobody is shown it

for (['/cdn', 'HIT answer 1'], ['/other', 'MISS answer 3'],
     ['/hidden', 'MISS answer 3'])
{
    my ($path, $then) = @$_;

    get("$path/hushed");
    get("$path/hushed", 'Cookie: a=b', 'Cache-Control: no-cache');
    is(told(get("$path/hushed")), $then, "$path: a targeted field");
}

# what must not be shared any more, or as it is, goes

for (['/', 'Cookie: a=b'], ['/shared/', 'Authorization: Basic YQ=='],
     ['/unseen/', 'Cookie: a=b'])
{
    my ($path, $field) = @$_;

    for (qw/ private nocache short vary any set /) {
        get("$path$_");
        like(told(get("$path$_", $field, 'Cache-Control: no-cache')),
            qr/ answer 1$/, "$path$_: a 304 for one");
        like(told(get("$path$_")), qr/^(MISS|EXPIRED) answer/, 'is removed');
    }
}

# it was shared only because it was public, which it is no more

get('/shared/public', 'Authorization: Basic Yg==');
is(told(get('/shared/public')), 'HIT answer 1', 'public');
is(told(get('/shared/public', 'Authorization: Basic YQ==',
            'Cache-Control: no-cache')), 'REVALIDATED answer 1', 'no more');
is(told(get('/shared/public')), 'MISS answer 3', 'is removed');

###############################################################################

sub get {
    my ($uri, @headers) = @_;
    return http_get($uri, headers => \@headers);
}


sub told {
    my ($r) = @_;
    return header($r, 'X-Cache') . ' ' . body($r);
}

###############################################################################
