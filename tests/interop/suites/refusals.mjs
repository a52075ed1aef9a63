// What is wrong with a store or a setting is said in one line that says what to mend, by the log, by `backup status` and by
// `backup restore`; and nothing in the bucket is written over.

import { existsSync } from "node:fs";
import { join } from "node:path";

import { freePort } from "../../e2e/lib/s3_service.mjs";
import { makeFolder, runTidemark, Server, TOKEN } from "../../e2e/lib/server.mjs";
import { expect, expectSame } from "../lib/lines.mjs";
import { BackedUp, restore, s3Options, tidemark } from "../lib/tidemark.mjs";
import { Workload } from "../lib/workload.mjs";

const STATUS_MS_MAX = 30_000;

// A bucket's objects with their contents' tags.
const contents = async ({ s3 }, prefix) => (await s3.list(prefix)).map(({ key, size, tag }) => `${key} ${size} ${tag}`);

// The log's lines that call for somebody, or speak of these words.
const linesWith = (source, words) => source.server.stderr.split("\n")
  .filter((line) => /^\S+ (warning|error) /.test(line) || (words.test(line) && !/ info .* trying again in /.test(line)));

// A server with this backup serves clients, and says what is wrong with its backup.
async function serves(store, prefix, words, { state = "failed", dataDir } = {}) {
  const source = await new BackedUp(store, prefix, dataDir ? { dataDir } : {}).start();
  try {
    const workload = await Workload.open(source.url, 51);
    await workload.churn({ writers: 2, commits: 10 });
    workload.close();
    const status = await source.says(words);
    expect(status.state === state, `the state is ${status.state}: ${status.message}`);
    expect(!status.message.includes("\n"), `more than one line: ${status.message}`);
    const said = linesWith(source, words);
    expect(said.length === 1 && words.test(said[0]), `not one line in the log, but ${said.length}:\n${source.server.stderr}`);
  } finally {
    await source.end("SIGKILL");
  }
}

// It must fail with one line, and leave nothing behind.
async function cannotRestore(store, prefix, words, code = 1) {
  const to = join(makeFolder("refused"), "data");
  const run = await runTidemark(["backup", "restore", "--to", to, ...s3Options(store, prefix)], { env: store.env, msMax: STATUS_MS_MAX });
  expect(run.code === code && words.test(run.stderr), `exit code ${run.code}: ${run.stderr}`);
  expect(run.stderr.trimEnd().split("\n").length === 1, `more than one line: ${run.stderr}`);
  expect(!existsSync(to), `${to} was made`);
}

// A store that was served once, without a backup; gives its folder and the id of its database.
async function newStore() {
  const dataDir = makeFolder("interop");
  await (await Server.start(dataDir, { args: ["--metrics-addr", "off"] })).end();
  const [{ id }] = JSON.parse(await tidemark(["db", "list", "--data-dir", dataDir, "--json"])).databases;
  return { dataDir, id };
}

