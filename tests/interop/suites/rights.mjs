// The smallest rights that docs/BACKUP.md names do for each command, with temporary credentials; each right that is missing is named
// by `backup enable`; HTTPS with an authority of one's own.

import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { Authority } from "../../e2e/lib/certificates.mjs";
import { makeFolder, runTidemark, Server, sleep, TOKEN } from "../../e2e/lib/server.mjs";
import { expect, expectSame } from "../lib/lines.mjs";
import { mayOnly, startMinio } from "../lib/minio.mjs";
import { Replica } from "../lib/replica.mjs";
import { BackedUp, dump, restore, s3Options, tidemark } from "../lib/tidemark.mjs";
import { Workload } from "../lib/workload.mjs";

const WRITER = ["s3:PutObject", "s3:GetObject", "s3:DeleteObject"];
const READER = ["s3:GetObject"];
const COMMAND_MS_MAX = 60_000;

// `backup enable` of a database on a server with these credentials; gives the run.
async function enable(store, prefix) {
  const dataDir = makeFolder("rights");
  const server = await Server.startWith(["serve", "--data-dir", dataDir, "--addr", "127.0.0.1:0", "--access-token", TOKEN,
    "--metrics-addr", "off"], store.env);
  try {
    return await runTidemark(["backup", "enable", "--data-dir", dataDir, "--json", ...s3Options(store, prefix)], { msMax: COMMAND_MS_MAX });
  } finally {
    await server.end();
  }
}

export default async function rights(suite, { minio, log }) {
  for (const missing of [...WRITER, "s3:ListBucket"]) {
    await suite.test(`backup enable without ${missing}`, async () => {
      const prefix = `rights/${missing.slice(3)}/`;
      const env = await mayOnly(minio, prefix, WRITER.filter((one) => one !== missing), missing !== "s3:ListBucket");
      const run = await enable({ ...minio, env }, prefix);
      expect(run.code === 1 && run.stderr.trimEnd().split("\n").length === 1, `exit code ${run.code}: ${run.stderr}`);
      const named = [...run.stderr.matchAll(/s3:\w+/g)].map(([name]) => name);
      expect(named.join() === missing, `it names ${named.join()}: ${run.stderr}`);
    });
  }

  const prefix = "rights/all/";
  const writing = { ...minio, env: await mayOnly(minio, prefix, WRITER) };
  const reading = { ...minio, env: await mayOnly(minio, prefix, READER) };
  await suite.test("backup enable with all of them", async () => {
    const run = await enable(writing, prefix);
    expect(run.code === 0 && JSON.parse(run.stdout).conditionalWrites === true, `exit code ${run.code}: ${run.stdout} ${run.stderr}`);
    // What it tried is gone; what is there now is the backup.
    const probes = (await minio.s3.list(prefix)).filter(({ key }) => key.includes("probe-"));
    expect(probes.length === 0, `left behind: ${probes.map(({ key }) => key)}`);
  });

  let source, place, workload;
  await suite.test("serve --backup-to-s3", async () => {
    source = await new BackedUp(writing, `${prefix}served/`, { args: ["--backup-generation-age", "1s"] }).start();
    workload = await Workload.open(source.url, 61);
    const { prefix: first } = await source.shipped("");
    place = await source.place();
    await workload.churn({ writers: 2, commits: 30 });
    await source.shipped(workload.journal.last());
    // When it begins it looks how old the generation is.
    await sleep(1200);
    await source.end();
    await source.start();
    await workload.churn({ writers: 2, commits: 10 });
    await source.shipped(workload.journal.last(), { beyond: first });
  });
  await suite.test("restore, verify, list and a replica, which may only read", async () => {
    await source.shipped(workload.journal.last());
    const wanted = await source.lines();
    const { to } = await restore(reading, place);
    expectSame(await dump(to), await dump(source.dataDir), "what was restored");
    const verified = JSON.parse(await tidemark(["backup", "verify", ...s3Options(reading, place), "--json"], reading.env));
    expect(Math.abs(Date.parse(verified.end.time) - Date.now()) < 120_000, `verified up to ${verified.end.time}`);
    const listed = await tidemark(["backup", "list", ...s3Options(reading, `${prefix}served/`)], reading.env);
    expect(listed.includes(place.split("/").at(-2)), `backup list: ${listed}`);
    const replica = await new Replica(reading, place).start();
    log(`${expectSame(await replica.lines(), wanted, "the replica")} entries, verified ${JSON.stringify(verified)}`);
    await replica.server.end();
  });
  await suite.test("prune, with the rights that it needs, and with too few", async () => {
    await source.end();
    await sleep(1200);
    const before = await minio.s3.list(place);
    const prune = (env) => runTidemark(["backup", "prune", "--keep", "1s", ...s3Options(minio, place)], { env, msMax: COMMAND_MS_MAX });
    const refused = await prune(reading.env);
    expect(refused.code !== 0 && refused.stderr.trimEnd().split("\n").length === 1, `exit code ${refused.code}: ${refused.stderr}`);
    expect((await minio.s3.list(place)).length === before.length, "something was removed");
    const done = await prune(writing.env);
    expect(done.code === 0, `exit code ${done.code}: ${done.stderr}`);
    const after = await minio.s3.list(place);
    expect(after.length < before.length, `${before.length} objects before, ${after.length} after: ${done.stdout}`);
    const { to } = await restore(reading, place);
    expectSame(await dump(to), await dump(source.dataDir), "what was restored behind it");
    log(`${before.length} objects, ${after.length} after prune`);
  });
  workload?.close();

  await suite.test("HTTPS, with an authority of one's own and without", async () => {
    const certificates = makeFolder("certificates");
    const authority = await Authority.make(makeFolder("authority"));
    const { certificate, key } = await authority.issue();
    writeFileSync(join(certificates, "public.crt"), certificate);
    writeFileSync(join(certificates, "private.key"), key);
    const secure = await startMinio({ certificates });
    try {
      const trusting = { ...secure, env: { ...secure.env, AWS_CA_BUNDLE: authority.file } };
      // With the authority it is reached, and knows its bucket only when somebody has made it.
      for (const [store, words] of [[secure, /certificate/i], [trusting, /there is no bucket/]]) {
        const served = await new BackedUp(store, "tls/").start();
        await served.says(words);
        await served.end("SIGKILL");
      }
    } finally {
      await secure.service.stop();
    }
  });
}
