#!/usr/bin/env python3
"""Shows that each house rule can fail, and runs all of them over this tree.

    python3 tests/tidy/tidy_test.py [--counts FILE]

--counts writes "PASSED FAILED" to FILE.
"""

import pathlib
import sys
import tempfile
import unittest

import count_gtest
import tidy

ROOT = pathlib.Path(__file__).resolve().parents[2]

HEADER = "#pragma once\n"

# A tree that breaks no rule.
GOOD = {
    "engine/base/status.h": HEADER,
    "engine/base/status.cc": '#include "engine/base/status.h"\n',
    "engine/base/meson.build": "static_library('engine_base', 'status.cc')\n",
    "engine/io/clock.h": HEADER + "#include <chrono>\n#include \"engine/base/status.h\"\n",
    "engine/transaction.h": HEADER + '#include "engine/base/status.h"\n',
    "engine/database.h": HEADER + '#include "engine/mvcc/view.h"\n#include "engine/io/clock.h"\n',
    "engine/mvcc/view.h": HEADER + '#include "engine/transaction.h"\n',
    "server/kv/kv.h": HEADER + '#include "engine/database.h"\n#include "engine/base/status.h"\n',
    "server/http/listener.h": HEADER + '#include <thread>\n#include "server/kv/kv.h"\n',
    "tools/main.cc": '#include "server/http/listener.h"\nint n = 1\'000; // it\'s fine\n',
    "tools/meson.build": "executable('tidemark', 'main.cc')\n",
}


