// tidemark dump and load with what the real Deno writes and reads.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { makeFolder, runTidemark, Server } from "../lib/server.mjs";

async function tidemark(...args) {
  const run = await runTidemark(args);
  if (run.code !== 0) throw new Error(`tidemark ${args.join(" ")}: exit code ${run.code}\n${run.stderr}`);
  return run.stdout;
}

// Only what people see: as if somebody had written each value by hand.
const bare = (line) => line.replace(/,"v8":\d+/, "").replace(/,"raw":"[^"]*"/, "");
const withoutStamps = (lines) => lines.split("\n").slice(1).map((line) => line.replace(/,"versionstamp":"\w+"/, "")).join("\n");

export default async function dump(suite) {
  const dataDir = makeFolder("dump");
  const server = await Server.start(dataDir);
  const file = join(makeFolder("dump-files"), "dump.jsonl");
  const load = (from, database) => tidemark("load", from, "--data-dir", dataDir, "--database", database);
  const lines = (database) => tidemark("dump", "--data-dir", dataDir, "--database", database);
  await suite.program("deno", "kinds", [`${server.url}/db/default`, "write"]);
  await suite.test("what was dumped and loaded is dumped as the same", async () => {
    await tidemark("db", "create", "copy", "--data-dir", dataDir);
    await tidemark("dump", "--data-dir", dataDir, "--output", file);
    await load(file, "copy");
    if (withoutStamps(await lines("copy")) !== withoutStamps(readFileSync(file, "utf8"))) throw new Error("it differs");
  });
  await suite.program("deno", "kinds", [`${server.url}/db/copy`, "read"]);
  await suite.test("the forms alone can be loaded", async () => {
    await tidemark("db", "create", "bare", "--data-dir", dataDir);
    writeFileSync(file, readFileSync(file, "utf8").split("\n").map(bare).join("\n"));
    await load(file, "bare");
  });
  await suite.program("deno", "kinds", [`${server.url}/db/bare`, "read"]);
  await suite.test("a stopped store gives the same", async () => {
    const served = await lines("copy");
    await server.end();
    if (withoutStamps(await lines("copy")) !== withoutStamps(served)) throw new Error("it differs");
  });
}
