#!/usr/bin/env python3
"""The house rules, as a check over the source tree.

    python3 tests/tidy/tidy.py [ROOT]

prints every violation as FILE:LINE: RULE: what is wrong, and exits 1 if there is one. tidy_test.py shows each
rule failing on a made-up tree, and runs all of them over this one.
"""

import pathlib
import re
import sys

# ---------------------------------------------------------------------------------------------------------
# The tables

# Lowest first. A file may include files of its own component and of every lower line. Components on one line
# are peers and do not include each other, but for PEERS.
LAYERS = [
    ["engine/base"],
    ["engine/io", "engine/format"],
    ["engine/log", "engine interfaces"],
    ["engine/wal", "engine/memtable", "engine/segment", "engine/manifest", "engine/changes"],
    ["engine/mvcc"],
    ["engine/compaction", "engine/recovery"],
    ["engine", "engine/verify"],
    ["server/kv"],
    ["server/host", "server/backup", "server/dump"],
    ["server/connect"],
    ["server/http"],
    ["tools"],
    ["tests", "bench"],
]

# Files of the engine's top folder that only declare: what lower layers implement, so they lie below these.
INTERFACES = {"engine/history.h", "engine/options.h", "engine/snapshot.h", "engine/transaction.h"}

# (from, to): a component that may include this one of its peers. Still no circle.
PEERS = set()

# What the server and the tools may include of the engine.
PUBLIC_HEADERS = {"engine/database.h", "engine/history.h", "engine/options.h", "engine/snapshot.h",
                  "engine/transaction.h"}
PUBLIC_FOLDERS = ("engine/base/", "engine/io/")
TOOLS_ALSO = ("engine/verify/",)

OUTSIDE = ("tools/", "tests/", "bench/")


def calls(*names):
    """A call of one of these functions of the system: not a member, not one of another namespace."""
    return r"(?:(?<![\w.:>])|(?<![\w>:])::|\bstd::)(?:" + "|".join(names) + r")\s*\("


def global_calls(*names):
    """As calls(), for names that are common as members: only when written ::name( or std::name(."""
    return r"(?:(?<![\w>:])::|\bstd::)(?:" + "|".join(names) + r")\s*\("


def headers(*names):
    return r"^\s*#\s*include\s*<(?:" + "|".join(names) + r")>"


