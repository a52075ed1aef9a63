// The data set: loaded through a real client, read back through it and by hand, also after the server was killed and
// after it was ended in good order. Each client has a store of its own: Deno 2.9 writes version 16 of V8's format, which
// the V8 of Node 20 does not read.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { sameBytesAsExpected } from "../lib/expected.mjs";
import { makeFolder, Server, TOKEN } from "../lib/server.mjs";
import { Http1, Http2 } from "../lib/wire.mjs";

const ENTRIES = { deno: 100_800, node: 20_000 };

export default async function dataset(suite) {
  const runtime = suite.name.split("-")[1];
  const count = ENTRIES[runtime];
  const dataDir = makeFolder("dataset");
  const scratch = makeFolder("dataset-expected");
  const program = (mode) => suite.program(runtime, "dataset", [mode, server.url, scratch, String(count)]);

  let server = await Server.start(dataDir);
  await program("load");
  const expected = readFileSync(join(scratch, "expected.bin"));
  await suite.test("byte for byte over HTTP/1.1", () => sameBytesAsExpected(new Http1(server.url), TOKEN, expected, count));
  await server.kill();

  server = await Server.start(dataDir);
  await suite.test("byte for byte over HTTP/2 after SIGKILL", () => sameBytesAsExpected(new Http2(server.url), TOKEN, expected, count));
  await program("verify");
  const end = await server.end();
  await suite.test("SIGTERM ends the server with exit code 0", () => {
    if (end.code !== 0) throw new Error(`code ${end.code}, signal ${end.signal}`);
  });

  server = await Server.start(dataDir);
  await suite.test("byte for byte after an orderly end", () => sameBytesAsExpected(new Http1(server.url), TOKEN, expected, count));
  await server.end();
}
