#!/usr/bin/perl

# Copyright (C) The Optcache authors

# The map of the reference finds a cookie whose name is none of a variable, and
# it only, as the first of its name.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $reference = do {
    local $/;
    open my $file, '<', "$FindBin::Bin/../docs/ngx_http_optcache_module.md"
        or die "reference: $!";
    <$file>;
};

my ($map) = $reference =~ /^    (map \$http_cookie \$sid \{.*?^    \})/ms
    or die 'no map in the reference';

my @sent = (
    # the cookies, whose partition it is

    ['connect.sid=a', 'a'], ['theme=x; connect.sid=a', 'a'],
    ['theme=x;connect.sid=a; lang=de', 'a'], ['connect.sid=b', 'b'],
    ['connect.sid=a; connect.sid=b', 'a'], ['connect_sid=a', ''],
    ['xconnect.sid=a', ''], ['x=connect.sid=a', ''], ['Connect.Sid=a', ''],
    ['connect.sid=', ''], ['connect.sid=; connect.sid=a', 'a'],
);

my $t = Test::Nginx->new()->has(qw/ http_map http_proxy /)->plan(scalar @sent);

my $conf = <<'EOF';

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    optcache_zone c:1m;

    MAP

    server {
        listen 127.0.0.1:8080;

        location / {
            optcache c;
            optcache_user $sid;
            proxy_set_header X-User $sid;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

$conf =~ s/MAP/$map/;

$t->write_file_expand('nginx.conf', $conf);

$t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $user = $req->{headers}{'x-user'} // '';
    my $said = $user eq '' ? 'no-store' : 'private, max-age=60';

    return [200, ["Cache-Control: $said"], $user];
});

$t->run();

###############################################################################

for (@sent) {
    my ($cookie, $user) = @$_;

    is(body(http_get('/', headers => { Cookie => $cookie })) // '', $user,
        $cookie);
}

###############################################################################
