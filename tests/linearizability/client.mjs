// One client process: several workers, which do the operations of the workload one after the other, and a watcher. It
// tells of each operation once it has ended, with its times.
//
//     client.mjs JSON     as recorder.mjs makes it
//
// It waits for a line {"go": time} before it begins, and for {"finish": [ENTRY...]}, the shared keys' last state, which the
// watcher must still show, before it ends.

import process from "node:process";
import { createInterface } from "node:readline";

import { programArguments } from "../e2e/lib/client.mjs";
import { tell } from "../e2e/lib/report.mjs";
import { sleep, within } from "../e2e/lib/server.mjs";
import { now } from "./clock.mjs";
import { openStore } from "./stores.mjs";
import { operation, SHARED_KEYS, watchOf } from "./workload.mjs";

const RETRY_MS = 20;
const FINISH_MS_MAX = 30_000;
// A versionstamp that no commit will ever get.
const FROM_THE_FUTURE = "f".repeat(16) + "0000";

const { url, kind, seed, operations, workers, watcher, clients } = JSON.parse(programArguments[0]);
const shared = kind === "real" ? await openStore(kind, url) : null;
const open = async () => shared ?? await openStore(kind, url);

// A call failed: the reply was lost, unless the answer says that the request was wrong, which ends the recording. The
// recorder compares the times with those at which the server was away.
function lose(event, call, error) {
  if (/\b(status[=:]? ?4\d\d|(atomic_write|snapshot_read|watch): 4\d\d)/.test(String(error))) throw error;
  tell({ ...event, call, return: null, lost: String(now()), error: String(error) });
}

class Worker {
  constructor(client, store) {
    this.client = client;
    this.store = store;
    this.seen = new Map(); // key to its versionstamps, the last two that differ, "" for absent
  }

  note([key, , versionstamp = ""]) {
    const last = this.seen.get(key) ?? [];
    if (last[0] !== versionstamp) this.seen.set(key, [versionstamp, last[0]]);
  }

  stampFor({ key, how }) {
    const [newest = "", older] = this.seen.get(key) ?? [];
    if (how === "seen") return newest;
    return how === "absent" ? "" : older || FROM_THE_FUTURE;
  }

  // Reads; what was not answered is of no interest. Gives whether it was answered.
  async read(event, run) {
    const call = String(now());
    let entries;
    try {
      entries = await run();
    } catch (error) {
      lose({ kind: "lost", client: this.client }, call, error);
      return false;
    }
    tell({ ...event, client: this.client, call, return: String(now()), entries });
    for (const entry of entries) this.note(entry);
    return true;
  }

  async write(op, checks, run) {
    const event = { kind: "write", client: this.client, checks, mutations: op.mutations };
    const call = String(now());
    let result;
    try {
      result = await run();
    } catch (error) {
      lose({ ...event, outcome: "unknown" }, call, error);
      return false;
    }
    tell({
      ...event, call, return: String(now()), outcome: result.ok ? "ok" : "failed",
      ...(result.versionstamp ? { versionstamp: result.versionstamp } : {}),
      ...(result.failedChecks ? { failed: result.failedChecks } : {}),
    });
    if (result.ok && result.versionstamp) {
      for (const [type, key] of op.mutations) this.note(type === "delete" ? [key] : [key, "", result.versionstamp]);
    }
    return true;
  }

  get(keys) {
    return this.read({ kind: "get" }, () => this.store.get(keys));
  }

  async perform(op) {
    if (op.type === "get") return this.get(op.keys);
    if (op.type === "list") {
      const { from, to, limit, reverse } = op;
      return this.read({ kind: "list", from, to, limit, reverse }, () => this.store.list(op));
    }
    if (op.type === "set") return this.write(op, [], () => this.store.set(op.key, op.value));
    if (op.type === "delete") return this.write(op, [], () => this.store.delete(op.key));
    if (op.readFirst && op.checks.length && !await this.get(op.checks.map(({ key }) => key))) return false;
    const checks = op.checks.map((check) => [check.key, this.stampFor(check)]);
    return this.write(op, checks, () => this.store.commit(checks, op.mutations));
  }

  // After a lost reply, nothing is sent but a read until one is answered.
  async run() {
    for (let index = 0; index < operations; index++) {
      const op = operation(seed, this.client, clients, index);
      if (op.pauseMs) await sleep(op.pauseMs);
      if (await this.perform(op)) continue;
      do await sleep(RETRY_MS); while (!await this.get([SHARED_KEYS[index % SHARED_KEYS.length]]));
    }
  }
}

// Watches, one after the other, until it knows the last state and has shown it.
class Watcher {
  last = null; // entries of the last frame of the watch that is open
  index = 0;

  constructor(store) {
    this.store = store;
    this.done = new Promise((resolve) => (this.finished = resolve));
  }

  // The last state: from now on a watch is kept until it has shown it.
  finish(entries) {
    this.final = new Map(entries.map((entry) => [entry[0], entry[2]]));
    this.look();
  }

  look() {
    if (this.final && this.last?.every(([key, , versionstamp]) => this.final.get(key) === versionstamp)) this.finished();
  }

  async run() {
    for (;; this.index++) {
      const { keys, frames } = watchOf(seed, watcher, this.index);
      const call = String(now());
      let watch;
      try {
        watch = await this.store.watch(keys);
        for (let number = 0; number < frames || this.final; number++) {
          const entries = await watch.next();
          tell({ kind: "frame", client: watcher, watch: this.index, number, call, return: String(now()), entries });
          this.last = entries;
          this.look();
        }
        await watch.close();
      } catch (error) {
        lose({ kind: "lost", client: watcher }, call, error);
        await sleep(RETRY_MS);
      }
      this.last = null;
    }
  }
}

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const heard = async () => {
  const { done, value } = await lines.next();
  if (done) process.exit(1);
  return JSON.parse(value);
};

try {
  const crew = [];
  for (const client of workers) crew.push(new Worker(client, await open()));
  const watching = new Watcher(await open());
  tell({ ready: true });
  // Clocks of different processes must agree, or no order between their operations could be told.
  const { go } = await heard();
  const here = now();
  if (here < BigInt(go)) throw new Error(`the clock is behind the recorder's: ${here} after ${go}`);
  tell({ went: String(here) });
  const watched = watching.run();
  watched.catch((error) => tell({ broken: String(error?.stack ?? error) }));
  await Promise.all(crew.map((worker) => worker.run()));
  tell({ worked: true });
  const { finish } = await heard();
  watching.finish(finish);
  await within(FINISH_MS_MAX, "the last state, by a watch", watching.done);
  tell({ finished: true });
} catch (error) {
  tell({ broken: String(error?.stack ?? error) });
}
process.exit();
