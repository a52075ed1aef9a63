#!/usr/bin/python3
"""Holds docs/formats/ against the engine: what make_store (the engine) writes, read_store.py, a reader written from
the documents alone, must read; and the example that the documents print must be a database to both.

    /usr/bin/python3 tests/formats/formats_test.py --make-store PATH [--counts FILE]

ends with a line "N passed, N failed" and writes "PASSED FAILED" to FILE. Needs python3-xxhash and python3-lz4.
"""

import argparse
import json
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import read_store
from read_store import Damage, NewerFormat, Store

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "formats"
STORES = ["empty", "flushed", "forked, not closed", "merged", "merged, not closed", "no history, not closed", "published",
          "published, not closed", "reopened, not closed", "switched, not closed"]

make_store = None  # the program
scratch = None     # a folder
stores = {}        # what make_store told, by name


def run_make_store(mode, folder):
    """(exit code, parsed lines, what it said on stderr)"""
    done = subprocess.run([make_store, mode, str(folder)], capture_output=True, text=True, timeout=300)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def setUpModule():
    (scratch / "stores").mkdir()
    code, lines, error = run_make_store("stores", scratch / "stores")
    if code != 0:
        raise RuntimeError(f"make_store: {error}")
    for line in lines:
        if "database" in line:
            line["states"] = []
            stores[pathlib.Path(line["database"]).name] = current = line
        elif "at" in line:
            current["states"].append(line)
        else:
            current["commits"] = line["commits"]


def fresh_copy(folder):
    copy = pathlib.Path(tempfile.mkdtemp(dir=scratch)) / "db"
    shutil.copytree(folder, copy)
    return copy


def entries(store, at=None):
    return [[k.hex(), s.hex(), v.hex()] for k, s, v in store.entries(at)]


def commits(store):
    return [[c.stamp.hex(), c.timestamp, [[kind, key.hex()] for kind, key, _ in c.writes]] for c in store.commits]


def sorted_writes(listed):
    return [[stamp, timestamp, sorted(writes)] for stamp, timestamp, writes in listed]


class StoresTest(unittest.TestCase):
    def test_the_stores_are_those_expected(self):
        self.assertEqual(sorted(stores), STORES)

    def test_the_stores_hold_all_that_is_to_be_read(self):
        """So that the other tests cannot pass for want of anything to read."""
        seen = set()
        for told in stores.values():
            store = Store(told["database"])
            seen |= {"change file" for _ in store.state.changes} | {"log" for _ in store.tail}
            for meta in store.state.segments.values():
                seen.add("history" if meta.kind == read_store.HISTORY else f"level {min(meta.place, 1)}")
                seen |= {"history tombstone"} if meta.tombstones and meta.kind == read_store.HISTORY else set()
                data = (pathlib.Path(told["database"]) / f"{meta.number:06}.seg").read_bytes()
                filter_size = struct.unpack_from("<Q", data, len(data) - 56)[0]
                seen.add("filter" if filter_size else "no filter")
            seen |= {"horizon"} if store.state.horizon != bytes(10) else set()
            wals = list(pathlib.Path(told["database"]).glob("*.wal"))
            seen |= {"chain of logs"} if len(wals) > 1 else set()
        self.assertEqual(seen, {"change file", "log", "history", "history tombstone", "level 0", "level 1", "filter",
                                "no filter", "horizon", "chain of logs"})

    def check_states(self, name):
        told = stores[name]
        store = Store(told["database"])
        self.assertEqual(store.head.hex(), told["head"])
        self.assertLessEqual(store.state.horizon.hex(), told["horizon"])
        self.assertTrue(told["states"])
        for state in told["states"]:
            self.assertEqual(entries(store, bytes.fromhex(state["at"])), state["entries"], state["at"])
        self.assertEqual(entries(store), told["states"][-1]["entries"])

    def check_commits(self, name):
        told = stores[name]
        listed = sorted_writes(commits(Store(told["database"])))
        expected = sorted_writes(told["commits"])
        kept = [c for c in listed if c[0] >= told["horizon"]]
        self.assertEqual(kept, [c for c in expected if c[0] >= told["horizon"]])
        self.assertEqual(listed, expected[len(expected) - len(listed):])

    def check_reopening(self, name):
        """What the engine makes of the folder, and leaves in it, is the same."""
        told = stores[name]
        copy = fresh_copy(told["database"])
        code, lines, error = run_make_store("show", copy)
        self.assertEqual((code, error), (0, ""))
        self.assertEqual(lines[0]["head"], told["head"])
        self.assertEqual(lines[1]["entries"], told["states"][-1]["entries"])
        store = Store(copy)
        self.assertEqual(store.head.hex(), told["head"])
        for state in told["states"]:
            self.assertEqual(entries(store, bytes.fromhex(state["at"])), state["entries"], state["at"])


