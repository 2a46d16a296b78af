#!/bin/sh
# layout.sh OLD NEW: what OLD prints, NEW prints too; structs may be larger in NEW.
set -eu
old=$(mktemp) new=$(mktemp)
trap 'rm -f "$old" "$new"' EXIT
"$1" >"$old"
"$2" >"$new"
[ "$(wc -l <"$old")" -gt 100 ] || { echo "the old header has hardly any fields"; exit 1; }
awk '
NR == FNR { if ($1 == "size") size[$2] = $3; else there[$0] = 1; next }
$1 == "size" { if (!($2 in size) || size[$2] < $3) { print "smaller than it was: " $2; bad = 1 }; next }
!($0 in there) { print "was, and is no longer: " $0; bad = 1 }
END { exit bad }
' "$new" "$old"
