// The limits that suites/protocol.mjs does not try: each at and above, with its text.

import { check, encodeMessage, enqueue, M_DELETE, M_SUM, mutation, range, set, VE_LE64, watchKey } from "../lib/wire.mjs";
import { bytes, expect, le64 } from "./context.mjs";

const KEY_TEXT = "A key exceeds the key size limit.";
const VALUE_TEXT = "A value exceeds the value size limit.";
const TOTAL_TEXT = "The total size of the atomic write is too large.";
const TOTAL = 819200;
const DAY_MS = 24 * 3_600_000;

export async function limitCases(t) {
  const key = t.key("limit");
  await t.rule("limit.write-key", "keys of every mutation", async () => {
    const longest = bytes(2048), longer = bytes(2049);
    await t.commit([mutation(M_DELETE, longest)]);
    for (const fields of [set(longer, "x"), mutation(M_DELETE, longer), mutation(M_SUM, longer, { data: le64(1), encoding: VE_LE64 })]) {
      await t.refused([fields], KEY_TEXT);
    }
  });
  await t.rule("limit.read-key", "keys of a read", async () => {
    for (const [start, end] of [[bytes(2049), bytes(2049, 0x62)], [bytes(2049), Buffer.from("b")], [Buffer.from("a"), bytes(2049)]]) {
      await t.session.snapshotRead([range(start, end, 1)]);
    }
    await t.readRefused([range(bytes(2050), "b", 1)], KEY_TEXT);
    await t.readRefused([range("a", bytes(2050), 1)], KEY_TEXT);
  });
  await t.rule("limit.check-key", "keys of a check", async () => {
    await t.commit([check(bytes(2049))]);
    await t.refused([check(bytes(2050))], KEY_TEXT);
  });
  await t.rule("limit.ranges limit.entries limit.range-limit", "ranges and entries of a read", async () => {
    const ranges = (count, limit) => Array.from({ length: count }, () => range("y", "z", limit));
    for (const fields of [ranges(10, 100), ranges(1, 1000), ranges(1, 1), ranges(10, 1)]) await t.session.snapshotRead(fields);
    await t.readRefused(ranges(11, 1), "Too many read ranges requested in one read request.");
    const entriesText = "The total number of entries requested across read ranges in the read request is too large.";
    await t.readRefused(ranges(1, 1001), entriesText);
    await t.readRefused([...ranges(9, 100), range("y", "z", 101)], entriesText);
    await t.readRefused(ranges(10, 2147483647), entriesText);
    for (const limit of [0, -1, -2147483648]) {
      await t.readRefused([range("y", "z", limit)], "The read range limit of the snapshot read request is invalid.");
    }
  });
  await t.rule("limit.value limit.le64-length", "values of sums and their bounds", async () => {
    for (const length of [0, 7, 9]) {
      for (const type of [1, M_SUM]) {
        const outcome = await t.write([mutation(type, key, { data: bytes(length), encoding: VE_LE64 })]);
        expect(outcome.httpStatus === 400 && /8 bytes/.test(outcome.text), outcome.text);
      }
    }
    await t.refused([mutation(M_SUM, key, { data: bytes(65537) })], VALUE_TEXT);
  });
  await t.rule("limit.mutation-kind limit.mutation-value", "kinds of mutations", async () => {
    for (const type of [0, 6, 7, 8, 10, 77, -1]) {
      await t.refused([mutation(type, key, { data: "x" })], "Invalid mutation kind or arguments.");
    }
    for (const type of [1, 3, 4, 5, 9]) await t.refused([mutation(type, key)], "Invalid mutation kind or arguments.");
  });
  await t.rule("limit.encoding", "encodings", async () => {
    for (const encoding of [1, 2, 3]) await t.commit([set(key, "12345678", encoding)]);
    for (const encoding of [0, 4, 9, -1]) {
      const outcome = await t.write([mutation(1, key, { data: "x", encoding })]);
      expect(outcome.httpStatus === 400, `${encoding}: ${outcome.httpStatus}`);
    }
  });
  await t.rule("limit.expire-at expiry.never", "expiries", async () => {
    for (const expireAtMs of [-2, -5, -(2 ** 40)]) await t.refused([mutation(1, key, { data: "x", expireAtMs })], "Invalid mutation expire at.");
    for (const expireAtMs of [-1, 0]) {
      await t.commit([mutation(1, key, { data: `${expireAtMs}`, expireAtMs })]);
      expect((await t.get(key))?.value.toString() === `${expireAtMs}`, "it has expired");
    }
    await t.commit([mutation(1, key, { data: "late", expireAtMs: 2n ** 63n - 1n })]);
    expect((await t.get(key))?.value.toString() === "late", "the latest time of all is past");
  });
  await t.rule("limit.versionstamp", "versionstamps of checks", async () => {
    for (const length of [1, 8, 9, 11, 20]) await t.refused([check(key, bytes(length))], "Invalid versionstamp.");
  });

  await t.rule("limit.payload limit.mutations", "enqueues count and have a size", async () => {
    await t.commit([enqueue(bytes(65536))]);
    await t.refused([enqueue(bytes(65537))], VALUE_TEXT);
    const many = (mutations, enqueues) => [
      ...Array.from({ length: mutations }, (_, i) => mutation(M_DELETE, t.key("many", i))),
      ...Array.from({ length: enqueues }, () => enqueue("x")),
    ];
    await t.commit(many(990, 10));
    await t.refused(many(991, 10), "Too many mutations / enqueues included in atomic write.");
    await t.refused(many(0, 1001), "Too many mutations / enqueues included in atomic write.");
  });
  await t.rule("limit.undelivered-keys limit.undelivered-key", "keys_if_undelivered", async () => {
    const keys = (count) => Array.from({ length: count }, (_, i) => t.key("undelivered", i));
    await t.commit([enqueue("x", 0, { undelivered: keys(10) })]);
    await t.refused([enqueue("x", 0, { undelivered: keys(11) })], "Too many dead letter keys for a single queue message.");
    await t.commit([enqueue("x", 0, { undelivered: [bytes(2048)] })]);
    await t.refused([enqueue("x", 0, { undelivered: [bytes(2049)] })], KEY_TEXT);
  });
  await t.rule("limit.backoff-intervals limit.backoff-interval", "back-off schedules", async () => {
    const schedule = (count, ms) => [enqueue("x", 0, { backoffMs: Array.from({ length: count }, () => ms) })];
    await t.commit(schedule(10, 3_600_000));
    await t.commit(schedule(1, 0));
    await t.refused(schedule(11, 1), "Too many backoff intervals for a single queue message.");
    await t.refused(schedule(1, 3_600_001), "A backoff interval exceeds the maximum allowed backoff interval.");
    await t.refused(schedule(1, 2 ** 32 - 1), "A backoff interval exceeds the maximum allowed backoff interval.");
  });
  await t.rule("limit.deadline", "deadlines", async () => {
    const at = (ms) => [enqueue("x", ms)];
    for (const ms of [0, 1, -1, -(2 ** 50), Date.now() - DAY_MS, Date.now() + 30 * DAY_MS - 60_000]) await t.commit(at(ms));
    for (const ms of [Date.now() + 30 * DAY_MS + 60_000, 2n ** 63n - 1n]) await t.refused(at(ms), "Invalid mutation enqueue deadline.");
  });
  await t.rule("limit.total", "what counts for the total", async () => {
    const big = Array.from({ length: 12 }, (_, i) => set(t.key("total", i), bytes(65536)));
    const used = 12 * (65536 + t.key("total", 0).length);
    // Fills the rest up with what `make` makes of a number of bytes, to the limit and one byte above.
    const exactly = async (fixed, make) => {
      await t.commit([...big, ...make(TOTAL - used - fixed)]);
      await t.refused([...big, ...make(TOTAL - used - fixed + 1)], TOTAL_TEXT);
    };
    const filler = (n) => set(key, bytes(n - key.length));
    await exactly(0, (n) => [filler(n)]);
    await exactly(2000, (n) => [filler(n), mutation(M_DELETE, bytes(2000))]);
    await exactly(2000, (n) => [filler(n), check(bytes(2000, 0x7a))]);
    await exactly(2000, (n) => [filler(n), enqueue("x".repeat(1000), 0, { undelivered: [bytes(1000)] })]);
    await exactly(41, (n) => [filler(n), enqueue("x", 0, { backoffMs: Array(10).fill(1) })]);
    const bound = Buffer.from([0xff, 0x0f, 0x5a, ...[0x80 | 0x50, 0x0f], ...bytes(1000, 1)]); // a BigInt of 1000 bytes
    const summed = t.key("total", "sum");
    await t.commit([mutation(M_DELETE, summed)]);
    await exactly(summed.length + 4, (n) => [filler(n),
      mutation(M_SUM, summed, { data: Buffer.from("ff0f5a00", "hex"), encoding: 1, extra: [[5, bound]] })]);
    await t.commit([...Array.from({ length: 12 }, (_, i) => mutation(M_DELETE, t.key("total", i))), mutation(M_DELETE, key)]);
  });
  await t.rule("limit.watched-keys limit.watched-key", "keys of a watch", async () => {
    const watch = async (keys) => {
      const answer = await t.transport.stream({
        path: `${t.session.path}/watch`, headers: t.session.headers, body: encodeMessage(keys.map(watchKey)),
      });
      answer.close();
      return answer.status;
    };
    const refused = async (keys, text) => {
      const answer = await t.session.call("watch", encodeMessage(keys.map(watchKey)));
      expect(answer.status === 400 && answer.body.toString() === text, `${answer.status} ${answer.body}`);
    };
    const keys = (count) => Array.from({ length: count }, (_, i) => t.key("watched", i));
    expect(await watch(keys(10)) === 200 && await watch([bytes(2049)]) === 200, "refused at the limit");
    await refused(keys(11), "Too many keys watched in a single watch request.");
    await refused([bytes(2050)], KEY_TEXT);
  });
}
