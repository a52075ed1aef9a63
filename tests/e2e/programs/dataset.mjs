// Loads the data set through the real client, or reads it back and compares.
//
//     dataset.mjs load URL FOLDER COUNT      writes FOLDER/stamps.json and FOLDER/expected.bin
//     dataset.mjs verify URL FOLDER COUNT
//
// expected.bin holds what the server must hold, byte for byte, in key order: per entry a u32 key length, the key, one
// byte of encoding, 10 bytes of versionstamp, a u32 value length, the value; numbers little-endian.

import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";

import { KvU64, openKv, programArguments, runtime, u64 } from "../lib/client.mjs";
import { inKeyOrder, KIND_NAMES, makeDataset } from "../lib/dataset.mjs";
import { compareBytes, encodeKey, hex } from "../lib/keys.mjs";
import { expect, failure, show, test } from "../lib/report.mjs";
import { same } from "../lib/same.mjs";

const [mode, url, folder] = programArguments;
const count = Number(programArguments[3]);

// Below the limits of one atomic write (1000 mutations, 800 KiB), and with room for many at once.
const BATCH_ENTRIES_MAX = 500;
const BATCH_BYTES_MAX = 600_000;
const BATCHES_IN_FLIGHT = 4;

const VE_V8 = 1, VE_LE64 = 2, VE_BYTES = 3;

// How each client writes V8's format: Deno by its core's own call, @deno/kv by Node's module.
const serialize = runtime === "Deno"
  ? (value) => Deno[Deno.internal].core.serialize(value, { forStorage: true })
  : (await import("node:v8")).serialize;

// What the client puts on the wire for a value.
function encodeValue(value) {
  if (value instanceof KvU64) {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value.value, true);
    return [VE_LE64, bytes];
  }
  if (value instanceof Uint8Array) return [VE_BYTES, value];
  return [VE_V8, serialize(value)];
}

async function load() {
  const kv = await openKv(url);
  const entries = makeDataset(u64, count, { minusZero: runtime === "Deno" });
  await test("the data set has every kind of value from 1 byte to 64 KiB", () => {
    expect(entries.length === count, `${entries.length} entries`);
    const kinds = new Set(entries.map((entry) => entry.kind));
    for (const kind of KIND_NAMES) expect(kinds.has(kind), `no ${kind}`);
    const sizes = entries.filter((entry) => entry.value instanceof Uint8Array).map((entry) => entry.value.length);
    expect(Math.min(...sizes) === 1 && Math.max(...sizes) === 65536, "sizes");
  });

  const batches = [[]];
  let bytes = 0;
  for (const entry of entries) {
    [entry.encoding, entry.bytes] = encodeValue(entry.value);
    entry.encoded = encodeKey(entry.key);
    const size = entry.encoded.length + entry.bytes.length;
    if (batches.at(-1).length === BATCH_ENTRIES_MAX || bytes + size > BATCH_BYTES_MAX) {
      batches.push([]);
      bytes = 0;
    }
    batches.at(-1).push(entry);
    bytes += size;
  }

  const stamps = new Map(); // key in hex to versionstamp
  await test(`${entries.length} entries in ${batches.length} atomic writes`, async () => {
    let next = 0;
    const worker = async () => {
      while (next < batches.length) {
        const batch = batches[next++];
        const atomic = kv.atomic();
        for (const entry of batch) atomic.set(entry.key, entry.value);
        const result = await atomic.commit();
        expect(result.ok && /^[0-9a-f]{20}$/.test(result.versionstamp), show(result));
        for (const entry of batch) {
          entry.versionstamp = result.versionstamp;
          stamps.set(hex(entry.encoded), result.versionstamp);
        }
      }
    };
    await Promise.all(Array.from({ length: BATCHES_IN_FLIGHT }, worker));
    expect(stamps.size === entries.length, "keys are not distinct");
  });
  kv.close();

  writeFileSync(join(folder, "stamps.json"), JSON.stringify([...stamps]));
  const file = openSync(join(folder, "expected.bin"), "w");
  entries.sort((a, b) => compareBytes(a.encoded, b.encoded));
  for (const { encoded, encoding, versionstamp, bytes } of entries) {
    const head = new Uint8Array(4 + encoded.length + 1 + 10 + 4);
    const view = new DataView(head.buffer);
    view.setUint32(0, encoded.length, true);
    head.set(encoded, 4);
    head[4 + encoded.length] = encoding;
    head.set(versionstamp.match(/../g).map((pair) => parseInt(pair, 16)), 5 + encoded.length);
    view.setUint32(15 + encoded.length, bytes.length, true);
    writeSync(file, head);
    writeSync(file, bytes);
  }
  closeSync(file);
}