def add_store_tests():
    for name in STORES:
        for check in ("states", "commits", "reopening"):
            def test(self, name=name, check=check):
                getattr(self, f"check_{check}")(name)
            setattr(StoresTest, f"test_{check}: {name}", test)


class TornTailTest(unittest.TestCase):
    def test_a_log_cut_anywhere_behind_its_last_promise_ends_with_a_whole_commit(self):
        told = stores["merged, not closed"]
        whole = Store(told["database"])
        path = max(pathlib.Path(told["database"]).glob("*.wal"))
        log = read_store.Log(path, 1, whole.database_id, int(path.stem))
        p, last = 64, None
        while (record := log.record_at(p)) is not None:
            p, last = record[2], p
        self.assertIsNotNone(last)
        torn_away = len(read_store.read_wal_payload(log.record_at(last)[0], path))
        before = [c.stamp.hex() for c in whole.commits[:-torn_away]]
        self.assertLess(len(before), len(whole.commits))
        for cut in (last + 1, last + 31, last + 32, last + 40):
            copy = fresh_copy(told["database"])
            torn = copy / path.name
            data = bytearray(torn.read_bytes())
            data[cut:] = bytes(len(data) - cut)
            torn.write_bytes(data)
            store = Store(copy)
            self.assertEqual([c.stamp.hex() for c in store.commits], before)
            code, lines, error = run_make_store("show", copy)
            self.assertEqual((code, error), (0, ""))
            self.assertEqual(lines[0]["head"], before[-1])
            self.assertEqual(lines[1]["entries"], entries(store))

    def test_damage_before_the_last_promise_is_found(self):
        told = stores["reopened, not closed"]
        for number, path in enumerate(sorted(pathlib.Path(told["database"]).glob("*.wal"))):
            copy = fresh_copy(told["database"])
            data = bytearray((copy / path.name).read_bytes())
            data[100] ^= 1
            (copy / path.name).write_bytes(data)
            with self.assertRaisesRegex(Damage, f"{path.name} at offset 64: no intact record"):
                Store(copy)
            code, _, error = run_make_store("show", copy)
            self.assertEqual(code, 1)
            self.assertRegex(error, f"{path.name} at offset 64: no intact record")


    def check_both_refuse(self, folder, message):
        with self.assertRaisesRegex(Damage, message):
            Store(folder)
        code, _, error = run_make_store("show", folder)
        self.assertEqual(code, 1)
        self.assertRegex(error, message)

    def check_both_read(self, folder, expected):
        """The engine twice: the first opening must leave what the next one reads."""
        for _ in range(2):
            self.assertEqual(entries(Store(folder)), expected)
            code, lines, error = run_make_store("show", folder)
            self.assertEqual((code, error), (0, ""))
            self.assertEqual(lines[1]["entries"], expected)
        self.assertEqual(entries(Store(folder)), expected)

    def test_a_flipped_byte_in_the_last_record_of_a_manifest_is_found(self):
        """Though it looks like a tear: in what the record before it says, something is missing or forgotten."""
        # The record is that of the start, the only one: it was durable before CURRENT named the file.
        copy = fresh_copy(stores["reopened, not closed"]["database"])
        self.assertEqual(len(manifest_records(copy)), 2)
        self.assertTrue(Store(copy).tail)
        flip(manifest_of(copy), 64 + 32)
        self.check_both_refuse(copy, "no intact record")
        # The record is that of a flush, and the log that it let go is gone.
        copy = fresh_copy(stores["switched, not closed"]["database"])
        store = Store(copy)
        self.assertTrue(store.tail)
        for path in copy.glob("*.wal"):
            if int(path.stem) < store.state.oldest_wal:
                path.unlink()
        flip(manifest_of(copy), manifest_records(copy)[-2] + 32)
        self.check_both_refuse(copy, r"\.wal.*missing")

    def test_a_manifest_that_lost_its_last_record_is_found_by_the_log_that_it_forgot(self):
        told = stores["switched, not closed"]
        copy = fresh_copy(told["database"])
        *_, switch, flush, _ = manifest_records(copy)
        # A crash before the flush was recorded: its record never came, and its files are leftovers.
        manifest = manifest_of(copy)
        data = bytearray(manifest.read_bytes())
        data[flush:] = bytes(len(data) - flush)
        manifest.write_bytes(data)
        store = Store(copy)
        self.assertFalse(store.state.segments)
        self.assertLess(store.state.oldest_wal, store.state.newest_wal)
        damaged = fresh_copy(copy)
        self.check_both_read(copy, told["states"][-1]["entries"])
        # Damage of the record that made the newest WAL file known.
        flip(manifest_of(damaged), switch + 32)
        self.check_both_refuse(damaged, "lost its last record|its last record is lost")

    def test_only_copies_may_stand_in_a_log_that_the_manifest_does_not_know(self):
        """A start that a crash ended leaves copies; commits are written only when the manifest knows the file."""
        told = stores["reopened, not closed"]
        whole = Store(told["database"])
        newest = whole.state.newest_wal
        after = struct.pack(">QH", struct.unpack(">QH", whole.head)[0] + 1, 0)
        group = b"\1" + after + struct.pack("<qI", 1 << 50, 1) + b"\0\3new\3new"
        for number in (newest + 1, 999999):
            for payloads, harmless in (([], True), ([b"\4" + group], True), ([group], False),
                                       ([b"\4" + group, group], False), ([b"\4" + group, b"\3"], False)):
                copy = fresh_copy(told["database"])
                leftover = copy / f"{number:06}.wal"
                leftover.write_bytes(log_file(whole.database_id, 1, number, newest, payloads) + bytes(4096))
                if harmless:
                    self.check_both_read(copy, told["states"][-1]["entries"])
                else:
                    self.check_both_refuse(copy, "lost its last record|its last record is lost")

    def test_leftovers_of_any_number_mean_nothing(self):
        for name in ("merged, not closed", "reopened, not closed"):
            told = stores[name]
            newest = Store(told["database"]).state.newest_wal
            numbers = {newest + 1, 999999}
            if name == "reopened, not closed":
                chain = {int(path.stem) for path in pathlib.Path(told["database"]).glob("*.wal")}
                between = set(range(min(chain), newest)) - chain
                self.assertTrue(between)
                numbers |= between
            for number in sorted(numbers):
                copy = fresh_copy(told["database"])
                (copy / f"{number:06}.wal").write_bytes(bytes(131072))
                self.check_both_read(copy, told["states"][-1]["entries"])

    def test_published_segments_of_which_the_manifest_does_not_know_are_found_in_the_log(self):
        told = stores["published, not closed"]
        copy = fresh_copy(told["database"])
        whole = Store(copy)
        manifest, offsets = manifest_of(copy), manifest_records(copy)
        data = bytearray(manifest.read_bytes())
        data[offsets[-2]:] = bytes(len(data) - offsets[-2])
        manifest.write_bytes(data)
        log = read_store.Log(manifest, 2, whole.database_id, int(manifest.name[9:]))
        known = read_store.State()
        for payload, where in log.records():
            known.apply(payload, where)
        self.assertLess(known.flushed_stamp, whole.state.flushed_stamp)
        store = Store(copy)
        self.assertEqual(store.state.segments.keys(), whole.state.segments.keys())
        for state in told["states"]:
            self.assertEqual(entries(store, bytes.fromhex(state["at"])), state["entries"], state["at"])
        missing = fresh_copy(copy)
        (missing / f"{max(store.state.segments):06}.seg").unlink()
        self.check_both_refuse(missing, r"\.seg.*missing")
        self.check_both_read(copy, told["states"][-1]["entries"])


