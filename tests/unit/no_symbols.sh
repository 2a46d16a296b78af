#!/bin/sh
# no_symbols.sh NM LIBRARY...: fails if one of them needs a symbol that the supervisor must not have.
set -eu

nm=$1
shift
rc=0
for lib in "$@"; do
    symbols=$("$nm" --undefined-only "$lib")
    found=$(printf '%s\n' "$symbols" | awk '{ print $NF }' | grep -E '^(rd_kafka_|PQ|dl(m?open|v?sym)$)' | sort -u || true)
    if [ -n "$found" ]; then
        printf '%s needs:\n%s\n' "$lib" "$found"
        rc=1
    fi
done
exit $rc
