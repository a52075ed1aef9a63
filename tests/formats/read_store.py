#!/usr/bin/python3
"""Reads a database folder, by docs/formats/ alone and without the engine.

    read_store.py DIR                     a summary; every checksum of every file that counts is looked at
    read_store.py DIR entries [STAMP]     all keys, versionstamps and values at a versionstamp, or at head
    read_store.py DIR commits             all commits: versionstamp, timestamp, writes

Needs Debian's packages python3-xxhash and python3-lz4. Nothing is written. Slow, and holds everything in memory: it
exists to show that the documents suffice.
"""

import pathlib
import struct
import sys

import lz4.block
import xxhash


class Damage(Exception):
    """Bytes that contradict their checksum or the documents."""


class NewerFormat(Exception):
    """Written by a newer version."""


def xxh3(data, seed=0):
    return xxhash.xxh3_64_intdigest(data, seed=seed)


class Reader:
    """Fields of a byte string, one after the other; Damage where one does not fit."""

    def __init__(self, data, where):
        self.data, self.where, self.at = data, where, 0

    def more(self):
        return self.at < len(self.data)

    def raw(self, size):
        if size > len(self.data) - self.at:
            raise Damage(f"{self.where}: ends within a field")
        self.at += size
        return self.data[self.at - size:self.at]

    def u8(self):
        return self.raw(1)[0]

    def u32(self):
        return struct.unpack("<I", self.raw(4))[0]

    def u64(self):
        return struct.unpack("<Q", self.raw(8))[0]

    def timestamp(self):
        return struct.unpack("<q", self.raw(8))[0]

    def stamp(self):
        return self.raw(10)

    def varint(self):
        value = 0
        for shift in range(0, 70, 7):
            byte = self.u8()
            value |= (byte & 0x7f) << shift
            if byte < 0x80:
                if value >> 64:
                    break
                return value
        raise Damage(f"{self.where}: a varint is too long")

    def bytes(self):
        return self.raw(self.varint())


def check_header(data, where, magic, size):
    """The header that log files, segments and change files share: magic, version, ..., checksum."""
    if len(data) < size or data[:8] != magic:
        raise Damage(f"{where}: wrong magic, or cut short")
    if xxh3(data[:size - 8]) != struct.unpack_from("<Q", data, size - 8)[0]:
        raise Damage(f"{where}: the header does not match its checksum")
    version = struct.unpack_from("<I", data, 8)[0]
    if version > 1:
        raise NewerFormat(f"{where}: format version {version} is newer than 1")


# ---------------------------------------------------------------------------------------------------------
# log.md


class Log:
    """A log file: its header's fields; records() gives the payloads that count."""

    def __init__(self, path, kind, database_id, number):
        self.path, self.data = path, path.read_bytes()
        check_header(self.data, path, b"TIDELOG\n", 64)
        header = Reader(self.data[12:64], path)
        if (header.u32(), header.raw(16), header.u64()) != (kind, database_id, number):
            raise Damage(f"{path}: another kind, database or number")
        self.predecessor, self.predecessor_end = header.u64(), header.u64()
        self.salt = xxh3(database_id + bytes([kind]) + struct.pack("<Q", number))

    def header_at(self, p):
        """(payload size, promise, payload checksum) if an intact record header is at p."""
        if p + 32 > len(self.data):
            return None
        head = self.data[p:p + 32]
        magic, size, promise, payload_sum, header_sum = struct.unpack("<4sIQQQ", head)
        if magic != b"TIDR" or xxh3(head[:24], self.salt ^ p) != header_sum:
            return None
        return size, promise, payload_sum

    def record_at(self, p):
        """(payload, promise, end) if an intact record is at p."""
        header = self.header_at(p)
        if header is None:
            return None
        size, promise, payload_sum = header
        end = (p + 32 + size + 7) // 8 * 8
        if size > 1 << 30 or end > len(self.data):
            return None
        payload = self.data[p + 32:p + 32 + size]
        if xxh3(payload, self.salt ^ p) != payload_sum:
            return None
        return payload, promise, end

    def intact(self):
        """(payload, end) of the intact records from the first on."""
        p = 64
        while (record := self.record_at(p)) is not None:
            p = record[2]
            yield record[0], p

    def records(self, limit=None):
        p, durable = 64, 64
        while p != limit:
            record = self.record_at(p)
            if record is not None and (limit is None or record[2] <= limit):
                yield record[0], f"{self.path} at offset {p}"
                durable, p = max(durable, record[1]), record[2]
                continue
            if limit is not None:
                durable = limit
            else:
                for later in range(p, len(self.data), 8):
                    header = self.header_at(later)
                    if header is not None:
                        durable = max(durable, header[1])
            if p < durable:
                raise Damage(f"{self.path} at offset {p}: no intact record, though all below {durable} was durable")
            return