class Made(unittest.TestCase):
    """Rules on made-up trees."""

    def found(self, changes, rule=None):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (GOOD | changes).items():
                path = pathlib.Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            return [f"{path}:{line}" for path, line, _, _ in tidy.violations(tidy.Tree(folder), rule and [rule])]

    def breaks(self, rule, changes, *places):
        self.assertEqual(self.found({}, rule), [])
        self.assertEqual(self.found(changes, rule), list(places))

    def test_good_tree(self):
        self.assertEqual(self.found({}), [])

    def test_known_folder(self):
        self.breaks("known-folder", {"engine/odds/ends.h": HEADER}, "engine/odds/ends.h:1")

    def test_include_path(self):
        self.breaks("include-path", {"engine/mvcc/view.h": '\n#include "view_impl.h"\n'}, "engine/mvcc/view.h:2")

    def test_generated_header_is_a_file(self):
        with_proto = {"server/kv/a.h": '#include "server/kv/datapath.pb.h"\n', "server/kv/datapath.proto": ""}
        self.breaks("include-path", with_proto)
        del with_proto["server/kv/datapath.proto"]
        self.breaks("include-path", with_proto, "server/kv/a.h:1")

    def test_layers_upwards(self):
        self.breaks("layers", {"engine/base/status.h": HEADER + '#include "engine/mvcc/view.h"\n'},
                    "engine/base/status.h:2")

    def test_layers_database_from_below(self):
        self.breaks("layers", {"engine/mvcc/view.cc": '#include "engine/database.h"\n'}, "engine/mvcc/view.cc:1")

    def test_layers_engine_includes_server(self):
        self.breaks("layers", {"engine/mvcc/view.cc": '#include "server/kv/kv.h"\n'}, "engine/mvcc/view.cc:1")

    def test_layers_product_includes_tests(self):
        self.breaks("layers", {"tools/a.cc": '#include "tests/support/a.h"\n'}, "tools/a.cc:1")

    def test_layers_peers(self):
        self.breaks("layers", {"engine/wal/a.h": HEADER + '#include "engine/segment/b.h"\n'}, "engine/wal/a.h:2")

    def test_layers_verify_and_database(self):
        self.breaks("layers", {"engine/verify/a.cc": '#include "engine/database.h"\n'}, "engine/verify/a.cc:1")

    def test_layers_in_server(self):
        self.breaks("layers", {"server/kv/a.cc": '#include "server/connect/b.h"\n',
                               "server/host/a.cc": '#include "server/backup/b.h"\n',
                               "server/connect/c.cc": '#include "server/http/listener.h"\n'},
                    "server/connect/c.cc:1", "server/host/a.cc:1", "server/kv/a.cc:1")

    def test_layers_commented_include_is_none(self):
        self.breaks("layers", {"engine/base/status.h": '// #include "engine/mvcc/view.h"\n/*\n'
                                                       '#include "engine/database.h"\n*/\n'})

    def test_public_face(self):
        self.breaks("public-face", {"server/kv/a.cc": '#include "engine/mvcc/view.h"\n',
                                    "tools/b.cc": '#include "engine/wal/a.h"\n#include "engine/verify/a.h"\n'},
                    "server/kv/a.cc:1", "tools/b.cc:1")

    def test_no_circle_of_files(self):
        self.breaks("no-circle", {"engine/base/a.h": '#include "engine/base/b.h"\n',
                                  "engine/base/b.h": '\n#include "engine/base/c.h"\n',
                                  "engine/base/c.h": '#include "engine/base/a.h"\n'}, "engine/base/a.h:1")

    def test_no_circle_of_folders(self):
        self.breaks("no-circle", {"engine/wal/a.h": '#include "engine/segment/b.h"\n', "engine/segment/b.h": "",
                                  "engine/segment/c.h": '#include "engine/wal/d.h"\n', "engine/wal/d.h": ""},
                    "engine/segment/c.h:1")

    def test_doors(self):
        for line in [
            "#include <thread>", "std::jthread t;", "std::thread t;", "std::this_thread::yield();",
            "#include <mutex>", "std::mutex m;", "std::shared_mutex m;", "std::lock_guard g(m);",
            "std::condition_variable c;", "std::promise<int> p;", "x::sleep_for(s);", "usleep(5);", "::poll(f, 1, 0);", "::fork();",
            "auto t = std::chrono::steady_clock::now();", "auto t = chrono::system_clock::now();", "time(nullptr);",
            "auto t = ::time(&x);", "clock_gettime(C, &t);",
            "std::random_device d;", "int n = rand();", "std::rand();", "std::mt19937 g;", "getrandom(p, 1, 0);",
            "#include <fcntl.h>", "#include <unistd.h>", "#include <sys/mman.h>", "#include <fstream>",
            "::open(p, 0);", "int f = ::close(f);", "fsync(f);", "::fdatasync(f);", "pwrite(f, p, 1, 0);",
            "std::ofstream out(p);", "std::filesystem::path p;", "fopen(p, m);", "::rename(a, b);", "getpid();",
            'std::getenv("A");', 'getenv("A");',
        ]:
            with self.subTest(line):
                for place in ("engine/mvcc/door.cc", "server/connect/door.cc"):
                    self.breaks("doors", {place: f"int before;\n{line}\n"}, f"{place}:2")
                self.breaks("doors", {"tools/door.cc": f"{line}\n", "tests/door.cc": f"{line}\n",
                                      "bench/door.cc": f"{line}\n"})

    def test_doors_of_io(self):
        self.breaks("doors", {"engine/io/real.cc": "std::thread t; std::mutex m; ::open(p, 0); ::time(&x);\n"})

    def test_doors_of_http(self):
        self.breaks("doors", {"server/http/a.cc": "std::thread t;\n"})
        self.breaks("doors", {"server/http/a.cc": "\nstd::mutex m;\n"}, "server/http/a.cc:2")

    def test_doors_that_are_none(self):
        self.breaks("doors", {"engine/mvcc/a.cc": "\n".join([
            "// std::thread runs it", '"std::mutex"; "::open(p, 0)"', "file->open(p);", "file.read(p);", "fs.rename(a);",
            "clock.time(0);", "Database::open(p);", "auto x = R\"(std::mutex m; fsync(f);)\";", "int big = 1'000;",
            "file_->sync_data(); brand(1); my_fsync(f); File::fsync(f);", "steady_timer timer;", "/* rand() */",
            "std::chrono::milliseconds(5);", "Clock& clock();", "store.fork();", "char c = '\"'; // rand()", "random.next();", ""])})

    def test_no_unused_header(self):
        self.breaks("no-unused-file", {"engine/base/lost.h": HEADER}, "engine/base/lost.h:1")

    def test_overlay(self):
        self.breaks("no-unused-file", {"tests/sim/overlay/engine/base/status.h": HEADER})
        self.breaks("no-unused-file", {"tests/sim/overlay/engine/base/lost.h": HEADER},
                    "tests/sim/overlay/engine/base/lost.h:1")

    def test_no_unused_source(self):
        self.breaks("no-unused-file", {"engine/base/lost.cc": "", "server/kv/lost.proto": ""},
                    "engine/base/lost.cc:1", "server/kv/lost.proto:1")

    def test_source_named_by_a_folder_above(self):
        self.breaks("no-unused-file", {"tests/engine/a_test.cc": "", "tests/meson.build": "x('engine/a_test.cc')\n"})

    def test_source_named_only_in_part(self):
        self.breaks("no-unused-file", {"tools/n.cc": ""}, "tools/n.cc:1")  # main.cc ends in n.cc

    def test_no_unused_script(self):
        self.breaks("no-unused-file", {"tests/a/lost.mjs": "lost\n"}, "tests/a/lost.mjs:1")
        self.breaks("no-unused-file", {"tests/a/used.mjs": "", "dev": "node tests/a/used.mjs\n"})

    def test_pragma_once(self):
        self.breaks("pragma-once", {"engine/base/status.h": "// #pragma once\n"}, "engine/base/status.h:1")

    def test_no_marker(self):
        self.breaks("no-marker", {"README.md": "fine\n" + "TO" + "DO: more\n", "tools/main.cc": "// FIX" + "ME\n"},
                    "README.md:2", "tools/main.cc:1")

    def test_size(self):
        self.breaks("size", {"tools/main.cc": "\n" * tidy.MAX_LINES})
        self.breaks("size", {"tools/main.cc": "\n" * (tidy.MAX_LINES + 1)}, f"tools/main.cc:{tidy.MAX_LINES + 1}")

    def test_no_place_names(self):
        self.breaks("no-place-names", {"a.json": '{\n"resolved": "https://registry.' + 'npmjs.org/deno"}\n',
                                       "README.md": "see /ho" + "me/ann/tidemark\n"}, "README.md:1", "a.json:2")

    def test_every_rule_has_a_test(self):
        names = " ".join(name for name in dir(self) if name.startswith("test_"))
        for rule in tidy.RULES:
            self.assertIn(rule.replace("-", "_").removesuffix("_file"), names)


