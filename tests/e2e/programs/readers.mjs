// Reads through the real client what the writers of the crash tests write, until it is killed, and tells what it saw:
// {saw} a write, by its log key or by all keys of a slot at once; {half} a slot with keys of different writes; {sum} a
// sum; {lease} a key that expires, or its absence; {trouble} a read that failed. What anybody has read must be there for
// ever after.
//
//     readers.mjs URL WRITERS
//
// WRITERS: the names of the writers, with a comma between.

import { LEASES, MOVERS, numberIn, SLOT_KEYS, SLOTS, WORKERS } from "../crash/plan.mjs";
import { openKv, programArguments } from "../lib/client.mjs";
import { Gate } from "../lib/gate.mjs";
import { reasonOf, tell } from "../lib/report.mjs";

const [url, names] = programArguments;
const PAUSE_MS = 4, FAILURE_PAUSE_MS = 50;

const writers = names.split(",");
const kv = await openKv(url);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const below = (limit) => Math.floor(Math.random() * limit);
const anyWriter = () => writers[below(writers.length)];

async function newestLog() {
  const writer = anyWriter(), worker = below(WORKERS + MOVERS);
  for await (const entry of kv.list({ prefix: ["log", writer, worker] }, { limit: 1, reverse: true })) {
    tell({ saw: [writer, worker, entry.key[3], entry.versionstamp] });
  }
}

async function slot() {
  const writer = anyWriter(), worker = below(WORKERS), slot = below(SLOTS);
  const keys = Array.from({ length: SLOT_KEYS }, (_, k) => ["slot", writer, worker, slot, k]);
  const entries = await kv.getMany(keys);
  const stamps = new Set(entries.map(({ versionstamp }) => versionstamp));
  const numbers = new Set(entries.map(({ value }) => value && numberIn(value)));
  if (stamps.size > 1 || numbers.size > 1) {
    tell({ half: `${keys[0].slice(0, -1).join("/")} was read as ${[...numbers]} at ${[...stamps]}` });
  } else if (entries[0].value) {
    tell({ saw: [writer, worker, [...numbers][0], entries[0].versionstamp] });
  }
}

async function sum() {
  for (const entry of await kv.getMany([["sum", "all"], ["sum", "marks"], ["sum", anyWriter(), below(WORKERS)]])) {
    if (entry.value) tell({ sum: [entry.key, String(entry.value.value), entry.versionstamp] });
  }
}

async function lease() {
  const writer = anyWriter(), worker = below(WORKERS), lease = below(LEASES);
  const { value } = await kv.get(["lease", writer, worker, lease]);
  tell({ lease: [writer, worker, lease, value && numberIn(value)] });
}

const TASKS = [newestLog, slot, sum, lease];
const gate = new Gate(TASKS.length);

async function repeat(task) {
  for (;;) {
    await gate.pass();
    try {
      await task();
      await sleep(PAUSE_MS);
    } catch (error) {
      tell({ trouble: reasonOf(error) });
      await sleep(FAILURE_PAUSE_MS);
    }
  }
}

tell({ ready: true });
await Promise.all(TASKS.map(repeat));
