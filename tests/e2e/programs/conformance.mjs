// The rules that a program can show through its client.
//
//     conformance.mjs URL URL_OF_A_READ_ONLY_SERVER

import { openKv, programArguments, runtime, u64 } from "../lib/client.mjs";
import { encodeKey, hex } from "../lib/keys.mjs";
import { expect, failure, rule, show } from "../lib/report.mjs";
import { same } from "../lib/same.mjs";

const [url, readOnlyUrl] = programArguments;
const kv = await openKv(url);
const k = (...parts) => ["conformance", runtime, ...parts];
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Entries are listed in this order, each as a part of its own and followed by another.
const ORDERED = [
  new Uint8Array(), Uint8Array.of(0), Uint8Array.of(0, 0), Uint8Array.of(0, 255), Uint8Array.of(1), Uint8Array.of(255), Uint8Array.of(255, 0),
  "", "\0", "\0a", "A", "a", "a\0", "aa", "b", "é", "日", "\uffff", "😀",
  -(2n ** 2000n), -(2n ** 64n), -(2n ** 64n) + 1n, -(2n ** 63n), -256n, -255n, -1n, 0n, 1n, 255n, 256n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 64n, 2n ** 2000n,
  -Infinity, -1e300, -1.5, -1, -Number.MIN_VALUE, 0, Number.MIN_VALUE, 1, 1.5, 2 ** 53, Infinity, NaN,
  false, true,
];

await rule("key.order.types key.order.parts key.order", "lists are in the order of types and values", async () => {
  const keys = ORDERED.flatMap((part) => [k("order", part), k("order", part, 0), k("order", part, true)]);
  const atomic = kv.atomic();
  for (const key of [...keys].reverse()) atomic.set(key, 1);
  expect((await atomic.commit()).ok, "refused");
  const wanted = keys.map((key) => hex(encodeKey(key)));
  for (const reverse of [false, true]) {
    const found = [];
    for await (const { key } of kv.list({ prefix: k("order") }, { reverse, batchSize: 50 })) found.push(hex(encodeKey([...key])));
    const order = reverse ? [...wanted].reverse() : wanted;
    expect(found.join() === order.join(), `${found.length} keys; the first at a wrong place: ${found.findIndex((key, i) => key !== order[i])}`);
  }
});

await rule("value.bytes value.encoding", "values keep kind and content", async () => {
  const values = [u64(0n), u64(2n ** 64n - 1n), new Uint8Array(), Uint8Array.of(0, 255), "text", -0, NaN, 2n ** 70n, null, undefined,
    { a: [1, new Date(5)], m: new Map([[1, new Set(["x"])]]) }];
  for (const [i, value] of values.entries()) await kv.set(k("value", i), value);
  for (const [i, value] of values.entries()) {
    const entry = await kv.get(k("value", i));
    expect(entry.versionstamp !== null && same(entry.value, value), `${show(value)} came back as ${show(entry.value)}`);
  }
});

await rule("versionstamp.increasing versionstamp.form versionstamp.one-per-commit versionstamp.empty-write", "versionstamps", async () => {
  let last = "";
  for (let i = 0; i < 10; i++) {
    const commit = i % 3 ? kv.atomic().set(k("stamp", 1), i).set(k("stamp", 2), i) : kv.atomic();
    const { ok, versionstamp } = await commit.commit();
    expect(ok && /^[0-9a-f]{16}0000$/.test(versionstamp) && versionstamp > last, `${versionstamp} after ${last}`);
    last = versionstamp;
    if (i % 3) for (const entry of await kv.getMany([k("stamp", 1), k("stamp", 2)])) expect(entry.versionstamp === last, show(entry));
  }
});

await rule("check.present check.absent check.present-on-absent check.nothing-written", "checks", async () => {
  const a = k("check", "a"), b = k("check", "b");
  await kv.atomic().delete(a).delete(b).commit();
  const { versionstamp } = await kv.set(a, 1);
  const outcomes = [];
  for (const check of [{ key: a, versionstamp }, { key: a, versionstamp: null }, { key: b, versionstamp: null }, { key: b, versionstamp },
    { key: a, versionstamp: versionstamp.replace(/.0000$/, (end) => (end[0] === "0" ? "1" : "0") + "0000") }]) {
    outcomes.push((await kv.atomic().check(check).set(k("check", "c"), outcomes.length).commit()).ok);
  }
  expect(outcomes.join() === "true,false,true,false,false", outcomes.join());
  expect((await kv.get(k("check", "c"))).value === 2, "a failed write wrote");
});

await rule("mutation.order delete.removes", "mutations in their order", async () => {
  await kv.atomic().set(k("order of"), 1).delete(k("order of")).set(k("order of"), u64(5n)).sum(k("order of"), 6n).commit();
  expect((await kv.get(k("order of"))).value.value === 11n, "order");
  await kv.atomic().set(k("order of"), 1).delete(k("order of")).commit();
  expect((await kv.get(k("order of"))).versionstamp === null, "the delete did nothing");
});

await rule("sum.le64.wraps sum.le64.adds min.le64 max.le64 le64.absent", "sum, min and max of KvU64", async () => {
  const names = ["sum", "min", "max"].map((name) => k("u64", name));
  for (const key of names) await kv.delete(key);
  const states = [];
  for (const value of [7n, 2n ** 64n - 1n, 3n]) {
    await kv.atomic().sum(names[0], value).min(names[1], value).max(names[2], value).commit();
    states.push((await kv.getMany(names)).map((entry) => entry.value.value).join());
  }
  const top = 2n ** 64n - 1n;
  expect(states.join(" ") === `7,7,7 6,7,${top} 9,3,${top}`, states.join(" "));
});

