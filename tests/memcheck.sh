#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# memcheck.sh LOG SCRIPT - runs a shell test whose programs run under memcheck with --log-fd=9. The script compares what the
# programs write, so memcheck's own words go to LOG, which is shown if the test fails.
set -u
exec 9>"$1"
sh "$2"
status=$?
[ $status = 0 ] || cat "$1"
exit $status
