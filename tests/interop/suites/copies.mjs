// Data folders that are copied, and put back: a backup is written by one store at a time, and never mixes two histories.

import { cpSync, renameSync } from "node:fs";
import { join } from "node:path";

import { makeFolder, sleep } from "../../e2e/lib/server.mjs";
import { Denokv } from "../lib/denokv.mjs";
import { expect, expectSame } from "../lib/lines.mjs";
import { BackedUp, dump, restore } from "../lib/tidemark.mjs";
import { Workload } from "../lib/workload.mjs";

const LATEST = "f".repeat(20);

// A stopped store's.
function copyOf(dataDir) {
  const copy = join(makeFolder("copy"), "data");
  cpSync(dataDir, copy, { recursive: true, filter: (path) => !path.endsWith(".sock") });
  return copy;
}

async function write(source, seed, journal) {
  const workload = await Workload.open(source.url, seed, journal);
  await workload.churn({ writers: 4, commits: 40 });
  workload.close();
  return workload.journal;
}

// What is restored, and what denokv reads, is what this store has.
async function isBackupOf(source, versionstamp, log) {
  const { prefix } = await source.shipped(versionstamp);
  const restored = await restore(source.store, await source.place());
  const lines = expectSame(await dump(restored.to), await dump(source.dataDir), "restored");
  const denokv = new Denokv(source.store, prefix);
  await denokv.sync();
  await denokv.checkout(LATEST);
  expectSame(await denokv.lines(), await source.lines(), "denokv");
  log(`${lines} lines restored, prefix ${prefix}`);
}

export default async function copies(suite, { minio, log }) {
  await suite.test("a data folder from before is put back: a new generation, and the old one is still there", async () => {
    const folder = makeFolder("older");
    const source = await new BackedUp(minio, "copies/older/", { dataDir: join(folder, "data") }).start();
    const journal = await write(source, 61);
    await source.shipped(journal.last());
    await source.end();
    const older = copyOf(source.dataDir);
    await source.start();
    await write(source, 62, journal);
    const lost = journal.last();
    await source.shipped(lost);
    const before = await dump(source.dataDir);
    await source.end();

    renameSync(source.dataDir, join(folder, "lost"));
    renameSync(older, source.dataDir);
    await source.start();
    const other = await write(source, 63);
    await isBackupOf(source, other.last(), log);
    const again = await restore(minio, await source.place(), "--at", lost);
    expectSame(await dump(again.to), before, "restored as of what was lost");
    await source.end();
  });

  await suite.test("two copies are served at once: one of them writes the backup, the other says that it does not", async () => {
    const one = await new BackedUp(minio, "copies/two/").start();
    const journal = await write(one, 64);
    await one.shipped(journal.last());
    await one.end();
    const two = new BackedUp(minio, "copies/two/", { dataDir: copyOf(one.dataDir) });
    await one.start();
    await one.shipped(journal.last());
    await two.start();
    await two.shipped(journal.last());
    const ofTwo = await write(two, 65);
    await two.shipped(ofTwo.last());
    await write(one, 66);
    for (let i = 0; (await one.status()).state !== "failed"; i++) {
      expect(i < 100, `the other one goes on: ${JSON.stringify(await one.status())}`);
      await sleep(100);
    }
    const { message } = await one.status();
    expect(/another run of this server, or a copy of its store, writes the backup/.test(message), message);
    expect(one.server.stderr.split("\n").filter((line) => line.includes(message)).length === 1, `not said once: ${one.server.stderr}`);
    const more = await write(two, 67);
    await isBackupOf(two, more.last(), log);
    await one.end("SIGKILL");
    await two.end();
  });

  await suite.test("a restored store is another one: it has a backup of its own, and leaves the first alone", async () => {
    const first = await new BackedUp(minio, "copies/restored/").start();
    const journal = await write(first, 68);
    await first.shipped(journal.last());
    const { to } = await restore(minio, await first.place());
    const second = await new BackedUp(minio, "copies/restored/", { dataDir: to }).start();
    const other = await write(second, 69);
    await write(first, 70, journal);
    await isBackupOf(second, other.last(), log);
    await isBackupOf(first, journal.last(), log);
    expect((await first.place()) !== (await second.place()), "both have the same id");
    await first.end();
    await second.end();
  });
}