function makeChooser(seed) {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

// First index whose key is at or above `key`.
function lowerBound(entries, key) {
  let low = 0, high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareBytes(entries[middle].encoded, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

// The entries beneath a prefix: those whose key has it and goes on.
function beneath(entries, prefix) {
  const start = encodeKey(prefix);
  const end = Uint8Array.from([...start, 0xff]);
  const all = entries.slice(lowerBound(entries, start), lowerBound(entries, end));
  return all.length && all[0].encoded.length === start.length ? all.slice(1) : all;
}

async function verify() {
  const kv = await openKv(url);
  const stamps = new Map(JSON.parse(readFileSync(join(folder, "stamps.json"), "utf8")));
  const entries = inKeyOrder(makeDataset(u64, count, { minusZero: runtime === "Deno" }));
  for (const entry of entries) entry.versionstamp = stamps.get(hex(entry.encoded));
  const choose = makeChooser(7);

  // From a file @deno/kv gives bytes as a Buffer.
  const plain = (value) => globalThis.Buffer?.isBuffer(value) ? Uint8Array.from(value) : value;
  const sameEntry = (got, wanted) => {
    expect(same([...got.key], wanted.key), `the key is ${show(got.key)} instead of ${show(wanted.key)}`);
    expect(same(plain(got.value), wanted.value),
      `${wanted.kind} of ${show(wanted.key)} is ${show(got.value)} instead of ${show(wanted.value)}`);
    expect(got.versionstamp === wanted.versionstamp,
      `versionstamp of ${show(wanted.key)}: ${got.versionstamp}, not ${wanted.versionstamp}`);
  };
  // Lists, and compares with exactly these.
  const sameList = async (selector, options, wanted) => {
    let i = 0;
    for await (const entry of kv.list(selector, { batchSize: 500, ...options })) {
      expect(i < wanted.length, `${show(selector)}: more than ${wanted.length} entries; then ${show(entry.key)}`);
      sameEntry(entry, wanted[i++]);
    }
    expect(i === wanted.length, `${show(selector)}: ${i} entries instead of ${wanted.length}`);
  };

  const reversed = [...entries].reverse();
  await test("all entries by list, forward", () => sameList({ prefix: [] }, {}, entries));
  await test("all entries by list, in reverse", () => sameList({ prefix: [] }, { reverse: true }, reversed));
  await test("lists beneath prefixes", async () => {
    const firsts = new Map(entries.map((entry) => [hex(encodeKey([entry.key[0]])), entry.key[0]]));
    let single = 0;
    for (const first of firsts.values()) {
      const wanted = beneath(entries, [first]);
      if (wanted.length >= 3000 || (wanted.length <= 1 && single++ % 50)) continue; // there are thousands with one
      // In reverse, @deno/kv gives the entry of the prefix itself as well.
      const reverse = runtime === "Deno" && wanted.length % 2 === 1;
      await sameList({ prefix: [first] }, { reverse }, reverse ? [...wanted].reverse() : wanted);
    }
    await sameList({ prefix: ["large"] }, { batchSize: 100 }, beneath(entries, ["large"]));
    await sameList({ prefix: ["no such prefix"] }, {}, []);
  });
  await test("lists of ranges, with and without a limit", async () => {
    for (let i = 0; i < 120; i++) {
      const from = choose(entries.length);
      const to = Math.min(entries.length - 1, from + choose(400));
      const limit = 1 + choose(450);
      const reverse = i % 2 === 1;
      let wanted = entries.slice(from, to);
      if (reverse) wanted.reverse();
      if (i % 3) wanted = wanted.slice(0, limit);
      await sameList({ start: entries[from].key, end: entries[to].key }, { reverse, ...(i % 3 ? { limit } : {}) }, wanted);
    }
  });
  await test("lists beneath a prefix from a start or up to an end", async () => {
    const wanted = beneath(entries, ["bulk"]).slice(0, 2000);
    for (const at of [0, 1, 999, 1999]) {
      await sameList({ prefix: ["bulk"], end: wanted[at].key }, {}, wanted.slice(0, at));
      await sameList({ prefix: ["bulk"], start: wanted[at].key }, { limit: 300 },
        beneath(entries, ["bulk"]).slice(at, at + 300));
    }
  });
  await test("an inverted range is refused or empty", async () => {
    let found = 0;
    try {
      for await (const _ of kv.list({ start: ["z"], end: ["a"] })) found++;
    } catch (error) {
      expect(/start/i.test(String(error)), String(error));
    }
    expect(found === 0, `${found} entries`);
  });
  for (const reverse of [false, true]) {
    await test(`pages by cursor${reverse ? ", in reverse" : ""}`, async () => {
      const wanted = beneath(entries, ["users"]);
      if (reverse) wanted.reverse();
      let cursor = "", at = 0, pages = 0;
      do {
        const iterator = kv.list({ prefix: ["users"] }, { limit: 777, cursor: cursor || undefined, reverse, batchSize: 300 });
        let size = 0;
        for await (const entry of iterator) {
          sameEntry(entry, wanted[at++]);
          size++;
        }
        pages++;
        cursor = iterator.cursor;
        expect(size === 777 || !cursor || at === wanted.length, `a page of ${size}`);
      } while (cursor && at < wanted.length);
      expect(at === wanted.length && pages === Math.ceil(at / 777), `${at} of ${wanted.length} in ${pages} pages`);
    });
  }
  await test("get and getMany of chosen keys, and of absent ones", async () => {
    for (let i = 0; i < 60; i++) {
      const chosen = Array.from({ length: 10 }, () => entries[choose(entries.length)]);
      (await kv.getMany(chosen.map((entry) => entry.key))).forEach((entry, j) => sameEntry(entry, chosen[j]));
      sameEntry(await kv.get(chosen[0].key), chosen[0]);
      const absent = await kv.get([...chosen[1].key, "absent"]);
      expect(absent.value === null && absent.versionstamp === null, show(absent));
    }
  });
  await test("a key that is too long is refused", async () => {
    const error = await failure((async () => await kv.set(["k".repeat(2100)], 1))());
    expect(/too large|too\s?long|2048|limit/i.test(String(error)), String(error));
  });
  kv.close();
}

await (mode === "load" ? load() : verify());
