#!/usr/bin/env python3
"""check: is the schema still what records and programs that are out there were made with?

    check.py PROTOC DIR          compare DIR/auto/**/*.proto with DIR/released.txt
    check.py PROTOC DIR --print  print what released.txt has to be

released.txt has one line for each field, oneof member and enum value, as protoc's descriptor says it. A line that is gone is a
breaking change: the field was removed, renamed, renumbered or has another type. Lines may be added; --print then gives the new file.
"""

import pathlib
import re
import subprocess
import sys
import tempfile


TYPES = ("", "double", "float", "int64", "uint64", "int32", "fixed64", "fixed32", "bool", "string", "group", "message", "bytes", "uint32", "enum",
         "sfixed32", "sfixed64", "sint32", "sint64")


def varint(data, at):
    value, shift = 0, 0
    while True:
        value |= (data[at] & 0x7f) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return value, at


def members(data):
    """A Protobuf message as {field number: values in order}: numbers, or bytes."""
    found, at = {}, 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 2:
            size, at = varint(data, at)
            value, at = data[at:at + size], at + size
        else:
            raise ValueError(f"wire type {key & 7} is none of a descriptor")
        found.setdefault(key >> 3, []).append(value)
    return found


def text(message, number):
    return message.get(number, [b""])[0].decode("ascii")


# The numbers below are those of google/protobuf/descriptor.proto.

def lines_of(scope, data):
    """A message: its fields with numbers, types and oneofs, and all that is nested in it."""
    message = members(data)
    name, oneofs = f"{scope}.{text(message, 1)}", [text(members(one), 1) for one in message.get(8, [])]
    for field in map(members, message.get(2, [])):
        kind = text(field, 6).lstrip(".") or TYPES[field[5][0]]
        label = "repeated " if field[4][0] == 3 else ""
        yield f"{name} {field[3][0]} {label}{kind} {text(field, 1)}" + (f" in {oneofs[field[9][0]]}" if 9 in field else "")
    for nested in message.get(3, []):
        yield from lines_of(name, nested)
    for enum in message.get(4, []):
        yield from enum_of(name, enum)


def enum_of(scope, data):
    enum = members(data)
    for value in map(members, enum.get(2, [])):
        yield f"{scope}.{text(enum, 1)} {value.get(2, [0])[0]} = {text(value, 1)}"


def schema(protoc, folder):
    files = sorted(str(path.relative_to(folder)) for path in folder.glob("auto/**/*.proto"))
    with tempfile.TemporaryDirectory() as scratch:
        made = pathlib.Path(scratch) / "set"
        subprocess.run([protoc, f"--proto_path={folder}", f"--descriptor_set_out={made}", *files], check=True)
        data = made.read_bytes()
    for file in map(members, members(data)[1]):
        for message in file.get(4, []):
            yield from lines_of(text(file, 2), message)
        for enum in file.get(5, []):
            yield from enum_of(text(file, 2), enum)


def compare(released, now):
    """What is wrong, as lines for people."""
    taken = {tuple(line.split(" ", 2)[:2]): line for line in now}
    problems = []
    for line in released:
        if line not in now:
            other = taken.get(tuple(line.split(" ", 2)[:2]))
            problems.append(f"broken: '{line}' is " + (f"now '{other}'" if other else "gone"))
    problems += [f"new: '{line}'; add it to released.txt (check.py --print)" for line in now if line not in released]
    return problems


def main(argv):
    if len(argv) not in (3, 4) or (len(argv) == 4 and argv[3] != "--print"):
        print(__doc__, file=sys.stderr)
        return 2
    folder = pathlib.Path(argv[2])
    now = list(schema(argv[1], folder))
    if len(argv) == 4:
        print("\n".join(now))
        return 0
    released = [line for line in (folder / "released.txt").read_text(encoding="ascii").splitlines() if line]
    if not released or any(not re.fullmatch(r"[\w.]+ \d+ .+", line) for line in released):
        print("released.txt cannot be read", file=sys.stderr)
        return 2
    # The comparison itself must not be blind: a schema with a field taken away, moved or retyped is a broken one.
    victim = released[0].split(" ")
    for damaged in (released[1:], [" ".join([victim[0], "99", *victim[2:]])] + released[1:],
                    [" ".join([*victim[:2], "bytes", *victim[3:]])] + released[1:]):
        if not any(text.startswith("broken") for text in compare(released, damaged)):
            print("the comparison does not see a broken schema", file=sys.stderr)
            return 2
    problems = compare(released, now)
    print("\n".join(problems) if problems else f"{len(now)} lines, all as released")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
