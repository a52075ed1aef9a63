#!/usr/bin/env python3
"""Records how Deno and Node write keys and values: python3 record.py DENO NODE

leaves deno_values.jsonl, deno_keys.jsonl, node_values.jsonl and node_views.jsonl here: lines with a name, the bytes in
base64, and the form that a dump is to show (see values.mjs). Deno writes through Deno.openKv() into a file of SQLite,
from which the bytes are taken; Node by the Serializer of its module v8, and views once more by v8.serialize(), which has
a way of its own for them.
"""

import base64
import json
import pathlib
import sqlite3
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
VALUES = (HERE / "values.mjs").as_uri()

DENO = f"""
import {{ form, keys, text, values }} from "{VALUES}";
const kv = await Deno.openKv(Deno.args[0]);
for (const [name, value] of Object.entries(values)) {{
  await kv.set(["value", name], value);
  console.log(text({{ kind: "value", name, form: form(value) }}));
}}
for (const [i, [key, form]] of keys.entries()) {{
  await kv.set(key, i);
  console.log(text({{ kind: "key", name: String(i), form }}));
}}
kv.close();
"""

NODE = f"""
import v8 from "node:v8";
import {{ encoded, form, text, values }} from "{VALUES}";
for (const [name, value] of Object.entries(values)) {{
  const serializer = new v8.Serializer();
  serializer.writeHeader();
  serializer.writeValue(value);
  console.log(text({{ kind: "value", name, bytes: encoded(serializer.releaseBuffer()), form: form(value) }}));
}}
const views = [new Uint8Array([1, 2]), new Float64Array([1]), new DataView(new ArrayBuffer(1)), Buffer.from("b")];
for (const view of views) {{
  const name = view.constructor.name;
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  const form = {{ a: {{ $node: name, bytes: encoded(bytes) }}, b: {{ $ref: 1 }} }};
  console.log(text({{ kind: "view", name, bytes: encoded(v8.serialize({{ a: view, b: view }})), form }}));
}}
"""


def lines_of(command, script, folder, name):
    path = pathlib.Path(folder) / name
    path.write_text(script, encoding="utf-8")
    out = subprocess.run(command + [str(path)], check=True, stdout=subprocess.PIPE, timeout=60).stdout
    # Forms keep their text: Python would lose the difference between 1 and 1.0.
    return [(json.loads(line), line.split(b'"form":', 1)[1].decode().rstrip()[:-1]) for line in out.splitlines()]


def write(name, entries):
    with open(HERE / name, "w", encoding="utf-8") as file:
        for entry, data, form in entries:
            file.write(f'{{"name":{json.dumps(entry)},"bytes":"{base64.b64encode(data).decode()}","form":{form}}}\n')


def deno(program, folder):
    store = pathlib.Path(folder) / "store.sqlite"
    script = DENO.replace("Deno.args[0]", json.dumps(str(store)))
    lines = lines_of([program, "run", "-A", "--unstable-kv"], script, folder, "write.mjs")
    stored = [(bytes(k), bytes(v), e) for k, v, e in sqlite3.connect(store).execute("select k, v, v_encoding from kv")]
    values = {k: v for k, v, e in stored if k.startswith(b"\x02value\x00") and e == 1}
    keys = {v: k for k, v, e in stored if not k.startswith(b"\x02value\x00")}
    write("deno_values.jsonl", [(line["name"], values[b"\x02value\x00\x02" + line["name"].encode() + b"\x00"], form)
                                for line, form in lines if line["kind"] == "value"])
    # The value says which key it is: a small whole number, zigzag.
    write("deno_keys.jsonl", [(line["name"], keys[b"\xff\x10I" + bytes([2 * int(line["name"])])], form)
                              for line, form in lines if line["kind"] == "key"])


def node(program, folder):
    lines = lines_of([program], NODE, folder, "write.mjs")
    for kind in ("value", "view"):
        write(f"node_{kind}s.jsonl", [(line["name"], base64.b64decode(line["bytes"]), form)
                                      for line, form in lines if line["kind"] == kind])


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: record.py DENO NODE")
    with tempfile.TemporaryDirectory() as folder:
        deno(sys.argv[1], folder)
        node(sys.argv[2], folder)


if __name__ == "__main__":
    main()
