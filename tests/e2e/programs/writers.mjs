// Writes through the real client, from several workers at once, until it is killed. It tells of each write before it is
// sent ({try}), and how it ended: {ack} with its versionstamp, {refused} by a check, or {fail}; {trouble} is a read that
// failed. What the writes do: crash/plan.mjs. "pause" and "go": lib/gate.mjs.
//
//     writers.mjs URL SEED NAME WORKERS
//
// WORKERS: per worker the number of its first write, and of the first log key that it may have to prune (JSON).

import { planOf, PRUNE_EVERY, PRUNED_AT_ONCE, valueOf } from "../crash/plan.mjs";
import { openKv, programArguments, u64 } from "../lib/client.mjs";
import { Gate } from "../lib/gate.mjs";
import { reasonOf, tell } from "../lib/report.mjs";

const [url, seed, writer, workers] = programArguments;
const FAILURE_PAUSE_MS = 50;

const kv = await openKv(url);
const starts = JSON.parse(workers);
const gate = new Gate(starts.length);
const pause = () => new Promise((resolve) => setTimeout(resolve, FAILURE_PAUSE_MS));

// What a mutation adds to the atomic write, and reads for it. To await an atomic write is an error in Deno: hence the void.
const ADD = {
  set: (atomic, id, m) => void atomic.set(m.key, valueOf(id, m.k, m.size), { expireIn: m.expireIn }),
  delete: (atomic, _, m) => void atomic.delete(m.key),
  sum: (atomic, _, m) => void atomic.sum(m.key, m.operand),
  min: (atomic, _, m) => void atomic.min(m.key, m.operand),
  max: (atomic, _, m) => void atomic.max(m.key, m.operand),
  suffix: (atomic, id, m) => void atomic.set([...m.key, kv.commitVersionstamp()], valueOf(id, m.k, m.size)),
  async move(atomic, _, m) {
    const [from, to] = await kv.getMany([m.from, m.to]);
    atomic.check(from, to).set(m.from, u64(from.value.value - m.amount)).set(m.to, u64(to.value.value + m.amount));
  },
  async "delete marks"(atomic, _, m) {
    for await (const { key } of kv.list({ start: m.start, end: m.end })) atomic.delete(key);
  },
};

// Gives what sends the write.
async function prepare(id, prunes) {
  const plan = planOf(seed, id, prunes);
  const atomic = kv.atomic();
  if (plan.guarded) atomic.check({ key: plan.mutations[0].key, versionstamp: null });
  for (const mutation of plan.mutations) await ADD[mutation.type](atomic, id, mutation);
  return () => atomic.commit();
}

// Gives whether it was acknowledged.
async function send(commit, { worker, n }, prunes) {
  tell({ try: [worker, n, Date.now()], prunes });
  try {
    const result = await commit();
    tell(result.ok ? { ack: [worker, n, result.versionstamp] } : { refused: [worker, n] });
    return result.ok;
  } catch (error) {
    tell({ fail: [worker, n, reasonOf(error)] });
    await pause();
    return false;
  }
}

async function work(worker, next, pruned) {
  let verified = next; // the driver opens the gate when every write so far has been looked for
  for (let n = next; ;) {
    if (await gate.pass()) verified = n;
    const prunes = n % PRUNE_EVERY === 0 && pruned < verified
      ? [pruned, Math.min(pruned + PRUNED_AT_ONCE, verified)] : undefined;
    const id = { writer, worker, n };
    let commit;
    try {
      commit = await prepare(id, prunes);
    } catch (error) {
      tell({ trouble: reasonOf(error) }); // it could not be read what the write is to build on
      await pause();
      continue;
    }
    n++;
    if (await send(commit, id, prunes) && prunes) pruned = prunes[1];
  }
}

tell({ ready: true });
await Promise.all(starts.map(([next, pruned], worker) => work(worker, next, pruned)));
