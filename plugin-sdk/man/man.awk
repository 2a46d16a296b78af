# man.awk -v page=pawl -v section=1 -v version=0.1.0 -v brief="what it is" FILE: a manual page from the Markdown that our own programs print:
# headings, paragraphs, lists, tables, code in fences or indented by four, `code`, **strong**, [text](link).
function plain(s) {
    gsub(/\\/, "\\e", s)
    gsub(/-/, "\\-", s)
    return s
}

function inline(s,    out, inside, n, parts, i) {
    gsub(/\\\|/, "|", s)
    while (match(s, /\[[^]]*\]\([^)]*\)/)) {
        out = substr(s, RSTART + 1, RLENGTH - 1)
        sub(/\]\(.*/, "", out)
        s = substr(s, 1, RSTART - 1) out substr(s, RSTART + RLENGTH)
    }
    s = plain(s)
    n = split(s, parts, "`")
    s = parts[1]
    for (i = 2; i <= n; i++)
        s = s (i % 2 == 0 ? "\\fB" : "\\fR") parts[i]
    while (match(s, /\*\*[^*]+\*\*/))
        s = substr(s, 1, RSTART - 1) "\\fB" substr(s, RSTART + 2, RLENGTH - 4) "\\fR" substr(s, RSTART + RLENGTH)
    return s
}

function put(s) { # a line that may not look like a request
    if (s ~ /^[.']/)
        s = "\\&" s
    print s
}

function begin_literal() {
    if (!literal)
        print ".PP\n.in +4n\n.EX"
    literal = 1
}

function end_literal() {
    if (literal)
        print ".EE\n.in"
    literal = 0
}

function row(line,    n, cells, i, s) {
    gsub(/\\\|/, "\001", line)
    sub(/^\|/, "", line)
    sub(/\|[ ]*$/, "", line)
    n = split(line, cells, "|")
    print ".TP"
    for (i = 1; i <= n; i++) {
        gsub(/^ +| +$/, "", cells[i])
        gsub(/\001/, "|", cells[i])
    }
    put("\\fB" inline(cells[1]) "\\fR")
    s = ""
    for (i = 2; i <= n; i++)
        if (cells[i] != "")
            s = s (s == "" ? "" : n > 2 && i < n ? "; " : ". ") inline(cells[i])
    put(s == "" ? "\\&" : s)
}

BEGIN {
    printf ".\\\" Made by plugin-sdk/man/man.awk; do not edit.\n.TH %s %s \"\" \"pawl %s\" \"pawl\"\n", toupper(page), section, version
    printf ".SH NAME\n%s \\- %s\n", plain(page), plain(brief)
    fresh = 1
}
/^```/ {
    fence = !fence
    if (fence)
        begin_literal()
    else
        end_literal()
    next
}
fence { put(plain($0)); next }
/^<!--/ { next }
/^    / && fresh { begin_literal(); put(plain(substr($0, 5))); next }
{ end_literal() }
/^#/ { gsub(/`/, "") }
/^# / { # the page's name is its title; a further one begins a part of the page
    if (titles++ || section == 7)
        printf ".SH %s\n", plain(substr($0, 3))
    else
        print ".SH DESCRIPTION"
    fresh = 1
    next
}
/^## / { printf ".SH %s\n", toupper(plain(substr($0, 4))); fresh = 1; next }
/^### / { printf ".SS %s\n", inline(substr($0, 5)); fresh = 1; next }
/^#### / { printf ".PP\n\\fB%s\\fR\n", inline(substr($0, 6)); fresh = 1; next }
/^$/ { fresh = 1; table = 0; next }
/^\|[-|: ]+$/ { table = 1; next }
/^\|/ { if (table) row($0); fresh = 0; next } # a table's first row names its columns: its text says what they are
/^- / { print ".IP \\(bu 2"; put(inline(substr($0, 3))); fresh = 0; next }
{
    if (fresh && !/^  /)
        print ".PP"
    sub(/^ +/, "")
    put(inline($0))
    fresh = 0
}
