// `tidemark serve --sync-from-s3`: a replica that follows the backup of a server and shows what that shows, whatever
// happens to the server, to itself and to the way between.

import { openKv } from "../../e2e/lib/client.mjs";
import { FaultProxy } from "../../e2e/lib/fault_proxy.mjs";
import { failure } from "../../e2e/lib/report.mjs";
import { runTidemark, sleep, TOKEN } from "../../e2e/lib/server.mjs";
import { Denokv } from "../lib/denokv.mjs";
import { expect, expectSame } from "../lib/lines.mjs";
import { Replica } from "../lib/replica.mjs";
import { BackedUp, dump, linesOf, restore, s3Options, tidemark } from "../lib/tidemark.mjs";
import { Workload } from "../lib/workload.mjs";

const FOLLOWED_MS_MAX = 30_000;
const FAULTS = ["drop-before", "drop-after", "internal", "slow-down", "truncate"].map((fault) => ({ fault, chance: 0.1 }));

export default async function replicas(suite, { minio, log }) {
  const source = await new BackedUp(minio, "replicas/").start();
  const workload = await Workload.open(source.url, 71);
  const { journal } = workload;
  const proxy = await FaultProxy.start(minio.endpoint, { seed: 72 });
  let replica;

  await suite.test("it has all that was shipped when it begins to listen", async () => {
    await workload.churn({ writers: 4, commits: 50 });
    await workload.bulk(30);
    await workload.expiries("replicas");
    await source.shipped(journal.last());
    replica = await new Replica({ ...minio, endpoint: proxy.url }, await source.place()).start();
    expectSame(await replica.lines(), await source.lines(), "the replica");
    expectSame(journal.withoutEnded(await replica.lines()), journal.linesAt(journal.last()), "the replica, with the journal");
  });
  await suite.test("it refuses writes, and a watch on it tells what the source commits", async () => {
    const kv = await openKv(replica.url, { accessToken: TOKEN });
    try {
      await failure(kv.set(["replicas"], 1));
      const seen = [];
      const reader = kv.watch([["watched"]]).getReader();
      const watching = (async () => {
        for (let next; !(next = await reader.read()).done;) {
          seen.push(next.value[0].value);
          if (seen.at(-1) === "told") return;
        }
      })();
      await sleep(200);
      await workload.commit([{ key: ["watched"], value: "told" }]);
      await Promise.race([watching, sleep(FOLLOWED_MS_MAX)]);
      expect(seen.at(-1) === "told", `the watch has told ${JSON.stringify(seen)}`);
      await reader.cancel();
    } finally {
      kv.close();
    }
  });
  await suite.test("it follows under load, through faults, and when it is killed", async () => {
    for (const rule of FAULTS) proxy.add(rule);
    let over = false;
    const work = workload.churn({ writers: 4, stop: () => over, pauseMs: 10 });
    await sleep(3000);
    await replica.server.end("SIGKILL");
    proxy.clear(); // else it would not start, now and then
    await replica.start();
    for (const rule of FAULTS) proxy.add(rule);
    await sleep(3000);
    over = true;
    await work;
    await workload.large("replicas");
    log(`${await replica.follows(source)} entries followed through ${JSON.stringify(proxy.counts)}`);
    proxy.clear();
  });
  await suite.test("it shows each moment as the source does, also of before it was killed", async () => {
    const stamps = journal.stamps();
    for (const share of [0.5, 0.7, 0.9]) {
      const at = stamps[Math.floor(share * (stamps.length - 1))];
      expectSame(await linesOf(replica.url, `/db/default@${at}`), await source.lines(at), `at ${at}`);
    }
  });
  await suite.test("it follows a rewind", async () => {
    await tidemark(["pitr", "rewind", journal.stamps().at(-100), "--data-dir", source.dataDir, "--yes"]);
    log(`${await replica.follows(source)} entries after a rewind`);
  });
  await suite.test("it follows into the next generation", async () => {
    const { prefix } = await source.status();
    await source.end();
    source.args = ["--backup-generation-age", "1s"];
    await source.start();
    await source.shipped("", { beyond: prefix });
    await workload.churn({ writers: 4, commits: 20 });
    log(`${await replica.follows(source)} entries in the next generation`);
  });
  await suite.test("another one begins with the newest generation, by the prefix of that alone", async () => {
    const { prefix } = await source.shipped(journal.last());
    const other = await new Replica(minio, prefix).start();
    log(`${await other.follows(source)} entries in ${prefix}`);
    await other.server.end();
  });
  await suite.test("it refuses another backup than the one that it has followed", async () => {
    await replica.server.end();
    const run = await runTidemark(["serve", "--data-dir", replica.dataDir, "--addr", "127.0.0.1:0", "--access-token", TOKEN,
      "--metrics-addr", "off", "--sync-from-s3", ...s3Options(minio, "replicas/other/")], { env: minio.env });
    expect(run.code !== 0 && !/Listening/.test(run.stderr), `exit code ${run.code}: ${run.stderr}`);
    await replica.start();
    await replica.follows(source);
  });
  await suite.test("it is dumped like the source", async () => {
    log(`${expectSame(await dump(replica.dataDir), await dump(source.dataDir), "the replica's dump")} lines of dump`);
  });
  await suite.test("promoted, it is the primary: the one before takes no more writes, and denokv reads the new one", async () => {
    const before = await source.shipped(journal.last());
    await tidemark(["promote", "--data-dir", replica.dataDir]);
    expectSame(await replica.lines(), await source.lines(), "the new primary");
    const own = await Workload.open(replica.url, 73);
    await own.churn({ writers: 4, commits: 30 });
    await own.large("promoted");
    let refused = null;
    for (const until = performance.now() + FOLLOWED_MS_MAX; !refused; ) {
      refused = await workload.kv.set(["lost"], 1).then(() => null, (error) => error);
      expect(performance.now() < until, "the primary before still takes writes");
    }
    expect(/another server/.test((await source.status()).message), `the primary before says ${JSON.stringify(await source.status())}`);
    const primary = Object.assign(new BackedUp(minio, "replicas/", { dataDir: replica.dataDir }), { server: replica.server, url: replica.url });
    const { prefix } = await primary.shipped(own.journal.last(), { beyond: before.prefix });
    own.close();
    const denokv = new Denokv(minio, prefix);
    await denokv.sync();
    await denokv.checkout("f".repeat(20));
    log(`${expectSame(await denokv.lines(), await primary.lines(), "denokv")} entries of the promoted one read by denokv, prefix ${prefix}`);
    const restored = await restore(minio, await primary.place());
    expectSame(await dump(restored.to), await dump(primary.dataDir), "restored of the promoted one");
  });
  workload.close();
  await replica.server.end();
  await source.end("SIGKILL");
  await proxy.close();
}
