#!/bin/sh
#
# Writes the dashboard, as one page, to standard output: the initializer of a
# C array.  Run by make, in whatever folder; see config.make.

set -eu

cd "$(dirname "$0")"

LC_ALL=C sed -e '/^<style>$/r dashboard.css' \
             -e '/^<script>$/r dashboard.js' \
             -e '/^<script>$/r charts.js' \
             -e '/^<script>$/r panels.js' \
             -e '/^<script>$/r actions.js' dashboard.html \
    | od -An -v -tx1 | sed 's/ \(..\)/0x\1, /g'
