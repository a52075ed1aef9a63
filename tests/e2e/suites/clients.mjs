// The real clients in daily use: the programs of the README as printed there, and the calls one by one.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { e2eFolder, makeFolder, Program, rootFolder, RUNTIMES, Server, within } from "../lib/server.mjs";

// The block of the README that comes after `<!-- e2e: NAME -->`.
function readmeBlock(name) {
  const readme = readFileSync(join(rootFolder, "README.md"), "utf8");
  const found = readme.match(new RegExp("<!-- e2e: " + name + " -->\\s*```\\w*\\n([^]*?)\\n```"));
  if (!found) throw new Error(`README.md has no block "${name}"`);
  return found[1];
}

async function readmeProgram(runtime, server) {
  const source = readmeBlock(`${runtime} program`);
  if (!source.includes("http://localhost:4512")) throw new Error("the program does not use the address of ./dev serve");
  // Beneath node_modules, so that Node finds the client and git does not see the file.
  const folder = join(e2eFolder, "node_modules", ".readme");
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${runtime}.mjs`);
  writeFileSync(file, source.replace("localhost:4512", `localhost:${server.port}`));
  const program = new Program(runtime, "README", [], { file });
  const end = await within(30_000, program.name, program.finished());
  if (end.code !== 0) throw new Error(`exit code ${end.code}: ${program.stderr}`);
  const wanted = readmeBlock(`${runtime} output`);
  if (program.stdout.trimEnd() !== wanted) throw new Error(`it printed\n${program.stdout}\ninstead of\n${wanted}`);
}

export default async function clients(suite) {
  const server = await Server.start(makeFolder("clients"));
  for (const runtime of RUNTIMES) {
    await suite.test(`${runtime}: the README's program prints what the README says`, () => readmeProgram(runtime, server));
  }
  // Both at the same time, one over HTTP/2 and one over HTTP/1.1, on one port.
  await Promise.all(RUNTIMES.map((runtime) => suite.program(runtime, "basics", [server.url])));
  for (const runtime of RUNTIMES) {
    await suite.program(runtime, "refused", [server.url, "token"], { env: { DENO_KV_ACCESS_TOKEN: "not-the-token-of-the-tests" } });
  }
  await server.end();
}