# The doors to the machine: what it is, where it is allowed, how it is recognised in code without comments and
# strings.
DOORS = [
    ("threads", ("engine/io/", "server/http/") + OUTSIDE, [
        headers("thread", "pthread.h", "future", "stop_token"),
        r"\bstd::(?:jthread|thread|async|this_thread)\b",
        r"\bpthread_\w+\s*\(",
        calls("vfork", "execve?p?", "posix_spawnp?"),
        global_calls("fork", "clone"),
    ]),
    ("locks and waiting", ("engine/io/",) + OUTSIDE, [
        headers("mutex", "shared_mutex", "condition_variable", "semaphore", "latch", "barrier"),
        r"\bstd::(?:recursive_|shared_|timed_|recursive_timed_|shared_timed_)?mutex\b",
        r"\bstd::(?:condition_variable(?:_any)?|lock_guard|unique_lock|scoped_lock|shared_lock|latch|barrier|"
        r"counting_semaphore|binary_semaphore|future|promise|packaged_task|call_once|once_flag)\b",
        r"\bsleep_(?:for|until)\b",
        calls("usleep", "nanosleep", "clock_nanosleep", "futex", "ppoll", "epoll_\\w+"),
        global_calls("sleep", "poll", "select"),
    ]),
    ("clocks", ("engine/io/",) + OUTSIDE, [
        r"\bchrono::(?:system|steady|high_resolution|utc|tai|gps|file)_clock\b",
        r"(?<!chrono::)\b(?:system|steady|high_resolution)_clock::now\b",
        calls("clock_gettime", "gettimeofday", "timespec_get"),
        global_calls("clock"),
        r"(?:(?<![\w.:>])|(?<![\w>:])::|\bstd::)time\s*\(\s*(?:nullptr|NULL|0|&)",
    ]),
    ("random numbers", ("engine/io/",) + OUTSIDE, [
        headers("random"),
        r"\bstd::(?:random_device|default_random_engine|mt19937(?:_64)?|minstd_rand0?)\b",
        calls("rand", "srand", "srandom", "rand_r", "drand48", "arc4random\\w*", "getrandom", "getentropy"),
        global_calls("random"),
    ]),
    ("files and system calls", ("engine/io/",) + OUTSIDE, [
        headers("fcntl.h", "unistd.h", "dirent.h", "fstream", "filesystem", "sys/(?!socket\\.h)[\\w/]+\\.h",
                "linux/[\\w/]+\\.h", "netinet/[\\w/]+\\.h", "arpa/[\\w/]+\\.h"),
        r"\bstd::(?:filesystem|[io]?fstream)\b",
        global_calls("open", "close", "read", "write", "rename", "remove", "link", "unlink", "stat", "access", "kill",
                     "signal", "raise", "system", "truncate", "mkdir", "socket", "bind", "listen", "accept",
                     "connect", "send", "recv"),
        calls("openat", "creat", "preadv?2?", "pwritev?2?", "readv", "writev", "fsync", "fdatasync", "syncfs",
              "sync_file_range", "ftruncate", "(?:posix_)?fallocate", "posix_fadvise", "mmap", "munmap", "madvise",
              "msync", "flock", "fcntl", "ioctl", "fstat(?:at)?", "lstat", "f?statvfs", "rmdir", "opendir",
              "readdir", "symlink", "unlinkat", "renameat2?", "linkat", "fopen", "freopen", "fdopen", "tmpfile",
              "mkstemp", "mkdtemp", "popen", "sigaction", "sigprocmask", "syscall", "getpid"),
    ]),
    ("the environment", OUTSIDE, [
        calls("getenv", "secure_getenv", "setenv", "putenv", "unsetenv"),
        r"(?<![\w.:>])environ\b",
    ]),
]

MAX_LINES = 900
SKIPPED_FOLDERS = {".git", "build", "data", "node_modules", ".cache", "__pycache__"}
SOURCE_ROOTS = ("engine/", "server/", "tools/", "tests/", "bench/")
NOT_COUNTED = {"tests/e2e/package-lock.json"}

# Split, so that this file does not break its own rules.
MARKERS = re.compile(r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"]) + r")\b")
HOSTS = re.compile("|".join(re.escape(a + b) for a, b in [
    ("registry.", "npmjs.org"), ("registry.", "yarnpkg.com"), ("crates", ".io"), ("proxy.", "golang.org"),
    ("py", "pi.org"), ("files.", "pythonhosted.org"), ("repo.", "maven.apache.org"), ("repo1.", "maven.org"),
    ("deb.", "debian.org"), ("security.", "debian.org"), ("deb.", "nodesource.com")]))
MACHINE_PATHS = re.compile(r"(?<![\w.$}~/-])/(?:work|root|home|Users|mnt)/[\w.]")


# ---------------------------------------------------------------------------------------------------------
# Reading the tree

# Numbers come first and stay, so that the quotes in 1'000 open no character.
TOKEN = re.compile(
    r"(?P<number>(?<!\w)\d(?:'?[\w.])*)"
    r"|(?P<comment>//[^\n]*|/\*.*?\*/)"
    r'|(?P<raw>R"(?P<tag>[^()\\\s]{0,16})\(.*?\)(?P=tag)")'
    r"|(?P<string>\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')",
    re.DOTALL)


def blank(text):
    return re.sub(r"[^\n]", " ", text)


def strip(text, kinds):
    def replace(match):
        kind = next(name for name in ("number", "comment", "raw", "string") if match.group(name) is not None)
        return blank(match.group()) if kind in kinds else match.group()

    return TOKEN.sub(replace, text)


INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"\n]+)"', re.MULTILINE)