class ThisTree(unittest.TestCase):
    """The rules on this tree: a test for each is added below."""

    tree = None

    def check(self, rule):
        if ThisTree.tree is None:
            ThisTree.tree = tidy.Tree(ROOT)
        self.assertGreater(len(self.tree.cpp), 10, "the tree was not found")
        found = tidy.violations(self.tree, [rule])
        if found:
            self.fail("\n" + "\n".join(f"{path}:{line}: {name}: {what}" for path, line, name, what in found))


for _rule in tidy.RULES:
    setattr(ThisTree, "test_" + _rule.replace("-", "_"), lambda self, rule=_rule: self.check(rule))


class CountGtest(unittest.TestCase):
    """The counting of GoogleTest cases in Meson's log."""

    def test_all_pass(self):
        out = "[ RUN      ] A.b\n[       OK ] A.b (0 ms)\n[       OK ] A.c (0 ms)\n[  PASSED  ] 2 tests.\n"
        self.assertEqual(count_gtest.count([{"stdout": out, "returncode": 0}]), (2, 0))

    def test_a_failure_counts_once(self):
        out = ("[       OK ] A.b (0 ms)\n[  FAILED  ] A.c (1 ms)\n[  FAILED  ] 1 test, listed below:\n"
               "[  FAILED  ] A.c\n 1 FAILED TEST\n")
        self.assertEqual(count_gtest.count([{"stdout": out, "returncode": 1}]), (1, 1))

    def test_parameterised_failure_counts_once(self):
        out = ("[  FAILED  ] All/A.c/0, where GetParam() = 4 (1 ms)\n[  FAILED  ] 1 test, listed below:\n"
               "[  FAILED  ] All/A.c/0, where GetParam() = 4\n")
        self.assertEqual(count_gtest.count([{"stdout": out, "returncode": 1}]), (0, 1))

    def test_a_crash_is_a_failure(self):
        self.assertEqual(count_gtest.count([{"stdout": "[       OK ] A.b (0 ms)\n[ RUN      ] A.c\n", "returncode": -11}]),
                         (1, 1))

    def test_a_program_without_cases_is_a_failure(self):
        self.assertEqual(count_gtest.count([{"stdout": "", "returncode": 0}]), (0, 1))

    def test_a_skipped_case_is_a_failure(self):
        out = "[  SKIPPED ] A.b (0 ms)\n[       OK ] A.c (0 ms)\n[  SKIPPED ] 1 test, listed below:\n[  SKIPPED ] A.b\n"
        self.assertEqual(count_gtest.count([{"stdout": out, "returncode": 0}]), (1, 1))


def main():
    counts = None
    if "--counts" in sys.argv:
        at = sys.argv.index("--counts")
        counts = sys.argv[at + 1]
        del sys.argv[at:at + 2]
    program = unittest.main(exit=False)
    result = program.result
    # A failed subtest stands for its test.
    bad = len({getattr(test, "test_case", test).id() for test, _ in result.failures + result.errors})
    if counts:
        pathlib.Path(counts).write_text(f"{result.testsRun - bad} {bad}\n", encoding="utf-8")
    return 1 if bad or not result.testsRun else 0


if __name__ == "__main__":
    sys.exit(main())
