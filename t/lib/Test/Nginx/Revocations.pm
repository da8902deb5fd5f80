package Test::Nginx::Revocations;

# Copyright (C) The Optcache authors

# What the tests of token_blacklist_postgres have in common: the table, a
# gateway that keeps revocations in it, and who is let in.

use strict;
use warnings;

use base qw/ Exporter /;

our @EXPORT = qw/ install gateway get post key revoke rows enters /;

use Digest::SHA qw/ sha256_hex /;
use Test::Nginx;


sub install {
    my ($t, $pg) = @_;

    $pg->query($t->read_file($t->source_dir() . '/docs/token_blacklist.sql'));
}


# gateway($t, postgres => CONNINFO, workers => 2, redis => 'URL parameters',
#         more => 'directives of http', server => 'of server')

sub gateway {
    my ($t, %o) = @_;

    my $workers = $o{workers} || 1;
    my $more = $o{more} || '';
    my $server = $o{server} || '';
    my $redis = $o{redis} || 'redis://127.0.0.1:6379';

    $t->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

worker_processes $workers;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ratelimit_redis_server $redis timeout=5s connect_timeout=5s;
    token_blacklist_postgres $o{postgres};
    $more

    server {
        listen 127.0.0.1:8080;

        token_blacklist on;
        add_header X-Status \$token_status always;
        $server

        location / {
        }

        location = /allow {
            token_blacklist_on_error allow;
        }

        location = /logout {
            token_blacklist off;
            token_revoke;
        }
    }
}

EOC

    $t->write_file($_, 'SEE-THIS') for qw/ x allow /;
}


sub get {
    my ($uri, $token) = @_;
    return http_get($uri, headers => { Authorization => "Bearer $token" });
}


sub post {
    my ($uri, $token) = @_;
    return http_post($uri, headers => { Authorization => "Bearer $token" });
}


sub key { 'blacklist:' . sha256_hex($_[0]) }


# The statement that revokes a token, for an hour.

sub revoke {
    my ($token) = @_;
    return "SELECT optcache.token_revoke('" . key($token)
           . "', now() + interval '1 hour')";
}


# The number of rows of a token.

sub rows {
    my ($pg, $token) = @_;
    return $pg->query('SELECT count(*) FROM optcache.token_blacklist'
                      . " WHERE key = '" . key($token) . "'");
}


# Waits until a token that nobody has revoked is let in.  "refused" if the
# others never were meanwhile, by 503 or 401, and are revoked in the end; else
# what happened.

sub enters {
    my ($good, @others) = @_;

    my %seen;

    my $entered = wait_for(sub {
        $seen{status(get('/x', $_))} = 1 for @others;
        return status(get('/x', $good)) == 200;
    }, 20);

    return 'nobody enters' unless $entered;

    wait_for(sub {
        my @status = map { status(get('/x', $_)) } @others;

        $seen{$_} = 1 for @status;
        return !grep { $_ != 401 } @status;
    }) or return 'not refused: ' . join ' ', sort keys %seen;

    delete @seen{401, 503};

    return %seen ? 'let in: ' . join(' ', sort keys %seen) : 'refused';
}


1;