# ---------------------------------------------------------------------------------------------------------
# manifest.md

LIVE, HISTORY = 0, 1


class SegmentMeta:
    def __init__(self, r):
        self.number, self.kind, self.file_bytes = r.varint(), r.u8(), r.varint()
        self.entries, self.tombstones = r.varint(), r.varint()
        self.smallest_key, self.largest_key = r.bytes(), r.bytes()
        self.min_stamp, self.max_stamp = r.stamp(), r.stamp()
        self.min_superseded, self.max_superseded = r.stamp(), r.stamp()
        self.place = self.ceiling = None
        if self.kind not in (LIVE, HISTORY):
            raise Damage(f"{r.where}: a segment of kind {self.kind}")

    def fields(self):
        return {name: value for name, value in vars(self).items() if name not in ("place", "ceiling")}


class ChangesMeta:
    def __init__(self, r):
        self.number, self.file_bytes, self.commits = r.varint(), r.varint(), r.varint()
        self.first_stamp, self.last_stamp = r.stamp(), r.stamp()
        self.first_timestamp, self.last_timestamp = r.timestamp(), r.timestamp()


class State:
    """What the edits of a manifest add up to."""

    def __init__(self):
        self.epoch, self.next_file_number, self.oldest_wal, self.newest_wal = 1, 1, 0, 0
        self.flushed_stamp, self.horizon = bytes(10), bytes(10)
        self.flushed_timestamp = self.retention_clock = 0
        self.segments, self.changes = {}, {}

    FIELDS = {2: ("epoch", Reader.varint), 3: ("next_file_number", Reader.varint), 4: ("oldest_wal", Reader.varint),
              5: ("flushed_stamp", Reader.stamp), 6: ("flushed_timestamp", Reader.timestamp),
              7: ("horizon", Reader.stamp), 8: ("retention_clock", Reader.timestamp), 13: ("newest_wal", Reader.varint)}
    NEVER_BACK = {"next_file_number", "horizon", "retention_clock"}
    BACK_IS_DAMAGE = {"flushed_stamp", "oldest_wal", "newest_wal"}

    def apply(self, payload, where):
        r, snapshot, values = Reader(payload, where), False, {}
        added, removed = {9: [], 11: []}, {10: [], 12: []}
        while r.more():
            tag = r.varint()
            if tag == 1:
                snapshot = True
            elif tag in self.FIELDS:
                name, read = self.FIELDS[tag]
                values[name] = read(r)
            elif tag in (9, 14):
                place, ceiling = r.varint(), r.stamp() if tag == 14 else None
                meta = SegmentMeta(r)
                meta.place, meta.ceiling = place, ceiling
                added[9].append(meta)
            elif tag == 11:
                added[11].append(ChangesMeta(r))
            elif tag in removed:
                removed[tag].append(r.varint())
            else:
                raise NewerFormat(f"{where}: unknown tag {tag}")
        if snapshot:
            self.__init__()
        for name, value in values.items():
            old = getattr(self, name)
            if name in self.BACK_IS_DAMAGE and value < old:
                raise Damage(f"{where}: {name} goes back")
            setattr(self, name, max(old, value) if name in self.NEVER_BACK else value)
        for files, gone, new in ((self.segments, removed[10], added[9]), (self.changes, removed[12], added[11])):
            for number in gone:
                if files.pop(number, None) is None:
                    raise Damage(f"{where}: file {number} is removed without being there")
            for meta in new:
                if meta.number in files:
                    raise Damage(f"{where}: file {meta.number} is added twice")
                files[meta.number] = meta
        levels = {}
        for meta in self.segments.values():
            if meta.kind == LIVE and meta.ceiling is None:
                if meta.place > 6:
                    raise Damage(f"{where}: level {meta.place}")
                levels.setdefault(meta.place, []).append(meta)
        for level, metas in levels.items():
            metas.sort(key=lambda m: m.smallest_key)
            if level > 0 and any(a.largest_key >= b.smallest_key for a, b in zip(metas, metas[1:])):
                raise Damage(f"{where}: segments of level {level} overlap")


