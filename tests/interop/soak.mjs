// A long soak of primary, replica and bucket: ./dev soak [--minutes N] [--seed S] [--durability-backup]
// The exit code is 1 if something was wrong.

import { cleanUp, cleanUpAtTheEnd } from "../e2e/lib/server.mjs";
import { startMinio } from "./lib/minio.mjs";
import { soak } from "./lib/soak.mjs";

const usage = "usage: ./dev soak [--minutes N] [--seed S] [--durability-backup]";
const options = { minutes: 10, seed: 1, durable: false };
for (let args = process.argv.slice(2); args.length;) {
  const name = args.shift();
  if (name === "--durability-backup") options.durable = true;
  else if (["--minutes", "--seed"].includes(name) && Number(args[0]) > 0) options[name.slice(2)] = Number(args.shift());
  else {
    console.error(usage);
    process.exit(2);
  }
}

cleanUpAtTheEnd();
const minio = await startMinio();
const began = performance.now();
const log = (line) => console.log(`${((performance.now() - began) / 60_000).toFixed(1)} min: ${line}`);
let failed = 0;
try {
  const counts = await soak({ ...options, minio, log }, options.minutes * 60_000);
  log(`ended well: ${JSON.stringify(counts)}`);
} catch (error) {
  log(`FAIL  ${error?.stack ?? error}`);
  failed = 1;
}
await minio.service.stop();
cleanUp();
process.exit(failed);
