// The server is killed again and again during concurrent writes of several clients; after each restart every
// acknowledged write is there, whole, under the versionstamp that was acknowledged, and no write is there by half.

import { ACCOUNT_START, ACCOUNTS, pack, SLOT_KEYS, SLOTS, unpack } from "../lib/crash_rules.mjs";
import { encodeKey, hex } from "../lib/keys.mjs";
import { makeFolder, Program, Server, sleep, TOKEN, within } from "../lib/server.mjs";
import { Http1, Session, set } from "../lib/wire.mjs";

const CLIENTS = ["deno", "deno", "node"];
const WORKERS = 6;
// How long the clients write before the kill, counted from the first acknowledgement of all of them.
const KILL_AFTER_MS = [120, 700, 350, 1100];

async function readAll(server) {
  const transport = new Http1(server.url);
  const session = await Session.open(transport, TOKEN);
  const store = new Map();
  for await (const entry of session.scan()) store.set(hex(entry.key), entry);
  transport.close();
  return store;
}

// What one client told: per worker the numbers tried and the versionstamps acknowledged.
class History {
  constructor(name) {
    this.name = name;
    this.tried = [];
    this.acked = [];
    this.ackCount = 0;
    this.transfers = 0;
    this.started = new Promise((resolve) => (this.markStarted = resolve));
  }

  note(event) {
    if (event.try) (this.tried[event.try[0]] ??= []).push(event.try[1]);
    if (event.transfer) this.transfers++;
    if (event.ack) {
      const [worker, n, versionstamp] = event.ack;
      (this.acked[worker] ??= new Map()).set(n, versionstamp);
      this.ackCount++;
      this.markStarted();
    }
  }
}

function checkHistory(history, store) {
  const at = (...key) => store.get(hex(encodeKey(key)));
  history.tried.forEach((tried, worker) => {
    const newest = new Map(); // slot to the log entry of its newest write that is there
    for (const n of tried) {
      const entry = at("log", history.name, worker, n);
      const acked = history.acked[worker]?.get(n);
      const where = `write ${n} of worker ${worker} of ${history.name}`;
      if (acked && !entry) throw new Error(`${where} was acknowledged and is lost`);
      if (!entry) continue;
      if (acked && entry.versionstamp !== acked) {
        throw new Error(`${where} was acknowledged as ${acked} and is there as ${entry.versionstamp}`);
      }
      if (unpack(entry.value).number !== n) throw new Error(`${where} has another's value`);
      newest.set(n % SLOTS, { n, versionstamp: entry.versionstamp });
    }
    for (let slot = 0; slot < SLOTS; slot++) {
      const wanted = newest.get(slot);
      for (let k = 0; k < SLOT_KEYS; k++) {
        const entry = at("slot", history.name, worker, slot, k);
        const where = `slot ${slot}, key ${k} of worker ${worker} of ${history.name}`;
        if (!wanted !== !entry) throw new Error(`${where} is ${entry ? "there" : "missing"}: half of an atomic write`);
        if (!wanted) continue;
        const n = unpack(entry.value).number;
        if (n !== wanted.n || entry.versionstamp !== wanted.versionstamp) {
          throw new Error(`${where} is of write ${n} at ${entry.versionstamp}, and the newest write is ` +
            `${wanted.n} at ${wanted.versionstamp}: half of an atomic write`);
        }
      }
    }
  });
}

function checkNothingForeign(histories, store) {
  let wanted = ACCOUNTS;
  for (const history of histories) {
    history.tried.forEach((tried, worker) => {
      for (const n of tried) if (store.has(hex(encodeKey(["log", history.name, worker, n])))) wanted++;
      const slots = new Set(tried.filter((n) => store.has(hex(encodeKey(["log", history.name, worker, n]))))
        .map((n) => n % SLOTS));
      wanted += slots.size * SLOT_KEYS;
    });
  }
  if (store.size !== wanted) throw new Error(`${store.size} entries instead of ${wanted}`);
}

function checkAccounts(store) {
  let sum = 0;
  for (let i = 0; i < ACCOUNTS; i++) sum += unpack(store.get(hex(encodeKey(["account", i]))).value);
  if (sum !== ACCOUNTS * ACCOUNT_START) throw new Error(`the accounts hold ${sum}`);
}

export default async function crash(suite) {
  const dataDir = makeFolder("crash");
  let server = await Server.start(dataDir);
  const transport = new Http1(server.url);
  const session = await Session.open(transport, TOKEN);
  await session.atomicWrite(Array.from({ length: ACCOUNTS }, (_, i) =>
    set(encodeKey(["account", i]), pack(ACCOUNT_START))));
  transport.close();

  const histories = [];
  for (const [round, killAfterMs] of KILL_AFTER_MS.entries()) {
    const programs = CLIENTS.map((runtime, i) => {
      const history = new History(`${round}-${runtime}-${i}`);
      histories.push(history);
      return { history, runtime, program: new Program(runtime, "writers", [server.url, history.name, String(WORKERS)],
        { onEvent: (event) => history.note(event) }) };
    });
    try {
      await within(30_000, "the first write of every client",
        Promise.all(programs.map(({ history, program }) => Promise.race([
          history.started,
          program.finished().then(() => Promise.reject(new Error(`${program.name} ended: ${program.stderr}`))),
        ]))));
      await sleep(killAfterMs);
    } finally {
      await server.kill();
      await Promise.all(programs.map(({ program }) => program.kill()));
    }
    const acks = programs.reduce((sum, { history }) => sum + history.ackCount, 0);
    const transfers = programs.reduce((sum, { history }) => sum + history.transfers, 0);

    server = await Server.start(dataDir);
    const store = await readAll(server);
    const what = `kill ${round + 1}, after ${killAfterMs} ms of writing`;
    await suite.test(`${what}: the clients were writing`, () => {
      if (acks < CLIENTS.length || transfers === 0) throw new Error(`${acks} writes, ${transfers} transfers`);
    });
    await suite.test(`${what}: every acknowledged write is there, none by half (${acks} writes)`, () => {
      for (const history of histories) checkHistory(history, store);
      checkNothingForeign(histories, store);
    });
    await suite.test(`${what}: checked transfers kept their sum (${transfers} transfers)`, () => checkAccounts(store));
  }
  await server.end();
}
