package Test::Nginx::XXH64;

# Copyright (C) The Optcache authors

# XXH64 of bytes, with the seed 0, as its specification has it: what seals an
# entry in Redis.

use strict;
use warnings;
no warnings 'portable';

use Exporter 'import';

our @EXPORT_OK = qw/ xxh64 /;

my @prime = (undef, 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F,
             0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5);


sub xxh64 {
    my ($data) = @_;

    my $n = length $data;
    my $at = 0;
    my $hash;

    if ($n >= 32) {
        my @lanes = (_add($prime[1], $prime[2]), $prime[2], 0, _neg($prime[1]));

        for ( ; $at + 32 <= $n; $at += 32) {
            my @words = unpack 'Q<4', substr $data, $at, 32;
            $lanes[$_] = _round($lanes[$_], $words[$_]) for 0 .. 3;
        }

        $hash = _add(_add(_rotate($lanes[0], 1), _rotate($lanes[1], 7)),
                     _add(_rotate($lanes[2], 12), _rotate($lanes[3], 18)));

        for my $lane (@lanes) {
            $hash = _add(_mul($hash ^ _round(0, $lane), $prime[1]),
                         $prime[4]);
        }

    } else {
        $hash = $prime[5];
    }

    $hash = _add($hash, $n);

    for ( ; $at + 8 <= $n; $at += 8) {
        $hash ^= _round(0, unpack 'Q<', substr $data, $at, 8);
        $hash = _add(_mul(_rotate($hash, 27), $prime[1]), $prime[4]);
    }

    if ($at + 4 <= $n) {
        $hash ^= _mul(unpack('V', substr $data, $at, 4), $prime[1]);
        $hash = _add(_mul(_rotate($hash, 23), $prime[2]), $prime[3]);
        $at += 4;
    }

    for ( ; $at < $n; $at++) {
        $hash ^= _mul(ord substr($data, $at, 1), $prime[5]);
        $hash = _mul(_rotate($hash, 11), $prime[1]);
    }

    $hash = _mul($hash ^ $hash >> 33, $prime[2]);
    $hash = _mul($hash ^ $hash >> 29, $prime[3]);

    return $hash ^ $hash >> 32;
}


sub _round {
    my ($lane, $word) = @_;
    return _mul(_rotate(_add($lane, _mul($word, $prime[2])), 31), $prime[1]);
}


sub _rotate { return $_[0] << $_[1] | $_[0] >> 64 - $_[1] }


# Modulo 2^64: as signed numbers they wrap, and have the same bits.

sub _add { use integer; my $n = $_[0] + $_[1]; no integer; return $n | 0 }
sub _mul { use integer; my $n = $_[0] * $_[1]; no integer; return $n | 0 }
sub _neg { use integer; my $n = -$_[0]; no integer; return $n | 0 }


1;