export default async function refusals(suite, { minio }) {
  const wrongSecret = { ...minio, env: { ...minio.env, AWS_SECRET_ACCESS_KEY: "some other secret" } };
  const wrongKey = { ...minio, env: { ...minio.env, AWS_ACCESS_KEY_ID: "NOBODY" } };
  const noBucket = { ...minio, bucket: "there-is-no-such-bucket" };
  const nobody = { ...minio, endpoint: `http://127.0.0.1:${await freePort()}` };
  const good = "refusals/good/";

  // What is there, and must stay.
  const source = await new BackedUp(minio, good).start();
  const workload = await Workload.open(source.url, 52);
  await workload.churn({ writers: 2, commits: 30 });
  await source.shipped(workload.journal.last());
  const prefix = await source.place();
  await source.end();
  const before = await contents(minio, good);
  const unchanged = async () => expectSame(await contents(minio, good), before, "the bucket's contents");
  const refused = (name, run) => suite.test(name, async () => {
    await run();
    await unchanged();
  });

  const kinds = [
    ["a wrong secret", wrongSecret, /secret access key does not go with the access key id/],
    ["an access key id that nobody has", wrongKey, /does not know this access key id/],
    ["a missing bucket", noBucket, /there is no bucket there-is-no-such-bucket there/],
  ];
  for (const [name, store, words] of kinds) {
    await refused(`${name}: serve`, () => serves(store, good, words));
    await refused(`${name}: restore`, () => cannotRestore(store, prefix, words));
  }
  await refused("an endpoint where nobody answers: serve", () => serves(nobody, good, /cannot be reached/, { state: "pending" }));
  await refused("an endpoint where nobody answers: restore", () => cannotRestore(nobody, prefix, /cannot be reached/));

  await refused("a prefix without a slash", async () => {
    const words = /--s3-prefix must end in a slash: 'refusals\/good\/'/;
    await cannotRestore(minio, good.slice(0, -1), words, 2);
    const run = await runTidemark(["serve", "--data-dir", makeFolder("interop"), "--addr", "127.0.0.1:0", "--access-token", TOKEN,
      "--backup-to-s3", ...s3Options(minio, good.slice(0, -1))], { env: minio.env });
    expect(run.code === 2 && words.test(run.stderr) && run.stderr.trimEnd().split("\n").length === 1, `exit code ${run.code}: ${run.stderr}`);
  });
  await refused("a prefix with no backup below it", () => cannotRestore(minio, "refusals/none/", /there is no backup in s3:\/\/interop\/refusals\/none\//));
  await refused("a folder that holds something already", async () => {
    const run = await runTidemark(["backup", "restore", "--to", source.dataDir, ...s3Options(minio, prefix)], { env: minio.env });
    expect(run.code !== 0 && /holds something already/.test(run.stderr), `exit code ${run.code}: ${run.stderr}`);
  });

  await suite.test("objects of somebody else under the prefix", async () => {
    const { dataDir, id } = await newStore();
    const theirs = "refusals/foreign/";
    await minio.s3.put(`${theirs}${id}/holiday.jpg`, "not ours");
    const there = await contents(minio, theirs);
    await serves(minio, theirs, /are no backup of ours, such as .*holiday\.jpg: name another prefix/, { dataDir });
    await cannotRestore(minio, `${theirs}${id}/`, /there is no backup in/);
    expectSame(await contents(minio, theirs), there, "what somebody else had put there");
  });
  await suite.test("an object of somebody else in the log", async () => {
    const own = "refusals/log/";
    const served = await new BackedUp(minio, own).start();
    const load = await Workload.open(served.url, 53);
    await load.churn({ writers: 2, commits: 20 });
    const { prefix: generation } = await served.shipped(load.journal.last());
    load.close();
    await served.end();
    const notes = `${generation}logs/notes.txt`;
    await minio.s3.put(notes, "not ours");
    const there = (await contents(minio, own)).filter((line) => !line.includes("/backup.json "));
    const words = /logs\/notes\.txt is no object of a backup: remove it/;
    await serves(minio, own, words, { dataDir: served.dataDir });
    expectSame((await contents(minio, own)).filter((line) => !line.includes("/backup.json ")), there, "the backup");
    await minio.s3.remove(notes);
    await served.start();
    const { versionstamp } = await restore(minio, await served.place());
    expect(versionstamp >= load.journal.last(), "the backup does not go on once the object is gone");
    await served.end();
  });
  await refused("the backup of another database", async () => {
    const { dataDir, id } = await newStore();
    const own = "refusals/other/";
    const index = await minio.s3.get(`${prefix}backup.json`);
    await minio.s3.put(`${own}${id}/backup.json`, index);
    await serves(minio, own, /backup\.json is of another database, .*: name another prefix/, { dataDir });
    expect(index.equals(await minio.s3.get(`${own}${id}/backup.json`)), "the index of another database was written over");
  });
  workload.close();
}
