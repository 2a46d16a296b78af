"""The schema as a JSON parser of somebody else's sees it: valid, strict everywhere, and with the keys of the table.

Usage: check_topology_schema.py PATH_OF_topology_print
"""
import json
import re
import subprocess
import sys

KNOWN = {"$schema", "title", "description", "default", "type", "required", "properties", "additionalProperties", "anyOf",
         "enum", "pattern", "minimum", "maximum", "minLength", "minItems", "maxItems", "uniqueItems", "items",
         "minProperties", "maxProperties", "propertyNames"}
TYPES = {"object", "array", "string", "integer", "boolean"}


def no_doubles(pairs):
    assert len(dict(pairs)) == len(pairs), [key for key, _ in pairs]
    return dict(pairs)


def walk(schema, path, found):
    """Checks one schema and adds the keys below it, named as the table names them."""
    assert set(schema) <= KNOWN, (path, set(schema) - KNOWN)
    types = schema.get("type", [])
    assert set([types] if isinstance(types, str) else types) <= TYPES, path
    if "pattern" in schema:
        re.compile(schema["pattern"])
    for other in schema.get("anyOf", []):
        walk(other, path, found)
    if types == "object":
        assert "additionalProperties" in schema, f"{path} takes everything"
    if isinstance(schema.get("items"), dict):
        walk(schema["items"], path, found)
    if isinstance(schema.get("additionalProperties"), dict):
        walk(schema["additionalProperties"], f"{path}.*", found)
    properties = schema.get("properties", {})
    assert set(schema.get("required", [])) <= set(properties), path
    for name, below in properties.items():
        key = f"kafka:{name}" if path == "kafka" else f"{path}.{name}" if path else name
        assert below["description"], key
        found.append(key)
        walk(below, key, found)


def run(what):
    return subprocess.run([sys.argv[1], what], check=True, capture_output=True, text=True).stdout


def main():
    schema = json.loads(run("schema"), object_pairs_hook=no_doubles)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    found, table = [], run("keys").split()
    walk(schema, "", found)
    assert sorted(found) == sorted(table), set(found) ^ set(table)
    assert len(table) > 80
    workers = schema["properties"]["pipelines"]["additionalProperties"]["properties"]["workers"]
    assert workers["default"] == 2 and workers["anyOf"][0] == {"type": "integer", "minimum": 1, "maximum": 64}
    assert re.search(workers["anyOf"][1]["pattern"], "${WORKERS:-2}")
    linger = schema["properties"]["pipelines"]["additionalProperties"]["properties"]["batch"]["properties"]["linger"]
    for good in ("0ms", "10s", "${LINGER}"):
        assert re.search(linger["pattern"], good), good
    for bad in ("10", "s", "1.5s", "01s"):
        assert not re.search(linger["pattern"], bad), bad
    print(f"{len(found)} keys")


main()
