// Keys, values, versionstamps, checks, the order of mutations, suffixed keys, reads, enqueues.

import { compareBytes, encodeKey } from "../lib/keys.mjs";
import { check, enqueue, M_DELETE, M_SUFFIX, M_SUM, mutation, pointRange, range, set, VE_BYTES, VE_LE64, VE_V8 } from "../lib/wire.mjs";
import { bytes, expect, le64, show, stampOf } from "./context.mjs";

const OTHER_STAMP = stampOf("00000000000000010000");

async function keysAndValues(t) {
  const { session } = t;
  await t.rule("key.bytes", "keys of any bytes", async () => {
    const keys = ["00", "ff", "0000ff00", "fffe", "7f".repeat(2048)].map((hex) => t.key(Buffer.from(hex.slice(0, 60), "hex")));
    keys.push(Buffer.concat([t.key("raw"), Buffer.from("00ff00ff80", "hex")]), t.key("raw"));
    await t.commit(keys.map((key, i) => set(key, `${i}`)));
    for (const [i, key] of keys.entries()) {
      const entry = await t.get(key);
      expect(entry?.key.equals(key) && entry.value.toString() === `${i}`, `${key.toString("hex")}: ${show(entry)}`);
    }
  });
  await t.rule("key.bytes", "the empty key", async () => {
    const empty = Buffer.alloc(0);
    await t.commit([set(empty, t.transport.name)]);
    const { ranges: [[first]] } = await session.snapshotRead([range(empty, Buffer.from("ff", "hex"), 1)]);
    expect(first.key.length === 0, show(first)); // perhaps the other transport's
  });
  await t.rule("key.order", "lists go by the bytes of keys", async () => {
    const suffixes = ["", "00", "00ff", "01", "0100", "61", "6100", "6161", "7f", "80", "fe", "ff", "ffff"];
    const keys = suffixes.map((hex) => Buffer.concat([t.key("order"), Buffer.from(hex, "hex")]));
    await t.commit([...keys].reverse().map((key) => set(key, "x")));
    const { ranges: [found] } = await session.snapshotRead([range(keys[0], Buffer.concat([keys.at(-1), bytes(1)]), 100)]);
    expect(found.length === keys.length && found.every((entry, i) => entry.key.equals(keys[i])), show(found));
    expect(keys.every((key, i) => i === 0 || compareBytes(keys[i - 1], key) < 0), "the case's own order");
  });
  await t.rule("value.bytes value.encoding", "values of every encoding", async () => {
    const values = [[VE_BYTES, ""], [VE_BYTES, "00ff"], [VE_BYTES, "61".repeat(65536)], [VE_V8, "ff0f4906"], [VE_V8, "ff0f5f"],
      [VE_V8, "not even V8"], [VE_V8, ""], [VE_LE64, "0000000000000000"], [VE_LE64, "ffffffffffffffff"], [VE_LE64, "0102030405060708"]];
    for (const [i, [encoding, hex]] of values.entries()) {
      const data = Buffer.from(hex, /^[0-9a-f]*$/.test(hex) ? "hex" : "utf8");
      await t.commit([set(t.key("value", i), data, encoding)]);
      const entry = await t.get(t.key("value", i));
      expect(entry?.encoding === encoding && entry.value.equals(data), `${encoding} ${hex.slice(0, 20)}: ${show(entry)}`);
    }
  });
}

async function versionstamps(t) {
  await t.rule("versionstamp.form versionstamp.increasing versionstamp.one-per-commit", "versionstamps", async () => {
    let last = "";
    for (let i = 0; i < 20; i++) {
      const keys = [t.key("stamp", i % 3), t.key("stamp", "b", i), t.key("stamp", "c")];
      const stamp = await t.commit(keys.map((key) => set(key, `${i}`)));
      expect(/^[0-9a-f]{16}0000$/.test(stamp), stamp);
      expect(stamp > last, `${stamp} after ${last}`);
      last = stamp;
      const { ranges } = await t.session.snapshotRead(keys.map((key) => pointRange(key)));
      expect(ranges.every(([entry]) => entry.versionstamp === stamp), `${stamp}: ${show(ranges)}`);
    }
  });
  await t.rule("versionstamp.empty-write versionstamp.increasing", "writes without mutations", async () => {
    let last = await t.commit([set(t.key("stamp", "empty"), "x")]);
    for (const fields of [[], [check(t.key("stamp", "none"))], []]) {
      const stamp = await t.commit(fields);
      expect(stamp > last, `${stamp} after ${last}`);
      last = stamp;
    }
    expect(await t.commit([set(t.key("stamp", "empty"), "y")]) > last, "the next write");
  });
}