def read_current(folder):
    """(database id, number of the manifest)"""
    path = folder / "CURRENT"
    data = path.read_bytes()
    if len(data) < 12 or data[:8] != b"TIDECUR\n":
        raise Damage(f"{path}: wrong magic")
    if struct.unpack_from("<I", data, 8)[0] > 1:
        raise NewerFormat(f"{path}: database format version {struct.unpack_from('<I', data, 8)[0]} is newer than 1")
    if len(data) != 48 or xxh3(data[:40]) != struct.unpack_from("<Q", data, 40)[0]:
        raise Damage(f"{path}: does not match its checksum")
    return data[16:32], struct.unpack_from("<Q", data, 32)[0]


# ---------------------------------------------------------------------------------------------------------
# segment.md


def unseal(data, offset, size, salt, where):
    where = f"{where} at offset {offset}"
    if size < 9 or offset + size > len(data):
        raise Damage(f"{where}: points outside of the file")
    piece = data[offset:offset + size]
    if xxh3(piece[:-8], salt ^ offset) != struct.unpack_from("<Q", piece, size - 8)[0]:
        raise Damage(f"{where}: does not match its checksum")
    body, codec = piece[:-9], piece[-9]
    if codec == 0:
        return body
    if codec != 1 or len(body) < 4:
        raise Damage(f"{where}: unknown codec, or malformed")
    content_size = struct.unpack_from("<I", body)[0]
    if content_size > 256 * len(body):
        raise Damage(f"{where}: claims too much")
    try:
        content = lz4.block.decompress(body[4:], uncompressed_size=content_size)
    except lz4.block.LZ4BlockError as error:
        raise Damage(f"{where}: {error}") from None
    if len(content) != content_size:
        raise Damage(f"{where}: not as large as it claims")
    return content


class Entry:
    __slots__ = ("key", "stamp", "superseded", "tombstone", "value")

    def __init__(self, key, stamp, superseded, tombstone, value):
        self.key, self.stamp, self.superseded = key, stamp, superseded
        self.tombstone, self.value = tombstone, value


def read_block(content, kind, where):
    if len(content) < 6:
        raise Damage(f"{where}: a block is too short")
    if content[0] & ~1:
        raise Damage(f"{where}: a block has unknown flags")
    wide = content[0] & 1
    count = struct.unpack_from("<I", content, len(content) - 4)[0]
    offsets_at = len(content) - 4 - count * (4 if wide else 2)
    if count < 1 or offsets_at < 0:
        raise Damage(f"{where}: a block claims {count} entries")
    offsets = struct.unpack_from(f"<{count}{'I' if wide else 'H'}", content, offsets_at)
    r = Reader(content[:offsets_at], where)
    r.u8()
    prefix = r.bytes()
    entries = []
    for offset in offsets:
        if r.at != offset:
            raise Damage(f"{where}: an entry is not where its offset says")
        suffix_size, meta = r.varint(), r.varint()
        key = prefix + r.raw(suffix_size)
        stamp = r.raw(8) + (r.raw(2) if meta & 2 else bytes(2))
        superseded = r.stamp() if kind == HISTORY else None
        entries.append(Entry(key, stamp, superseded, bool(meta & 1), r.raw(meta >> 2)))
    if r.more():
        raise Damage(f"{where}: bytes behind the last entry")
    return entries


def filter_says_no(content, key):
    if len(content) < 65 or len(content) % 64 != 1:
        return False
    lines, h = (len(content) - 1) // 64, xxh3(key)
    line = ((h >> 32) * lines >> 32) * 64
    g = h & 0xffffffff
    for _ in range(content[-1]):
        if not content[line + (g >> 26)] >> ((g >> 23) & 7) & 1:
            return True
        g = g * 0x9e3779b9 & 0xffffffff
    return False


def order(entry):
    return entry.key, bytes(255 - b for b in entry.stamp)


def check_description(meta, entries, where):
    bounds = [e.superseded for e in entries] if meta.kind == HISTORY else [bytes(10)]
    stamps = [e.stamp for e in entries]
    if (meta.entries, meta.tombstones, meta.smallest_key, meta.largest_key, meta.min_stamp, meta.max_stamp,
            meta.min_superseded, meta.max_superseded) != (
            len(entries), sum(e.tombstone for e in entries), entries[0].key, entries[-1].key, min(stamps),
            max(stamps), min(bounds), max(bounds)):
        raise Damage(f"{where}: the description does not fit the entries")


