package Test::Nginx::Example;

# Copyright (C) The Optcache authors

# A configuration of docs/examples, as it stands but for what a machine has of
# its own: paths, ports, what else the test says.

use strict;
use warnings;

use base qw/ Exporter /;

our @EXPORT = qw/ run_example /;

use Test::More ();

use Test::Nginx;


# run_example($t, 'gateway.conf', qr/FROM/ => 'TO', ...): nginx runs by it.
# Logs are example-*.log in the directory of the test, files of /etc/nginx are
# there, too, those of /var/www in www.  A FROM that is not in the example is
# an error.
#
# What is counted exactly needs a Redis that is never too slow.

sub run_example {
    my ($t, $name, @replace) = @_;

    my $conf = $t->read_file($t->source_dir() . "/docs/examples/$name")
        or die "no example $name\n";

    while (my ($from, $to) = splice @replace, 0, 2) {
        $conf =~ s/$from/$to/g or die "no $from in $name\n";
    }

    $conf =~ s/^(load_module|error_log|pid) [^;]*;//mg;
    $conf =~ s!/var/log/nginx/!%%TESTDIR%%/example-!g;
    $conf =~ s!/etc/nginx/!%%TESTDIR%%/!g;
    $conf =~ s!/var/www/!%%TESTDIR%%/www/!g;
    $conf =~ s/(_redis_server [^;]*?)( timeout=\w+)?;
              /$1 timeout=5s connect_timeout=5s;/gx;
    $conf =~ s/^http \{\K/\n%%TEST_GLOBALS_HTTP%%\n/m;

    return $t->write_file_expand('nginx.conf', "%%TEST_GLOBALS%%\n$conf")
             ->run();
}


1;
