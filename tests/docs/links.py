"""Relative links of all Markdown files lead to files that are there, and to headings that are there.

usage: links.py SOURCE_DIR
"""

import os
import re
import subprocess
import sys

SOURCE = os.path.abspath(sys.argv[1])
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")


def text(path):
    with open(path, encoding="utf-8") as f:
        return re.sub(r"^(```|~~~).*?^\1\s*$", "", f.read(), flags=re.M | re.S)


def anchors(path):
    """As GitHub makes them of headings."""
    found = {}
    for heading in re.findall(r"^#+ +(.*?) *$", text(path), re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        name = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        seen = found.get(name, 0)
        found[name] = seen + 1
        if seen:
            found[f"{name}-{seen}"] = 1
    return found


def pages():
    listed = subprocess.run(["git", "-C", SOURCE, "ls-files", "-z", "*.md"], capture_output=True, text=True)
    if listed.returncode == 0 and listed.stdout:
        return [os.path.join(SOURCE, name) for name in listed.stdout.split("\0") if name]
    return [os.path.join(at, name) for at, dirs, names in os.walk(SOURCE) for name in names
            if name.endswith(".md") and "/build" not in at and "/.git" not in at]


def broken(page):
    for target in LINK.findall(re.sub(r"`[^`\n]*`", "", text(page))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = os.path.normpath(os.path.join(os.path.dirname(page), name)) if name else page
        if not os.path.exists(path):
            yield f"{target}: there is no such file"
        elif anchor and path.endswith(".md") and anchor not in anchors(path):
            yield f"{target}: there is no such heading"


def main():
    count, wrong = 0, []
    for page in pages():
        if not os.path.exists(page):
            continue
        count += 1
        wrong += [f"{os.path.relpath(page, SOURCE)}: {what}" for what in broken(page)]
    print("\n".join(wrong) if wrong else f"{count} pages")
    return 1 if wrong or count < 20 else 0


sys.exit(main())
