// Moving in from a file of the Deno CLI's own database, and out again into one that it opens: every kind of key and
// value, versionstamps, expiries and queued messages, with the server stopped and serving, and while Deno is using
// the file.

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { makeFolder, Program, runTidemark, Server, TOKEN, within } from "../lib/server.mjs";
import { sameBytesAsExpected } from "../lib/expected.mjs";
import { Http1 } from "../lib/wire.mjs";

const ENTRIES = 20_000;
const COMMAND_MS_MAX = 60_000;

function expect(condition, message) {
  if (!condition) throw new Error(message);
}

async function tidemark(...args) {
  const run = await runTidemark(args, { msMax: COMMAND_MS_MAX });
  expect(run.code === 0, `${args.join(" ")}: code ${run.code}: ${run.stderr}`);
  return run.stdout;
}

const json = async (...args) => JSON.parse(await tidemark(...args, "--json"));

// Every byte, by hand.
function sameBytes(url, scratch) {
  return sameBytesAsExpected(new Http1(url), TOKEN, readFileSync(join(scratch, "expected.bin")), ENTRIES);
}

async function everyKindOfEntry(suite, runtime) {
  const folder = makeFolder("sqlite"), scratch = makeFolder("sqlite-expected"), dataDir = makeFolder("sqlite-data");
  const file = join(folder, "deno.sqlite"), out = join(folder, "out.sqlite");
  const dataset = (mode, where) => suite.program(runtime, "dataset", [mode, where, scratch, String(ENTRIES)]);
  await dataset("load", file);

  await suite.test("import into a store that is not served yet", async () => {
    const taken = await json("import", "--from-sqlite", file, "--data-dir", dataDir);
    expect(taken.entries === ENTRIES && taken.messages === 0, JSON.stringify(taken));
    expect(readdirSync(folder).join() === "deno.sqlite", `beside the file: ${readdirSync(folder)}`);
  });
  let server = await Server.start(dataDir);
  await suite.test("what was moved in, byte for byte", () => sameBytes(server.url, scratch));
  await dataset("verify", server.url);

  await suite.test("import into a database of a server that is running, and stats of it", async () => {
    const taken = await json("import", "--from-sqlite", file, "--data-dir", dataDir, "--database", "second");
    expect(taken.created && taken.entries === ENTRIES, JSON.stringify(taken));
    await sameBytes(`${server.url}/db/second`, scratch);
    const stats = await json("stats", "--data-dir", dataDir, "--database", "second");
    expect(stats.entries.entries === ENTRIES && stats.prefixes.largest[0].prefix[0] === "large", JSON.stringify(stats));
    expect(/█/.test(await tidemark("stats", "--data-dir", dataDir)), "no picture");
  });
  await suite.test("a second import changes nothing", async () => {
    const run = await runTidemark(["import", "--from-sqlite", file, "--data-dir", dataDir]);
    expect(run.code === 2 && /new one/.test(run.stderr) && run.stderr.trimEnd().split("\n").length === 1,
      `${run.code}: ${run.stderr}`);
    await sameBytes(server.url, scratch);
  });
  await suite.test("export from a server that is running", async () => {
    const written = await json("export", "--to-sqlite", out, "--data-dir", dataDir);
    expect(written.entries === ENTRIES && written.versionstampsCut === 0, JSON.stringify(written));
  });
  await dataset("verify", out);
  const end = await server.end();
  await suite.test("the server ends in good order", () => expect(end.code === 0, `code ${end.code}`));

  await suite.test("export from a store that is not served, killed before", async () => {
    server = await Server.start(dataDir);
    await server.kill();
    const again = join(folder, "again.sqlite");
    await tidemark("export", "--to-sqlite", again, "--data-dir", dataDir, "--database", "second");
    const other = makeFolder("sqlite-data");
    await tidemark("import", "--from-sqlite", again, "--data-dir", other);
    server = await Server.start(other);
    await sameBytes(server.url, scratch);
    await server.end();
  });
}

async function messagesAndExpiries(suite) {
  const folder = makeFolder("sqlite"), dataDir = makeFolder("sqlite-data");
  const file = join(folder, "deno.sqlite"), out = join(folder, "out.sqlite");
  // Its file is imported while it has it open: what it wrote is in the WAL.
  let writing;
  const wrote = new Promise((resolve) => {
    writing = new Program("deno", "moving", ["write", file], {
      onEvent: (event) => event.case === undefined ? resolve(event) : suite.report(event.case, event.ok ? undefined : event.error),
    });
  });
  const written = await within(30_000, "the writer", Promise.race([wrote, writing.finished().then(() => {
    throw new Error(writing.stderr);
  })]));
  await suite.test("import of a file that Deno has open", async () => {
    expect(existsSync(file + "-wal"), "there is no WAL");
    const taken = await json("import", "--from-sqlite", file, "--data-dir", dataDir);
    expect(taken.entries === 3 && taken.expiredLeftOut <= 1 && taken.messages === 2, JSON.stringify(taken));
  });
  writing.say("end");
  await within(30_000, "the writer's end", writing.finished());

  const server = await Server.start(dataDir);
  await suite.program("deno", "moving", ["read", server.url, JSON.stringify(written)]);
  await suite.test("export with messages", async () => {
    const moved = await json("export", "--to-sqlite", out, "--data-dir", dataDir);
    expect(moved.messages === 2, JSON.stringify(moved));
  });
  await server.end();
  await suite.program("deno", "moving", ["listen", out]);
}

async function badFiles(suite) {
  const folder = makeFolder("sqlite");
  await suite.test("files that are none, and damaged ones: one line, no store", async () => {
    writeFileSync(join(folder, "text"), "dear reader ".repeat(1000));
    writeFileSync(join(folder, "cut"), Buffer.concat([Buffer.from("SQLite format 3\0"), Buffer.alloc(5000, 7)]));
    for (const name of ["none", "text", "cut", "."]) {
      const run = await runTidemark(["import", "--from-sqlite", name, "--data-dir", "store"], { cwd: folder });
      expect(run.code === 2 && run.stderr.trimEnd().split("\n").length === 1, `${name}: ${run.code}: ${run.stderr}`);
      expect(!existsSync(join(folder, "store")), "a store was made");
    }
  });
}

export default async function sqlite(suite) {
  await everyKindOfEntry(suite, "deno");
  await everyKindOfEntry(suite, "node"); // npm @deno/kv opens files by denokv's own code
  await messagesAndExpiries(suite);
  await badFiles(suite);
}
