// The past: views by URL through the real clients, and the commands of `tidemark pitr` while a store is served.

import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { makeFolder, runTidemark, Server, TOKEN } from "../lib/server.mjs";

export default async function past(suite) {
  const dataDir = makeFolder("past");
  let server = await Server.start(dataDir);
  const pitr = async (...args) => {
    const run = await runTidemark(["pitr", ...args, "--data-dir", dataDir]);
    if (run.code !== 0) throw new Error(`tidemark pitr ${args.join(" ")}: exit code ${run.code}\n${run.stderr}`);
    return run.stdout;
  };
  const points = async () => (await pitr("list")).trimEnd().split("\n").filter(Boolean).map((line) => line.split("\t"));
  const file = join(makeFolder("past-files"), "lines.jsonl");
  const load = async (text) => {
    writeFileSync(file, text);
    const run = await runTidemark(["load", file, "--data-dir", dataDir]);
    if (run.code !== 0) throw new Error(`load: ${run.stderr}`);
  };
  const key = (name) => JSON.stringify(["past", name]);

  await load(`{"key":${key("a")},"value":"one"}\n{"key":${key("b")},"value":"one"}\n`);
  await new Promise((resolve) => setTimeout(resolve, 20));
  await load(`{"key":${key("a")},"value":"two"}\n{"key":${key("c")},"value":"two"}\n`);
  const [second, first] = await points();
  const moments = [
    { moment: first[0], holds: { a: "one", b: "one" } },
    { moment: second[0], holds: { a: "two", b: "one", c: "two" } },
    { moment: first[1], holds: { a: "one", b: "one" } },
    { moment: second[1], holds: { a: "two", b: "one", c: "two" } },
  ];
  for (const runtime of ["deno", "node"])
    await suite.program(runtime, "past", [`${server.url}/db/default`, JSON.stringify(moments)]);

  await suite.test("what lies beyond what is kept, or is no moment, is refused with a sentence", async () => {
    for (const [moment, part] of [["2999-01-01T00:00:00Z", "has not come yet"], ["yesterday", "no moment"],
      ["ffffffffffffffffffff", "can be read from"], ["", "no moment"]]) {
      const answer = await fetch(`${server.url}/db/default@${moment}`,
        { method: "POST", headers: { authorization: `Bearer ${TOKEN}` }, body: JSON.stringify({ supportedVersions: [2, 3] }) });
      const text = await answer.text();
      if (answer.status !== 400 || !text.includes(part)) throw new Error(`${moment}: ${answer.status} ${text}`);
    }
  });
  await suite.test("diff, rewind and undo while clients are connected", async () => {
    const diff = await pitr("diff", first[0], second[0]);
    if (!diff.includes(`~ ${key("a")}  "one"  ->  "two"`) || !diff.includes(`+ ${key("c")}  "two"`)) throw new Error(diff);
    const asked = await runTidemark(["pitr", "rewind", first[0], "--data-dir", dataDir]);
    if (asked.code !== 2 || !asked.stderr.includes("--yes")) throw new Error(`${asked.code} ${asked.stderr}`);
    const done = await pitr("rewind", first[0], "--yes");
    const undo = done.match(/to undo: tidemark pitr rewind ([0-9a-f]{20})/);
    if (!undo) throw new Error(done);
    if (!(await pitr("diff", first[0], "now")).includes("0 added, 0 changed, 0 removed")) throw new Error("it was not rewound");
    await pitr("rewind", undo[1], "--yes");
    if (!(await pitr("diff", undo[1], "now")).includes("0 added, 0 changed, 0 removed")) throw new Error("it was not undone");
  });
  await suite.test("a fork is a database of its own", async () => {
    await pitr("fork", first[0], "then");
  });
  await suite.program("deno", "past", [`${server.url}/db/then`, JSON.stringify([moments[0]])]);
  await suite.test("checked out: refused, or served read-only", async () => {
    await server.end();
    await pitr("checkout", first[0]);
    const refused = await runTidemark(["serve", "--data-dir", dataDir, "--addr", "127.0.0.1:0"],
      { env: { DENO_KV_ACCESS_TOKEN: TOKEN } });
    if (refused.code === 0 || !refused.stderr.includes("checkout latest")) throw new Error(refused.stderr);
    server = await Server.start(dataDir, { args: ["--read-only"] });
  });
  await suite.program("deno", "checked_out", [`${server.url}/db/default`, JSON.stringify(moments[0].holds)]);
  await suite.test("the newest state again", async () => {
    await pitr("checkout", "latest");
    await server.end();
    server = await Server.start(dataDir);
    await server.end();
  });
}
