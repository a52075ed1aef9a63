// The contract of ObjectStore (tests/server/backup/s3_live_test.cc), kept by MinIO; and, to know that the fault proxy changes
// nothing by itself, by MinIO behind it.

import { dirname, join } from "node:path";

import { FaultProxy } from "../../e2e/lib/fault_proxy.mjs";
import { binary, runProgram } from "../../e2e/lib/server.mjs";

const RUN_MS_MAX = 120_000;
// Beside the server, in the same build.
const program = join(dirname(dirname(binary)), "tests", "server", "backup", "s3_live_test");

async function run(suite, where, { env, bucket }, endpoint) {
  const { code, error, stdout, stderr } = await runProgram(program, [], {
    env: { ...env, TIDEMARK_TEST_S3_ENDPOINT: endpoint, TIDEMARK_TEST_S3_BUCKET: bucket, TIDEMARK_TEST_S3_CONDITIONS: "1" },
    msMax: RUN_MS_MAX,
  });
  const failures = [];
  for (const [, outcome, name] of stdout.matchAll(/^\[ +(OK|FAILED|SKIPPED) +\] (\w+\.\w+) \(/gm)) {
    if (outcome === "OK") suite.report(`${where}: ${name}`);
    else failures.push(name);
  }
  for (const name of failures) suite.report(`${where}: ${name}`, stdout);
  if (code !== 0 && !failures.length) suite.report(`${where}: the program`, `exit code ${code} ${error ?? ""}\n${stdout}${stderr}`);
}

export default async function contract(suite, { minio }) {
  await run(suite, "MinIO", minio, minio.endpoint);
  const proxy = await FaultProxy.start(minio.endpoint);
  await run(suite, "MinIO behind the proxy", minio, proxy.url);
  await proxy.close();
}
