#!/usr/bin/env bash
# The demo as people run it, on the mock broker: to its end, interrupted, and killed. It must leave nothing behind.
# usage: demo.sh PAWL; exits 77 if PostgreSQL or Python is missing.
set -euo pipefail

pawl=$1
compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || { echo "SKIPPED: no PostgreSQL server"; exit 77; }
command -v python3 >/dev/null || { echo "SKIPPED: no python3"; exit 77; }

TMPDIR=$(mktemp -d /tmp/pawl-dt-XXXXXX)
export TMPDIR
chmod 755 "$TMPDIR"
trap 'rm -rf "$TMPDIR"' EXIT
log=$TMPDIR.log

fail() {
    echo "FAILED: $*"
    cat "$log"
    rm -f "$log"
    exit 1
}

# Whatever the demo starts has its folder on the command line.
left_behind() {
    local p
    ls -A "$TMPDIR"
    for p in /proc/[0-9]*; do
        if [ "${p#/proc/}" != $$ ] && grep -qsaF "$TMPDIR/" "$p/cmdline"; then
            echo "$p"
        fi
    done
}

nothing_left_within() {
    local end=$((SECONDS + $1))
    while [ -n "$(left_behind)" ]; do
        [ $SECONDS -lt $end ] || fail "left behind: $(left_behind)"
        sleep 0.1
    done
}

# In the background; its log is empty before, so that no line of the last one is taken for one of this. A signal that comes before
# the shell has become the demo would be the shell's.
start_demo() {
    : >"$log"
    "$pawl" demo --events 50000 --rate 1000 >"$log" 2>&1 &
    demo=$!
}

wait_for_line() {
    local end=$((SECONDS + 90))
    until grep -q "$1" "$log"; do
        kill -0 "$2" 2>/dev/null || fail "the demo ended before it said '$1'"
        [ $SECONDS -lt $end ] || fail "the demo did not say '$1'"
        sleep 0.05
    done
}

"$pawl" demo --events 3000 --bad 7 --duplicates 50 --rate 0 --seed 7 >"$log" 2>&1 || fail "exit code $?"
tail -n 1 "$log" | grep -qE '^audit sent=3050 applied=2993 rejected=7 lost=0 duplicated=0 disordered=0 dead=7 deduplicated=50 billed=2993 p95_ms=[0-9.]+' ||
    fail "the last line is no clean audit"
nothing_left_within 0
echo "ok: a clean audit, and nothing left"

for signal in INT TERM; do
    start_demo
    wait_for_line "^  *[0-9]*[1-9][.0-9]* s  *sent" $demo
    kill -$signal $demo
    rc=0
    wait $demo || rc=$?
    [ $rc = $((128 + $(kill -l $signal))) ] || fail "exit code $rc after SIG$signal"
    nothing_left_within 0
    echo "ok: nothing left after SIG$signal"
done

start_demo
wait_for_line "^  *[0-9]*[1-9][.0-9]* s  *sent" $demo
kill -KILL $demo
wait $demo 2>/dev/null || true
nothing_left_within 15
echo "ok: nothing left after SIGKILL"
rm -f "$log"