await rule("le64.on-other write.all-or-nothing", "a sum on a value of another kind fails as a whole", async () => {
  await kv.set(k("word"), "word");
  await kv.delete(k("beside"));
  const error = await failure((async () => await kv.atomic().set(k("beside"), 1).sum(k("word"), 1n).commit())());
  expect(/non-U64 value in the database/.test(String(error)), String(error));
  expect((await kv.get(k("beside"))).versionstamp === null, "the mutation before it was written");
});

if (runtime === "Deno") {
  const sum = (key, value) => kv.atomic().mutate({ type: "sum", key, value }).commit(); // it sends no bounds
  await rule("sum.number.adds sum.bigint.adds sum.v8.absent sum.v8.types sum.v8.le64", "sums of numbers and BigInts", async () => {
    const [number, bigint] = [k("v8", "number"), k("v8", "bigint")];
    await kv.atomic().delete(number).delete(bigint).commit();
    await sum(number, 1.5);
    await sum(number, 2);
    expect((await kv.get(number)).value === 3.5, show(await kv.get(number)));
    await kv.set(bigint, 2n ** 100n);
    await sum(bigint, -1n);
    expect((await kv.get(bigint)).value === 2n ** 100n - 1n, show(await kv.get(bigint)));
    expect(/Cannot sum BigInt with Number/.test(String(await failure(sum(bigint, 1)))), "types");
    await kv.set(number, u64(5n));
    await sum(number, 7n);
    expect((await kv.get(number)).value.value === 12n, show(await kv.get(number)));
  });
  await rule("suffix.key", "a key with the commit's versionstamp", async () => {
    const { versionstamp } = await kv.set(k("suffix", kv.commitVersionstamp()), "v");
    const entry = await kv.get(k("suffix", versionstamp));
    expect(entry.value === "v" && entry.versionstamp === versionstamp, show(entry));
  });
}

await rule("expiry.not-early expiry.hidden.read expiry.past", "entries expire", async () => {
  const at = Date.now() + 400;
  await kv.atomic().set(k("expiring", 1), 1, { expireIn: 400 }).set(k("expiring", 2), 1, { expireIn: 3_600_000 }).commit();
  if (Date.now() < at - 100) expect((await kv.get(k("expiring", 1))).value === 1, "gone too early");
  await sleep(450);
  const [first, second] = await kv.getMany([k("expiring", 1), k("expiring", 2)]);
  expect(first.versionstamp === null && second.value === 1, show([first, second]));
  const listed = [];
  for await (const { key } of kv.list({ prefix: k("expiring") })) listed.push(key.at(-1));
  expect(listed.join() === "2", `listed: ${listed}`);
});

await rule("watch.first-state watch.change watch.every-key expiry.wakes-watch expiry.deleted", "a watch", async () => {
  const [a, b] = [k("watch", "a"), k("watch", "b")];
  await kv.atomic().set(a, "old").delete(b).commit();
  const reader = kv.watch([a, b]).getReader();
  // Reads until a state is there; the clients may show a state twice.
  const until = async (wanted) => {
    for (let i = 0; i < 10; i++) {
      const { value } = await reader.read();
      if (value.map((entry) => entry.value).join() === wanted) return;
    }
    throw new Error(`${wanted} was not told`);
  };
  await until("old,");
  await kv.set(b, "new");
  await until("old,new");
  await kv.atomic().set(a, "newer").delete(b).commit();
  await until("newer,");
  await kv.set(b, "for a moment", { expireIn: 200 });
  await until("newer,for a moment");
  await until("newer,");
  await reader.cancel();
});

await rule("read.start-inclusive read.end-exclusive read.reverse read.limit", "ranges", async () => {
  const atomic = kv.atomic();
  for (let i = 0; i < 10; i++) atomic.set(k("range", i), i);
  await atomic.commit();
  const list = async (from, to, options) => {
    const found = [];
    for await (const { value } of kv.list({ start: k("range", from), end: k("range", to) }, options)) found.push(value);
    return found.join();
  };
  expect(await list(3, 6) === "3,4,5" && await list(3, 6, { reverse: true }) === "5,4,3", "ends");
  expect(await list(0, 10, { limit: 2 }) === "0,1" && await list(0, 10, { limit: 2, reverse: true }) === "9,8", "limit");
});

await rule("read-only.writes read-only.reads", "a read-only server", async () => {
  const other = await openKv(readOnlyUrl);
  expect((await other.get(k("nothing"))).versionstamp === null, "read");
  const error = await failure((async () => await other.set(k("nothing"), 1))());
  expect(/disabled|read.?only/i.test(String(error)), String(error));
  other.close();
});

if (runtime === "Node") {
  await rule("enqueue.stored", "enqueues are accepted", async () => {
    await kv.enqueue("enqueued by @deno/kv", { keysIfUndelivered: [k("undelivered")], delay: 60_000 });
    expect((await kv.atomic().set(k("with"), 1).enqueue("in an atomic write").commit()).ok, "refused");
  });
}

kv.close();