async function checks(t) {
  const [here, there, gone, target] = ["here", "there", "gone", "target"].map((name) => t.key("check", name));
  const stamp = stampOf(await t.commit([set(here, "1"), set(there, "1"), mutation(M_DELETE, gone), mutation(M_DELETE, target)]));
  // Fails for exactly these checks, and writes nothing.
  const fails = async (checksOf, failed) => {
    const outcome = await t.write([...checksOf, set(target, "x"), set(here, "x"), enqueue("x")]);
    expect(outcome.status === 2 && outcome.failedChecks.join() === failed.join(), show(outcome));
    expect(await t.get(target) === null && (await t.get(here)).value.toString() === "1", "something was written");
  };
  const other = (byte) => Buffer.from(stamp.map((b, i) => i === byte ? b ^ 1 : b));
  await t.rule("check.present check.failed-checks check.nothing-written", "checks of present keys", async () => {
    await t.commit([check(here, stamp), check(there, stamp)]);
    await fails([check(here, OTHER_STAMP)], [0]);
    await fails([check(here, stamp), check(there, other(7))], [1]);
    await fails([check(here, Buffer.from("ff".repeat(10), "hex"))], [0]);
  });
  await t.rule("check.whole-stamp", "each byte of a checked versionstamp counts", async () => {
    for (let byte = 0; byte < 10; byte++) await fails([check(here, other(byte))], [0]);
  });
  await t.rule("check.absent", "checks of absent keys", async () => {
    await t.commit([check(gone), check(t.key("check", "never"))]);
    await fails([check(here)], [0]);
  });
  await t.rule("check.present-on-absent", "a versionstamp of an absent key", async () => {
    await fails([check(gone, stamp)], [0]);
    await fails([check(t.key("check", "never"), OTHER_STAMP)], [0]);
  });
  await t.rule("check.failed-checks", "all failing checks are named", async () => {
    await fails([check(gone, stamp), check(here, stamp), check(here), check(gone), check(there, OTHER_STAMP)], [0, 2, 4]);
    const many = Array.from({ length: 100 }, (_, i) => check(i % 2 ? gone : here));
    await fails(many, many.flatMap((_, i) => i % 2 ? [] : [i]));
  });
  await t.rule("check.before-mutations", "checks see the state before their write", async () => {
    await t.commit([check(gone), set(gone, "x"), mutation(M_DELETE, gone)]);
    await t.commit([set(gone, "x"), check(gone)]);
    await t.commit([mutation(M_DELETE, gone)]);
  });
}

async function mutations(t) {
  const key = t.key("mutation");
  await t.rule("mutation.order", "mutations of one key in one write", async () => {
    await t.commit([set(key, le64(100), VE_LE64)]);
    await t.commit([
      set(key, le64(1), VE_LE64), mutation(M_SUM, key, { data: le64(2), encoding: VE_LE64 }), mutation(M_DELETE, key),
      mutation(M_SUM, key, { data: le64(5), encoding: VE_LE64 }), mutation(M_SUM, key, { data: le64(7), encoding: VE_LE64 }),
    ]);
    await t.expectLe64(key, 12);
    await t.commit([set(key, "1"), set(key, "2")]);
    expect((await t.get(key)).value.toString() === "2", "the first set won");
    await t.commit([set(key, "1"), mutation(M_DELETE, key)]);
    expect(await t.get(key) === null, "the delete did nothing");
  });
  await t.rule("delete.removes delete.ignores-value", "deletes", async () => {
    for (const data of [undefined, "a value", le64(5)]) {
      await t.commit([set(key, "x")]);
      await t.commit([mutation(M_DELETE, key, { data })]);
      expect(await t.get(key) === null, "still there");
      await t.commit([mutation(M_DELETE, key, { data })]);
    }
  });
  await t.rule("write.all-or-nothing", "a mutation that fails undoes those before it", async () => {
    const [word, before, gone, after] = ["word", "before", "gone", "after"].map((name) => t.key("mutation", name));
    await t.commit([set(word, "word"), set(gone, "x"), mutation(M_DELETE, before), mutation(M_DELETE, after)]);
    const outcome = await t.write([set(before, "x"), mutation(M_DELETE, gone), enqueue("x"),
      mutation(M_SUM, word, { data: le64(1), encoding: VE_LE64 }), set(after, "x")]);
    expect(outcome.httpStatus === 400 && /^text\/plain/.test(outcome.contentType), show(outcome));
    expect(await t.get(before) === null && await t.get(after) === null, "something was written");
    expect((await t.get(gone))?.value.toString() === "x", "something was deleted");
  });
}

