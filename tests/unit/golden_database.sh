#!/bin/sh
# golden_database.sh PAWL PLUGINS: `pawl plugin test --database` against a private PostgreSQL: one server for all of it.
set -eu
pawl=$1
plugins=$2
work=$(mktemp -d "${TMPDIR:-/tmp}/pawl-golden-XXXXXX")
trap 'rm -rf "$work"' EXIT

cat >"$work/right.yaml" <<YAML
plugin: $plugins/moody.so
cases:
  - name: a row is read, and written
    message: { key: K, value: keep }
    rows:
      find: [[true, 1, null, 2.50, null, null, null, 2025-01-15, null]]
    database: INSERT INTO moody.thing (id, yes, n, sum, day) VALUES ('K', true, 1, 2.50, '2025-01-15')
    expect:
      verdict: ok
      writes:
        - save: { id: K, yes: true, n: 1, f: null, sum: 2.50, b: null, u: null, at: null, day: 2025-01-15, j: null, extra: null }
      tables:
        - sql: SELECT id, n, day, j FROM moody.thing
          rows: [[K, 2, 2025-01-15, null]]
  - name: each case begins with empty tables
    message: { key: K, value: bump }
    database: SELECT 1
    expect:
      verdict: ok
      writes:
        - bump: { id: K }
      sqlstate: "statement 'bump' affected 0 rows of 1, 1 each were expected"
  - name: a constraint says no
    message: { key: K, value: bump }
    database: INSERT INTO moody.thing (id, n) VALUES ('K', 99)
    expect:
      verdict: ok
      writes:
        - bump: { id: K }
      sqlstate: 23514
  - name: without a database
    message: { value: skip }
    expect: { verdict: skip }
YAML
"$pawl" plugin test --database "$work/right.yaml" >"$work/out" 2>&1 || { cat "$work/out"; exit 1; }
grep -q '^4 cases: 4 as expected, 0 failed, 3 in the database$' "$work/out" || { cat "$work/out"; exit 1; }
# What only a database tells is not looked at without one.
"$pawl" plugin test "$work/right.yaml" >"$work/out" 2>&1 || { cat "$work/out"; exit 1; }

cat >"$work/wrong.yaml" <<YAML
plugin: $plugins/moody.so
cases:
  - name: the rows are not those that the SQL finds
    message: { key: K, value: keep }
    rows:
      find: [[true, 1, null, 2.50, null, null, null, 2025-01-15, null]]
    database: INSERT INTO moody.thing (id, yes, n, sum) VALUES ('K', true, 5, 2.50)
    expect:
      verdict: ok
      writes:
        - save: { id: K, yes: true, n: 1, f: null, sum: 2.50, b: null, u: null, at: null, day: 2025-01-15, j: null, extra: null }
  - name: the table is not as expected
    message: { key: K, value: bump }
    database: INSERT INTO moody.thing (id, n) VALUES ('K', 1)
    expect:
      verdict: ok
      writes:
        - bump: { id: K }
      tables:
        - sql: SELECT n FROM moody.thing
          rows: [[3]]
YAML
if "$pawl" plugin test --database "$work/wrong.yaml" >"$work/out" 2>&1; then
    echo "two wrong cases were taken"
    exit 1
fi
for line in 'with the rows of the database it does something else' '+   - save: { id: K, yes: true, n: 5,' "the table is not as expected: not as expected" \
    '+ *- \[2\]' '^2 cases: 0 as expected, 2 failed, 2 in the database$'; do
    grep -q -- "$line" "$work/out" || { echo "not said: $line"; cat "$work/out"; exit 1; }
done
printf 'plugin: %s/moody.so\ncases:\n  - name: n\n    message: { value: skip }\n    database: SELECT oops\n' "$plugins" >"$work/setup.yaml"
if "$pawl" plugin test --database "$work/setup.yaml" >"$work/out" 2>&1; then
    echo "SQL that fails was taken"
    exit 1
fi
grep -q 'setup.yaml:5:15: 42703 column "oops" does not exist' "$work/out" || { cat "$work/out"; exit 1; }
