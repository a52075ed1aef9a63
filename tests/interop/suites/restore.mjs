// Out of a bucket, a store again: what is dumped from it is what is dumped from the source, line by line, for the newest
// state, for older moments, and for the history in between.

import { existsSync } from "node:fs";
import { join } from "node:path";

import { makeFolder, runTidemark, Server } from "../../e2e/lib/server.mjs";
import { expect, expectSame } from "../lib/lines.mjs";
import { BackedUp, dump, linesOf, restore, s3Options, tidemark } from "../lib/tidemark.mjs";
import { Workload } from "../lib/workload.mjs";

const DATASET = 6000;

const justAbove = (versionstamp) => (BigInt(`0x${versionstamp}`) + 1n).toString(16).padStart(20, "0");

export default async function restores(suite, { minio, log }) {
  const source = await new BackedUp(minio, "restore/").start();
  const workload = await Workload.open(source.url, 21);
  const { journal } = workload;
  let prefix, newest;

  await suite.test("clients write, and all of it is shipped", async () => {
    await source.shipped(""); // the first snapshot is there: all that follows can be restored
    await workload.churn({ writers: 4, commits: 50 });
    await workload.dataset(DATASET);
    await workload.churn({ writers: 6, commits: 100 });
    await workload.large("restored");
    await workload.expiries("restored");
    await workload.churn({ writers: 6, commits: 100 });
    await source.shipped(journal.last());
    prefix = await source.place();
  });

  await suite.test("the newest state", async () => {
    newest = await restore(minio, prefix);
    expect(newest.versionstamp === journal.last(), `it is of ${newest.versionstamp} instead of ${journal.last()}`);
    const lines = expectSame(await dump(newest.to), await dump(source.dataDir), "the dump of what was restored");
    log(`${lines} lines of dump at ${newest.versionstamp}`);
  });

  await suite.test("the history is there, too", async () => {
    let lines = 0;
    const kept = journal.stamps().filter((stamp) => stamp >= newest.horizon);
    for (const share of [0, 0.2, 0.6, 0.9]) {
      const at = kept[Math.floor(share * (kept.length - 1))];
      lines += expectSame(await dump(newest.to, "--at", at), await dump(source.dataDir, "--at", at), `the dump at ${at}`);
    }
    log(`${lines} lines of dump of moments from ${newest.horizon} on`);
  });

  await suite.test("a restored store is served, with versionstamps and all, and goes on above them", async () => {
    const server = await Server.start(newest.to);
    const wanted = journal.linesAt(journal.last());
    expectSame(journal.withoutEnded(await linesOf(server.url)), wanted, "the restored store, with the journal");
    const again = await Workload.open(server.url, 22);
    expect((await again.large("after")) > newest.versionstamp, "the next commit lies below those that were restored");
    again.close();
    await server.end();
  });

  const stamps = () => journal.stamps();
  const asOf = async (moment, stamp) => {
    const restored = await restore(minio, prefix, "--at", moment);
    expect(restored.versionstamp === stamp, `--at ${moment}: it is of ${restored.versionstamp} instead of ${stamp}`);
    const lines = expectSame(await dump(restored.to), await dump(source.dataDir, "--at", stamp), `restored --at ${moment}`);
    log(`${lines} lines of dump restored --at ${moment}`);
  };
  await suite.test("as of a versionstamp", async () => {
    await asOf(stamps()[60], stamps()[60]);
    await asOf(stamps().at(-150), stamps().at(-150));
  });
  await suite.test("as of a versionstamp between two commits: the one below", async () => {
    await asOf(justAbove(stamps().at(-100)), stamps().at(-100));
  });
  await suite.test("as of a time", async () => {
    const moments = await source.moments(); // the newest first
    // One whose time is told apart from that of the next in milliseconds.
    const at = moments.findIndex(([, time], i) => i > 20 && time !== moments[i - 1][1]);
    await asOf(moments[at][1], moments[at][0]);
  });
  await suite.test("an older moment as clients had left it", async () => {
    const restored = await restore(minio, prefix, "--at", stamps()[60]);
    const server = await Server.start(restored.to);
    expectSame(await linesOf(server.url), journal.linesAt(stamps()[60]), "the restored store, with the journal");
    await server.end();
  });
  await suite.test("an object of the log that is missing, or was cut, is named, and nothing is restored", async () => {
    const logs = (await minio.s3.list(prefix)).map(({ key }) => key).filter((key) => key.includes("/logs/"));
    const at = logs.length >> 1;
    const bytes = await minio.s3.get(logs[at]);
    const cannot = async (words) => {
      const to = join(makeFolder("restored"), "data");
      const run = await runTidemark(["backup", "restore", "--to", to, ...s3Options(minio, prefix)], { env: minio.env });
      expect(run.code === 1 && run.stderr.includes(words) && !existsSync(to), `exit code ${run.code}: ${run.stderr}`);
    };
    await minio.s3.remove(logs[at]);
    await cannot("is missing before it");
    await minio.s3.put(logs[at], bytes.subarray(0, bytes.length >> 1));
    await cannot(logs[at].slice(prefix.length));
    await minio.s3.put(logs[at], bytes);
    expectSame(await dump((await restore(minio, prefix)).to), await dump(source.dataDir), "restored after it was put back");
  });
  await suite.test("`backup verify --restore` says the same", async () => {
    const said = await tidemark(["backup", "verify", "--restore", "--data-dir", source.dataDir, ...s3Options(minio, prefix)], minio.env);
    expect(said.includes("the backup is whole"), said);
  });
  workload.close();
  await source.end();
}
