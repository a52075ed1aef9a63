// The end-to-end tests' driver: runs the suites against the real server with the real clients.
//
//     TIDEMARK_BINARY=build/test/tools/tidemark node tests/e2e/run.mjs [--counts FILE] [SUITE...]
//
// --counts writes "PASSED FAILED" to FILE. Each suite has servers and data folders of its own; two suites run at once.

import { existsSync, writeFileSync } from "node:fs";

import { binary, cleanUp, denoBinary, within } from "./lib/server.mjs";
import { Suite } from "./lib/suite.mjs";

// Longest first. NAME-VARIANT is suites/NAME.mjs, which looks at its own name.
const SUITES = ["dataset-deno", "dataset-node", "crash", "restart", "protocol", "clients", "cli"];
const AT_ONCE = 2;
const SUITE_MS_MAX = 300_000;

async function main() {
  const args = process.argv.slice(2);
  let counts = null;
  const at = args.indexOf("--counts");
  if (at >= 0) [, counts] = args.splice(at, 2);
  const chosen = args.length ? args : SUITES;
  for (const name of chosen) if (!SUITES.includes(name)) throw new Error(`no such suite: ${name} (${SUITES.join(" ")})`);
  if (!existsSync(binary)) throw new Error(`TIDEMARK_BINARY names no file: "${binary}"`);
  denoBinary();

  const began = performance.now();
  const queue = chosen.map((name) => new Suite(name, (line) => console.log(line)));
  const suites = [...queue];
  const worker = async () => {
    for (let suite; (suite = queue.shift());) {
      const start = performance.now();
      try {
        const { default: run } = await import(`./suites/${suite.name.split("-")[0]}.mjs`);
        await within(SUITE_MS_MAX, "the suite", run(suite));
      } catch (error) {
        suite.report("the suite itself", error ?? "failed");
      }
      if (suite.passed + suite.failed === 0) suite.report("the suite itself", "it ran nothing");
      console.log(`      ${suite.name} took ${((performance.now() - start) / 1000).toFixed(1)} s`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));

  const passed = suites.reduce((sum, suite) => sum + suite.passed, 0);
  const failed = suites.reduce((sum, suite) => sum + suite.failed, 0);
  console.log(`      all took ${((performance.now() - began) / 1000).toFixed(1)} s`);
  if (counts) writeFileSync(counts, `${passed} ${failed}\n`);
  return failed === 0 && passed > 0 ? 0 : 1;
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    cleanUp();
    process.exit(1);
  });
}
process.on("exit", cleanUp);
process.exitCode = await main();
cleanUp();
process.exit();