class Source:
    def __init__(self, path, text):
        self.path = path
        self.text = text
        self.is_cpp = path.endswith((".h", ".cc"))
        self.component = component(path)
        self.includes = []  # (line, path as written)
        self.code = ""      # without comments and strings, same lines
        if self.is_cpp:
            self.code = strip(text, {"comment", "string", "raw"})
            for match in INCLUDE.finditer(strip(text, {"comment", "raw"})):
                self.includes.append((line_of(text, match.start(1)), match.group(1)))


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def component(path):
    parts = path.split("/")
    if path in INTERFACES:
        return "engine interfaces"
    if parts[0] in ("engine", "server"):
        return "/".join(parts[:2]) if len(parts) > 2 else parts[0]
    return parts[0] if len(parts) > 1 else ""


class Tree:
    def __init__(self, root):
        root = pathlib.Path(root)
        self.sources = {}
        for path in self._walk(root):
            try:
                text = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue  # not text
            name = path.relative_to(root).as_posix()
            self.sources[name] = Source(name, text)
        self.cpp = [s for s in self.sources.values() if s.is_cpp]

    def _walk(self, folder):
        for path in sorted(folder.iterdir()):
            if path.is_symlink():
                continue
            if path.is_dir():
                if path.name not in SKIPPED_FOLDERS:
                    yield from self._walk(path)
            elif path.is_file():
                yield path

    def generated(self, include):
        """Whether Meson makes this header out of a .proto file of the tree."""
        if not include.endswith(".pb.h"):
            return False
        stem = include[: -len(".pb.h")].split("/")[-1] + ".proto"
        return any(name.split("/")[-1] == stem for name in self.sources)


# ---------------------------------------------------------------------------------------------------------
# The rules: each yields (path, line, what is wrong)

LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def rule_known_folder(tree):
    """every folder has its place among the layers"""
    for source in tree.cpp:
        if source.component not in LEVEL:
            yield source.path, 1, f"the folder {source.component or 'at the top'} has no place in the table of layers"


def rule_include_path(tree):
    """includes in quotes are written from the root and name a file that is there"""
    for source in tree.cpp:
        for line, name in source.includes:
            if name not in tree.sources and not tree.generated(name):
                yield source.path, line, f'"{name}" is not a file when seen from the root'


def rule_layers(tree):
    """includes go downwards only, and not to a peer"""
    for source in tree.cpp:
        own = LEVEL.get(source.component)
        for line, name in source.includes:
            other = component(name)
            level = LEVEL.get(other)
            if own is None or level is None or other == source.component:
                continue
            if level > own:
                yield source.path, line, f"{source.component} lies below {other} and must not include {name}"
            elif level == own and (source.component, other) not in PEERS:
                yield source.path, line, f"{source.component} and {other} are peers; it must not include {name}"


def rule_public_face(tree):
    """server and tools see only the engine's public headers, its base and its io"""
    for source in tree.cpp:
        if not source.path.startswith(("server/", "tools/")):
            continue
        allowed = PUBLIC_FOLDERS + (TOOLS_ALSO if source.path.startswith("tools/") else ())
        for line, name in source.includes:
            if name.startswith("engine/") and name not in PUBLIC_HEADERS and not name.startswith(allowed):
                yield source.path, line, f"{name} is not part of the engine's public face"


def cycle(graph):
    """One circle of a graph {node: {node: anything}}, as a list of nodes, or None."""
    done, path, on_path = set(), [], set()

    def visit(node):
        path.append(node)
        on_path.add(node)
        for other in sorted(graph.get(node, ())):
            if other in on_path:
                return path[path.index(other):] + [other]
            if other not in done:
                found = visit(other)
                if found:
                    return found
        done.add(node)
        on_path.discard(path.pop())
        return None

    for start in sorted(graph):
        if start not in done:
            found = visit(start)
            if found:
                return found
    return None


