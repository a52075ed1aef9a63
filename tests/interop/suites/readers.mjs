// denokv reads what Tidemark has written: by `pitr`, moment by moment, and as a replica that serves. Each state is compared
// entry by entry with Tidemark's own view of that versionstamp, and with what the clients know that they have written.

import { KvU64, openKv } from "../../e2e/lib/client.mjs";
import { encodeKey, hex } from "../../e2e/lib/keys.mjs";
import { sleep, TOKEN } from "../../e2e/lib/server.mjs";
import { Denokv } from "../lib/denokv.mjs";
import { expect, expectSame } from "../lib/lines.mjs";
import { BackedUp, linesOf, tidemark } from "../lib/tidemark.mjs";
import { Workload } from "../lib/workload.mjs";

const DATASET = 6500; // what has every pair of kinds of key parts, and some
const FOLLOWED_MS_MAX = 40_000; // it looks every 10 to 15 s
const LATEST = "f".repeat(20);

class Comparison {
  states = 0;
  entries = 0;

  constructor(source, workload) {
    Object.assign(this, { source, workload });
  }

  // What denokv shows must be what was there at the versionstamp. `alsoJournal` not after a rewind, which is no client's doing.
  async same(found, versionstamp, what, { alsoJournal = true } = {}) {
    const { journal } = this.workload;
    this.entries += expectSame(found, await this.source.lines(versionstamp), `${what} at ${versionstamp}, with Tidemark's view`);
    if (alsoJournal) expectSame(journal.withoutEnded(found), journal.linesAt(versionstamp), `${what} at ${versionstamp}, with the journal`);
    this.states++;
  }

  toString() {
    return `${this.states} states, ${this.entries} entries`;
  }
}

// First, last, and some between them: where one of many is lost, and where the log's objects end.
function someOf(stamps, ...also) {
  const at = (share) => stamps[Math.floor(share * (stamps.length - 1))];
  return [...new Set([...[0, 0.1, 0.3, 0.5, 0.7, 0.9, 1].map(at), ...also])].sort();
}

async function reads(denokv, comparison, stamps, log) {
  // There and back, by leaps that go over many commits, and one by one.
  const order = [...stamps].reverse().concat(stamps.filter((_, i) => i % 2), stamps[0], stamps.at(-1));
  for (const versionstamp of order) {
    const now = await denokv.checkout(versionstamp);
    expect(now === versionstamp && (await denokv.info()) === versionstamp, `checked out ${versionstamp}, denokv is at ${now}`);
    await comparison.same(await denokv.lines(), versionstamp, "checked out");
  }
  log(`checked out ${[...new Set(order)].join(" ")}`);
}

// Through the client: values as programs see them, not only bytes.
async function readByClient(url, journal) {
  const kv = await openKv(url, { accessToken: TOKEN });
  try {
    const found = [];
    for await (const { key, value, versionstamp } of kv.list({ prefix: [] }, { batchSize: 500 })) {
      const kind = value instanceof KvU64 ? "u64" : value instanceof Uint8Array ? "bytes" : "v8";
      found.push(`${hex(encodeKey(key))} ${kind} ${versionstamp}`);
    }
    const kinds = { 1: "v8", 2: "u64", 3: "bytes" };
    const wanted = journal.linesAt(LATEST).map((line) => {
      const [key, , encoding, versionstamp] = line.split(" ");
      return `${key} ${kinds[encoding]} ${versionstamp}`;
    });
    return expectSame(journal.withoutEnded(found), wanted, "through @deno/kv");
  } finally {
    kv.close();
  }
}

