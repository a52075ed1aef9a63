// Records one history: a server that is ended and started again at random moments, clients of every kind at work on it,
// and what each of their operations was answered, when. See README.md for the form of a history.

import { closeSync, openSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

import { makeFolder, Program, Server, sleep, within } from "../e2e/lib/server.mjs";
import { now } from "./clock.mjs";
import { openStore } from "./stores.mjs";
import { Chooser, SHARED_KEYS } from "./workload.mjs";

const folder = dirname(fileURLToPath(import.meta.url));

// A process each. `resendMs`: how long the client waits at least before it sends a write again whose answer was lost (the
// Deno CLI) or of status 5xx (@deno/kv, which gives up at once when the connection is lost). Deno waits 202 ms and more,
// @deno/kv 1000 ms. By hand everything is sent once.
const PROCESSES = [
  { runtime: "deno", kind: "real", workers: 2, resendMs: 200 },
  { runtime: "deno", kind: "real", workers: 2, resendMs: 200 },
  { runtime: "node", kind: "real", workers: 2, resendMs: 990 },
  { runtime: "node", kind: "real", workers: 2, resendMs: 990 },
  { runtime: "node", kind: "http1", workers: 1, resendMs: Infinity },
  { runtime: "node", kind: "http2", workers: 1, resendMs: Infinity },
];
const WORKERS = PROCESSES.reduce((sum, { workers }) => sum + workers, 0);

// How many operations come of one of the workload, with the reads before atomic writes.
const READS_FIRST = 1.2;

// A broken connection may be noticed as late as this.
const NOTICE_NS = 2_000_000_000n;

const START_MS_MAX = 60_000;
const WORK_MS_MAX = 240_000;
const LIST_MAX = 1000;

class Client {
  constructor(setup, config, onOperation) {
    this.config = config;
    this.resendMs = setup.resendMs;
    this.told = {};
    this.wake = () => {};
    this.program = new Program(setup.runtime, "client", [JSON.stringify(config)], {
      folder,
      onEvent: (event) => {
        if (event.kind) return onOperation(this, event);
        Object.assign(this.told, event);
        this.wake();
      },
    });
  }

  // Waits until it has told of `what`.
  async until(what, msMax) {
    const told = new Promise((resolve, reject) => {
      this.wake = () => {
        if (this.told.broken) reject(new Error(`${this.program.name}, ${this.config.kind}: ${this.told.broken}`));
        else if (this.told[what]) resolve(this.told[what]);
      };
      this.wake();
      this.program.finished().then(() =>
        this.told[what] ? resolve(this.told[what]) : reject(new Error(`${this.program.name} ended: ${this.told.broken ?? this.program.stderr}`)));
    });
    return await within(msMax, `${this.program.name}: ${what}`, told);
  }

  say(message) {
    this.program.say(JSON.stringify(message));
  }
}

// The server, and when it was away.
export class Host {
  outages = []; // [from, to]: it was ended somewhere between
  kills = 0;
  log = "";

  async start() {
    this.dataDir = makeFolder("linearizability");
    this.server = await Server.start(this.dataDir);
    this.url = this.server.url;
  }

  async restart(signal, awayMs) {
    const from = now();
    await this.server.end(signal);
    this.outages.push([from, now()]);
    this.log += this.server.stderr;
    if (signal === "SIGKILL") this.kills++;
    if (awayMs) await sleep(awayMs);
    this.server = await Server.start(this.dataDir, { port: this.server.port });
  }

  // How many times it was ended while an operation was under way.
  outagesDuring(from, to) {
    return this.outages.filter(([start, end]) => end >= from && start <= to).length;
  }
}

// Ends the server at random moments; `progress` gives how much of the work is done, from 0 to 1, or null when no client
// works any more.
async function trouble(seed, host, progress) {
  const choose = new Chooser(seed, 2_000_000);
  const moments = Array.from({ length: 2 + choose.below(4) }, () => 0.03 + choose.below(900) / 1000).sort();
  for (const moment of moments) {
    const after = choose.below(15), away = choose.chance(50) ? choose.below(150) : 0;
    const signal = choose.chance(80) ? "SIGKILL" : "SIGTERM";
    const again = choose.chance(30) ? choose.below(60) : -1;
    for (let at; (at = progress()) < moment; await sleep(2)) if (at === null) return;
    await sleep(after);
    await host.restart(signal, away);
    if (again < 0) continue;
    // Once more, while the clients are just coming back.
    await sleep(again);
    await host.restart("SIGKILL", 0);
  }
}

// How often the client may have sent a write again after an attempt that may have taken effect: no more than the server
// was ended meanwhile, and than there was time for.
function timesSentAgain(client, host, from, to) {
  return Math.min(host.outagesDuring(from, to), Math.floor(Number(to - from) / 1e6 / client.resendMs));
}

// Everything that is there, when nobody writes any more.
async function readAll(store, client, onOperation) {
  let shared;
  for (let from = "a", entries; !entries || entries.length === LIST_MAX; from = `${entries.at(-1)[0]}0`) {
    const event = { kind: "list", client, from, to: "z", limit: LIST_MAX, reverse: false, call: String(now()) };
    entries = await store.list(event);
    onOperation(null, { ...event, return: String(now()), entries });
    shared ??= SHARED_KEYS.map((key) => entries.find((entry) => entry[0] === key) ?? [key]);
  }
  return shared;
}

// Records the history of `seed` in `file`, with a server on `host`; gives counts.
export async function record({ seed, operations, file, host }) {
  const events = [];
  let worked = 0, frames = 0;
  const onOperation = (client, event) => {
    events.push([client, event]);
    if (event.kind === "frame") frames++;
    else if (event.kind !== "lost") worked++;
  };
  const clients = [];
  try {
    await host.start();
    const each = Math.ceil(operations / WORKERS);
    let next = 0;
    for (const [p, setup] of PROCESSES.entries()) {
      const workers = Array.from({ length: setup.workers }, () => next++);
      clients.push(new Client(setup, {
        url: host.url, kind: setup.kind, seed, operations: each, workers, watcher: WORKERS + p, clients: WORKERS,
      }, onOperation));
    }
    const all = (what, msMax) => Promise.all(clients.map((client) => client.until(what, msMax)));
    await all("ready", START_MS_MAX);
    for (const client of clients) {
      client.say({ go: String(now()) });
      if (BigInt(await client.until("went", START_MS_MAX)) > now()) throw new Error(`${client.program.name}: its clock is ahead`);
    }
    let working = true;
    const done = all("worked", WORK_MS_MAX).finally(() => (working = false));
    await Promise.all([done, trouble(seed, host, () => working ? worked / (each * WORKERS * READS_FIRST) : null)]);

    // The end: what was acknowledged must outlive one more kill, and every watch must show it.
    await host.restart("SIGKILL", 0);
    const store = await openStore("http1", host.url);
    const shared = await readAll(store, WORKERS + PROCESSES.length, onOperation);
    store.close();
    for (const client of clients) client.say({ finish: shared });
    await all("finished", START_MS_MAX);
    await host.server.end();
  } finally {
    host.log += host.server?.stderr ?? "";
    host.server?.child.kill("SIGKILL");
    await Promise.all(clients.map((client) => client.program.kill()));
  }

  const out = openSync(file, "w");
  for (const [client, { lost, ...event }] of events) {
    if (lost && !host.outagesDuring(BigInt(event.call) - NOTICE_NS, BigInt(lost))) {
      throw new Error(`${client.program.name}: lost while the server was there: ${JSON.stringify(event)}`);
    }
    if (event.kind === "lost") continue;
    if (event.kind === "write") {
      event.sends = 1 + timesSentAgain(client, host, BigInt(event.call), BigInt(event.return ?? lost));
    }
    event.call = Number(event.call);
    event.return &&= Number(event.return);
    writeSync(out, `${JSON.stringify(event)}\n`);
  }
  closeSync(out);
  return { operations: worked, frames, kills: host.kills, ends: host.outages.length };
}
