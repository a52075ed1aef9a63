// Transfers money between accounts under checks, from several tasks at once, and lists all accounts meanwhile: their
// total must always be the same. Meant to run in several processes at the same time.
//
//     transfers.mjs URL

import { openKv, programArguments, runtime, u64 } from "../lib/client.mjs";
import { expect, rule, show } from "../lib/report.mjs";

const ACCOUNTS = 24, START = 1000n, TASKS = 5, RUN_MS = 3000;

const kv = await openKv(programArguments[0]);

async function open() {
  const atomic = kv.atomic().check({ key: ["bank", 0], versionstamp: null });
  for (let i = 0; i < ACCOUNTS; i++) atomic.set(["bank", i], u64(START));
  await atomic.commit(); // fails if the other process was first
}

await rule("write.serializable check.present read.one-version", "transfers under checks keep the total", async () => {
  await open();
  const end = performance.now() + RUN_MS;
  let done = 0, conflicts = 0, lists = 0;
  const transfer = async (task) => {
    for (let i = task; performance.now() < end; i++) {
      const from = ["bank", (i * 5 + task) % ACCOUNTS], to = ["bank", (i * 3 + 1) % ACCOUNTS];
      if (from[1] === to[1]) continue;
      const [a, b] = await kv.getMany([from, to]);
      const amount = BigInt(1 + i % 7);
      if (a.value.value < amount) continue;
      const { ok } = await kv.atomic().check(a, b)
        .set(from, u64(a.value.value - amount)).set(to, u64(b.value.value + amount)).commit();
      ok ? done++ : conflicts++;
    }
  };
  const audit = async () => {
    while (performance.now() < end) {
      const values = [];
      for await (const { value } of kv.list({ prefix: ["bank"] })) values.push(value.value);
      const total = values.reduce((sum, value) => sum + value, 0n);
      expect(values.length === ACCOUNTS && total === START * BigInt(ACCOUNTS), `${total}: ${show(values)}`);
      lists++;
    }
  };
  await Promise.all([...Array.from({ length: TASKS }, (_, task) => transfer(task)), audit()]);
  expect(done > 0 && lists > 0, `${runtime}: only ${done} transfers, ${conflicts} conflicts, ${lists} lists`);
});

kv.close();
