// Expiry. A server deletes what has expired within about 0.1 s; a read-only one never does: there, what is absent is
// hidden. Each case waits for times of its own, so they run at once.

import { makeFolder, Server, sleep } from "../lib/server.mjs";
import { check, M_DELETE, M_MAX, M_MIN, M_SUFFIX, M_SUM, mutation, pointRange, range, set, VE_LE64, VE_V8 } from "../lib/wire.mjs";
import { Context, expect, le64, show, stampOf } from "./context.mjs";

const expiring = (key, expireAtMs, data = "x", encoding) => mutation(1, key, { data, expireAtMs, encoding });

// Timers may be early by a millisecond.
async function until(ms) {
  while (Date.now() < ms) await sleep(ms - Date.now());
}

// Waits for the message of a watch whose keys are all absent.
async function untilAbsent(watch, what) {
  for (let message; (message = await watch.next());) if (message.keys.every((key) => !key.entry)) return;
  throw new Error(`${what}: the watch was not woken`);
}

async function past(t) {
  await t.rule("expiry.past expiry.hidden.read", "an expiry in the past: absent at once", async () => {
    for (const expireAtMs of [1, Date.now() - 1, Date.now()]) {
      const key = t.key("expiry", "past", expireAtMs);
      await t.commit([expiring(key, expireAtMs)]);
      expect(await t.get(key) === null, `${expireAtMs} is still there`);
    }
  });
  await t.rule("expiry.hidden.arithmetic", "sum, min and max take an expired key for absent", async () => {
    const key = t.key("expiry", "arithmetic");
    for (const type of [M_SUM, M_MIN, M_MAX]) {
      for (const stored of [le64(1), le64(100)]) {
        await t.commit([expiring(key, 1, stored, VE_LE64), mutation(type, key, { data: le64(9), encoding: VE_LE64 })]);
        await t.expectLe64(key, 9);
      }
      await t.commit([expiring(key, 1, "raw bytes"), mutation(type, key, { data: le64(9), encoding: VE_LE64 })]);
      await t.expectLe64(key, 9);
    }
    const five = Buffer.from("ff0f490a", "hex");
    await t.commit([expiring(key, 1, five, VE_V8), mutation(M_SUM, key, { data: five, encoding: VE_V8 })]);
    expect((await t.get(key)).value.readDoubleLE(3) === 5, "a sum of V8 values");
  });
  await t.rule("expiry.hidden.check", "checks take an expired key for absent", async () => {
    const key = t.key("expiry", "check");
    for (let i = 0; i < 5; i++) {
      const stamp = stampOf(await t.commit([expiring(key, 1)]));
      const outcome = await t.write([check(key, stamp), check(key)]);
      expect(outcome.status === 2 && outcome.failedChecks.join() === "0", show(outcome));
    }
  });
  await t.rule("expiry.hidden.fills", "expired keys leave room in a read", async () => {
    for (let round = 0; round < 5; round++) {
      const key = (i) => t.key("expiry", "fills", round, i);
      await t.commit(Array.from({ length: 12 }, (_, i) => i % 4 ? expiring(key(i), 1) : set(key(i), "x")));
      const { ranges } = await t.session.snapshotRead([range(key(0), key(99), 3), range(key(0), key(99), 2, true)]);
      expect(ranges[0].length === 3 && ranges[1].length === 2, show(ranges));
    }
  });
}

