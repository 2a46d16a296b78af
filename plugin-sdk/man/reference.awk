# reference.awk HEADER...: the public headers as Markdown. A comment that stands alone becomes text, all else a block of C.
#   /* <pawl/x.h>: what it is. ... */   at the top: the title and the first text
#   /* ---- Title ---- */               a section
# In a comment, lines that begin with "- " are a list, and lines that are indented by three or more are shown as they are.
function flush_code() {
    sub(/\n+$/, "", code)
    if (code != "")
        printf "```c\n%s\n```\n\n", code
    code = ""
}

function close_literal() {
    if (literal)
        print "```\n"
    literal = 0
}

function text(line,    indent) {
    sub(/[ \t]*\*\/[ \t]*$/, "", line)
    indent = match(line, /[^ ]/) ? RSTART - 1 : 0
    if (!match(line, /[^ ]/)) {
        close_literal()
        print ""
        listed = 0
    } else if (indent >= 3 && !listed) {
        if (!literal)
            print "\n```"
        literal = 1
        print substr(line, 4)
    } else {
        close_literal()
        sub(/^ +/, "", line)
        if (line ~ /^- /) {
            if (!listed)
                print ""
            listed = 1
        } else if (listed && indent >= 2)
            line = "  " line
        else if (listed) {
            print ""
            listed = 0
        }
        print line
    }
}

function end_comment() {
    close_literal()
    print ""
    comment = listed = 0
}

function title(line) {
    match(line, /<pawl\/[a-z_]+\.hp*>/)
    printf "%s# `%s`\n\n", files++ ? "\n" : "", substr(line, RSTART, RLENGTH)
    sub(/^\/\* <pawl\/[a-z_]+\.hp*>: /, "", line)
    sub(/ *SPDX-License-Identifier: [^ ]*$/, "", line)
    print toupper(substr(line, 1, 1)) substr(line, 2)
}

FNR == 1 {
    if (NR == 1) {
        print "<!-- Made from the headers of plugin-sdk/include/pawl by plugin-sdk/man/reference.awk; a test compares. Do not edit. -->\n"
    }
    flush_code()
    title($0)
    comment = ($0 !~ /\*\//)
    next
}
comment {
    if ($0 ~ /^ \* SPDX/)
        next
    closing = ($0 ~ /\*\/[ \t]*$/)
    sub(/^ \*/, "")
    if ($0 != "/")
        text($0)
    if (closing)
        end_comment()
    next
}
/^\/\* ---- .* ---- \*\/$/ {
    flush_code()
    sub(/^\/\* ---- /, "")
    sub(/\.? ---- \*\/$/, "")
    more = $0
    if (sub(/^[^.]*\. /, "", more)) # what follows the title's first sentence is text
        printf "## %s\n\n%s.\n\n", substr($0, 1, index($0, ".") - 1), more
    else
        printf "## %s\n\n", $0
    next
}
/^\/\*/ {
    flush_code()
    comment = 1
    closing = ($0 ~ /\*\/[ \t]*$/)
    sub(/^\/\*/, "")
    text($0)
    if (closing)
        end_comment()
    next
}
# What only the compiler needs.
/^#(ifndef|define) PAWL_[A-Z_]*_H(PP)?$/ || /^#include/ || /^#ifdef __cplusplus/ || /^#endif/ || /^extern "C" \{/ || /^\}$/ && !braces { next }
{
    if ($0 != "" || code != "")
        code = code $0 "\n"
    line = $0
    braces += gsub(/\{/, "", line) - gsub(/\}/, "", line)
}
END {
    flush_code()
}
