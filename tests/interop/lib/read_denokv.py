#!/usr/bin/env python3
"""Prints what a SQLite file of denokv's replica shows: a line for each entry, in the order of keys.

    read_denokv.py FILE        KEY VALUE ENCODING VERSIONSTAMP, but for the third in hex
"""

import pathlib
import sqlite3
import sys


def main():
    path = pathlib.Path(sys.argv[1]).resolve()
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    rows = connection.execute("select k, v, v_encoding, version, seq from kv_snapshot order by k")
    for key, value, encoding, version, seq in rows:
        print(bytes(key).hex(), bytes(value).hex(), encoding, f"{version:016x}{seq:04x}")


if __name__ == "__main__":
    main()
