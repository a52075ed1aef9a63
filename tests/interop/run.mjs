// The interoperability tests' driver: Tidemark's backups with a real store (MinIO) and another reader of them (denokv).
// ./dev interop gets those two and starts this.
//
//     TIDEMARK_BINARY=... INTEROP_BIN=FOLDER node tests/interop/run.mjs [SUITE...]
//
// What was compared is written to build/interop/log.txt. The last line printed is "N passed, N failed"; the exit code is 1 if
// anything failed.

import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { binary, cleanUp, cleanUpAtTheEnd, rootFolder, within } from "../e2e/lib/server.mjs";
import { Suite } from "../e2e/lib/suite.mjs";
import { versions } from "./lib/foreign.mjs";
import { startMinio } from "./lib/minio.mjs";

// Longest first.
const SUITES = ["soak", "faults", "readers", "contract", "refusals", "rights", "replicas", "copies", "restore"];
const AT_ONCE = 2;
const SUITE_MS_MAX = 240_000;
const output = join(rootFolder, "build", "interop");

async function main(chosen) {
  for (const name of chosen) if (!SUITES.includes(name)) throw new Error(`no such suite: ${name} (${SUITES.join(" ")})`);
  if (!existsSync(binary)) throw new Error(`TIDEMARK_BINARY names no file: "${binary}"`);
  const began = performance.now();
  const facts = [`${new Date().toISOString()}, ${versions()}`];
  const minio = await startMinio();
  const suites = chosen.map((name) => new Suite(name, (line) => console.log(line)));
  const queue = [...suites];
  const worker = async () => {
    for (let suite; (suite = queue.shift());) {
      const start = performance.now();
      const log = (fact) => {
        facts.push(`${suite.name}: ${fact}`);
        console.log(`      ${suite.name}: ${fact}`);
      };
      try {
        const { default: run } = await import(`./suites/${suite.name}.mjs`);
        await within(SUITE_MS_MAX, "the suite", run(suite, { minio, log }));
      } catch (error) {
        suite.report("the suite itself", error ?? "failed");
      }
      if (suite.passed + suite.failed === 0) suite.report("the suite itself", "it ran nothing");
      log(`${suite.passed} passed, ${suite.failed} failed, took ${((performance.now() - start) / 1000).toFixed(1)} s`);
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  } finally {
    await minio.service.stop();
  }

  const passed = suites.reduce((sum, suite) => sum + suite.passed, 0);
  const failed = suites.reduce((sum, suite) => sum + suite.failed, 0);
  facts.push(`all: ${passed} passed, ${failed} failed, took ${((performance.now() - began) / 1000).toFixed(1)} s`);
  mkdirSync(output, { recursive: true });
  writeFileSync(join(output, "log.txt"), facts.join("\n") + "\n");
  return { passed, failed };
}

cleanUpAtTheEnd();
const chosen = process.argv.slice(2);
let counts;
try {
  counts = await main(chosen.length ? chosen : SUITES);
} catch (error) {
  console.log(`FAIL  ${error?.stack ?? error}`);
  counts = { passed: 0, failed: 1 };
}
cleanUp();
console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exit(counts.failed === 0 && counts.passed > 0 ? 0 : 1);