export default async function readers(suite, { minio, log }) {
  let source = await new BackedUp(minio, "readers/").start();
  const workload = await Workload.open(source.url, 11);
  const { journal } = workload;
  const comparison = new Comparison(source, workload);
  let status, denokv, replica, first, large;

  await suite.test("clients write, and all of it is shipped", async () => {
    await workload.churn({ writers: 4, commits: 20 }); // while the first snapshot is being written
    await source.shipped(journal.last());
    first = await workload.large("before the others");
    await workload.dataset(DATASET);
    await workload.churn({ writers: 6, commits: 80 });
    large = [journal.last(), await workload.large("first")];
    await workload.empty();
    await workload.expiries("first");
    await workload.churn({ writers: 6, commits: 80 });
    status = await source.shipped(journal.last());
    log(`${journal.commits.length} commits, ${journal.linesAt(LATEST).length} entries, prefix ${status.prefix}`);
  });

  await suite.test("denokv pitr sync, list", async () => {
    denokv = new Denokv(minio, status.prefix);
    await denokv.sync();
    const [listed, known] = [await denokv.list(), new Map(await source.moments())];
    const differential = (await minio.s3.get(`${status.prefix}differential`)).toString();
    expectSame(listed.map(([stamp]) => stamp).sort().reverse(), listed.map(([stamp]) => stamp), "the order of the list");
    for (const [stamp, time] of listed) {
      expect(known.has(stamp), `denokv lists ${stamp}, which Tidemark does not`);
      const ms = Math.abs(Date.parse(time) - Date.parse(known.get(stamp)));
      expect(ms <= 5000, `${stamp}: denokv says ${time}, Tidemark ${known.get(stamp)}`);
    }
    const stamps = new Set(listed.map(([stamp]) => stamp));
    const missing = journal.stamps().filter((stamp) => stamp > differential && !stamps.has(stamp));
    expect(missing.length === 0, `not in the list: ${missing.length} commits, such as ${missing[0]}`);
    log(`denokv lists ${listed.length} commits, snapshot at ${differential}`);
  });

  await suite.test("denokv pitr checkout: every state is the one it was", async () => {
    const all = journal.stamps();
    await reads(denokv, comparison, someOf(all.slice(all.indexOf(first)), ...large), log);
  });

  await suite.test("denokv pitr list --start --end", async () => {
    const listed = (await denokv.list()).map(([, time]) => time).sort();
    const [start, end] = [listed[listed.length >> 2], listed[(3 * listed.length) >> 2]];
    const between = (await denokv.list("--start", start, "--end", end)).map(([, time]) => time).sort();
    expectSame(between, listed.filter((time) => time >= start && time < end), "the times between two times");
  });

  await suite.test("denokv serve --sync-from-s3: the same for every client", async () => {
    replica = await new Denokv(minio, status.prefix).serve();
    await comparison.same(await linesOf(replica.url), journal.last(), "served");
    log(`${await readByClient(replica.url, journal)} entries through @deno/kv`);
  });

  await suite.test("more writes and deletions reach a denokv that had synced before", async () => {
    await workload.churn({ writers: 6, commits: 60 });
    await workload.large("first"); // over what was deleted and written
    await source.shipped(journal.last());
    await denokv.sync();
    expect((await denokv.checkout(LATEST)) === journal.last(), "it has not come to the last commit");
    await comparison.same(await denokv.lines(), journal.last(), "synced again");
  });

  let rewound;
  await suite.test("a rewind reaches denokv, and it can go back to before", async () => {
    const [before, target] = [journal.last(), journal.stamps().at(-200)];
    await tidemark(["pitr", "rewind", target, "--data-dir", source.dataDir, "--yes"]);
    [[rewound]] = await source.moments();
    expect(rewound > before, "the rewind has no commit of its own");
    await source.shipped(rewound);
    await denokv.sync();
    expect((await denokv.checkout(LATEST)) === rewound, "it has not come to the rewind");
    const found = await denokv.lines();
    await comparison.same(found, rewound, "rewound", { alsoJournal: false });
    const bare = (lines) => journal.withoutEnded(lines).map((line) => line.replace(/ \w+$/, ""));
    expectSame(bare(found), bare(journal.linesAt(target)), "keys and values after the rewind, with the journal");
    await denokv.checkout(before);
    await comparison.same(await denokv.lines(), before, "before the rewind");
    log(`rewound to ${target} by ${rewound}`);
  });
  await suite.test("the replica of denokv follows by itself", async () => {
    const wanted = await source.lines(rewound);
    for (const until = performance.now() + FOLLOWED_MS_MAX; ;) {
      const found = await linesOf(replica.url);
      if (found.join() === wanted.join()) break;
      if (performance.now() > until) expectSame(found, wanted, `denokv's replica after ${FOLLOWED_MS_MAX} ms`);
      await sleep(500);
    }
    await replica.service.stop();
  });

  // A new generation begins with a snapshot of what is there then; one that is read with anything else beside it would bring
  // back what was deleted.
  const generation = async (what, args, prefix) => {
    await source.end();
    source = comparison.source = await new BackedUp(minio, prefix, { dataDir: source.dataDir, args }).start();
    const load = await Workload.open(source.url, 12, journal);
    const before = status.prefix;
    await load.churn({ writers: 4, commits: 60, pauseMs: 5 }); // while the snapshot is being written
    await load.large(what);
    await load.empty(); // the last commit of all has no place in the log
    status = await source.shipped(journal.last(), { beyond: before });
    const fresh = new Denokv(minio, status.prefix);
    await fresh.sync();
    const last = journal.stamps().at(-1);
    expect((await fresh.checkout(LATEST)) === last, `it has not come to ${last}, but to ${await fresh.info()}`);
    await comparison.same(await fresh.lines(), last, what, { alsoJournal: false });
    const listed = (await fresh.list()).map(([stamp]) => stamp);
    const some = listed[listed.length >> 1];
    expect((await fresh.checkout(some)) === some, `it does not come to ${some}`);
    await comparison.same(await fresh.lines(), some, what, { alsoJournal: false });
    load.close();
    log(`${what}: prefix ${status.prefix}, ${listed.length} commits after the snapshot`);
  };
  await suite.test("a denokv that begins with a later generation", () =>
    generation("a later generation", ["--backup-generation-age", "1s"], "readers/"));
  await suite.test("a denokv that begins with a backup to another prefix", () => generation("another prefix", [], "readers-again/"));

  await suite.test("the denokv that had synced with the first generation still has all that it had", async () => {
    const stamp = journal.stamps()[500];
    await denokv.checkout(stamp);
    await comparison.same(await denokv.lines(), stamp, "the first generation");
  });
  workload.close();
  await source.end();
  log(`compared with denokv: ${comparison}`);
}
