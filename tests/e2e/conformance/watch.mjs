// Watches: what the messages say, and when they come.

import { encodeMessage, M_DELETE, M_MAX, M_MIN, M_SUFFIX, M_SUM, mutation, set, VE_BYTES, VE_LE64, watchKey } from "../lib/wire.mjs";
import { bytes, expect, le64, show } from "./context.mjs";

async function messages(t) {
  const [a, b, c] = ["a", "b", "c"].map((name) => t.key("watch", name));
  await t.rule("watch.frames watch.first-state watch.absent watch.every-key", "the first message has every key", async () => {
    const stamp = await t.commit([set(a, "1"), mutation(M_DELETE, b), set(c, le64(3), VE_LE64)]);
    const watch = await t.session.watch([a, b, c]);
    expect(watch.headers["content-type"] === "application/octet-stream", watch.headers["content-type"]);
    const { status, keys } = (await watch.next()) ?? {};
    expect(status === 1 && keys?.length === 3 && keys.every((key) => key.changed), show(keys));
    const [first, second, third] = keys.map((key) => key.entry);
    expect(first.key.equals(a) && first.value.toString() === "1" && first.encoding === VE_BYTES && first.versionstamp === stamp, show(first));
    expect(second === null, show(second));
    expect(third.key.equals(c) && third.value.equals(le64(3)) && third.encoding === VE_LE64, show(third));
    watch.close();
  });
  await t.rule("watch.first-state", "the first message of absent keys", async () => {
    const watch = await t.session.watch([t.key("watch", "never"), t.key("watch", "nor this")]);
    const message = await watch.next(3000);
    expect(message?.keys.length === 2 && message.keys.every((key) => key.changed && !key.entry), show(message));
    watch.close();
  });
  await t.rule("watch.change watch.every-key watch.absent", "every kind of mutation", async () => {
    await t.commit([set(a, le64(50), VE_LE64), mutation(M_DELETE, b)]);
    const watch = await t.session.watch([b, a]);
    await watch.next();
    const one = (type, value) => mutation(type, a, { data: le64(value), encoding: VE_LE64 });
    for (const [change, value] of [[one(M_SUM, 1), 51n], [one(M_MIN, 7), 7n], [one(M_MAX, 9), 9n], [set(a, le64(4), VE_LE64), 4n], [mutation(M_DELETE, a), null]]) {
      const stamp = await t.commit([change]);
      const message = await watch.next(3000);
      expect(message?.keys.length === 2 && message.keys.every((key) => key.changed), `no message with both keys: ${show(message)}`);
      const [other, { entry }] = message.keys;
      expect(other.entry === null, show(message));
      if (value === null) expect(entry === null, show(message));
      else expect(entry?.value.equals(le64(value)) && entry.versionstamp === stamp, `wanted ${value}: ${show(message)}`);
    }
    const stamp = await t.commit([set(b, "there")]);
    expect((await watch.next(3000))?.keys[0].entry?.versionstamp === stamp, "the other key");
    watch.close();
  });
}

async function many(t) {
  await t.rule("watch.newest", "states may be skipped, the newest never", async () => {
    const writers = await Promise.all([t.another(), t.another()]);
    const keys = ["x", "y", "z"].map((name) => t.key("watch", "newest", name));
    const fat = bytes(60_000);
    await t.commit(keys.map((key) => set(key, fat)));
    const watch = await t.session.watch(keys);
    await watch.next();
    let last = "";
    for (let round = 0; round < 120; round++) {
      const stamps = await Promise.all(writers.map((writer, i) => writer.commit([set(keys[i], fat)])));
      const newest = stamps.sort().at(-1);
      while (last !== newest) {
        const message = await watch.next(1000);
        const seen = message?.keys.map((key) => key.entry.versionstamp).sort().at(-1);
        expect(message, `round ${round}: no message of the newest state`);
        expect(seen >= last, `back from ${last} to ${seen}`);
        last = seen;
      }
    }
    watch.close();
    for (const writer of writers) writer.transport.close();
  });
  await t.rule("watch.one-snapshot", "all keys of a message from one version", async () => {
    const writer = await t.another();
    const keys = Array.from({ length: 10 }, (_, i) => t.key("watch", "snapshot", i));
    const write = () => writer.commit(keys.map((key) => set(key, bytes(12_000))));
    await write();
    const expectOne = (message) => {
      const stamps = new Set(message.keys.map((key) => key.entry?.versionstamp));
      expect(stamps.size === 1, `several versions in one message: ${[...stamps]}`);
    };
    let writing = true;
    const written = (async () => {
      while (writing) await write();
    })();
    try {
      // First messages come at any time, later ones when a commit has just ended.
      for (let i = 0; i < 250; i++) {
        const watch = await t.session.watch(keys);
        for (let messages = i % 50 ? 1 : 20; messages > 0; messages--) expectOne(await watch.next());
        watch.close();
      }
    } finally {
      writing = false;
      await written;
      writer.transport.close();
    }
  });
}

