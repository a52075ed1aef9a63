// The way to the store is as bad as can be, and the server is killed on top of it; once it is good again, nothing is missing
// in the backups, and nothing is there twice.

import { rmSync } from "node:fs";

import { FaultProxy } from "../../e2e/lib/fault_proxy.mjs";
import { sleep, within } from "../../e2e/lib/server.mjs";
import { Denokv } from "../lib/denokv.mjs";
import { Journal } from "../lib/journal.mjs";
import { expect, expectSame } from "../lib/lines.mjs";
import { BackedUp, dump, moments, restore, tidemark } from "../lib/tidemark.mjs";
import { Workload } from "../lib/workload.mjs";

const SEED = 31;
const LOAD_MS = 11_000; // before the kill, and again after it
const DURABLE_MS = 8_000;
const DATABASES = ["default", "orders", "visits"];
const BULK_ENTRIES = 200; // more than one object of a snapshot

// For each request of the server's, and for each of those that read.
const WRITING = [
  { fault: "delay", chance: 0.1, ms: 100 },
  { fault: "drop-before", chance: 0.05 },
  { fault: "drop-after", chance: 0.05 },
  { fault: "swallow", chance: 0.02, ms: 1000 },
  { fault: "tear", method: "PUT", chance: 0.05 },
  { fault: "internal", chance: 0.05 },
  { fault: "slow-down", chance: 0.05 },
  { fault: "truncate", method: "GET", chance: 0.05 },
  { fault: "twice", method: "PUT", chance: 0.07 },
  { fault: "late", method: "PUT", chance: 0.1, ms: 2500 },
];
// Few enough that six tries do for each request.
const READING = WRITING.filter(({ fault }) => !["swallow", "twice", "late", "tear"].includes(fault));

const NAMES = /^(snapshots\/0001_[0-9a-f]{16}_[0-9a-f]{16}\.bin|logs\/0001_[0-9a-f]{16}_[0-9a-f]{24}_[0-9a-f]{24}\.bin|differential)$/;

// A load on all databases until `ms` have passed, in the midst of which the store is away; then, in the midst of the load, `end`.
async function load(source, proxy, journals, seed, ms, end) {
  const workloads = await Promise.all(DATABASES.map((name, i) => Workload.open(source.url, seed + i, journals[name], name)));
  let over = false;
  const works = workloads.map((workload) => workload.churn({ writers: 3, stop: () => over, pauseMs: 10 }));
  const outcome = Promise.all(works).then(() => null, (error) => error);
  await sleep(ms / 2);
  await proxy.awayFor(1500);
  await sleep(ms / 2 - 1500);
  if (end) await end();
  over = true;
  const error = await within(60_000, "the end of the load", outcome);
  await Promise.allSettled(works);
  for (const workload of workloads) workload.close();
  if (!end && error) throw error;
}

