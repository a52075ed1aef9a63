#!/usr/bin/env python3
"""Counts the GoogleTest cases in the log of `meson test`.

    python3 tests/tidy/count_gtest.py build/test/meson-logs/testlog.json --counts FILE

writes "PASSED FAILED" to FILE. A program that crashed, ended badly, or ran no case adds a failure; a skipped case
counts as failed. Exits 1 if anything failed.
"""

import argparse
import json
import pathlib
import re
import sys

PASSED = re.compile(r"^\[       OK \] (\S+)", re.MULTILINE)
BAD = re.compile(r"^\[  (?:FAILED  |SKIPPED )\] ([^\s,]+\.[^\s,]+)", re.MULTILINE)


def count(runs):
    """(passed, failed) over the runs, each a dict with stdout and returncode."""
    passed = failed = 0
    for run in runs:
        out = run.get("stdout") or ""
        good = len(PASSED.findall(out))
        bad = len(set(BAD.findall(out)))
        if bad == 0 and (run.get("returncode") != 0 or good == 0):
            bad = 1
        passed += good
        failed += bad
    return passed, failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("log", type=pathlib.Path)
    parser.add_argument("--counts", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    runs = []
    if arguments.log.exists():
        with arguments.log.open(encoding="utf-8") as log:
            runs = [json.loads(line) for line in log if line.strip()]
    passed, failed = count(runs)
    arguments.counts.write_text(f"{passed} {failed}\n", encoding="utf-8")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
