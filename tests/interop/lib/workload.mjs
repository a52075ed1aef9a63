// Writers of the real client @deno/kv, whose every acknowledged commit goes into a journal.

import { openKv, u64 } from "../../e2e/lib/client.mjs";
import { makeDataset } from "../../e2e/lib/dataset.mjs";
import { encodeKey } from "../../e2e/lib/keys.mjs";
import { makeRandom, seedOf } from "../../e2e/lib/random.mjs";
import { sleep, TOKEN, within } from "../../e2e/lib/server.mjs";
import { Http1, M_SUFFIX, mutation, Session, VE_BYTES } from "../../e2e/lib/wire.mjs";
import { Journal } from "./journal.mjs";

const BATCH_BYTES_MAX = 500_000;
const BATCH_ENTRIES_MAX = 100;
const BATCHES_IN_FLIGHT = 4;
const KEYS_PER_WRITER = 60;
const EXPIRED_MS_MAX = 20_000;

export class Workload {
  // Over a database of a server; the journal is that of an earlier run, or a new one.
  static async open(url, seed, journal = new Journal(), database = "default") {
    const workload = new Workload();
    workload.kv = await openKv(`${url}/db/${database}`, { accessToken: TOKEN });
    workload.transport = new Http1(url, { sockets: 8 });
    workload.session = await Session.open(workload.transport, TOKEN, `/db/${database}`);
    workload.journal = journal;
    workload.seed = seed;
    workload.runs = 0;
    return workload;
  }

  close() {
    this.kv.close();
    this.transport.close();
  }

  // One atomic write of sets and deletions.
  async commit(changes, operation = this.kv.atomic()) {
    for (const { key, value, deleted, options } of changes) {
      if (deleted) operation.delete(key);
      else operation.set(key, value, options);
    }
    const { ok, versionstamp } = await operation.commit();
    if (!ok) throw new Error("a commit without checks has failed");
    this.journal.note(versionstamp, changes);
    return versionstamp;
  }

  // Keys and values of every kind and size; gives how many.
  async dataset(count) {
    const entries = makeDataset(u64, count, { minusZero: false });
    const batches = [[]];
    let bytes = 0;
    for (const entry of entries) {
      const size = entry.value instanceof Uint8Array || typeof entry.value === "string" ? 4 * entry.value.length : 4000;
      if (batches.at(-1).length === BATCH_ENTRIES_MAX || bytes + size > BATCH_BYTES_MAX) {
        batches.push([]);
        bytes = 0;
      }
      batches.at(-1).push(entry);
      bytes += size;
    }
    const worker = async () => {
      for (let batch; (batch = batches.shift());) await this.commit(batch);
    };
    await Promise.all(Array.from({ length: BATCHES_IN_FLIGHT }, worker));
    return entries.length;
  }

  // So many entries of 60,000 random bytes, which no object holds many of.
  async bulk(entries) {
    const random = makeRandom(seedOf(this.seed, "bulk"));
    for (let i = 0; i < entries; i += 10) {
      await this.commit(Array.from({ length: Math.min(10, entries - i) }, (_, j) =>
        ({ key: ["bulk", i + j], value: Uint8Array.from({ length: 60_000 }, random) })));
    }
  }

  // Writers beside each other, each with keys of its own, until each has made `commits`, or until `stop()`.
  async churn({ writers = 6, commits = Infinity, stop = () => false, pauseMs = 0 }) {
    const run = this.runs++;
    await Promise.all(Array.from({ length: writers }, async (_, writer) => {
      const one = new Writer(this, writer, makeRandom(seedOf(this.seed, run, writer)));
      for (let i = 0; i < commits && !stop(); i++) {
        await one.step();
        if (pauseMs) await sleep(pauseMs);
      }
    }));
  }

  // One commit of as many mutations as there can be: sets, and a deletion of every tenth key.
  async large(name, mutations = 1000) {
    const changes = Array.from({ length: mutations }, (_, i) => i % 10 === 9
      ? { key: ["large commit", name, i - 1], deleted: true }
      : { key: ["large commit", name, i], value: i % 3 ? `value ${i}` : Uint8Array.of(i, i >> 8) });
    return this.commit(changes);
  }

  // A commit that changes nothing.
  async empty() {
    const { ok, versionstamp } = await this.kv.atomic().check({ key: ["never written"], versionstamp: null }).commit();
    if (!ok) throw new Error("the check of an absent key has failed");
    this.journal.note(versionstamp, []);
    return versionstamp;
  }

  // Keys that expire much later, and some that expire soon; waits until the server has deleted the latter.
  async expiries(name) {
    const later = Array.from({ length: 5 }, (_, i) =>
      ({ key: ["expires later", name, i], value: i, options: { expireIn: 3_600_000 } }));
    const soon = Array.from({ length: 5 }, (_, i) =>
      ({ key: ["expires soon", name, i], value: i, options: { expireIn: 700 } }));
    for (const { key } of soon) this.journal.expires(key);
    await this.commit(later);
    await this.commit(soon);
    // An entry is absent from its time on, its deletion is a commit that comes after: the head tells.
    await within(EXPIRED_MS_MAX, "the end of keys that expire", (async () => {
      while ((await this.kv.get(soon[0].key)).value !== null) await sleep(50);
    })());
    await sleep(1000);
  }

  async suffixed(prefix, value) {
    const key = Buffer.from(encodeKey(prefix));
    const answer = await this.session.atomicWrite([mutation(M_SUFFIX, key, { data: value, encoding: VE_BYTES })]);
    if (answer.status !== 1) throw new Error(`a write with a versionstamp in its key: status ${answer.status}`);
    this.journal.note(answer.versionstamp, [{ key: [...prefix, answer.versionstamp], value }]);
  }
}

// One writer, with keys that nobody else writes.
class Writer {
  constructor(workload, number, random) {
    Object.assign(this, { workload, number, random });
    this.sums = new Map(); // of keys that hold a KvU64: what it is
  }

  below = (limit) => this.random() % limit;
  key = (kind, i = this.below(KEYS_PER_WRITER)) => ["churn", this.workload.runs, this.number, kind, i];
  bytes = (length) => Uint8Array.from({ length }, () => this.random());

  value() {
    switch (this.below(4)) {
      case 0: return { text: "x".repeat(this.below(400)), number: this.random() / 3, list: [1n, null, new Date(this.random())] };
      case 1: return this.bytes(1 + this.below(this.below(20) ? 100 : 20_000));
      case 2: return u64(BigInt(this.random()) << 31n);
      default: return this.random();
    }
  }

  change() {
    const key = this.key("plain");
    return this.below(4) ? { key, value: this.value() } : { key, deleted: true };
  }

  async step() {
    const { workload } = this;
    switch (this.below(8)) {
      case 0: return this.sum();
      case 1: return workload.suffixed(this.key("suffixed", 0), this.bytes(8));
      case 2: return workload.commit(Array.from({ length: 2 + this.below(30) }, () => this.change())); // a key may come twice
      case 3: return workload.commit([{ key: this.key("now and then"), value: this.value() },
        { key: this.key("now and then"), deleted: true }]);
      default: return workload.commit([this.change()]);
    }
  }

  async sum() {
    const key = this.key("sum", this.below(5));
    const before = this.sums.get(String(key)) ?? 0n;
    const operand = BigInt(this.random());
    const { versionstamp } = await this.workload.kv.atomic().sum(key, operand).commit();
    this.sums.set(String(key), before + operand);
    this.workload.journal.note(versionstamp, [{ key, value: u64(before + operand) }]);
  }
}