// The key that a suffixed write makes has the time of the commit in it, in microseconds: so that one of its watchers is
// there before, all keys of some milliseconds to come are watched.
async function suffixed(t) {
  const WATCHES = 300, KEYS = 10, ATTEMPTS = 16;
  await t.rule("watch.suffix", "a suffixed write wakes the watchers of the key that it wrote", async () => {
    const prefix = t.key("watch", "suffix");
    const number = (stamp) => BigInt(`0x${stamp.slice(0, 16)}`);
    const prefixWatch = await t.session.watch([prefix]);
    await prefixWatch.next();
    // How far ahead the watched time lies, and how long before it writing begins: a busy machine needs more of both.
    let aheadMs = 400, leadMs = 1;
    for (let attempt = 0; ; attempt++) {
      expect(attempt < ATTEMPTS, "no write fell into the watched time");
      const began = performance.now();
      const from = number(await t.commit([])) + BigInt(aheadMs * 1000);
      const keyOf = (n) => Buffer.concat([prefix, Buffer.from(`\x02${n.toString(16).padStart(16, "0")}0000\0`, "latin1")]);
      const watches = await Promise.all(Array.from({ length: WATCHES }, (_, w) =>
        t.session.watch(Array.from({ length: KEYS }, (_, i) => keyOf(from + BigInt(w * KEYS + i))))));
      for (const watch of watches) await watch.next();
      const left = began + aheadMs - leadMs - performance.now();
      if (left > 0) await new Promise((resolve) => setTimeout(resolve, left));
      const stamps = await Promise.all(Array.from({ length: 40 }, async (_, i) => {
        await new Promise((resolve) => setTimeout(resolve, i / 8));
        return t.commit([mutation(M_SUFFIX, prefix, { data: "v" })]);
      }));
      const hits = stamps.filter((stamp) => number(stamp) >= from && number(stamp) < from + BigInt(WATCHES * KEYS));
      for (const [w, watch] of watches.entries()) {
        const wanted = hits.filter((stamp) => Math.floor(Number(number(stamp) - from) / KEYS) === w).length;
        for (let told = 0; told < wanted;) {
          const message = await watch.next(3000);
          expect(message, "the watch was not woken");
          told = message.keys.filter((key) => key.entry).length;
        }
      }
      for (const watch of watches) watch.close();
      if (hits.length) break;
      if (left < 0) aheadMs *= 2;
      else leadMs = Math.max(0, leadMs + Number(number(stamps.sort()[0]) - from) / 1000 - 1);
    }
    const stamp = await t.commit([set(prefix, "x")]);
    expect((await prefixWatch.next())?.keys[0].entry?.versionstamp === stamp, "the watch of the prefix was told of other keys");
    prefixWatch.close();
  });
}

export async function keepAliveCase(t) {
  await t.rule("watch.keep-alive", "a quiet watch hears that the server is there", async () => {
    const answer = await t.transport.stream({
      path: `${t.session.path}/watch`, headers: t.session.headers, body: encodeMessage([watchKey(t.key("quiet"))]),
    });
    expect((await answer.frames.next())?.length > 0, "no first message");
    const frame = await answer.frames.next(9000);
    expect(frame?.length === 0, `wanted an empty message: ${frame}`);
    answer.close();
  });
}

export async function watchCases(t) {
  await messages(t);
  await many(t);
  if (t.transport.name === "HTTP/2") await suffixed(t);
}
