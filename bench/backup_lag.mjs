// How long commits take into a bucket and to a replica, at 1,000 commits/s for some time:
// node backup_lag.mjs ENDPOINT BUCKET SECONDS
//
// A commit's time is in its versionstamp, in microseconds. It is in the bucket when
// the primary's own status says so, which is asked for all the time; the replica's newest commit likewise.

import { makeFolder, cleanUpAtTheEnd, runTidemark, Server, sleep, TOKEN } from "../tests/e2e/lib/server.mjs";
import { Http2, Session, set } from "../tests/e2e/lib/wire.mjs";

const [endpoint, bucket, secondsText] = process.argv.slice(2);
const seconds = Number(secondsText), RATE = 1000, STEP_MS = 10;
cleanUpAtTheEnd();

const env = { ...process.env, DENO_KV_ACCESS_TOKEN: TOKEN };
const location = ["--s3-bucket", bucket, "--s3-prefix", "lag/", "--s3-endpoint", endpoint];
const serve = (dataDir, ...args) =>
  Server.startWith(["serve", "--data-dir", dataDir, "--addr", "127.0.0.1:0", "--metrics-addr", "off", ...args, ...location], env);
const status = async (dataDir) => JSON.parse((await runTidemark(["backup", "status", "--json", "--data-dir", dataDir], { env })).stdout);
const timeOf = (stamp) => Number((BigInt(`0x${stamp.slice(0, 16)}`) & ((1n << 56n) - 1n)) / 1000n);
const percentile = (values, p) => values.sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * p))];

const primaryDir = makeFolder("primary"), replicaDir = makeFolder("replica");
const primary = await serve(primaryDir, "--backup-to-s3");
while ((await status(primaryDir)).databases[0].state !== "active") await sleep(100);
const replica = await serve(replicaDir, "--sync-from-s3");
const session = await Session.open(new Http2(primary.url), TOKEN);

let running = true, sent = 0, failed = 0;
const load = (async () => {
  const begun = performance.now();
  const open = new Set();
  while (running) {
    const wanted = Math.floor((performance.now() - begun) * RATE / 1000);
    for (; sent < wanted; ++sent) {
      const key = Buffer.concat([Buffer.from([2]), Buffer.from(`k${sent % 5000}`), Buffer.from([0])]);
      const one = session.atomicWrite([set(key, Buffer.alloc(100, 120))]).catch(() => failed++).finally(() => open.delete(one));
      open.add(one);
    }
    await sleep(STEP_MS);
  }
  await Promise.all(open);
})();

// What is not in the bucket at a moment is as old as the oldest commit that is not.
const watch = async (dataDir, newest, ages) => {
  while (running) {
    const answer = await status(dataDir);
    const stamp = newest(answer);
    if (stamp) ages.push(Date.now() - timeOf(stamp));
    await sleep(20);
  }
};
const bucketAges = [], replicaAges = [];
await sleep(3000);
const watches = [
  watch(primaryDir, (answer) => answer.databases[0].shipped.versionstamp, bucketAges),
  watch(replicaDir, (answer) => answer.replica.versionstamp, replicaAges),
];
await sleep(seconds * 1000);
running = false;
await Promise.all([load, ...watches]);
console.log(`${sent} commits in ${seconds + 3} s, ${failed} failed`);
for (const [name, ages] of [["age of what is not in the bucket", bucketAges], ["staleness of the replica", replicaAges]])
  console.log(`${name}: ${ages.length} looks, median ${percentile(ages, 0.5)} ms, p99 ${percentile(ages, 0.99)} ms, largest ${percentile(ages, 1)} ms`);
await replica.end();
await primary.end();
process.exit(0);