def rule_no_circle(tree):
    """no circle of includes, neither of files nor of folders"""
    files, folders = {}, {}
    for source in tree.cpp:
        for line, name in source.includes:
            if name not in tree.sources:
                continue
            files.setdefault(source.path, {})[name] = (source.path, line)
            if component(name) != source.component:
                folders.setdefault(source.component, {})[component(name)] = (source.path, line)
    for graph in (files, folders):
        found = cycle(graph)
        if found:
            path, line = graph[found[0]][found[1]]
            yield path, line, "circle: " + " > ".join(found)


def rule_doors(tree):
    """threads, waiting, clocks, random numbers, files and the environment only where they are allowed"""
    for source in tree.cpp:
        for what, allowed, patterns in DOORS:
            if source.path.startswith(allowed):
                continue
            for pattern in patterns:
                for match in re.finditer(pattern, source.code, re.MULTILINE):
                    start = match.start() + len(match.group()) - len(match.group().lstrip())
                    found = " ".join(match.group().split()).rstrip("( ")
                    yield source.path, line_of(source.code, start), f"{what} ({found}) are not for this folder"


def rule_no_unused_file(tree):
    """every header is included by something, every other source is named in a meson.build above it, every script by
    another file"""
    included = {name for source in tree.cpp for _, name in source.includes}
    for path in tree.sources:
        if not path.startswith(SOURCE_ROOTS):
            continue
        if path.endswith(".h"):
            # What lies in an overlay stands in for a header of the tree.
            if path.rpartition("/overlay/")[2] not in included:
                yield path, 1, "nothing includes this header"
        elif path.endswith((".cc", ".proto")):
            parts = path.split("/")
            for depth in range(len(parts) - 1, -1, -1):
                build = tree.sources.get("/".join(parts[:depth] + ["meson.build"]))
                if build and re.search(r"['/]" + re.escape("/".join(parts[depth:])) + r"'", build.text):
                    break
            else:
                yield path, 1, "no meson.build above this file names it"
        elif path.endswith((".mjs", ".py")):
            stem = re.escape(path.split("/")[-1].rsplit(".", 1)[0])
            name = re.compile(rf"[\"'/ ]{stem}\.(?:mjs|py)\b|[\"']{stem}[\"'-]|^import {stem}$", re.MULTILINE)
            if not any(name.search(other.text) for other in tree.sources.values() if other.path != path):
                yield path, 1, "no other file names this script"


def rule_pragma_once(tree):
    """every header has #pragma once"""
    for source in tree.cpp:
        if source.path.endswith(".h") and not re.search(r"^#pragma once$", source.code, re.MULTILINE):
            yield source.path, 1, "#pragma once is missing"


def rule_no_marker(tree):
    """no note of unfinished work"""
    for source in tree.sources.values():
        for match in MARKERS.finditer(source.text):
            yield source.path, line_of(source.text, match.start()), f"{match.group()}: finish it, or file it"


def rule_size(tree):
    """files stay small"""
    for source in tree.sources.values():
        lines = source.text.count("\n")
        if source.path.startswith(SOURCE_ROOTS) and lines > MAX_LINES and source.path not in NOT_COUNTED:
            yield source.path, MAX_LINES + 1, f"{lines} lines, {MAX_LINES} are the most; look for a seam"


def rule_no_place_names(tree):
    """no host name of a package registry, no path of one machine"""
    for source in tree.sources.values():
        for pattern in (HOSTS, MACHINE_PATHS):
            for match in pattern.finditer(source.text):
                yield source.path, line_of(source.text, match.start()), f"{match.group()} belongs to one place only"


RULES = {name.removeprefix("rule_").replace("_", "-"): rule
         for name, rule in list(globals().items()) if name.startswith("rule_")}


def violations(tree, rules=None):
    """All violations of the tree as (path, line, rule, what), sorted."""
    return sorted({(path, line, name, what)
                   for name in (rules or RULES)
                   for path, line, what in RULES[name](tree)})


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2]
    found = violations(Tree(root))
    for path, line, name, what in found:
        print(f"{path}:{line}: {name}: {what}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
