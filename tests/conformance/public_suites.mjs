// Runs the public test suites of Deno KV against the real server, from checkouts that the caller has:
//
//     TIDEMARK_BINARY=... node tests/conformance/public_suites.mjs [--deno-repo DIR]
//         [--denokv-repo DIR --std-repo DIR] [--counts FILE]
//
// --deno-repo     Deno, with its submodule tests/util/std: runs tests/unit/kv_test.ts
// --denokv-repo   denokv: runs the end-to-end test of its npm package, on Deno and on Node
// --std-repo      Deno's standard library in the version that denokv's test imports
//
// One line per case. Nothing is fetched: what is missing in the checkouts is an error.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { cleanUp, denoBinary, makeFolder, rootFolder, runProgram, Server } from "../e2e/lib/server.mjs";
import { NOT_REMOTE, reasonIn, TEXT_ALONE } from "./cases.mjs";

const here = join(rootFolder, "tests", "conformance");
const TOKEN = "a".repeat(32); // kv_test.ts sets this one itself
const SUITE_MS_MAX = 300_000;
const counts = { passed: 0, failed: 0, notApplicable: 0 };

function report(kind, name, word = "") {
  counts[kind]++;
  const label = { passed: "ok  ", failed: "FAIL", notApplicable: "n/a " }[kind];
  console.log(`${label}  ${name}${word && `: ${word}`}`);
}

const indented = (text) => "\n" + text.trimEnd().replace(/^/gm, "        ");

// `deno test` in the repository; gives the cases as {name, outcome: ok, failed, skipped, detail}.
async function denoTest(cwd, importMap, args, env) {
  const { code, stdout, stderr } = await runProgram(denoBinary(), [
    "test", "--no-check", "--no-config", "--no-lock", "--no-remote", "--allow-all", "--unstable-kv", "--reporter=tap",
    "--import-map", importMap, ...args,
  ], { cwd, env: { DENO_KV_ACCESS_TOKEN: TOKEN, ...env }, msMax: SUITE_MS_MAX });
  const cases = [];
  for (const line of stdout.split("\n")) {
    const found = line.match(/^(not ok|ok) \d+ - (.*?)( # SKIP)?$/);
    if (found) {
      cases.push({ name: found[2], outcome: found[3] ? "skipped" : found[1] === "ok" ? "ok" : "failed", detail: "" });
    } else if (cases.length && line.startsWith("  {")) {
      cases.at(-1).detail = JSON.parse(line).message;
    }
  }
  if (cases.length === 0 || (code !== 0 && !cases.some((c) => c.outcome === "failed"))) {
    cases.push({ name: "the suite itself", outcome: "failed", detail: `exit code ${code}\n${stderr}` });
  }
  return cases;
}

async function runDenoSuite(repo, server) {
  const importMap = join(repo, "import_map.json");
  need(importMap, "--deno-repo is no checkout of Deno");
  need(join(repo, "tests/util/std/assert/mod.ts"), "the checkout of Deno lacks its submodule tests/util/std");
  console.log(`\nDeno, tests/unit/kv_test.ts (${commitOf(repo)})`);
  const cases = await denoTest(repo, importMap,
    ["--preload", join(here, "remote_databases.mjs"), "tests/unit/kv_test.ts"], { SUITE_SERVER: server });
  for (const { name, outcome, detail } of cases) {
    if (outcome === "skipped") report("notApplicable", name, reasonIn(NOT_REMOTE, name) ?? "ignored by the suite itself");
    else if (outcome === "failed") report("failed", name, indented(detail));
    else report("passed", name, reasonIn(TEXT_ALONE, name) ?? "");
  }
  for (const [pattern] of [...NOT_REMOTE, ...TEXT_ALONE]) {
    if (!cases.some(({ name }) => pattern.test(name))) report("failed", `no case is called ${pattern}`, "mend cases.mjs");
  }
}

async function runDenokvSuite(repo, std, server) {
  const source = join(repo, "npm", "src");
  const main = join(source, "e2e.ts");
  need(main, "--denokv-repo is no checkout of denokv");
  need(join(std, "assert", "assert_equals.ts"), "--std-repo is no checkout of Deno's standard library");
  const prefix = readFileSync(main, "utf8").match(/from "(https:[^"]*\/std@[^/"]+\/)/)?.[1];
  if (!prefix) throw new Error(`${main} imports no standard library`);
  console.log(`\ndenokv, npm/src/e2e.ts (${commitOf(repo)}, standard library ${prefix.match(/@(.*)\//)[1]})`);

  const work = makeFolder("suites");
  const importMap = join(work, "import_map.json");
  writeFileSync(importMap, JSON.stringify({ imports: { [prefix]: `${std}/` } }));
  for (const { name, outcome, detail } of await denoTest(source, importMap, ["--filter", "localkv", "e2e_test.ts"],
    { LOCAL_KV_URL: server })) {
    const ok = outcome === "ok";
    report(ok ? "passed" : "failed", `${name} on Deno`, ok ? "" : indented(detail || outcome));
  }

  mkdirSync(join(work, "modules"));
  const stripped = await runProgram(denoBinary(), ["run", "--quiet", "--no-config", "--allow-read", "--allow-write",
    join(here, "strip_types.mjs"), main, join(work, "modules"), prefix, std], { msMax: SUITE_MS_MAX });
  if (stripped.code !== 0) throw new Error(`making JavaScript of ${main}: ${stripped.stderr}`);
  for (const version of [1, 2, 3]) {
    const { code, stderr } = await runProgram(process.execPath, ["--no-warnings", join(here, "end_to_end_on_node.mjs"),
      stripped.stdout.trim(), server, TOKEN, version], { msMax: SUITE_MS_MAX });
    report(code === 0 ? "passed" : "failed", `endToEnd on Node, protocol version ${version}`,
      code === 0 ? "" : indented(stderr));
  }
}

function need(path, sentence) {
  if (!existsSync(path)) throw new Error(`${sentence}: there is no ${path}`);
}

function commitOf(repo) {
  try {
    return execFileSync("git", ["-C", repo, "describe", "--tags", "--always"], { stdio: ["ignore", "pipe", "ignore"] })
      .toString().trim();
  } catch {
    return "not a git checkout";
  }
}

async function main() {
  const options = {};
  for (const name of ["deno-repo", "denokv-repo", "std-repo", "counts"]) options[name] = { type: "string" };
  const { values } = parseArgs({ options });
  const folder = (name) => values[name] && resolve(values[name]);
  const [deno, denokv, std] = ["deno-repo", "denokv-repo", "std-repo"].map(folder);
  if (!deno && !denokv) throw new Error("name at least one of --deno-repo and --denokv-repo");
  if (denokv && !std) throw new Error("--denokv-repo needs --std-repo beside it");

  const server = await Server.start(makeFolder(), { token: TOKEN });
  const url = `http://localhost:${server.port}`;
  if (deno) await runDenoSuite(deno, url);
  if (denokv) await runDenokvSuite(denokv, std, url);
  const { code, signal } = await server.end();
  if (code !== 0) report("failed", "the server's end", `code ${code}, signal ${signal}\n${server.stderr}`);

  console.log(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.notApplicable} cannot apply`);
  if (values.counts) writeFileSync(values.counts, `${counts.passed} ${counts.failed}\n`);
  return counts.failed === 0 ? 0 : 1;
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    cleanUp();
    process.exit(1);
  });
}
try {
  process.exitCode = await main();
} catch (error) {
  console.error(`public_suites: ${error.message}`);
  process.exitCode = 2;
}
cleanUp();
process.exit();
