#!/usr/bin/env bash
# The demo as people run it, on the mock broker: to its end, without Python, with an oracle that finds something, left running, ended by signals and
# killed. It must leave nothing behind.
# usage: demo.sh PAWL; exits 77 if PostgreSQL or Python is missing.
set -euo pipefail

pawl=$1
compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || { echo "SKIPPED: no PostgreSQL server"; exit 77; }
command -v python3 >/dev/null || { echo "SKIPPED: no python3"; exit 77; }

TMPDIR=$(mktemp -d /tmp/pawl-dt-XXXXXX)
export TMPDIR
chmod 755 "$TMPDIR"
trap 'rm -rf "$TMPDIR" "$TMPDIR.bin"' EXIT
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

number() { # $1 name, in the last line
    tail -n 1 "$log" | sed -n "s/.* $1=\([0-9]*\) .*/\1/p"
}

# The client sends again what a killed gateway did not answer: $1 records, $2 copies and $3 rejected ones are the least, and what is beyond is copies
# of good events, or bad ones that are rejected again. $4: the rest of the line.
audit_is() {
    local line sent copies rejected
    line=$(tail -n 1 "$log") sent=$(number sent) copies=$(number deduplicated) rejected=$(number rejected)
    if [ "$sent" -lt "$1" ] || [ "$copies" -lt "$2" ] || [ "$rejected" -lt "$3" ] || [ "$rejected" != "$(number dead)" ] ||
        [ $((sent - $1)) != $((copies - $2 + rejected - $3)) ]; then
        fail "the numbers do not add up: $line"
    fi
    sed -E 's/ (sent|deduplicated|rejected|dead|billed|p95_ms)=[0-9.]+//g' <<<"$line" | grep -qx "$4" || fail "the last line is not as it must be: $line"
}

# 2 of the 7 bad events are refused by the gateway, and so are in no topic. Late events are charged in several rows, each a document.
"$pawl" demo --events 3000 --bad 7 --duplicates 50 --rate 1500 --seed 7 >"$log" 2>&1 || fail "exit code $?"
audit_is 3048 50 5 "audit applied=2993 lost=0 duplicated=0 disordered=0 ledger=balanced premiums=match acts=match"
[ "$(number billed)" -gt 2993 ] || fail "no event was late"
grep -q "3048 events acknowledged, 2 refused as they must be" "$log" || fail "the client does not say what became of its events"
grep -q "the gateway was killed [12] times" "$log" || fail "the gateway was not killed"
nothing_left_within 0
echo "ok: a clean audit, and nothing left"

# Commands without python3.
mkdir "$TMPDIR.bin"
ln -s /usr/sbin/* /usr/bin/* "$TMPDIR.bin/" 2>/dev/null || true
rm -f "$TMPDIR.bin/python3"
PATH=$TMPDIR.bin "$pawl" demo --events 200 --rate 0 >"$log" 2>&1 || fail "exit code $?"
tail -n 1 "$log" | grep -qE '^audit sent=[0-9]+ applied=190 billed=[0-9]+ p95_ms=[0-9.]+ ledger=unchecked premiums=unchecked acts=unchecked$' ||
    fail "the last line does not say that nobody has looked"
nothing_left_within 0
echo "ok: without Python it says so"

# An act is lost before the oracle looks. --keep leaves all running.
cat >"$TMPDIR.bin/python3" <<SCRIPT
#!/bin/bash
for word in "\$@"; do case "\$word" in */acts.tsv) sed -i '\$d' "\$word" ;; esac; done
exec $(command -v python3) "\$@"
SCRIPT
chmod 755 "$TMPDIR.bin/python3"
: >"$log"
PATH=$TMPDIR.bin:$PATH "$pawl" demo --events 200 --rate 0 --keep >"$log" 2>&1 &
demo=$!
wait_for_line "^audit sent=.* ledger=balanced premiums=match acts=differ$" $demo
grep -q '^ledger_oracle: acts: ' "$log" || fail "the oracle's words are missing"
mapfile -t ports < <(sed -n 's|.*http://127.0.0.1:\([0-9]*\)/metrics .*|\1|p' "$log")
[ ${#ports[@]} = 2 ] || fail "it does not say where pawl and the gateway are"
for port in "${ports[@]}"; do
    exec 3<>"/dev/tcp/127.0.0.1/$port"
    printf 'GET /readyz HTTP/1.0\r\n\r\n' >&3
    head -n 1 <&3 | grep -q ' 200 ' || fail "nobody is ready at port $port"
    exec 3>&-
done
psql=$(sed -n 's/^The tables: *psql "\(.*\)"$/\1/p' "$log")
[ "$(psql "$psql" -XAtc 'SELECT count(DISTINCT event_id) FROM underwriting.premium')" = 190 ] || fail "psql does not find the tables"
act=$(eval "$(sed -n 's/^An act, to read: *//p' "$log")") || fail "the command that prints an act does not work"
grep -q '^ACT No. ' <<<"$act" || fail "no act: $act"
kill -INT $demo
rc=0
wait $demo || rc=$?
[ $rc = 1 ] || fail "exit code $rc of a demo whose acts differ"
nothing_left_within 0
rm -rf "$TMPDIR.bin"
echo "ok: what the oracles find is told, and --keep leaves all running until a signal"

start_demo
wait_for_line "^  *[0-9]*[1-9][.0-9]* s  *sent" $demo
kill -TERM $demo
rc=0
wait $demo || rc=$?
[ $rc = 143 ] || fail "exit code $rc after SIGTERM"
nothing_left_within 0
echo "ok: nothing left after SIGTERM"

start_demo
wait_for_line "^  *[0-9]*[1-9][.0-9]* s  *sent" $demo
kill -KILL $demo
wait $demo 2>/dev/null || true
nothing_left_within 15
echo "ok: nothing left after SIGKILL"
rm -f "$log"
