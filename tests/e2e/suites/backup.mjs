// Backups with real clients: into a store that speaks S3 (s3rver, which checks no signatures) and into a folder; restoring,
// replicas, promotion, and commits that count when they are in the backup.

import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { openKv, u64 } from "../lib/client.mjs";
import { FaultProxy } from "../lib/fault_proxy.mjs";
import { startS3rver } from "../lib/s3rver.mjs";
import { makeFolder, runTidemark, Server, sleep, TOKEN } from "../lib/server.mjs";

const WAIT_MS_MAX = 30_000;

// Waits until `look` gives something true, and gives that.
async function eventually(what, look) {
  for (const end = performance.now() + WAIT_MS_MAX; ;) {
    const found = await look();
    if (found) return found;
    if (performance.now() > end) throw new Error(`waited in vain: ${what}`);
    await sleep(50);
  }
}

const expect = (condition, message) => {
  if (!condition) throw new Error(message);
};

export default async function backup(suite) {
  process.env.DENO_KV_ACCESS_TOKEN = TOKEN;
  const s3 = await startS3rver();
  const environment = { DENO_KV_ACCESS_TOKEN: TOKEN, ...s3.env };
  const run = async (args, env = environment) => await runTidemark(args, { env });
  const tidemark = async (args, env) => {
    const done = await run(args, env);
    if (done.code !== 0) throw new Error(`tidemark ${args.join(" ")}: exit code ${done.code}\n${done.stderr}${done.stdout}`);
    return done.stdout;
  };
  const serve = (dataDir, ...args) => Server.startWith(
    ["serve", "--data-dir", dataDir, "--addr", "127.0.0.1:0", "--metrics-addr", "off", ...args], environment);
  const location = (prefix) => ["--s3-bucket", s3.bucket, "--s3-prefix", prefix, "--s3-endpoint", s3.endpoint];
  const dump = async (dataDir, ...args) => (await tidemark(["dump", "--data-dir", dataDir, ...args])).split("\n").slice(1).join("\n");
  const status = async (dataDir) => JSON.parse(await tidemark(["backup", "status", "--data-dir", dataDir, "--json"]));
  const shipped = (dataDir) => eventually("everything is shipped", async () => {
    const [one] = (await status(dataDir)).databases;
    return one.state === "active" && one.lag.commits === 0 && one;
  });
  const client = async (server, use) => {
    const kv = await openKv(server.url);
    try {
      return await use(kv);
    } finally {
      kv.close();
    }
  };
  const write = (server, from, count) => client(server, async (kv) => {
    for (let i = from; i < from + count; ++i) {
      await kv.set(["n", i % 40], { i, text: "x".repeat(i % 300) });
      if (i % 5 === 0) await kv.delete(["n", (i * 7) % 40]);
    }
    await kv.atomic().sum(["sum"], 3n).max(["max"], BigInt(from)).set(["bytes"], new Uint8Array([1, 2, from & 255])).commit();
    await kv.set(["u64"], u64(BigInt(from)));
  });
  const has = async (dataDir, wanted) => eventually("the replica has everything", async () => await dump(dataDir) === wanted);

  const primaryDir = makeFolder("primary"), replicaDir = makeFolder("replica");
  let primary = await serve(primaryDir, "--backup-to-s3", ...location("all/"), "--backup-interval", "200ms");
  let database;

  await suite.test("a database is backed up, and restored as of its end and of a moment before", async () => {
    await write(primary, 0, 60);
    const before = await shipped(primaryDir);
    const then = await dump(primaryDir);
    await write(primary, 60, 60);
    database = await shipped(primaryDir);
    expect(database.prefix.startsWith(`all/${database.id}/0001-`), database.prefix);
    const restored = join(makeFolder("restored"), "newest");
    await tidemark(["backup", "restore", "--to", restored, ...location(`all/${database.id}/`)]);
    expect(await dump(restored) === await dump(primaryDir), "the newest state is another one");
    const earlier = join(makeFolder("restored"), "earlier");
    const said = await tidemark(["backup", "restore", "--to", earlier, "--at", before.shipped.versionstamp, ...location("all/")]);
    expect(said.includes(before.shipped.versionstamp), said);
    expect(await dump(earlier) === then, "the earlier state is another one");
    // A line of history of its own, which takes writes.
    const server = await serve(restored);
    await write(server, 200, 3);
    await server.end();
    const info = await tidemark(["pitr", "info", "--data-dir", restored]);
    expect(/head .*\(02/.test(info), info);
  });

  await suite.test("verify finds it whole, also restored; and not whole when an object is gone", async () => {
    const whole = await tidemark(["backup", "verify", "--restore", "--data-dir", primaryDir, ...location("all/")]);
    expect(whole.includes("the backup is whole") && whole.includes("the same in all"), whole);
    const keys = (await s3.s3.list(`all/${database.id}/`)).map((one) => one.key ?? one);
    const log = keys.filter((key) => key.includes("/logs/")).sort()[1];
    const bytes = await s3.s3.get(log);
    await s3.s3.remove(log);
    const broken = await run(["backup", "verify", ...location("all/")]);
    expect(broken.code === 1 && broken.stdout.includes("NOT whole"), `${broken.code} ${broken.stdout}`);
    await s3.s3.put(log, bytes);
    expect((await tidemark(["backup", "verify", ...location("all/")])).includes("is whole"), "it is not whole again");
  });

  let replica;
  await suite.test("a replica follows, is read by clients, and takes no writes", async () => {
    replica = await serve(replicaDir, "--sync-from-s3", ...location(`all/${database.id}/`), "--sync-interval", "200ms");
    expect(replica.stderr.includes("Initial snapshot is complete, starting sync."), replica.stderr);
    expect(await dump(replicaDir) === await dump(primaryDir), "the replica has another state");
    await client(replica, async (kv) => {
      await client(primary, (writer) => writer.set(["watched"], "old"));
      await eventually("the key has come", async () => (await kv.get(["watched"])).value === "old");
      const watch = kv.watch([["watched"]]).getReader();
      expect((await watch.read()).value[0].value === "old", "the first state");
      await client(primary, (writer) => writer.set(["watched"], "seen"));
      expect((await watch.read()).value[0].value === "seen", "the watch missed the change");
      await watch.cancel();
      expect((await kv.get(["sum"])).value.value === 6n, "another sum");
      const refused = await kv.set(["w"], 1).then(() => null, (error) => error);
      expect(refused !== null, "it took a write");
    });
    await write(primary, 120, 60);
    await has(replicaDir, await dump(primaryDir));
    const lists = await Promise.all([primaryDir, replicaDir].map((dir) => tidemark(["pitr", "list", "--limit", "50", "--data-dir", dir])));
    expect(lists[0] === lists[1], "the points of history differ");
    const rewind = await run(["pitr", "rewind", database.shipped.versionstamp, "--yes", "--data-dir", replicaDir]);
    expect(rewind.code !== 0, "a replica was rewound");
  });

  await suite.test("both are killed, and go on; a rewind arrives", async () => {
    await write(primary, 180, 30);
    await primary.kill();
    await replica.kill();
    primary = await serve(primaryDir, "--backup-to-s3", ...location("all/"), "--backup-interval", "200ms");
    replica = await serve(replicaDir, "--sync-from-s3", ...location(`all/${database.id}/`), "--sync-interval", "200ms");
    await tidemark(["pitr", "rewind", database.shipped.versionstamp, "--yes", "--data-dir", primaryDir]);
    await write(primary, 210, 10);
    await has(replicaDir, await dump(primaryDir));
    await shipped(primaryDir);
    expect((await tidemark(["backup", "verify", "--restore", "--data-dir", primaryDir, ...location("all/")])).includes("is whole"), "");
  });

  await suite.test("a replica's store is not served as if it were its own", async () => {
    await replica.end();
    const refused = await run(["serve", "--data-dir", replicaDir, "--addr", "127.0.0.1:0", "--metrics-addr", "off"]);
    expect(refused.code === 1 && refused.stderr.includes("promote"), refused.stderr);
    const other = await run(["serve", "--data-dir", replicaDir, "--addr", "127.0.0.1:0", "--metrics-addr", "off",
      "--sync-from", `file://${makeFolder("other")}/`]);
    expect(other.code === 1 && other.stderr.includes("there is no backup"), other.stderr);
    replica = await serve(replicaDir, "--sync-from-s3", ...location(`all/${database.id}/`), "--sync-interval", "200ms");
  });

  await suite.test("a replica is promoted, the primary before stops, and another replica follows the new one", async () => {
    const said = await tidemark(["promote", "--data-dir", replicaDir]);
    expect(said.includes("in epoch 2"), said);
    expect((await status(replicaDir)).replica === undefined, "it is called a replica still");
    const before = await dump(replicaDir);
    expect(before === await dump(primaryDir), "it did not take over everything");
    await write(replica, 300, 30);
    await client(primary, async (kv) => {
      await kv.set(["lost"], 1).catch(() => {});
      await eventually("the old primary refuses writes", () => kv.set(["lost"], 2).then(() => false, () => true));
    });
    expect((await status(primaryDir)).databases[0].message.includes("another server"), "the old primary says nothing");
    await eventually("the new primary is backed up", async () => (await status(replicaDir)).databases[0].state === "active");
    await shipped(replicaDir);
    const thirdDir = makeFolder("third");
    const third = await serve(thirdDir, "--sync-from-s3", ...location(`all/${database.id}/`), "--sync-interval", "200ms");
    await has(thirdDir, await dump(replicaDir));
    expect(!(await dump(thirdDir)).includes('"lost"'), "it has what only the old primary had");
    await third.end();
    await replica.end();
    // It is a primary from now on.
    replica = await serve(replicaDir, "--backup-interval", "200ms");
    await write(replica, 330, 5);
    await shipped(replicaDir);
    expect((await tidemark(["backup", "verify", "--restore", "--data-dir", replicaDir, ...location("all/")])).includes("is whole"), "");
    await replica.end();
    await primary.end();
  });

  await suite.test("into a folder, enabled and disabled while it is served", async () => {
    const dataDir = makeFolder("enabled"), folder = makeFolder("target");
    const server = await serve(dataDir);
    await write(server, 0, 10);
    const refused = await run(["backup", "enable", "--to", "file:///there/is/no/such/folder/", "--data-dir", dataDir]);
    expect(refused.code === 1 && refused.stderr.trim().split("\n").length === 1, refused.stderr);
    await tidemark(["backup", "enable", "--to", `file://${folder}/`, "--data-dir", dataDir]);
    const one = await shipped(dataDir);
    await tidemark(["backup", "disable", "--data-dir", dataDir]);
    await write(server, 10, 10);
    expect((await status(dataDir)).databases[0].enabled === false, "it is not disabled");
    await tidemark(["backup", "enable", "--to", `file://${folder}/`, "--data-dir", dataDir]);
    await shipped(dataDir);
    const restored = join(makeFolder("restored"), "folder");
    await tidemark(["backup", "restore", "--to", restored, "--from", `file://${folder}/`]);
    expect(await dump(restored) === await dump(dataDir), "the restored state is another one");
    expect(readdirSync(join(folder, one.id)).includes("backup.json"), "there is no index");
    await server.end();
  });

  await suite.test("--durability backup: what was acknowledged is in the backup, whatever becomes of the disk", async () => {
    const dataDir = makeFolder("durable"), folder = makeFolder("target");
    const server = await serve(dataDir, "--durability", "backup", "--backup-to", `file://${folder}/`);
    const acknowledged = new Map();
    await client(server, async (kv) => {
      let killed = false;
      const writers = Array.from({ length: 8 }, async (_, w) => {
        for (let i = 0; !killed; ++i) {
          const done = await kv.set(["w", w], i).then(() => true, () => false);
          if (done) acknowledged.set(w, i);
        }
      });
      await sleep(1500);
      killed = true;
      await server.kill();
      await Promise.race([Promise.all(writers), sleep(2000)]);
    });
    rmSync(dataDir, { recursive: true });
    expect(acknowledged.size === 8, "some writer was never answered");
    const restored = join(makeFolder("restored"), "durable");
    await tidemark(["backup", "restore", "--to", restored, "--from", `file://${folder}/`]);
    const after = await serve(restored);
    await client(after, async (kv) => {
      for (const [w, i] of acknowledged) {
        const { value } = await kv.get(["w", w]);
        expect(value >= i, `writer ${w} was told that ${i} is safe, and ${value} is there`);
      }
    });
    await after.end();
  });

  await suite.test("--durability backup, the bucket is away: commits wait, but not operators, nor the server's end", async () => {
    const proxy = await FaultProxy.start(s3.endpoint);
    const dataDir = makeFolder("away");
    const args = ["--durability", "backup", "--backup-to-s3", "--s3-bucket", s3.bucket, "--s3-prefix", "away/", "--s3-endpoint", proxy.url];
    let server = await serve(dataDir, ...args, "--shutdown-timeout", "4s");
    await shipped(dataDir);
    await client(server, (kv) => kv.set(["a"], "old"));
    const [{ prefix }] = (await status(dataDir)).databases;
    proxy.add({ fault: "internal" });
    const kv = await openKv(server.url);
    let answered = 0;
    for (let i = 0; i < 5; ++i) kv.set(["a"], `new ${i}`).then(() => ++answered, () => ++answered);
    await eventually("the bucket is said to be away", async () => (await status(dataDir)).databases[0].message !== "");
    expect(answered === 0 && (await kv.get(["a"])).value === "old", "a commit counts that is not in the backup");
    await tidemark(["pitr", "fork", "now", "forked", "--data-dir", dataDir]);
    expect((await dump(dataDir, "--database", "forked")).includes('"old"'), "the fork is not what was seen");
    expect((await tidemark(["db", "list", "--data-dir", dataDir])).includes("forked"), "the fork is not listed");
    expect(answered === 0, "a commit was answered");
    const { code } = await server.end();
    expect(code === 0 && server.stderr.trim().endsWith("stopped"), `exit code ${code}: ${server.stderr}`);
    // Who waited was told in time.
    expect(server.stderr.includes("unknown outcome") && !server.stderr.includes("cut off"), server.stderr);
    kv.close();

    proxy.clear();
    server = await serve(dataDir, ...args);
    expect((await shipped(dataDir)).prefix === prefix, "another generation began");
    await client(server, async (again) => {
      const { value } = await again.get(["a"]);
      expect(value.startsWith("new"), `the last commits are gone: ${value}`);
    });
    await server.end();
    await proxy.close();
  });

  await suite.test("--durability backup: a rewind waits for the backup as commits do", async () => {
    const dataDir = makeFolder("rewound");
    const server = await serve(dataDir, "--durability", "backup", "--backup-to-s3", ...location("rewound/"));
    await client(server, async (kv) => {
      await kv.set(["kept"], 1);
      const { versionstamp } = await kv.set(["changed"], "before");
      let over = false;
      const writers = Array.from({ length: 8 }, async (_, w) => {
        for (let i = 0; !over; ++i) await kv.atomic().set(["w", w], i).set(["changed"], `${w} ${i}`).commit();
      });
      await sleep(500);
      await tidemark(["pitr", "rewind", versionstamp, "--yes", "--data-dir", dataDir]);
      over = true;
      await Promise.all(writers);
      await tidemark(["pitr", "rewind", versionstamp, "--yes", "--data-dir", dataDir]);
      const entries = [];
      for await (const { key, value } of kv.list({ prefix: [] })) entries.push([key.join(" "), value]);
      expect(JSON.stringify(entries) === '[["changed","before"],["kept",1]]', JSON.stringify(entries));
    });
    const restored = join(makeFolder("restored"), "rewound");
    await tidemark(["backup", "restore", "--to", restored, ...location("rewound/")]);
    expect(await dump(restored) === await dump(dataDir), "what was rewound is not what is restored");
    await server.end();
  });

  await suite.test("what is wrong is said in one line, and nothing is made", async () => {
    const to = join(makeFolder("none"), "new");
    const cases = [
      [["backup", "restore", "--to", to, ...location("nothing/here/")], "there is no backup"],
      [["backup", "restore", "--to", to, "--s3-bucket", "no-such-bucket", "--s3-prefix", "x/", "--s3-endpoint", s3.endpoint], "no-such-bucket"],
      [["backup", "restore", "--to", to, "--s3-bucket", s3.bucket, "--s3-prefix", "all", "--s3-endpoint", s3.endpoint], "must end in a slash"],
      [["backup", "restore", "--to", to], "where is the backup"],
      [["backup", "restore", "--to", to, "--at", "some day", ...location("all/")], "some day"],
      [["backup", "restore", "--to", to, "--at", "2001-01-01T00:00:00Z", ...location("all/")], "begins at"],
      [["backup", "restore", "--to", primaryDir, ...location("all/")], "holds something already"],
      [["serve", "--data-dir", to, "--durability", "backup"], "needs --backup-to"],
      [["serve", "--data-dir", to, "--backup-to-s3"], "needs --s3-bucket"],
      [["serve", "--data-dir", to, "--backup-to", "ftp://x/"], "begins with s3://"],
      [["promote", "--data-dir", primaryDir], "not being served as a replica"],
    ];
    for (const [args, part] of cases) {
      const done = await run(args);
      expect(done.code !== 0 && done.stderr.includes(part) && done.stderr.trim().split("\n").length === 1,
        `${args.join(" ")}: exit code ${done.code}\n${done.stderr}`);
    }
    expect(!readdirSync(join(to, "..")).some((name) => name.startsWith("new")), "something was made");
    await s3.s3.put("foreign/backup.json", Buffer.from('{"format": 99}'));
    const newer = await run(["backup", "restore", "--to", to, ...location("foreign/")]);
    expect(newer.code === 1 && newer.stderr.includes("newer version"), newer.stderr);
  });
  await s3.service.stop();
}
