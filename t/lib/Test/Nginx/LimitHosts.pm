package Test::Nginx::LimitHosts;

# Copyright (C) The Optcache authors

# Four hosts that limit to 1000, in each way that there is: what becomes of them
# all together when Redis goes and comes back.

use strict;
use warnings;

use base qw/ Test::Nginx::Hosts /;

use Test::Nginx;


my @zones = qw/ fixed sliding gcra lease /;


sub new {
    my ($class) = @_;

    return $class->SUPER::new(conf());
}


# One for each zone, all of the same subject.

sub uris { return map { "/$_?a=1" } @zones }


# Waits until no host keeps to its share of anything.

sub settled {
    my ($self) = @_;

    return wait_for(sub { !grep { shares($_) } @{ $self->ports() } }, 20);
}


sub shares {
    my ($port) = @_;

    return grep { http_get($_, port => $port) =~ /X-Status: LOCAL/ } uris();
}


sub conf {
    return <<'EOF';

%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    access_log off;
    keepalive_requests 100000;
    add_header X-Status $ratelimit_redis_status always;

    ratelimit_redis_server redis://127.0.0.1:6379 timeout=1s connect_timeout=1s;
    ratelimit_redis_log_level info;

    ratelimit_redis_zone $arg_a zone=fixed:1m rate=1000r/h;
    ratelimit_redis_zone $arg_a zone=sliding:1m rate=1000r/h
                         algorithm=sliding_window;
    ratelimit_redis_zone $arg_a zone=gcra:1m rate=1r/h burst=999
                         algorithm=gcra;
    ratelimit_redis_zone $arg_a zone=lease:1m rate=1000r/h lease=10;

    server {
        listen 127.0.0.1:8080 reuseport;

        location /fixed {
            ratelimit_redis zone=fixed;
            alias %%TESTDIR%%/x;
        }

        location /sliding {
            ratelimit_redis zone=sliding;
            alias %%TESTDIR%%/x;
        }

        location /gcra {
            ratelimit_redis zone=gcra nodelay;
            alias %%TESTDIR%%/x;
        }

        location /lease {
            ratelimit_redis zone=lease;
            alias %%TESTDIR%%/x;
        }
    }
}

EOF
}


1;
