// The end-to-end tests' driver: runs the suites against the real server with the real clients.
//
//     TIDEMARK_BINARY=build/test/tools/tidemark node tests/e2e/run.mjs [--counts FILE] [--bail] [SUITE...]
//
// --counts writes "PASSED FAILED" to FILE. --bail ends with the first case that fails. E2E_RULES in the environment, ids of rules
// with a space between, confines the run to cases that show one of them. Each suite has servers and data folders of its own; two suites run at
// once. When all suites were run, so must have been at least one case of every rule.

import { existsSync, writeFileSync } from "node:fs";

import { mutantFaults } from "./conformance/mutants.mjs";
import { RULES } from "./conformance/rules.mjs";
import { checkTable } from "./conformance/table.mjs";
import { binary, cleanUp, cleanUpAtTheEnd, denoBinary, within } from "./lib/server.mjs";
import { chosenRules } from "./lib/report.mjs";
import { Suite } from "./lib/suite.mjs";

// Longest first. NAME-VARIANT is suites/NAME.mjs, which looks at its own name.
const SUITES = ["dataset-deno", "dataset-node", "backup", "crash", "tls", "sqlite", "past", "restart", "conformance-clients", "conformance",
  "protocol", "clients", "verifier", "dump", "cli"];
const AT_ONCE = 2;
const SUITE_MS_MAX = 300_000;
const SUITE_ITSELF = "the suite itself";

// The rules and their cases, mutants and table; `suites` were run, all of them if `whole`.
async function rulesAreKept(suites, whole) {
  const report = new Suite("rules", (line) => console.log(line));
  const shown = new Set(suites.flatMap((suite) => [...suite.rules]));
  const none = (what, list) => {
    if (list.length) throw new Error(`${what}: ${list.join(", ")}`);
  };
  await report.test("cases name rules that there are", () => none("unknown", [...shown].filter((id) => !RULES[id])));
  if (!whole) return report;
  await report.test("every rule has a case that ran", () => none("without", Object.keys(RULES).filter((id) => !shown.has(id))));
  await report.test("every rule has a mutant, or a reason why not", () => none("faults", mutantFaults()));
  await report.test("docs/CONFORMANCE.md has the table of rules", checkTable);
  return report;
}

async function main() {
  const args = process.argv.slice(2);
  let counts = null;
  const at = args.indexOf("--counts");
  if (at >= 0) [, counts] = args.splice(at, 2);
  const bailAt = args.indexOf("--bail");
  if (bailAt >= 0) args.splice(bailAt, 1);
  const stopAtOnce = (name) => {
    if (bailAt >= 0 && name !== SUITE_ITSELF) process.exit(1);
  };
  const chosen = args.length ? args : SUITES;
  for (const name of chosen) if (!SUITES.includes(name)) throw new Error(`no such suite: ${name} (${SUITES.join(" ")})`);
  if (!existsSync(binary)) throw new Error(`TIDEMARK_BINARY names no file: "${binary}"`);
  denoBinary();

  const began = performance.now();
  const queue = chosen.map((name) => new Suite(name, (line) => console.log(line), stopAtOnce));
  const suites = [...queue];
  const worker = async () => {
    for (let suite; (suite = queue.shift());) {
      const start = performance.now();
      try {
        const { default: run } = await import(`./suites/${suite.name.split("-")[0]}.mjs`);
        await within(SUITE_MS_MAX, "the suite", run(suite));
      } catch (error) {
        suite.report(SUITE_ITSELF, error ?? "failed");
      }
      if (suite.passed + suite.failed === 0 && !chosenRules) suite.report(SUITE_ITSELF, "it ran nothing");
      console.log(`      ${suite.name} took ${((performance.now() - start) / 1000).toFixed(1)} s`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));

  if (!chosenRules) suites.push(await rulesAreKept(suites, chosen === SUITES));
  const passed = suites.reduce((sum, suite) => sum + suite.passed, 0);
  const failed = suites.reduce((sum, suite) => sum + suite.failed, 0);
  console.log(`      all took ${((performance.now() - began) / 1000).toFixed(1)} s`);
  if (counts) writeFileSync(counts, `${passed} ${failed}\n`);
  return failed === 0 && (passed > 0 || chosenRules) ? 0 : 1;
}

cleanUpAtTheEnd();
process.exitCode = await main();
cleanUp();
process.exit();