def read_segment(path, meta):
    data = path.read_bytes()
    if len(data) != meta.file_bytes or len(data) < 96:
        raise Damage(f"{path}: {len(data)} bytes instead of {meta.file_bytes}")
    check_header(data, path, b"TIDESEG\n", 32)
    kind, salt = struct.unpack_from("<IQ", data, 12)
    if kind not in (LIVE, HISTORY) or kind != meta.kind:
        raise Damage(f"{path}: a segment of another or of an unknown kind")
    footer = data[-64:]
    if footer[56:] != b"TIDESEGE" or xxh3(footer[:48], salt) != struct.unpack_from("<Q", footer, 48)[0]:
        raise Damage(f"{path}: the footer does not match its magic and checksum")
    filter_at, filter_size, index_at, index_size, properties_at, properties_size = struct.unpack_from("<6Q", footer)

    index = Reader(unseal(data, index_at, index_size, salt, path), f"{path}, index")
    entries, offset, last_key = [], 32, b""
    for _ in range(index.varint()):
        shared, rest, last_stamp, size = index.varint(), index.bytes(), index.stamp(), index.varint()
        if shared > len(last_key):
            raise Damage(f"{path}: the index shares more of a key than there is")
        last_key = last_key[:shared] + rest
        entries += read_block(unseal(data, offset, size, salt, path), kind, f"{path} at offset {offset}")
        if (entries[-1].key, entries[-1].stamp) != (last_key, last_stamp):
            raise Damage(f"{path}: index and block at offset {offset} do not agree")
        offset += size
    if index.more() or offset > index_at:
        raise Damage(f"{path}: the index goes too far")

    for a, b in zip(entries, entries[1:]):
        if order(a) >= order(b) or (kind == LIVE and a.key == b.key):
            raise Damage(f"{path}: {b.key!r} is out of order")
    for e in entries:
        if kind == HISTORY and e.superseded <= e.stamp:
            raise Damage(f"{path}: {e.key!r} is superseded before it is written")
        if e.tombstone and e.value:
            raise Damage(f"{path}: the tombstone of {e.key!r} has a value")
    check_description(meta, entries, path)
    properties = Reader(unseal(data, properties_at, properties_size, salt, path), f"{path}, properties")
    own = SegmentMeta(properties)
    own.file_bytes = meta.file_bytes  # 0 in the properties
    if properties.more() or own.fields() != meta.fields():
        raise Damage(f"{path}: the properties are those of another segment")
    if filter_size:
        content = unseal(data, filter_at, filter_size, salt, path)
        for e in entries:
            if filter_says_no(content, e.key):
                raise Damage(f"{path}: the filter denies {e.key!r}")
    return entries


# ---------------------------------------------------------------------------------------------------------
# wal.md and changes.md


class Commit:
    def __init__(self, stamp, timestamp):
        self.stamp, self.timestamp = stamp, timestamp
        self.writes = []  # (kind, key, value); of a change file without values


PUT, ERASE = 0, 1


GROUP, INGEST, CLOSE, COPY = 1, 2, 3, 4


class Ingest:
    """Segments that were published as a whole."""

    def __init__(self, r):
        self.stamp, self.timestamp = r.stamp(), r.timestamp()
        self.segments = [SegmentMeta(r) for _ in range(r.varint())]
        run = next((meta.number for meta in self.segments if meta.kind == HISTORY), None)
        for meta in self.segments:
            meta.place = run if meta.kind == HISTORY else 0
        self.changes, self.horizon = [], None
        if not r.more():
            return  # as they were before there was more
        self.changes = [ChangesMeta(r) for _ in range(r.varint())]
        has_horizon = r.u8()
        if has_horizon > 1:
            raise Damage(f"{r.where}: neither with a horizon nor without")
        if has_horizon:
            self.horizon = r.stamp()


def read_wal_payload(payload, where, in_copy=False):
    """What one WAL record says: [Commit] or [Ingest]."""
    r = Reader(payload, where)
    record_type = r.u8()
    if record_type == COPY and not in_copy:
        return read_wal_payload(payload[1:], where, in_copy=True)
    said = []
    if record_type == INGEST:
        said.append(Ingest(r))
    elif record_type == GROUP:
        while r.more():
            commit = Commit(r.stamp(), r.timestamp())
            for _ in range(r.u32()):
                kind, key = r.u8(), r.bytes()
                if kind not in (PUT, ERASE) or not key:
                    raise Damage(f"{where}: a malformed write")
                commit.writes.append((kind, key, r.bytes() if kind == PUT else b""))
            said.append(commit)
    elif record_type != CLOSE:
        raise Damage(f"{where}: a record of unknown type {record_type}")
    if r.more():
        raise Damage(f"{where}: a record goes on behind its last field")
    return said