def manifest_of(folder):
    return folder / f"MANIFEST-{read_store.read_current(folder)[1]:06}"


def manifest_records(folder):
    """The offsets of the intact records of the manifest, and where the last one ends."""
    database_id, number = read_store.read_current(folder)
    return [64] + [end for _, end in read_store.Log(manifest_of(folder), 2, database_id, number).intact()]


def flip(path, offset):
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def log_file(database_id, kind, number, predecessor, payloads):
    """A log file of intact records, made by the documents."""
    data = struct.pack("<8sII16sQQQ", b"TIDELOG\n", 1, kind, database_id, number, predecessor, 64)
    data += struct.pack("<Q", read_store.xxh3(data))
    for payload in payloads:
        data += log_record(database_id, kind, number, len(data), 64, payload)
    return data


def log_record(database_id, kind, number, p, promise, payload):
    salt = read_store.xxh3(database_id + bytes([kind]) + struct.pack("<Q", number))
    head = struct.pack("<4sIQQ", b"TIDR", len(payload), promise, read_store.xxh3(payload, salt ^ p))
    head += struct.pack("<Q", read_store.xxh3(head, salt ^ p))
    return head + payload + bytes(-len(payload) % 8)


def example_files():
    """The hex dumps of the documents, by file name."""
    files = {}
    for document in sorted(DOCS.glob("*.md")):
        for name, dump in re.findall(r"^```hex (\S+)\n(.*?)^```$", document.read_text(), re.MULTILINE | re.DOTALL):
            data = bytearray()
            for line in dump.splitlines():
                offset, digits = line.split(":")
                if int(offset, 16) != len(data):
                    raise ValueError(f"{document.name}: {name}: line {line!r} is out of place")
                data += bytes.fromhex(digits)
            if name in files:
                raise ValueError(f"{name} is printed twice")
            files[name] = bytes(data)
    return files


