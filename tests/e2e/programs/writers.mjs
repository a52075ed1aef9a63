// Writes through the real client, from several workers at once, until it is killed; tells of each write before it is
// sent ({try}) and after it was acknowledged ({ack}).
//
//     writers.mjs URL NAME WORKERS
//
// Each write sets, in one atomic write, ["log", NAME, worker, number] and SLOT_KEYS keys of a slot that later writes use
// again. Beside them, transfers move 1 from one account to another under checks: the sum of all must stay.

import { openKv, programArguments } from "../lib/client.mjs";
import { ACCOUNTS, pack, SLOT_KEYS, SLOTS, unpack } from "../lib/crash_rules.mjs";
import { tell } from "../lib/report.mjs";

const [url, name, workers] = programArguments;
const kv = await openKv(url);

async function write(worker) {
  for (let number = 0; ; number++) {
    const value = pack({ number, fill: "x".repeat((number * 37 + worker * 101) % 2500) });
    tell({ try: [worker, number] });
    const atomic = kv.atomic().set(["log", name, worker, number], value);
    for (let k = 0; k < SLOT_KEYS; k++) atomic.set(["slot", name, worker, number % SLOTS, k], value);
    const result = await atomic.commit();
    tell({ ack: [worker, number, result.versionstamp] });
  }
}

async function transfer(worker) {
  for (let i = worker; ; i++) {
    const from = ["account", i % ACCOUNTS], to = ["account", (i * 3 + 1) % ACCOUNTS];
    if (from[1] === to[1]) continue;
    const [a, b] = await kv.getMany([from, to]);
    const result = await kv.atomic().check(a, b)
      .set(from, pack(unpack(a.value) - 1)).set(to, pack(unpack(b.value) + 1)).commit();
    tell({ transfer: result.ok });
  }
}

const tasks = [transfer(1), transfer(4)];
for (let worker = 0; worker < Number(workers); worker++) tasks.push(write(worker));
// A client may report a lost connection as an error: then this worker is done, and its last write is in doubt.
await Promise.allSettled(tasks);