def read_changes(path, meta):
    data = path.read_bytes()
    if len(data) != meta.file_bytes or len(data) < 64:
        raise Damage(f"{path}: {len(data)} bytes instead of {meta.file_bytes}")
    check_header(data, path, b"TIDECHG\n", 32)
    salt = struct.unpack_from("<Q", data, 16)[0]
    footer = data[-32:]
    if footer[24:] != b"TIDECHGE" or xxh3(footer[:16], salt) != struct.unpack_from("<Q", footer, 16)[0]:
        raise Damage(f"{path}: the footer does not match its magic and checksum")
    index = Reader(unseal(data, *struct.unpack_from("<2Q", footer), salt, path), f"{path}, index")
    commits = []
    for _ in range(index.varint()):
        offset, size, first_stamp, first_timestamp = (index.varint(), index.varint(), index.stamp(),
                                                      index.timestamp())
        block = read_changes_block(unseal(data, offset, size, salt, path), f"{path} at offset {offset}")
        if (block[0].stamp, block[0].timestamp) != (first_stamp, first_timestamp):
            raise Damage(f"{path}: index and block at offset {offset} do not agree")
        commits += block
    first, last = commits[0], commits[-1]
    if index.more() or (len(commits), first.stamp, last.stamp, first.timestamp, last.timestamp) != (
            meta.commits, meta.first_stamp, meta.last_stamp, meta.first_timestamp, meta.last_timestamp):
        raise Damage(f"{path}: the description does not fit the commits")
    return commits


def read_changes_block(content, where):
    r, commits, key = Reader(content, where), [], b""
    while r.more() or not commits:
        if not commits:
            commit = Commit(r.stamp(), r.timestamp())
        else:
            number, tail = struct.unpack(">QH", commits[-1].stamp)
            number += r.varint()
            commit = Commit(struct.pack(">QH", number, r.varint()), commits[-1].timestamp + r.varint())
        for _ in range(r.varint()):
            head, rest = r.varint(), r.bytes()
            if head >> 1 > len(key):
                raise Damage(f"{where}: a key shares more than there is")
            key = key[:head >> 1] + rest
            commit.writes.append((head & 1, key, b""))
        commits.append(commit)
    return commits


# ---------------------------------------------------------------------------------------------------------
# README.md: the database


