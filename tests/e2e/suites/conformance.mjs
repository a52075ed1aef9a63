// The rules of conformance/rules.mjs, one by one. "conformance" shows them by hand over both transports,
// "conformance-clients" through the real clients. Other suites show some, too.

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

import { arithmeticCases } from "../conformance/arithmetic.mjs";
import { Context, expect } from "../conformance/context.mjs";
import { expiryCases } from "../conformance/expiry.mjs";
import { limitCases } from "../conformance/limits.mjs";
import { keepAliveCase, watchCases } from "../conformance/watch.mjs";
import { writeCases } from "../conformance/writes.mjs";
import { makeFolder, RUNTIMES, Server } from "../lib/server.mjs";
import { check, enqueue, Http1, Http2, set } from "../lib/wire.mjs";

// Whether some file beneath the folder has these bytes.
function holds(folder, bytes) {
  return readdirSync(folder, { recursive: true }).some((name) => {
    const path = join(folder, name);
    return statSync(path).isFile() && readFileSync(path).includes(bytes);
  });
}

async function byHand(suite) {
  const server = await Server.start(makeFolder("conformance"));
  await Promise.all([Http1, Http2].map(async (Transport) => {
    const contexts = await Promise.all(Array.from({ length: 3 }, () => Context.open(suite, server, Transport)));
    const [writes, watches, times] = contexts;
    await Promise.all([
      keepAliveCase(watches),
      expiryCases(times),
      (async () => {
        await writeCases(writes);
        await arithmeticCases(writes);
        await limitCases(writes);
        await watchCases(watches);
      })(),
    ]);
    for (const context of contexts) context.transport.close();
  }));
  await server.end();
  await suite.rule("enqueue.stored enqueue.transactional", "an enqueue is stored with its write, and with none that failed", async () => {
    const dataDir = makeFolder("queue");
    const own = await Server.start(dataDir);
    const context = await Context.open(suite, own, Http1);
    const key = context.key("enqueue");
    await context.commit([set(key, "x"), enqueue("payload-of-a-write", 0, { undelivered: [key], backoffMs: [100, 200] })]);
    await context.commit([enqueue("payload-for-later", Date.now() + 60_000)]);
    const outcome = await context.write([check(key), enqueue("payload-of-a-failed-check")]);
    expect(outcome.status === 2, "the check held");
    context.transport.close();
    await own.kill();
    expect(holds(dataDir, "payload-of-a-write") && holds(dataDir, "payload-for-later"), "the message is not there");
    expect(!holds(dataDir, "payload-of-a-failed-check"), "a message of a write that failed is there");
  });
}

async function byClients(suite) {
  const dataDir = makeFolder("conformance-clients");
  const server = await Server.start(dataDir);
  const readOnly = await Server.start(makeFolder("read-only-clients"), { args: ["--read-only"] });
  // Transfers of both clients between the same accounts, while their other cases run.
  await Promise.all(RUNTIMES.flatMap((runtime) => [
    suite.program(runtime, "conformance", [server.url, readOnly.url]),
    suite.program(runtime, "transfers", [server.url]),
  ]));
  await readOnly.end();
  await server.end();
  await suite.rule("enqueue.stored", "what @deno/kv enqueued is stored", () =>
    expect(holds(dataDir, "enqueued by @deno/kv"), "the message is not there"));
}

export default (suite) => suite.name === "conformance" ? byHand(suite) : byClients(suite);
