// The command line: what it says and how it exits when something is wrong, and what people from denokv type.

import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { makeFolder, runTidemark, Server, TOKEN } from "../lib/server.mjs";
import { Http1, Session, set } from "../lib/wire.mjs";

function expect(condition, message) {
  if (!condition) throw new Error(message);
}

const show = ({ code, signal, stdout, stderr }) => `code ${code}, signal ${signal}\nstdout: ${stdout}\nstderr: ${stderr}`;

// One clear line on stderr that says `pattern`, and this exit code.
function expectRefused(run, code, pattern) {
  expect(run.code === code, `expected exit code ${code}: ${show(run)}`);
  const lines = run.stderr.split("\n").filter((line) => /error|tidemark|refus|cannot|must|is not|unknown|:/i.test(line));
  expect(lines.length >= 1 && run.stderr.length < 3000, show(run));
  expect(!/Listening on/.test(run.stderr), show(run));
  if (pattern) expect(pattern.test(run.stderr), `expected ${pattern}: ${show(run)}`);
}

const serve = (dataDir, args = [], env = { DENO_KV_ACCESS_TOKEN: TOKEN }) =>
  runTidemark(["serve", "--data-dir", dataDir, "--addr", "127.0.0.1:0", ...args], { env });

export default async function cli(suite) {
  await suite.test("--help everywhere, exit code 0", async () => {
    for (const args of [["--help"], ["serve", "--help"]]) {
      const run = await runTidemark(args);
      expect(run.code === 0 && /serve/.test(run.stdout), show(run));
    }
    expect(/--data-dir/.test((await runTidemark(["serve", "--help"])).stdout), "serve --help does not tell of --data-dir");
  });
  await suite.test("bad arguments: exit code 2", async () => {
    for (const args of [["--no-such-option"], ["no-such-command"], ["serve", "--no-such-option"],
      ["serve", "--addr"], ["serve", "--addr", "nonsense"], ["serve", "--addr", "127.0.0.1:99999"],
      ["serve", "--addr", "127.0.0.1:0", "--shutdown-timeout", "soon"]]) {
      const run = await runTidemark(args, { env: { DENO_KV_ACCESS_TOKEN: TOKEN }, cwd: makeFolder("cwd") });
      expect(run.code === 2 && run.stderr.length > 5, `${args.join(" ")}: ${show(run)}`);
    }
  });
  await suite.test("no access token, or one that is too short: refused", async () => {
    const none = await serve(makeFolder(), [], {});
    expect(none.code !== 0 && none.code !== null && /token/i.test(none.stderr), show(none));
    const short = await serve(makeFolder(), [], { DENO_KV_ACCESS_TOKEN: "elevenchars" });
    expect(short.code !== 0 && short.code !== null && /12/.test(short.stderr), show(short));
    expect(!short.stderr.includes("elevenchars"), "it shows the token");
  });
  await suite.test("--sqlite-path: one line on how to move in, exit code 2", async () => {
    const run = await runTidemark(["--sqlite-path", "/tmp/x.sqlite", "serve"], { env: { DENO_KV_ACCESS_TOKEN: TOKEN } });
    const other = await runTidemark(["serve", "--sqlite-path", "/tmp/x.sqlite"], { env: { DENO_KV_ACCESS_TOKEN: TOKEN } });
    for (const { code, stderr } of [run, other]) {
      expect(code === 2 && /data-dir/.test(stderr) && stderr.trimEnd().split("\n").length === 1, `${code}: ${stderr}`);
    }
  });
  await suite.test("a folder that holds something else: exit code 1, and it is left alone", async () => {
    const folder = makeFolder("not-a-store");
    writeFileSync(join(folder, "letter.txt"), "dear");
    expectRefused(await serve(folder), 1, new RegExp(folder));
    expect(readdirSync(folder).join() === "letter.txt", `now there: ${readdirSync(folder)}`);
  });
  await suite.test("a data folder that is a file, or beneath one: exit code 1", async () => {
    const file = join(makeFolder(), "file");
    writeFileSync(file, "x");
    expectRefused(await serve(file), 1, new RegExp(file));
    expectRefused(await serve(join(file, "data")), 1, new RegExp(file));
    expectRefused(await serve("/proc/tidemark"), 1, /\/proc\/tidemark/);
  });
  await suite.test("a data folder without the right to write: exit code 1", async () => {
    if (process.getuid() === 0) {
      // Rights do not hold root back; a file system that takes no files does.
      return expectRefused(await serve("/sys/tidemark"), 1, /\/sys\/tidemark/);
    }
    const folder = makeFolder();
    mkdirSync(join(folder, "closed"));
    chmodSync(join(folder, "closed"), 0o500);
    expectRefused(await serve(join(folder, "closed")), 1, /closed/);
  });
  await suite.test("a data folder in use: exit code 1, and its user goes on", async () => {
    const server = await Server.start(makeFolder());
    try {
      expectRefused(await serve(server.dataDir), 1, /in use|lock|held|another process/i);
      const transport = new Http1(server.url);
      const session = await Session.open(transport, TOKEN);
      expect((await session.atomicWrite([set("a", "b")])).status === 1, "the first server is disturbed");
      transport.close();
    } finally {
      await server.end();
    }
  });
  await suite.test("a port in use: exit code 1", async () => {
    const server = await Server.start(makeFolder());
    try {
      const run = await runTidemark(["serve", "--data-dir", makeFolder(), "--addr", `127.0.0.1:${server.port}`],
        { env: { DENO_KV_ACCESS_TOKEN: TOKEN } });
      expectRefused(run, 1, new RegExp(`${server.port}`));
    } finally {
      await server.end();
    }
  });
  await suite.test("a new data folder is made; SIGINT and SIGTERM end it with exit code 0", async () => {
    const folder = join(makeFolder(), "new");
    for (const signal of ["SIGINT", "SIGTERM"]) {
      const server = await Server.start(folder);
      expect(existsSync(folder), "no folder");
      const end = await server.end(signal);
      expect(end.code === 0, `${signal}: code ${end.code}, signal ${end.signal}: ${server.stderr}`);
    }
  });
  await suite.test("a server that is idle but for open connections ends in time", async () => {
    const server = await Server.start(makeFolder());
    const transport = new Http1(server.url);
    await Session.open(transport, TOKEN);
    const began = performance.now();
    const end = await server.end("SIGTERM");
    transport.close();
    expect(end.code === 0, `code ${end.code}, signal ${end.signal}`);
    expect(performance.now() - began < 30_000, "more than 30 s");
  });
  await suite.test("--data-dir before the subcommand, TIDEMARK_DATA_DIR, --access-token-file, denokv's options", async () => {
    const folder = makeFolder();
    const tokenFile = join(folder, "token");
    writeFileSync(tokenFile, TOKEN + "\n", { mode: 0o600 });
    const works = async (server) => {
      const transport = new Http1(server.url);
      await Session.open(transport, TOKEN);
      transport.close();
      await server.end();
    };
    const first = join(folder, "first"), second = join(folder, "second");
    await works(await Server.start(first, { token: null, args: ["--access-token-file", tokenFile] }));
    await works(await Server.startWith(["--data-dir", first, "serve", "--addr", "127.0.0.1:0"]));
    await works(await Server.startWith(["serve", "--addr", "127.0.0.1:0"],
      { DENO_KV_ACCESS_TOKEN: TOKEN, TIDEMARK_DATA_DIR: second }));
    expect(existsSync(second), "TIDEMARK_DATA_DIR was not used");
    const server = await Server.start(first, { args: ["--num-workers", "4", "--atomic-write-batch-timeout-ms", "5"] });
    expect(/num-workers/.test(server.stderr) && /atomic-write-batch-timeout-ms/.test(server.stderr),
      `no warning: ${server.stderr}`);
    await works(server);
  });
}
