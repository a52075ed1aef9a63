// Records histories and has them checked: ./dev linearizability, and the part "linear" of ./dev test.
//
//     TIDEMARK_BINARY=... node tests/linearizability/run.mjs [--histories N] [--operations N] [--seed S] [--keep]
//                                                            [--unit] [--counts FILE]
//
// Seeds are S, S + 1, ... What was not accepted is kept in build/linearizability/seed-S, with --keep all histories.
// --unit runs the checker's own tests first. --counts writes "PASSED FAILED" to FILE.

import { cpSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { binary, cleanUp, denoBinary, rootFolder, runProgram } from "../e2e/lib/server.mjs";
import { Suite } from "../e2e/lib/suite.mjs";
import { Host, record } from "./recorder.mjs";

const sources = join(dirname(fileURLToPath(import.meta.url)), "checker");
const output = join(rootFolder, "build", "linearizability");
const checker = join(output, "checker");
const GO_MS_MAX = 600_000;
const CHECK_S_MAX = 60; // for a history, and for each damaged copy

function parse(args) {
  const options = { histories: 100, operations: 1000, seed: 1, keep: false, unit: false, counts: null };
  for (let i = 0; i < args.length; i++) {
    const name = args[i].replace(/^--/, "");
    if (!(name in options) || name === args[i]) throw new Error(`what is ${args[i]}?`);
    if (typeof options[name] === "boolean") options[name] = true;
    else if (++i === args.length) throw new Error(`--${name} needs a value`);
    else if (name === "counts") options.counts = args[i];
    else if (/^[1-9][0-9]{0,8}$/.test(args[i])) options[name] = Number(args[i]);
    else throw new Error(`--${name} takes a number from 1 on, not ${args[i]}`);
  }
  return options;
}

const go = (...args) => runProgram("go", args, { cwd: sources, msMax: GO_MS_MAX });

// Builds the checker. False, with a line that says why: there is none.
async function buildChecker() {
  const skip = (why) => {
    console.log(`linearizability: skipped, ${why}; histories are recorded and not checked`);
    return false;
  };
  if ((await go("version")).code !== 0) return skip("Go is not installed");
  const download = await go("mod", "download");
  if (download.code !== 0) return skip(`Go cannot get Porcupine: ${download.stderr.trim().split("\n").at(-1)}`);
  const build = await go("build", "-o", checker, ".");
  if (build.code !== 0) throw new Error(`the checker cannot be built: ${build.stderr}`);
  return true;
}

async function runUnitTests(suite) {
  const { code, stdout, stderr } = await go("test", "-count=1", "-v", ".");
  const found = [...stdout.matchAll(/^ *--- (PASS|FAIL): (.*) \(/gm)];
  for (const [, outcome, name] of found) {
    if (outcome === "PASS") suite.passed++;
    else suite.report(`checker: ${name}`, "see below");
  }
  if (code !== 0 || !found.length) suite.report("the checker's own tests", stdout + stderr);
  else suite.report(`${found.length} tests of the checker`);
}

// What the checker says of a history: {result, seconds, unsure, stuck, damaged}.
async function check(file) {
  const { code, stdout, stderr } = await runProgram(checker, ["-timeout", `${CHECK_S_MAX}s`, "-damage", file], { msMax: GO_MS_MAX });
  if (code !== 0 && code !== 1) throw new Error(`the checker failed: ${stderr}`);
  return JSON.parse(stdout);
}

function keep(seed, host, file, verdict) {
  const folder = join(output, `seed-${seed}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  if (existsSync(file)) renameSync(file, join(folder, "history.jsonl"));
  writeFileSync(join(folder, "server.log"), host.log);
  writeFileSync(join(folder, "verdict.json"), `${JSON.stringify(verdict, null, 2)}\n`);
  if (host.dataDir) cpSync(host.dataDir, join(folder, "data"), { recursive: true, filter: (path) => !path.endsWith(".sock") });
  return folder.slice(rootFolder.length + 1);
}

class Totals {
  histories = 0;
  operations = 0;
  kills = 0;
  results = { accepted: 0, rejected: 0, undecided: 0 };
  damaged = 0;
  caught = 0;

  print(checked) {
    const { accepted, rejected, undecided } = this.results;
    if (checked) console.log(`damaged copies ${this.damaged}, rejected ${this.caught}`);
    console.log(`histories ${this.histories}, operations ${this.operations}, kills ${this.kills}, ` +
      (checked ? `accepted ${accepted}, rejected ${rejected}, undecided ${undecided}` : "not checked"));
  }
}

async function one(seed, { operations, keep: keepAll }, checked, suite, totals) {
  const host = new Host();
  const file = join(output, "history.jsonl");
  rmSync(file, { force: true });
  let recorded, verdict;
  try {
    recorded = await record({ seed, operations, file, host });
    verdict = checked ? await check(file) : { result: "not checked" };
  } catch (error) {
    const kept = keep(seed, host, file, { error: String(error) });
    return suite.report(`seed ${seed}`, `${error?.stack ?? error}\nkept in ${kept}`);
  }
  totals.histories++;
  totals.operations += recorded.operations;
  totals.kills += recorded.kills;
  if (checked) totals.results[verdict.result]++;
  const damaged = verdict.damaged ?? [];
  const caught = damaged.filter(({ result }) => result === "rejected").length;
  totals.damaged += damaged.length;
  totals.caught += caught;

  const good = verdict.result === "accepted" || !checked;
  const kept = keepAll || !good || caught < damaged.length ? keep(seed, host, file, verdict) : null;
  suite.report(`seed ${seed}: ${recorded.operations} operations, ${recorded.frames} frames, ${recorded.kills} kills, ` +
    `${recorded.ends - recorded.kills} orderly ends: ${verdict.result}` +
    (checked ? ` in ${verdict.seconds.toFixed(2)} s, ${verdict.unsure} writes unsure` : ""),
  good ? undefined : `kept in ${kept}\n${(verdict.stuck ?? []).slice(0, 20).join("\n")}`);
  if (checked) {
    suite.report(`seed ${seed}: ${damaged.length} damaged copies are rejected`, caught === damaged.length && damaged.length
      ? undefined : `kept in ${kept}: ${damaged.map(({ kind, result }) => `${kind}: ${result}`).join(", ")}`);
  }
}

async function main() {
  const options = parse(process.argv.slice(2));
  if (!existsSync(binary)) throw new Error(`TIDEMARK_BINARY names no file: "${binary}"`);
  denoBinary();
  mkdirSync(output, { recursive: true });
  const suite = new Suite("linear", (line) => console.log(line));
  const totals = new Totals();
  const checked = await buildChecker();
  if (checked && options.unit) await runUnitTests(suite);
  for (let i = 0; i < options.histories; i++) {
    await one(options.seed + i, options, checked, suite, totals);
    cleanUp();
  }
  rmSync(join(output, "history.jsonl"), { force: true });
  totals.print(checked);
  if (options.counts) writeFileSync(options.counts, `${suite.passed} ${suite.failed}\n`);
  return suite.failed === 0 ? 0 : 1;
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    cleanUp();
    process.exit(1);
  });
}
process.on("exit", cleanUp);
try {
  process.exitCode = await main();
} catch (error) {
  console.error(`linearizability: ${error.message}`);
  process.exitCode = 1;
}
process.exit();
