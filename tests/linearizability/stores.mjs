// One face for the real clients and for the protocol by hand. Values are text, stored as bytes and written "=text" here,
// or unsigned numbers of 64 bits, written "#number". An entry is [key, value, versionstamp], or [key] if it is absent.

import { Buffer } from "node:buffer";

import { KvU64, openKv, u64 } from "../e2e/lib/client.mjs";
import { encodeKey } from "../e2e/lib/keys.mjs";
import { TOKEN } from "../e2e/lib/server.mjs";
import {
  check, Http1, Http2, M_DELETE, M_SUM, mutation, pointRange, range, Session, set, VE_LE64,
} from "../e2e/lib/wire.mjs";

const LIST_MAX = 1000;
const parts = (key) => key.split("/");

class RealStore {
  static async open(url) {
    const store = new RealStore();
    store.kv = await openKv(url);
    return store;
  }

  static #entry({ key, value, versionstamp }) {
    const name = key.join("/");
    if (versionstamp === null) return [name];
    return [name, value instanceof KvU64 ? `#${value.value}` : `=${new TextDecoder().decode(value)}`, versionstamp];
  }

  async get(keys) {
    return (await this.kv.getMany(keys.map(parts))).map(RealStore.#entry);
  }

  // All in one read of the server, for fewer than a hundred entries.
  async list({ prefix, from, to, limit, reverse }) {
    const entries = [];
    const selector = prefix ? { prefix: parts(prefix) } : { start: parts(from), end: parts(to) };
    for await (const entry of this.kv.list(selector, { reverse, ...(limit ? { limit } : {}) })) {
      entries.push(RealStore.#entry(entry));
    }
    return entries;
  }

  set(key, value) {
    return this.kv.set(parts(key), new TextEncoder().encode(value));
  }

  // The clients tell no versionstamp of it.
  async delete(key) {
    await this.kv.delete(parts(key));
    return { ok: true };
  }

  commit(checks, mutations) {
    const atomic = this.kv.atomic();
    for (const [key, versionstamp] of checks) atomic.check({ key: parts(key), versionstamp: versionstamp || null });
    for (const [type, key, value] of mutations) {
      if (type === "set") atomic.set(parts(key), new TextEncoder().encode(value));
      if (type === "delete") atomic.delete(parts(key));
      if (type === "sum") atomic.mutate({ type, key: parts(key), value: u64(BigInt(value)) });
    }
    return atomic.commit();
  }

  // next() gives the entries of the next frame.
  watch(keys) {
    const reader = this.kv.watch(keys.map(parts), { raw: true }).getReader();
    return {
      next: async () => {
        const { done, value } = await reader.read();
        if (done) throw new Error("the watch ended");
        return value.map(RealStore.#entry);
      },
      close: () => reader.cancel(),
    };
  }

  close() {
    this.kv.close();
  }
}

// Sends everything once: a call whose answer was lost fails.
class RawStore {
  static async open(url, Transport) {
    const store = new RawStore();
    store.connect = () => new Transport(url);
    store.transport = store.connect();
    store.session = await Session.open(store.transport, TOKEN);
    return store;
  }

  static #key(key) {
    return Buffer.from(encodeKey(parts(key)));
  }

  static #value({ value, encoding }) {
    return encoding === VE_LE64 ? `#${value.readBigUInt64LE()}` : `=${value}`;
  }

  static #entry(name, entry) {
    return entry ? [name, RawStore.#value(entry), entry.versionstamp] : [name];
  }

  // The name of an encoded key: its text parts.
  static #name(bytes) {
    return bytes.toString("latin1").slice(1, -1).split("\0\x02").join("/");
  }

  // A connection that broke is replaced before the next call.
  async #call(run) {
    try {
      return await run(this.session);
    } catch (error) {
      this.transport.close();
      this.transport = this.connect();
      this.session = this.session.over(this.transport);
      throw error;
    }
  }

  async get(keys) {
    const { ranges } = await this.#call((session) => session.snapshotRead(keys.map((key) => pointRange(RawStore.#key(key)))));
    return keys.map((key, i) => RawStore.#entry(key, ranges[i][0]));
  }

  async list({ prefix, from, to, limit, reverse }) {
    const start = RawStore.#key(prefix ?? from);
    const end = prefix ? Buffer.concat([start, Buffer.from([0xff])]) : RawStore.#key(to);
    const { ranges: [entries] } = await this.#call((session) =>
      session.snapshotRead([range(start, end, limit || LIST_MAX, reverse)]));
    return entries.map((entry) => RawStore.#entry(RawStore.#name(entry.key), entry));
  }

  set(key, value) {
    return this.commit([], [["set", key, value]]);
  }

  delete(key) {
    return this.commit([], [["delete", key]]);
  }

  async commit(checks, mutations) {
    const { status, versionstamp, failedChecks } = await this.#call((session) => session.atomicWrite([
      ...checks.map(([key, stamp]) => check(RawStore.#key(key), Buffer.from(stamp, "hex"))),
      ...mutations.map(([type, key, value]) => {
        if (type === "set") return set(RawStore.#key(key), value);
        if (type === "delete") return mutation(M_DELETE, RawStore.#key(key));
        const data = Buffer.alloc(8);
        data.writeBigUInt64LE(BigInt(value));
        return mutation(M_SUM, RawStore.#key(key), { data, encoding: VE_LE64 });
      }),
    ]));
    if (status !== 1 && status !== 2) throw new Error(`atomic_write: status ${status}`);
    return status === 1 ? { ok: true, versionstamp } : { ok: false, failedChecks };
  }

  async watch(keys) {
    const watch = await this.#call((session) => session.watch(keys.map(RawStore.#key)));
    return {
      next: async () => {
        for (;;) {
          const message = await watch.next();
          if (message) return message.keys.map(({ entry }, i) => RawStore.#entry(keys[i], entry));
        }
      },
      close: () => watch.close(),
    };
  }

  close() {
    this.transport.close();
  }
}

const KINDS = {
  real: (url) => RealStore.open(url),
  http1: (url) => RawStore.open(url, Http1),
  http2: (url) => RawStore.open(url, Http2),
};

export const openStore = (kind, url) => KINDS[kind](url);
