#!/bin/sh
# abidiff.sh ABIDIFF ACCEPTED OLD NEW: no change of a type that is not in ACCEPTED. 77: there is no abidiff here.
set -eu
if [ ! -x "$1" ]; then
    echo "SKIPPED: abidiff is not installed (Debian: abigail-tools); the layout test has been run all the same"
    exit 77
fi
rc=0
"$1" --suppressions "$2" "$3" "$4" || rc=$?
[ $rc = 0 ] || { echo "a change of the ABI: undo it, or say in $2 why no plugin can notice"; exit 1; }
