// Kills the server again and again under the load of real clients, and verifies after each start that nothing was lost:
// ./dev kill.
//
//     TIDEMARK_BINARY=build/test/tools/tidemark node tests/e2e/kill.mjs [--cycles N] [--seed S]
//
// The seed decides what is written, when it is killed and how; what runs beside what, the machine decides. Ends with
// exit code 1 if anything is wrong, and leaves the store then.

import { existsSync } from "node:fs";
import { parseArgs } from "node:util";

import { CrashRun } from "./crash/run.mjs";
import { binary, cleanUp, cleanUpAtTheEnd, denoBinary, keepFolder, makeFolder } from "./lib/server.mjs";

const CYCLES = 200;
const SHOWN_EVERY = 10;
const SHOWN_MOST = 20;

function settings() {
  const { values } = parseArgs({ options: { cycles: { type: "string" }, seed: { type: "string" } } });
  const number = (name, text, otherwise) => {
    const value = text === undefined ? otherwise : Number(text);
    if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} must be a whole number, 1 or more`);
    return value;
  };
  return {
    cycles: number("cycles", values.cycles, CYCLES),
    seed: number("seed", values.seed, Date.now() % 1_000_000_000),
  };
}

// How the next round ends. One that ends in good order is none of the cycles.
function nextRound(run) {
  const chance = (percent) => run.below(100) < percent;
  return {
    ending: chance(8) ? "orderly" : chance(20) ? "admin" : "kill",
    afterMs: 20 + run.below(1480),
    early: chance(25) ? 1 + run.below(3) : 0,
    replace: chance(5),
    command: chance(35),
    offline: chance(8),
  };
}

function progress(run, cycle, began) {
  const { orderly, early, replaced, unfinished } = run.counts;
  const { read, repeated } = run.verifier.counts;
  const { done, doubtful } = run.databases.counts;
  const seconds = ((performance.now() - began) / 1000 / cycle).toFixed(2);
  console.log(`${cycle}: ${run.summary()}; ${early} kills while starting, ${unfinished} ends in a flush or a merge, ` +
    `${orderly} ends in good order, ${replaced} new writers; ${done} databases made or deleted, ${doubtful} in doubt; ` +
    `${read} reads, ${repeated} writes repeated; ${run.entries} entries, ${(run.bytes / 1e6).toFixed(1)} MB, ` +
    `${run.segments.size} segments so far; ${seconds} s a cycle`);
}

async function kill(run, cycles) {
  await run.start();
  const began = performance.now();
  for (let cycle = 0; cycle < cycles;) {
    const round = nextRound(run);
    if ((await run.round(round)).length) return;
    if (round.ending !== "orderly" && ++cycle % SHOWN_EVERY === 0) progress(run, cycle, began);
  }
  await run.stop();
}

async function main() {
  const { cycles, seed } = settings();
  if (!existsSync(binary)) throw new Error(`TIDEMARK_BINARY names no file: "${binary}"`);
  denoBinary();
  const folder = makeFolder("kill");
  const run = new CrashRun(folder, seed);
  console.log(`${cycles} cycles with --seed ${seed}`);
  try {
    await kill(run, cycles);
  } catch (error) {
    run.verifier.complain(`the run could not go on: ${error.stack}`);
  }
  const { violations } = run.verifier;
  for (const violation of violations.slice(0, SHOWN_MOST)) console.log(`VIOLATION: ${violation}`);
  if (violations.length) {
    keepFolder(folder);
    console.log(`--seed ${seed}: see ${folder}: data is the store, before is what the last end under load left of it, ` +
      `and ${run.writeEvents()} is what the clients told last`);
  }
  console.log(run.summary());
  return violations.length ? 1 : 0;
}

cleanUpAtTheEnd();
process.exitCode = await main();
cleanUp();
process.exit();
