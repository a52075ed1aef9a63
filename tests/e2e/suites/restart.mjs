// Orderly ends: what was accepted is finished and answered, nothing unanswered is applied, and clients go on after a
// restart with the tokens that they have.

import { makeFolder, Program, RUNTIMES, Server, sleep, TOKEN, within } from "../lib/server.mjs";
import { Http1, Http2, Session, set } from "../lib/wire.mjs";

const STREAMS = 24; // requests at once on the HTTP/2 connection
const CONNECTIONS = 8; // HTTP/1.1 connections, one request at a time each

// Writes distinct keys until its connection is refused or closed; counts what was answered.
async function pour(session, name, acked) {
  for (let i = 0; ; i++) {
    const key = `${name} ${i}`;
    let answer;
    try {
      answer = await session.atomicWrite([set(Buffer.from(key), Buffer.alloc(200, 1))]);
    } catch (error) {
      if (/^atomic_write: /.test(error.message)) throw error; // an answer, but not 200
      return;
    }
    acked.set(key, answer.versionstamp);
  }
}

async function endDuringWrites(suite, signal) {
  const dataDir = makeFolder("restart");
  let server = await Server.start(dataDir);
  const transports = [new Http2(server.url), ...Array.from({ length: CONNECTIONS }, () => new Http1(server.url))];
  const acked = new Map();
  const tasks = [];
  for (const [t, transport] of transports.entries()) {
    const session = await Session.open(transport, TOKEN);
    const parallel = transport instanceof Http2 ? STREAMS : 1;
    for (let p = 0; p < parallel; p++) tasks.push(pour(session, `${t}-${p}`, acked));
  }
  const poured = Promise.allSettled(tasks);
  await sleep(400);
  const before = acked.size;
  const end = await server.end(signal);
  const outcomes = await within(30_000, "the clients' end", poured);
  for (const transport of transports) transport.close();

  await suite.test(`${signal} during writes: exit code 0`, () => {
    if (end.code !== 0) throw new Error(`code ${end.code}, signal ${end.signal}: ${server.stderr.slice(-2000)}`);
    if (before < 100) throw new Error(`only ${before} writes before the signal`);
  });
  await suite.test(`${signal} during writes: no request gets a bad answer`, () => {
    const bad = outcomes.find((outcome) => outcome.status === "rejected");
    if (bad) throw bad.reason;
  });
  server = await Server.start(dataDir);
  const transport = new Http1(server.url);
  const found = new Map();
  for await (const entry of (await Session.open(transport, TOKEN)).scan()) {
    found.set(entry.key.toString(), entry.versionstamp);
  }
  transport.close();
  await suite.test(`${signal} during writes: what was answered is there, and what is there was answered`, () => {
    for (const [key, versionstamp] of acked) {
      if (found.get(key) !== versionstamp) throw new Error(`${key}: answered as ${versionstamp}, found ${found.get(key)}`);
    }
    for (const key of found.keys()) if (!acked.has(key)) throw new Error(`${key} was applied and never answered`);
  });
  await server.end();
}

async function clientsGoOn(suite) {
  const dataDir = makeFolder("survivors");
  let server = await Server.start(dataDir);
  const { port } = server;
  const old = await Session.open(new Http1(server.url), TOKEN);
  const survivors = RUNTIMES.map((runtime) => {
    const survivor = { runtime, ready: -1, wake: () => {}, cases: 0 };
    survivor.program = new Program(runtime, "survivor", [server.url], {
      onEvent: (event) => {
        if (event.case) {
          survivor.cases++;
          suite.report(`${runtime}: ${event.case}`, event.ok ? undefined : event.error);
        }
        if (event.ready !== undefined) survivor.ready = event.ready;
        survivor.wake();
      },
    });
    survivor.until = (round) => within(60_000, `${runtime} client, round ${round}`, new Promise((resolve, reject) => {
      survivor.wake = () => survivor.ready >= round && resolve();
      survivor.wake();
      survivor.program.finished().then(() =>
        survivor.ready >= round ? resolve() : reject(new Error(`it ended: ${survivor.program.stderr}`)));
    }));
    return survivor;
  });
  try {
    await Promise.all(survivors.map((survivor) => survivor.until(0)));
    for (const [round, signal] of ["SIGTERM", "SIGKILL"].entries()) {
      await server.end(signal);
      server = await Server.start(dataDir, { port });
      for (const survivor of survivors) survivor.program.say("go on");
      await Promise.all(survivors.map((survivor) => survivor.until(round + 1)));
    }
    await suite.test("a data-path token of before two restarts still reads", async () => {
      const transport = new Http1(server.url);
      const entry = await old.over(transport).get(Buffer.from("no such key"));
      transport.close();
      if (entry !== null) throw new Error("found something");
    });
    await suite.test("the database keeps its id", async () => {
      const transport = new Http1(server.url);
      const { metadata } = await Session.open(transport, TOKEN);
      transport.close();
      if (metadata.databaseId !== old.metadata.databaseId) throw new Error(metadata.databaseId);
    });
  } finally {
    for (const survivor of survivors) {
      survivor.program.child.stdin.end();
      const end = await within(10_000, "a survivor's end", survivor.program.finished()).catch(() => survivor.program.kill());
      if (survivor.cases !== 2 || end.code !== 0) {
        suite.report(`${survivor.runtime}: both rounds ran`, `${survivor.cases} cases, code ${end.code}: ${survivor.program.stderr}`);
      }
    }
    old.transport.close();
    await server.end();
  }
}

export default async function restart(suite) {
  await clientsGoOn(suite);
  await endDuringWrites(suite, "SIGTERM");
  await endDuringWrites(suite, "SIGINT");
}
