// Breaks the server one rule at a time and shows that a case of the conformance suites notices: ./dev mutate.
//
//     TIDEMARK_BINARY=build/mutants/tools/tidemark node tests/e2e/mutate.mjs [RULE...]
//
// The binary was built with -Dmutants=true. Without a mutant every case must pass. For each mutant the cases of its own
// rule are run first, by hand and then through the clients, and then all others, until one fails.

import { spawn } from "node:child_process";
import { join } from "node:path";

import { findMutants, ruleOf } from "./conformance/mutants.mjs";
import { RULES } from "./conformance/rules.mjs";
import { e2eFolder } from "./lib/server.mjs";

const AT_ONCE = 2;
const BY_HAND = ["conformance", "protocol"];
const BY_CLIENTS = ["conformance-clients"];

const children = new Set();

// Runs suites in a process of their own; gives the first case that failed, or null.
function run(suites, { mutant, rules } = {}) {
  return new Promise((resolve, reject) => {
    const env = { ...process.env };
    if (mutant) env.TIDEMARK_MUTANT = mutant;
    if (rules) env.E2E_RULES = rules;
    const child = spawn(process.execPath, [join(e2eFolder, "run.mjs"), "--bail", ...suites],
      { env, stdio: ["ignore", "pipe", "pipe"] });
    children.add(child);
    let output = "", errors = "";
    child.stdout.on("data", (part) => (output += part));
    child.stderr.on("data", (part) => (errors += part));
    child.on("error", reject);
    child.on("close", (code) => {
      children.delete(child);
      const failures = [...output.matchAll(/^FAIL {2}(.*)$/gm)].map(([, name]) => name);
      // A suite that could not even begin says less than a case.
      const failed = failures.find((name) => !name.endsWith("the suite itself")) ?? failures[0];
      if (code === 0 && !failed) resolve(null);
      else if (failed) resolve(failed);
      else reject(new Error(`the cases could not be run (code ${code}): ${errors}`));
    });
  });
}

async function killer(mutant) {
  const rules = ruleOf(mutant);
  return await run(BY_HAND, { mutant, rules }) ?? await run(BY_CLIENTS, { mutant, rules }) ??
    await run([...BY_HAND, ...BY_CLIENTS], { mutant });
}

async function main() {
  const chosen = process.argv.slice(2);
  const mutants = findMutants().filter((id) => !chosen.length || chosen.includes(id) || chosen.includes(ruleOf(id)));
  for (const id of chosen) {
    if (!RULES[ruleOf(id)]) throw new Error(`no such rule: ${id}`);
    if (!mutants.some((mutant) => mutant === id || ruleOf(mutant) === id)) throw new Error(`${id} has no mutant of its own`);
  }
  const broken = await run([...BY_HAND, ...BY_CLIENTS]);
  if (broken) throw new Error(`a case fails without any mutant: ${broken}`);

  const began = performance.now();
  let killed = 0;
  const queue = [...mutants];
  const worker = async () => {
    for (let mutant; (mutant = queue.shift());) {
      const by = await killer(mutant);
      if (by) killed++;
      console.log(by ? `killed    ${mutant} (${by})` : `SURVIVED  ${mutant}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  console.log(`took ${((performance.now() - began) / 1000).toFixed(0)} s`);
  console.log(`${mutants.length} mutants, ${killed} killed, ${mutants.length - killed} survived`);
  return killed === mutants.length ? 0 : 1;
}

const stop = () => {
  for (const child of children) child.kill("SIGTERM");
};
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => (stop(), process.exit(1)));
try {
  process.exitCode = await main();
} catch (error) {
  console.error(`mutate: ${error.message}`);
  process.exitCode = 1;
}
stop();