async function suffixes(t) {
  await t.rule("suffix.key", "the bytes of a suffixed key", async () => {
    for (const prefix of [t.key("suffix"), t.key("suffix", 7, "deep"), Buffer.concat([t.key("suffix"), Buffer.from("00ff", "hex")])]) {
      const stamp = await t.commit([mutation(M_SUFFIX, prefix, { data: "v" })]);
      const wanted = Buffer.concat([prefix, Buffer.from([2]), Buffer.from(stamp, "latin1"), Buffer.from([0])]);
      const entry = await t.get(wanted);
      expect(entry?.value.toString() === "v" && entry.versionstamp === stamp, `${wanted.toString("hex")}: ${show(entry)}`);
      expect(wanted.subarray(prefix.length).equals(Buffer.from(encodeKey([stamp]))), "it is no string part");
    }
    expect(await t.get(t.key("suffix")) === null, "the prefix was written");
  });
}

async function reads(t) {
  const { session } = t;
  const keys = Array.from({ length: 12 }, (_, i) => t.key("read", i));
  const after = t.key("read", 12);
  await t.commit(keys.map((key) => set(key, "x")));
  const list = async (...fields) => {
    const { ranges: [entries] } = await session.snapshotRead([range(...fields)]);
    return entries.map((entry) => keys.findIndex((key) => key.equals(entry.key))).join();
  };
  await t.rule("read.start-inclusive read.end-exclusive", "the ends of a range", async () => {
    expect(await list(keys[3], keys[6], 100) === "3,4,5", "forward");
    expect(await list(keys[3], keys[6], 100, true) === "5,4,3", "reverse");
    expect(await list(keys[3], keys[4], 100) === "3", "one");
    expect(await list(Buffer.concat([keys[3], bytes(1, 0)]), keys[5], 100) === "4", "a start between keys");
    expect(await list(keys[3], Buffer.concat([keys[5], bytes(1, 0)]), 100) === "3,4,5", "an end between keys");
  });
  await t.rule("read.reverse", "the last entries first", async () => {
    expect(await list(keys[0], after, 4, true) === "11,10,9,8", "reverse");
  });
  await t.rule("read.limit", "the limit of a range", async () => {
    for (const limit of [1, 2, 5, 11, 12, 13, 1000]) {
      for (const reverse of [false, true]) {
        const wanted = reverse ? [...keys.keys()].reverse() : [...keys.keys()];
        expect(await list(keys[0], after, limit, reverse) === wanted.slice(0, limit).join(), `${limit} ${reverse}`);
      }
    }
  });
  await t.rule("read.empty-range", "ranges with equal ends", async () => {
    expect(await list(keys[3], keys[3], 10) === "" && await list(keys[3], keys[3], 10, true) === "", "not empty");
  });
  await t.rule("read.inverted-range", "ranges that end before their start", async () => {
    expect(await list(keys[5], keys[3], 10) === "" && await list(keys[5], keys[3], 10, true) === "", "not empty");
  });
  await t.rule("read.strong", "reads are strong", async () => {
    const { ranges, status, stronglyConsistent, readDisabled } = await session.snapshotRead([pointRange(keys[0]), pointRange(after)]);
    expect(status === 1 && stronglyConsistent && !readDisabled, "status");
    expect(ranges.length === 2 && ranges[0].length === 1 && ranges[1].length === 0, show(ranges));
  });
  await t.rule("read.one-version", "all ranges of a read from one version", async () => {
    const first = (i) => t.key("one version", i, 0);
    await t.commit(Array.from({ length: 980 }, (_, i) => set(t.key("one version", Math.floor(i / 98), 1 + i % 98), "filler")));
    let writing = true;
    const write = async () => {
      for (let n = 0; writing; n++) await t.commit(Array.from({ length: 10 }, (_, i) => set(first(i), `${n}`)));
    };
    const other = await t.another();
    const writer = write();
    try {
      for (let i = 0; i < 150; i++) {
        const { ranges } = await other.session.snapshotRead(
          Array.from({ length: 10 }, (_, r) => range(first(r), t.key("one version", r, 99), 100)));
        const stamps = new Set(ranges.map(([entry]) => entry.value.toString() === "filler" ? "none" : entry.versionstamp));
        expect(stamps.size === 1, `several versions: ${[...stamps]}`);
      }
    } finally {
      writing = false;
      await writer;
      other.transport.close();
    }
  });
}

export async function writeCases(t) {
  for (const cases of [keysAndValues, versionstamps, checks, mutations, suffixes, reads]) await cases(t);
}