class Store:
    """A database, read whole. Damage or NewerFormat if that cannot be done."""

    def __init__(self, folder):
        self.folder = folder = pathlib.Path(folder)
        self.database_id, number = read_current(folder)
        self.state = state = State()
        records = 0
        manifest = Log(folder / f"MANIFEST-{number:06}", 2, self.database_id, number)
        for payload, where in manifest.records():
            state.apply(payload, where)
            records += 1
        if records == 0:
            raise Damage(f"{manifest.path}: no intact record")

        self.versions = {}  # by key: [Entry]
        self.tail = []      # commits of the WAL that are not in segments
        self.read_wal(folder)
        for number, meta in state.segments.items():
            for entry in self.existing(read_segment, folder / f"{number:06}.seg", meta):
                if meta.ceiling is not None:
                    if entry.stamp > meta.ceiling:
                        continue
                    if entry.superseded is not None and entry.superseded > meta.ceiling:
                        entry.superseded = None
                self.versions.setdefault(entry.key, []).append(entry)
        listed = [self.existing(read_changes, folder / f"{number:06}.chg", meta)
                  for number, meta in state.changes.items()]
        listed.sort(key=lambda commits: commits[0].stamp)
        self.commits = [commit for commits in listed for commit in commits]
        self.commits += self.tail
        for a, b in zip(self.commits, self.commits[1:]):
            if a.stamp >= b.stamp or a.timestamp > b.timestamp:
                raise Damage(f"{folder}: commit {b.stamp.hex()} is out of order")

    @staticmethod
    def existing(read, path, meta):
        if not path.exists():
            raise Damage(f"{path}: missing")
        return read(path, meta)

    def read_wal(self, folder):
        state = self.state
        logs = self.wal_chain(folder)
        self.check_unknown_wals(folder)
        limits = [log.predecessor_end for log in logs[1:]] + [None]
        last = state.flushed_stamp, state.flushed_timestamp
        for log, limit in zip(logs, limits):
            for payload, where in log.records(limit):
                for said in read_wal_payload(payload, where):
                    if said.stamp <= state.flushed_stamp:
                        continue
                    if said.stamp <= last[0] or said.timestamp < last[1]:
                        raise Damage(f"{where}: commit {said.stamp.hex()} does not follow {last[0].hex()}")
                    last = said.stamp, said.timestamp
                    if isinstance(said, Ingest):
                        self.publish(said, where)
                        continue
                    self.tail.append(said)
                    for kind, key, value in said.writes:
                        self.versions.setdefault(key, []).append(Entry(key, said.stamp, None, kind == ERASE, value))
        self.head = last[0]

    def publish(self, ingest, where):
        """Does what the manifest would have been told next."""
        if self.versions:
            raise Damage(f"{where}: segments are published while older writes are not in segments")
        for meta in ingest.segments:
            if meta.number in self.state.segments:
                raise Damage(f"{where}: file {meta.number} is added twice")
            self.state.segments[meta.number] = meta
        for meta in ingest.changes:
            if meta.number in self.state.changes:
                raise Damage(f"{where}: file {meta.number} is added twice")
            self.state.changes[meta.number] = meta
        if ingest.horizon is not None:
            self.state.horizon = max(self.state.horizon, ingest.horizon)
        self.state.flushed_stamp, self.state.flushed_timestamp = ingest.stamp, ingest.timestamp

    def wal_chain(self, folder):
        """The WAL files that count, oldest first: found backwards from the newest."""
        logs, number = [], self.state.newest_wal
        while number != 0:
            path = folder / f"{number:06}.wal"
            if not path.exists():
                raise Damage(f"{path}: missing")
            logs.insert(0, Log(path, 1, self.database_id, number))
            if number == self.state.oldest_wal:
                break
            if not self.state.oldest_wal <= logs[0].predecessor < number:
                raise Damage(f"{path}: the chain of WAL files does not lead to file {self.state.oldest_wal}")
            number = logs[0].predecessor
        return logs

    def check_unknown_wals(self, folder):
        for path in folder.glob("*.wal"):
            if int(path.stem) > self.state.newest_wal:
                try:
                    types = {payload[:1] for payload, _ in Log(path, 1, self.database_id, int(path.stem)).intact()}
                except Damage:
                    continue
                if types - {bytes([COPY])}:
                    raise Damage(f"{folder}: the manifest lost its last record: {path.name} holds more than copies")

    def entries(self, at=None):
        """[(key, versionstamp, value)] of all keys present at a versionstamp from horizon to head."""
        at = self.head if at is None else at
        if not self.state.horizon <= at <= self.head:
            raise ValueError(f"{at.hex()} is not between {self.state.horizon.hex()} and {self.head.hex()}")
        found = []
        for key in sorted(self.versions):
            visible = [e for e in self.versions[key]
                       if e.stamp <= at and (e.superseded is None or at < e.superseded)]
            newest = max(visible, key=lambda e: e.stamp, default=None)
            if newest is not None and not newest.tombstone:
                found.append((key, newest.stamp, newest.value))
        return found


def main():
    if len(sys.argv) < 2 or len(sys.argv) > 4 or (len(sys.argv) > 2 and sys.argv[2] not in ("entries", "commits")):
        sys.exit(__doc__)
    try:
        store = Store(sys.argv[1])
        if len(sys.argv) == 2:
            print(f"database {store.database_id.hex()}, {len(store.state.segments)} segments, "
                  f"{len(store.commits)} commits listed, horizon {store.state.horizon.hex()}, head {store.head.hex()}, "
                  f"{len(store.entries())} keys")
        elif sys.argv[2] == "entries":
            for key, stamp, value in store.entries(bytes.fromhex(sys.argv[3]) if len(sys.argv) > 3 else None):
                print(key.hex(), stamp.hex(), value.hex())
        else:
            for commit in store.commits:
                writes = " ".join(("put:", "erase:")[kind] + key.hex() for kind, key, _ in commit.writes)
                print(commit.stamp.hex(), commit.timestamp, writes)
    except (Damage, NewerFormat, OSError, ValueError) as error:
        sys.exit(f"read_store: {error}")


if __name__ == "__main__":
    main()
