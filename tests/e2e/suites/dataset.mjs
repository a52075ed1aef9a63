// The data set: loaded through a real client, read back through it and by hand, also after the server was killed and
// after it was ended in good order. Each client has a store of its own: Deno 2.9 writes version 16 of V8's format, which
// the V8 of Node 20 does not read.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { makeFolder, Server, TOKEN } from "../lib/server.mjs";
import { Http1, Http2, Session } from "../lib/wire.mjs";

const ENTRIES = { deno: 100_800, node: 20_000 };

// Compares every byte that the server holds with expected.bin (see programs/dataset.mjs).
async function sameBytes(transport, expected, count) {
  const session = await Session.open(transport, TOKEN);
  let at = 0, entries = 0;
  const take = (length) => expected.subarray(at, (at += length));
  const equal = (what, got, wanted) => {
    if (!got.equals(wanted)) {
      throw new Error(`entry ${entries}: ${what} is ${got.toString("hex").slice(0, 200)} instead of ` +
        wanted.toString("hex").slice(0, 200));
    }
  };
  for await (const entry of session.scan()) {
    if (at >= expected.length) throw new Error(`more than ${entries} entries; then ${entry.key.toString("hex")}`);
    equal("the key", entry.key, take(take(4).readUInt32LE()));
    equal("the encoding", Buffer.from([entry.encoding]), take(1));
    equal("the versionstamp", Buffer.from(entry.versionstamp, "hex"), take(10));
    equal("the value", entry.value, take(take(4).readUInt32LE()));
    entries++;
  }
  if (at !== expected.length) throw new Error(`only ${entries} entries, ${expected.length - at} bytes are missing`);
  if (entries !== count) throw new Error(`${entries} entries instead of ${count}`);
  transport.close();
}

export default async function dataset(suite) {
  const runtime = suite.name.split("-")[1];
  const count = ENTRIES[runtime];
  const dataDir = makeFolder("dataset");
  const scratch = makeFolder("dataset-expected");
  const program = (mode) => suite.program(runtime, "dataset", [mode, server.url, scratch, String(count)]);

  let server = await Server.start(dataDir);
  await program("load");
  const expected = readFileSync(join(scratch, "expected.bin"));
  await suite.test("byte for byte over HTTP/1.1", () => sameBytes(new Http1(server.url), expected, count));
  await server.kill();

  server = await Server.start(dataDir);
  await suite.test("byte for byte over HTTP/2 after SIGKILL", () => sameBytes(new Http2(server.url), expected, count));
  await program("verify");
  const end = await server.end();
  await suite.test("SIGTERM ends the server with exit code 0", () => {
    if (end.code !== 0) throw new Error(`code ${end.code}, signal ${end.signal}`);
  });

  server = await Server.start(dataDir);
  await suite.test("byte for byte after an orderly end", () => sameBytes(new Http1(server.url), expected, count));
  await server.end();
}
