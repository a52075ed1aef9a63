// What a program does with the real client, case by case.
//
//     basics.mjs URL

import { KvU64, openKv, programArguments, runtime } from "../lib/client.mjs";
import { expect, failure, show, test } from "../lib/report.mjs";
import { same } from "../lib/same.mjs";

const kv = await openKv(programArguments[0]);
const base = ["basics", runtime];
const k = (...parts) => [...base, ...parts];

await test("set, get, delete", async () => {
  const { ok, versionstamp } = await kv.set(k("a"), { name: "Alice", tags: new Set(["x"]) });
  expect(ok && /^[0-9a-f]{20}$/.test(versionstamp), show(versionstamp));
  const entry = await kv.get(k("a"));
  expect(same(entry.value, { name: "Alice", tags: new Set(["x"]) }) && entry.versionstamp === versionstamp, show(entry));
  await kv.delete(k("a"));
  const gone = await kv.get(k("a"));
  expect(gone.value === null && gone.versionstamp === null, show(gone));
});

await test("atomic with check: succeeds once, then fails and writes nothing", async () => {
  await kv.delete(k("b"));
  const first = await kv.atomic().check({ key: k("b"), versionstamp: null }).set(k("b"), 1).set(k("b2"), 1).commit();
  expect(first.ok, "the first was refused");
  const second = await kv.atomic().check({ key: k("b"), versionstamp: null }).set(k("b"), 2).set(k("b2"), 2).commit();
  expect(second.ok === false, "the second went through");
  const [b, b2] = await kv.getMany([k("b"), k("b2")]);
  expect(b.value === 1 && b2.value === 1 && b.versionstamp === b2.versionstamp, show([b, b2]));
  const third = await kv.atomic().check(b).set(k("b"), 3).delete(k("b2")).commit();
  expect(third.ok && third.versionstamp > b.versionstamp, show(third));
  expect((await kv.get(k("b"))).value === 3 && (await kv.get(k("b2"))).value === null, "wrong values");
});

await test("list with prefix, limit, reverse and cursor", async () => {
  const atomic = kv.atomic();
  for (let i = 0; i < 30; i++) atomic.set(k("list", i), i);
  await atomic.commit();
  const values = async (selector, options) => {
    const out = [];
    for await (const entry of kv.list(selector, options)) out.push(entry.value);
    return out.join();
  };
  const all = Array.from({ length: 30 }, (_, i) => i);
  expect(await values({ prefix: k("list") }) === all.join(), "forward");
  expect(await values({ prefix: k("list") }, { reverse: true, batchSize: 7 }) === all.reverse().join(), "reverse");
  expect(await values({ start: k("list", 3), end: k("list", 6) }) === "3,4,5", "range");
  const page = kv.list({ prefix: k("list") }, { limit: 4 });
  for await (const _ of page);
  expect(await values({ prefix: k("list") }, { limit: 3, cursor: page.cursor }) === "4,5,6", "cursor");
});

await test("KvU64 and Uint8Array keep their type", async () => {
  await kv.atomic().set(k("u64"), new KvU64(2n ** 64n - 1n)).set(k("bytes"), Uint8Array.of(0, 255, 7)).commit();
  const [u64, bytes] = await kv.getMany([k("u64"), k("bytes")]);
  expect(u64.value instanceof KvU64 && u64.value.value === 2n ** 64n - 1n, show(u64));
  expect(bytes.value instanceof Uint8Array && same([...bytes.value], [0, 255, 7]), show(bytes));
});

await test("versionstamps of concurrent writes are distinct, and each is what get shows", async () => {
  const results = await Promise.all(Array.from({ length: 100 }, (_, i) => kv.set(k("many", i), i)));
  expect(new Set(results.map((r) => r.versionstamp)).size === 100, "not distinct");
  for (let i = 0; i < 100; i += 10) {
    const entries = await kv.getMany(Array.from({ length: 10 }, (_, j) => k("many", i + j)));
    entries.forEach((entry, j) => expect(entry.versionstamp === results[i + j].versionstamp, show(entry)));
  }
});

await test("counters raised under checks lose nothing", async () => {
  await kv.delete(k("counter"));
  await Promise.all(Array.from({ length: 8 }, async () => {
    for (let raised = 0; raised < 15;) {
      const entry = await kv.get(k("counter"));
      const { ok } = await kv.atomic().check(entry).set(k("counter"), (entry.value ?? 0) + 1).commit();
      if (ok) raised++;
    }
  }));
  const { value } = await kv.get(k("counter"));
  expect(value === 120, show(value));
});

await test("sum, min and max", async () => {
  for (const name of ["sum", "min", "max"]) await kv.delete(k(name));
  for (const n of [5n, 7n, 3n]) {
    await kv.atomic().sum(k("sum"), n).min(k("min"), n).max(k("max"), n).commit();
  }
  const entries = await kv.getMany([k("sum"), k("min"), k("max")]);
  expect(entries.map((entry) => entry.value.value).join() === "15,3,7", show(entries));
});

await test("a key expires at its time", async () => {
  await kv.set(k("expiring"), 1, { expireIn: 700 });
  await kv.set(k("staying"), 1, { expireIn: 3_600_000 });
  expect((await kv.get(k("expiring"))).value === 1, "gone too early");
  await new Promise((resolve) => setTimeout(resolve, 900));
  expect((await kv.get(k("expiring"))).versionstamp === null, "still there");
  expect((await kv.get(k("staying"))).value === 1, "gone too early");
});

// @deno/kv keeps to itself a first state in which every key is absent.
await test("a watch shows the first state and each change", async () => {
  await kv.set(k("watched"), "old");
  await kv.delete(k("other"));
  const reader = kv.watch([k("watched"), k("other")]).getReader();
  const first = await reader.read();
  expect(first.value[0].value === "old" && first.value[1].versionstamp === null, show(first));
  const { versionstamp } = await kv.set(k("other"), "new");
  const second = await reader.read();
  expect(second.value[0].value === "old" && second.value[1].value === "new", show(second));
  expect(second.value[1].versionstamp === versionstamp, show(second));
  await reader.cancel();
});

await test("the limits reach the program as errors", async () => {
  const value = await failure((async () => await kv.set(k("v"), new Uint8Array(65537)))());
  expect(/65536|too large|limit/i.test(String(value)), String(value));
  const many = kv.atomic();
  for (let i = 0; i < 1001; i++) many.set(k("too many", i), i);
  const mutations = await failure((async () => await many.commit())());
  expect(/1000|too many|too large/i.test(String(mutations)), String(mutations));
});

kv.close();