async function inTime(t) {
  await t.rule("expiry.not-early expiry.hidden.read", "there until its millisecond, and absent from then on", async () => {
    const key = (i) => t.key("expiry", "time", i);
    const base = Date.now() + 250;
    const times = Array.from({ length: 6 }, (_, i) => base + i * 37);
    await t.commit(times.map((ms, i) => expiring(key(i), ms)));
    let early = 0;
    for (let done = false; !done;) {
      const before = Date.now();
      const { ranges } = await t.session.snapshotRead(times.map((_, i) => pointRange(key(i))));
      const after = Date.now();
      for (const [i, ms] of times.entries()) {
        const present = ranges[i].length === 1;
        if (after < ms) expect(present, `key ${i} went ${ms - after} ms before its time`);
        if (before >= ms) expect(!present, `key ${i} is there ${before - ms} ms after its time`);
        if (after < ms && ms - after < 60) early++;
      }
      done = before > times.at(-1) + 20;
    }
    expect(early > 0, "no read came shortly before an expiry");
  });
  await t.rule("expiry.together expiry.in-order", "keys of one write go together or in order", async () => {
    const key = (i) => t.key("expiry", "together", i);
    const at = Date.now() + 300;
    const sizes = [200, 1, 150, 30, 90];
    // The first five at one time, the rest one after the other.
    await t.commit([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((i) => expiring(key(i), i < 5 ? at : at + (i - 4) * 20, "x".repeat(sizes[i % 5]))));
    for (let now = 0; now < at + 200;) {
      now = Date.now();
      const { ranges: [entries] } = await t.session.snapshotRead([range(key(0), key(99), 100)]);
      const there = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].filter((i) => entries.some((entry) => entry.key.equals(key(i))));
      const together = there.filter((i) => i < 5).length;
      expect(together === 0 || there.length === 10, `of those that go together: ${there}`);
      expect(there.join() === [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].slice(10 - there.length).join(), `out of order: ${there}`);
    }
  });
  await t.rule("expiry.newer-stays arithmetic.clears-expiry", "a newer entry outlives the expiry of an older one", async () => {
    const at = Date.now() + 250;
    const keys = ["set", "later", "sum", "min", "max", "v8", "deleted and set"].map((name) => t.key("expiry", "newer", name));
    await t.commit(keys.map((key) => expiring(key, at, le64(5), VE_LE64)));
    const one = { data: le64(1), encoding: VE_LE64 };
    await t.commit([
      set(keys[0], "x"), expiring(keys[1], at + 600_000), mutation(M_SUM, keys[2], one), mutation(M_MIN, keys[3], one),
      mutation(M_MAX, keys[4], one), mutation(M_SUM, keys[5], { data: Buffer.from("ff0f5a1001000000000000000000", "hex").subarray(0, 12), encoding: VE_V8 }),
      mutation(M_DELETE, keys[6]), set(keys[6], "x"),
    ]);
    await until(at + 400);
    for (const [i, key] of keys.entries()) expect(await t.get(key) !== null, `key ${i} went with its older entry`);
  });
  await t.rule("expiry.deleted expiry.wakes-watch suffix.expires", "deleted in the background: watchers are woken", async () => {
    const at = Date.now() + 250;
    const key = t.key("expiry", "watched");
    const stamp = await t.commit([expiring(key, at), mutation(M_SUFFIX, key, { data: "x", expireAtMs: at })]);
    const suffixed = Buffer.concat([key, Buffer.from(`\x02${stamp}\0`, "latin1")]);
    for (const one of await Promise.all([[key], [suffixed]].map(async (keys) => [await t.session.watch(keys), keys]))) {
      const [watch, [name]] = one;
      const first = await watch.next();
      expect(first.keys[0].entry !== null, `${name}: gone too early`);
      await untilAbsent(watch, name.toString("latin1"));
      watch.close();
    }
    expect(await t.get(suffixed) === null, "the suffixed key is still there");
  });
}

async function overRestarts(t) {
  const withServer = async (dataDir, args, run) => {
    const server = await Server.start(dataDir, { args });
    const context = await Context.open(t.suite, server, t.transport.constructor);
    try {
      await run(context, server);
    } finally {
      context.transport.close();
      await server.kill();
    }
  };
  await t.rule("expiry.survives-restart expiry.deleted-after-restart", "expiries over a kill", async () => {
    const dataDir = makeFolder("expiry");
    const [down, soon, late] = ["down", "soon", "late"].map((name) => t.key("expiry", name));
    let at;
    await withServer(dataDir, [], async (context) => {
      at = Date.now() + 1500;
      await context.commit([expiring(down, Date.now() + 1), expiring(soon, at), expiring(late, at + 600_000)]);
    });
    await withServer(dataDir, [], async (context) => {
      expect(await context.get(down) === null, "what expired while the server was down is there");
      const watch = await context.session.watch([soon]);
      const first = await watch.next();
      if (Date.now() < at) expect(first.keys[0].entry !== null, "gone too early");
      await untilAbsent(watch, "after a restart");
      expect(Date.now() >= at && await context.get(soon) === null && await context.get(late) !== null, "the wrong key went");
      watch.close();
    });
  });
  await t.rule("expiry.survives-restart expiry.hidden.read expiry.hidden.fills expiry.hidden.watch read-only.writes read-only.reads",
    "a read-only server hides what has expired, and writes nothing", async () => {
      const dataDir = makeFolder("read-only");
      const key = (i) => t.key("expiry", "read-only", i);
      let at;
      await withServer(dataDir, [], async (context) => {
        at = Date.now() + 400;
        await context.commit([expiring(key(0), at), expiring(key(1), at), set(key(2), "x"), set(key(3), "x")]);
      });
      await withServer(dataDir, ["--read-only"], async (context) => {
        await until(at);
        expect(await context.get(key(0)) === null && await context.get(key(2)) !== null, "get");
        const { ranges: [entries] } = await context.session.snapshotRead([range(key(0), key(9), 2)]);
        expect(entries.length === 2 && entries[0].key.equals(key(2)), show(entries));
        const watch = await context.session.watch([key(0), key(2)]);
        const { keys } = await watch.next();
        expect(keys[0].entry === null && keys[1].entry !== null, show(keys));
        watch.close();
        for (const fields of [[set(key(2), "y")], [], [mutation(M_DELETE, key(3))]]) {
          const outcome = await context.write(fields);
          expect(outcome.httpStatus === 200 && outcome.status === 5 && outcome.versionstamp === "", show(outcome));
        }
        expect((await context.get(key(2))).value.toString() === "x" && await context.get(key(3)) !== null, "it was written");
      });
    });
}

export async function expiryCases(t) {
  await past(t);
  await Promise.all([inTime(t), overRestarts(t)]);
}