class ExampleTest(unittest.TestCase):
    def write(self, files):
        folder = pathlib.Path(tempfile.mkdtemp(dir=scratch))
        for name, data in files.items():
            (folder / name).write_bytes(data)
        return folder

    @staticmethod
    def told():
        """What the tables of README.md say: {versionstamp: (timestamp, [(kind, key, value)])}"""
        text, rows = (DOCS / "README.md").read_text(), {}
        for stamp, timestamp, writes in re.findall(r"^\| `([0-9a-f]{20})` \| (\d+) \| (.*) \|$", text, re.MULTILINE):
            parsed = [(0, key, value) for key, value in re.findall(r"put `([^`]+)` = `([^`]+)`", writes)]
            parsed += [(1, key, "") for key in re.findall(r"erase `([^`]+)`", writes)]
            rows[stamp] = int(timestamp), sorted(parsed)
        return rows

    def test_the_example_is_the_database_that_the_documents_tell_of(self):
        files = example_files()
        self.assertEqual(sorted(files), ["000004.wal", "000005.seg", "000006.seg", "000007.chg", "CURRENT",
                                         "MANIFEST-000003"])
        told, store = self.told(), Store(self.write(files))
        self.assertEqual(len(told), 3)
        self.assertEqual([(c.stamp.hex(), c.timestamp) for c in store.commits], [(s, t) for s, (t, _) in told.items()])
        values = {}
        for commit, (stamp, (_, writes)) in zip(store.commits, told.items()):
            self.assertEqual(sorted((kind, key.decode()) for kind, key, _ in commit.writes),
                             [(kind, key) for kind, key, _ in writes])
            for kind, key, value in writes:
                values[key] = value
                if kind == 1:
                    del values[key]
            self.assertEqual({k.decode(): v.decode() for k, _, v in store.entries(commit.stamp)}, values)

    def test_the_engine_reads_the_example(self):
        folder = self.write(example_files())
        expected = entries(Store(folder))
        code, lines, error = run_make_store("show", folder)
        self.assertEqual((code, error), (0, ""))
        self.assertEqual(lines[1]["entries"], expected)

    def test_the_annotated_bytes_are_those_of_the_dump(self):
        """The tables under the dumps: an offset in hex, and the bytes there, some left out where '..' stands."""
        files, name, rows = example_files(), None, []
        for document in sorted(DOCS.glob("*.md")):
            for line in document.read_text().splitlines():
                if line.startswith("```hex "):
                    name = line.split()[1]
                elif line.startswith("#"):
                    name = "000004.wal" if document.name == "wal.md" and line == "## Example" else None
                row = re.match(r"\| ([0-9a-f]{2,3}) \| ((?:`[0-9a-f. ]+`(?:, )?)+) \|", line)
                if name is None or row is None:
                    continue
                spans = re.findall(r"`([^`]+)`", row.group(2))
                rows.append((name, int(row.group(1), 16), spans, f"{document.name}: {line}"))
        for (name, offset, spans, line), following in zip(rows, rows[1:] + [("", 0, [], "")]):
            data = bytes.fromhex(spans[0].partition(" ..")[0])
            end = spans[-1].partition(" ..")[2]
            self.assertEqual(files[name][offset:offset + len(data)].hex(" "), data.hex(" "), line)
            if end.strip() and following[0] == name:
                # What follows the dots ends where the next row begins.
                tail = bytes.fromhex(end)
                self.assertEqual(files[name][following[1] - len(tail):following[1]].hex(" "), tail.hex(" "), line)
        self.assertGreater(len(rows), 80)

    def test_a_newly_made_example_differs_only_in_what_is_random(self):
        folder = scratch / "example"
        code, lines, error = run_make_store("example", folder)
        self.assertEqual((code, error), (0, ""))
        store, printed = Store(folder), Store(self.write(example_files()))
        self.assertEqual([[c.stamp[:1].hex(), [[k, key] for k, key, _ in c.writes]] for c in store.commits],
                         [[c.stamp[:1].hex(), [[k, key] for k, key, _ in c.writes]] for c in printed.commits])
        for name, data in example_files().items():
            self.assertEqual(len((folder / name).read_bytes()), len(data), name)
        for name, kind, number in (("MANIFEST-000003", 2, 3), ("000004.wal", 1, 4)):
            made, shown = (list(read_store.Log(s.folder / name, kind, s.database_id, number).intact())
                           for s in (store, printed))
            self.assertEqual(made, shown, name)
        for line in lines:
            if "at" in line:
                self.assertEqual(entries(store, bytes.fromhex(line["at"])), line["entries"])

    # What no checksum covers, and the last records, which after damage look like a tear but held nothing: those of the
    # clean close. Offsets of the example.
    HARMLESS = {("000004.wal", range(0x97, 0xc0)), ("MANIFEST-000003", range(0x91, 0x98)),
                ("MANIFEST-000003", range(0xbc, 0xc0)), ("MANIFEST-000003", range(0x1c6, 0x1e8))}

    def test_a_changed_byte_is_found_wherever_it_is(self):
        files = example_files()
        folder = self.write(files)
        whole = Store(folder)
        expected = commits(whole), entries(whole), entries(whole, whole.commits[0].stamp)
        harmless = {(name, offset) for name, offsets in self.HARMLESS for offset in offsets}
        unnoticed = set()
        for name, data in files.items():
            for offset in range(len(data)):
                changed = bytearray(data)
                changed[offset] ^= 0x10
                (folder / name).write_bytes(changed)
                try:
                    store = Store(folder)
                except (Damage, NewerFormat):
                    continue
                unnoticed.add((name, offset))
                self.assertEqual((commits(store), entries(store), entries(store, store.commits[0].stamp)), expected,
                                 f"{name} at {offset}")
            (folder / name).write_bytes(data)
        self.assertEqual(unnoticed, harmless)

    def test_the_engine_finds_a_changed_byte_in_each_file(self):
        files = example_files()
        for name, offset in (("CURRENT", 20), ("MANIFEST-000003", 0x65), ("000004.wal", 0x62), ("000005.seg", 0x38)):
            changed = bytearray(files[name])
            changed[offset] ^= 0x10
            code, _, error = run_make_store("show", self.write({**files, name: bytes(changed)}))
            self.assertEqual(code, 1, name)
            self.assertRegex(error, rf"{name} at offset \d+")

    def test_a_newer_version_is_refused_and_nothing_is_written(self):
        files = example_files()
        for name, size in (("CURRENT", 48), ("MANIFEST-000003", 64), ("000004.wal", 64), ("000005.seg", 32),
                           ("000007.chg", 32)):
            changed = bytearray(files[name])
            changed[8] = 2
            changed[size - 8:size] = struct.pack("<Q", read_store.xxh3(bytes(changed[:size - 8])))
            newer = {**files, name: bytes(changed)}
            folder = self.write(newer)
            with self.assertRaisesRegex(NewerFormat, rf"{name}.*version 2 is newer"):
                Store(folder)
            if name in ("CURRENT", "MANIFEST-000003", "000004.wal"):  # those that opening reads
                code, _, error = run_make_store("show", folder)
                self.assertEqual(code, 1, name)
                self.assertRegex(error, rf"{name}.*version 2 is newer")
                left = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "LOCK"}
                self.assertEqual(left, newer)

    def test_an_unknown_manifest_tag_is_refused_as_newer(self):
        files = example_files()
        current, manifest = files["CURRENT"], bytearray(files["MANIFEST-000003"])
        manifest += log_record(current[16:32], 2, 3, len(manifest), len(manifest), b"\x0f\x01")
        folder = self.write({**files, "MANIFEST-000003": bytes(manifest)})
        with self.assertRaisesRegex(NewerFormat, "unknown tag 15"):
            Store(folder)
        code, _, error = run_make_store("show", folder)
        self.assertEqual(code, 1)
        self.assertRegex(error, "unknown field 15")

    def test_a_missing_file_is_found(self):
        files = example_files()
        for name in files:
            folder = self.write({n: data for n, data in files.items() if n != name})
            with self.assertRaises((Damage, FileNotFoundError)):
                Store(folder)
            self.assertEqual(run_make_store("show", folder)[0], 1, name)


def main():
    global make_store, scratch
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--make-store", required=True)
    parser.add_argument("--counts")
    arguments = parser.parse_args()
    make_store = str(pathlib.Path(arguments.make_store).resolve())
    add_store_tests()
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
        result = unittest.TextTestRunner(verbosity=2).run(suite)
    failed = len({str(test) for test, _ in result.failures + result.errors})
    failed += len(result.unexpectedSuccesses) + len(result.skipped)
    passed = max(result.testsRun - failed, 0)
    if result.testsRun == 0 and failed == 0:
        failed = 1
    if arguments.counts:
        pathlib.Path(arguments.counts).write_text(f"{passed} {failed}\n")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