export default async function faults(suite, { minio, log }) {
  const proxy = await FaultProxy.start(minio.endpoint, { seed: SEED });
  const source = await new BackedUp({ ...minio, endpoint: proxy.url }, "faults/").start();
  for (const name of DATABASES.slice(1)) await tidemark(["db", "create", name, "--data-dir", source.dataDir]);
  const journals = Object.fromEntries(DATABASES.map((name) => [name, new Journal()]));

  await suite.test("writes, while all faults are on", async () => {
    const bulk = await Workload.open(source.url, SEED, journals.default);
    await bulk.bulk(BULK_ENTRIES);
    bulk.close();
    for (const rule of WRITING) proxy.add(rule);
    await load(source, proxy, journals, SEED + 10, LOAD_MS, () => source.end("SIGKILL"));
  });
  await suite.test("and on after a kill, with new generations", async () => {
    source.args = ["--backup-generation-age", "1s"];
    await source.start();
    await load(source, proxy, journals, SEED + 20, LOAD_MS);
  });
  await suite.test("each fault was there", () => {
    const missing = [...WRITING.map(({ fault }) => fault), "away"].filter((fault) => !proxy.counts[fault]);
    expect(missing.length === 0, `these were not: ${missing.join(" ")}`);
  });

  await suite.test("once the store is well, all of it is shipped", async () => {
    proxy.clear();
    const began = performance.now();
    for (const name of DATABASES) await source.shipped(journals[name].last(), { database: name });
    log(`${proxy.requests} requests, faults ${JSON.stringify(proxy.counts)}; lag 0 after ${Math.round(performance.now() - began)} ms`);
    await proxy.settled();
    for (const name of DATABASES) {
      const { generations } = JSON.parse(await minio.s3.get(`${await source.place(name)}backup.json`));
      log(`${name}: generations ${generations.map(({ id, ranges, reason }) => `${id} (${ranges} objects: ${reason})`).join(", ")}`);
      expect(generations.length > 1 && generations.every(({ complete }) => complete), `${name}: there is no second generation that is complete`);
      expect(name !== "default" || generations.at(-1).ranges > 1, "the snapshot is one object");
    }
  });
  await suite.test("there is nothing in the bucket that does not belong there", async () => {
    const places = await Promise.all(DATABASES.map((name) => source.place(name)));
    for (const { key } of await minio.s3.list("faults/")) {
      const place = places.find((one) => key.startsWith(one));
      const [generation, ...rest] = key.slice(place?.length).split("/");
      expect(place && (generation === "backup.json" || NAMES.test(rest.join("/"))), key);
    }
  });
  await suite.test("what is restored is what there is", async () => {
    for (const name of DATABASES) {
      const { to, versionstamp } = await restore(minio, await source.place(name));
      const lines = expectSame(await dump(to), await dump(source.dataDir, "--database", name), `${name}, restored`);
      expect(versionstamp >= journals[name].last(), `restored up to ${versionstamp}, acknowledged up to ${journals[name].last()}`);
      log(`${name}: ${lines} lines of dump at ${versionstamp}`);
    }
  });
  await suite.test("moments of before the kill are restored from the generation of then", async () => {
    const at = journals.orders.stamps()[100];
    const { to } = await restore(minio, await source.place("orders"), "--at", at);
    expectSame(await dump(to), await dump(source.dataDir, "--database", "orders", "--at", at), `restored --at ${at}`);
  });
  await suite.test("what is restored through faults is the same", async () => {
    for (const rule of READING) proxy.add(rule);
    const before = { ...proxy.counts };
    const { to } = await restore(source.store, await source.place());
    proxy.clear();
    expectSame(await dump(to), await dump(source.dataDir), "restored through faults");
    const met = Object.entries(proxy.counts).map(([fault, count]) => [fault, count - (before[fault] ?? 0)]).filter(([, count]) => count);
    expect(met.length > 0, "there were no faults");
    log(`restored through ${JSON.stringify(Object.fromEntries(met))}`);
  });
  await suite.test("denokv reads it", async () => {
    for (const name of DATABASES) {
      const denokv = new Denokv(minio, (await source.status(name)).prefix);
      await denokv.sync();
      await denokv.checkout("f".repeat(20));
      log(`${name}: ${expectSame(await denokv.lines(), await source.lines("", name), "denokv")} entries read by denokv`);
    }
  });
  await suite.test("--durability backup: what was acknowledged is in the bucket, though disk and server are gone", async () => {
    const durable = await new BackedUp(source.store, "faults-durable/", { args: ["--durability", "backup"] }).start();
    const workload = await Workload.open(durable.url, SEED + 30);
    const place = await durable.place();
    await durable.shipped("");
    for (const rule of WRITING) proxy.add(rule);
    const work = workload.churn({ writers: 8 }).catch(() => {}); // until it is killed
    await sleep(DURABLE_MS);
    await durable.end("SIGKILL");
    await within(60_000, "the end of the load", work);
    proxy.clear();
    workload.close();
    rmSync(durable.dataDir, { recursive: true });
    const acknowledged = workload.journal.stamps();
    expect(acknowledged.length > 20, `no more than ${acknowledged.length} commits were acknowledged`);
    const { to } = await restore(minio, place);
    const there = new Set((await moments(to)).map(([stamp]) => stamp));
    const lost = acknowledged.filter((stamp) => !there.has(stamp));
    expect(lost.length === 0, `${lost.length} of ${acknowledged.length} commits that were acknowledged are lost, such as ${lost[0]}`);
    log(`--durability backup: ${acknowledged.length} commits acknowledged, ${there.size} restored`);
  });
  await source.end();
  await proxy.close();
}
