#!/usr/bin/perl

# Copyright (C) The Optcache authors

# No gzip form is kept where a filter of nginx changes the body: it would find
# nothing there to change.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Nginx;

my $module = '/usr/lib/nginx/modules/ngx_http_xslt_filter_module.so';

my $t = Test::Nginx->new()->has(qw/ http_proxy http_ssi http_sub http_addition /);

my $xslt = -e $module && !$t->is_static() && !$ENV{TEST_NGINX_BINARY};

my $conf = <<'EOF';

%%TEST_GLOBALS%%

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    proxy_http_version 1.1;

    optcache_zone c:4m;

    server {
        listen 127.0.0.1:8080;

        optcache c;
        optcache_gzip on;
        optcache_gzip_min_length 1;

        location /plain {
            proxy_pass http://127.0.0.1:8081;
        }

        location /ssi {
            ssi on;
            ssi_types *;
            proxy_pass http://127.0.0.1:8081;
        }

        location /sub {
            sub_filter_types *;
            sub_filter '<!--# echo var="uri" -->' $uri;
            proxy_pass http://127.0.0.1:8081;
        }

        location /before {
            add_before_body /part;
            addition_types *;
            proxy_pass http://127.0.0.1:8081;

            location /before/nested {
                proxy_pass http://127.0.0.1:8081;
            }

            location /before/none {
                add_before_body "";
                proxy_pass http://127.0.0.1:8081;
            }
        }

        location /after {
            add_after_body /part;
            addition_types *;
            proxy_pass http://127.0.0.1:8081;
        }

        location /part {
            optcache off;
            return 200 "a part";
        }

        location /xslt {
            xslt_stylesheet %%TESTDIR%%/sheet.xsl;
            proxy_pass http://127.0.0.1:8081;
        }
    }
}

EOF

my @uris = qw{ /ssi /sub };

if ($xslt) {
    $conf = "load_module $module;\n$conf";
    push @uris, '/xslt';

} else {
    $conf =~ s/xslt_stylesheet .*;//;
}

$t->plan(13 + @uris * 8)->write_file_expand('nginx.conf', $conf);

$t->write_file('sheet.xsl', <<'EOF');
<xsl:stylesheet version="1.0"
                xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:output method="text"/>
<xsl:template match="/"><xsl:value-of select="//a"/></xsl:template>
</xsl:stylesheet>
EOF

my $backend = $t->run_http_backend(8081, sub {
    my ($req) = @_;

    my $xslt = $req->{uri} =~ /xslt/;
    my $text = $xslt ? '/xslt' : '<!--# echo var="uri" -->';
    my $stale = 'Cache-Control: max-age=60, stale-while-revalidate=600';

    my @fields = ($xslt ? 'Content-Type: text/xml' : 'Content-Type: text/plain',
                  $stale);

    push @fields, 'Age: 100' if $req->{count} == 1 && $req->{uri} =~ /old/;

    return [200, \@fields, '<r>'] if $req->{count} == 1 && $req->{uri} =~ /grow/;

    my $body = "<r>$req->{count}<b>" . 'x' x 1000 . "</b><a>$text</a></r>";

    return [200, \@fields, $body] if $req->{uri} !~ /chunked/;

    my $s = $req->{socket};
    print $s join "\r\n", 'HTTP/1.1 200 OK', @fields, 'ETag: "a"',
                          'Transfer-Encoding: chunked', '',
                          sprintf('%x', length $body), $body, '0', '', '';
    return undef;
});

$t->run();

###############################################################################

for my $uri (@uris) {
    like(get($uri), qr/^MISS .*$uri/, "$uri, a miss");
    like(get($uri), qr/^HIT .*$uri/, 'a hit');
    like(get("$uri?old"), qr/^MISS .*$uri/, 'what is stale');
    like(get("$uri?old"), qr/^UPDATING .*$uri/, 'is updated');

    wait_for(sub { get("$uri?old") =~ /^HIT/ });
    like(get("$uri?old"), qr/^HIT .*$uri/, 'behind a client');
    unlike(get("$uri?old"), qr/gzip/, 'not in gzip');

    my $r = http_get("$uri?chunked", headers => { 'If-None-Match' => '"a"' });
    is(status($r), 304, 'what a client has');
    like(get("$uri?chunked"), qr/^HIT .*$uri/, 'is stored, too');
}

# where nothing is changed an update has what was there before

get('/plain?old');
like(get('/plain?old'), qr/^UPDATING gzip <r>1/, 'gzip');
ok(wait_for(sub { get('/plain?old') =~ /^HIT/ }), 'an update');
like(get('/plain?old'), qr/^HIT gzip <r>2/, 'gzip as well');
is($backend->count(qr/plain/), 2, 'two answers');

# if it gained nothing, it may do so now

get('/plain?old&grow');
like(get('/plain?old&grow'), qr/^UPDATING <r>/, 'not worth while');
ok(wait_for(sub { get('/plain?old&grow') =~ /^HIT gzip <r>2/ }), 'until it is');

# what is added to a body without a length shows nowhere

for my $uri (qw{ /before /before/nested /after }) {
    get("$uri?chunked");
    like(get("$uri?chunked"), qr/^HIT .*a part/, "$uri, a hit");
    unlike(get("$uri?chunked"), qr/gzip|\x1f\x8b/, 'not in gzip');
}

get('/before/none?chunked');
like(get('/before/none?chunked'), qr/^HIT gzip <r>1/, 'nothing is added');

###############################################################################

sub get {
    my ($uri) = @_;

    my $r = http_get($uri, headers => { 'Accept-Encoding' => 'gzip' });
    my $gzip = (header($r, 'Content-Encoding') // '') eq 'gzip';

    return header($r, 'X-Cache')
           . ($gzip ? ' gzip ' . gunzip(body($r)) : ' ' . body($r));
}

###############################################################################
