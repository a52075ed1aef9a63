// The server is killed again and again while clients write; after each restart every acknowledged write is there, whole,
// under the versionstamp that was acknowledged. ./dev kill does the same for longer; crash/run.mjs does it for both.

import { cpSync, rmSync } from "node:fs";

import { CrashRun } from "../crash/run.mjs";
import { keepFolder, makeFolder } from "../lib/server.mjs";

const SEED = 1;
const ROUNDS = [
  { name: "killed soon", afterMs: 60 },
  { name: "killed later, and then while it starts", afterMs: 800, early: 3 },
  { name: "ended in good order", ending: "orderly", afterMs: 300, command: true },
  { name: "killed during an admin command", ending: "admin", afterMs: 250, command: true },
  { name: "killed, and with it a writer", afterMs: 450, replace: true },
  { name: "killed, and with it an admin command on the store", afterMs: 1100, offline: true },
];

// Nothing may be wrong; what is, is left to be looked at.
function expectRight(run, wrong) {
  if (!wrong.length) return;
  keepFolder(run.folder);
  throw new Error([...wrong.slice(0, 10), `see ${run.folder}, and ${run.writeEvents()}`].join("\n"));
}

// The store is set back to what the last start found: to the server that is a store like any other.
const setBack = (run) => () => {
  rmSync(run.dataDir, { recursive: true });
  cpSync(run.before, run.dataDir, { recursive: true });
};

export default async function crash(suite) {
  const run = new CrashRun(makeFolder("crash"), SEED);
  await run.start();
  for (const { name, ...round } of ROUNDS) {
    const before = run.verifier.counts.acknowledged;
    const wrong = await run.round(round);
    const count = run.verifier.counts.acknowledged - before;
    await suite.test(`${name}: every acknowledged write is there, none by half (${count} writes)`,
      () => expectRight(run, wrong));
    if (wrong.length) return;
  }
  await suite.test("clients of all kinds were writing and reading", () => {
    const { acknowledged, moves, read } = run.verifier.counts;
    if (acknowledged < 10 * ROUNDS.length || !moves || !read) {
      throw new Error(`${acknowledged} writes, ${moves} moves, ${read} reads`);
    }
  });
  const wrong = await run.round({ doctor: setBack(run) });
  await suite.test("a store that was set back is found out", () => {
    if (!wrong.some((text) => /was acknowledged at \w+ and is lost/.test(text))) throw new Error(`it said: ${wrong[0]}`);
  });
  await run.stop();
}
