// One store, whose server is killed again and again while real clients write and read; after each start everything is
// read and verified. The clients stay: they find the server again by themselves.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { Databases } from "./databases.mjs";
import { ACCOUNT_START, ACCOUNTS, MOVERS, WORKERS } from "./plan.mjs";
import { keepFiles, readStore, segmentsIn } from "./store.mjs";
import { Verifier } from "./verifier.mjs";
import { encodeKey } from "../lib/keys.mjs";
import { makeRandom, seedOf } from "../lib/random.mjs";
import { Program, Server, sleep, TOKEN, within } from "../lib/server.mjs";
import { Http1, Session, set, VE_LE64 } from "../lib/wire.mjs";

const WRITERS = ["deno", "deno", "node"];
const READERS = ["node", "deno"];
const CLIENT_MS_MAX = 60_000;
const ADMIN_MS = 100; // about how long an admin command takes beside all this
const EVENTS_KEPT = 20_000;
// The cache is too small for the store; now history is kept for long, now for a moment, now not at all.
const SETTINGS = ["10m", "2s", "none"].map((retention) =>
  ["--history-retention", retention, "--block-cache-bytes", "8MiB", "--metrics-addr", "off"]);
// What clients say of a server that is away, or goes away.
const AWAY = /fetch failed|terminated|other side closed|socket hang up|ECONN(REFUSED|RESET)|EPIPE|connection|http2|http 503/i;

function u64(number) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(number);
  return bytes;
}

class Client {
  // A writer goes by its runtime and number, also when another process takes its place.
  constructor(name, program, args, told) {
    this.name = name;
    this.ready = false;
    this.idle = 0; // the last pause in which it had nothing under way
    this.ended = false;
    this.program = new Program(name.split("-")[0], program, args, {
      onEvent: (event) => {
        if (event.ready) this.ready = true;
        if (event.idle !== undefined) this.idle = event.idle;
        told(event);
      },
    });
    this.program.finished().then(() => {
      this.ended = true;
      told({});
    });
  }
}

export class CrashRun {
  // `folder`: will hold the store as "data", and as "before" what the last end of the clients' server left of it.
  constructor(folder, seed) {
    this.folder = folder;
    this.dataDir = join(folder, "data");
    this.before = join(folder, "before");
    this.seed = seed;
    this.random = makeRandom(seedOf(seed, "run"));
    this.verifier = new Verifier(seed);
    this.databases = new Databases(this.dataDir, this.random);
    this.clients = new Map();
    this.counts = { kills: 0, restarts: 0, orderly: 0, early: 0, replaced: 0, unfinished: 0 };
    this.events = []; // the last ones, to look at when something is wrong
    this.wake = () => {};
    this.acks = 0;
    this.serving = false; // and has been, since the clients found it
    this.pauses = 0;
    this.startMs = 50;
    this.port = 0;
    this.segments = new Set();
    this.entries = 0;
    this.bytes = 0;
  }

  below(limit) {
    return this.random() % Math.max(1, Math.round(limit));
  }

  // ---- clients

  told(client, event) {
    this.events.push([client, event]);
    if (this.events.length > 2 * EVENTS_KEPT) this.events.splice(0, EVENTS_KEPT);
    if (event.ack) this.acks++;
    const trouble = event.trouble ?? event.fail?.[2];
    if (trouble !== undefined && (this.serving || !AWAY.test(trouble))) {
      this.verifier.complain(`${client}: an error that no end of the server explains: ${trouble}`);
    }
    try {
      this.verifier.note(client, event);
    } catch (error) {
      this.verifier.complain(`${client}: ${error.message}`);
    }
    this.wake();
  }

  // Waits until `reached()` holds, which may change with whatever clients tell.
  async #until(what, reached) {
    await within(CLIENT_MS_MAX, what, new Promise((resolve, reject) => {
      this.wake = () => {
        const gone = [...this.clients.values()].find(({ ended }) => ended);
        if (gone) reject(new Error(`${gone.name} ended: ${gone.program.stderr}`));
        else if (reached()) resolve();
      };
      this.wake();
    }));
  }

  #startWriter(name) {
    const starts = JSON.stringify(this.verifier.startsOf(name, WORKERS + MOVERS));
    this.#startClient(name, "writers", [this.server.url, String(this.seed), name, starts]);
  }

  #startClient(name, program, args) {
    this.clients.set(name, new Client(name, program, args, (event) => this.told(name, event)));
  }

  async #all(what, holds) {
    await this.#until(what, () => [...this.clients.values()].every(holds));
  }

  #say(line) {
    for (const { program } of this.clients.values()) program.say(line);
  }

  async #endWriter() {
    const writers = [...this.clients.keys()].filter((name) => !name.includes("reader"));
    const name = writers[this.below(writers.length)];
    const { program } = this.clients.get(name);
    this.clients.delete(name);
    await program.kill();
    this.verifier.writerEnded(name);
    this.counts.replaced++;
    return name;
  }

  // ---- the server

  #launch() {
    this.server = Server.launch(this.dataDir, { port: this.port, args: SETTINGS[this.below(SETTINGS.length)] });
    return this.server;
  }

  // Ends the server with a signal, unless it has ended by itself, which is wrong.
  async #end(signal) {
    this.serving = false;
    const { code, signal: by } = await this.server.end(signal);
    this.verifier.serverEnded();
    const right = signal === "SIGKILL" ? by === signal : code === 0;
    const said = this.server.stderr.match(/^\S+ (?:error|critical) .*$/m)?.[0];
    if (!right || said) {
      this.verifier.complain(`the server ended with ${by ?? `code ${code}`} after ${signal}: ` +
        (said ?? this.server.stderr.slice(-2000)));
    }
    if (signal === "SIGKILL") this.counts.kills++;
    else this.counts.orderly++;
  }

  // Starts it again, killed while it starts `early` times, and lets the verifier write before anybody knows it is there.
  async #restart(early) {
    const segments = segmentsIn(this.dataDir);
    for (const path of segments) this.segments.add(path);
    keepFiles(this.dataDir, this.before);
    const { newest } = this.verifier;
    for (let i = 0; i < early; i++) {
      this.#launch();
      await sleep(1 + this.below(i % 2 ? this.startMs * 1.5 : 50));
      await this.#end("SIGKILL");
      this.counts.early++;
    }
    const began = performance.now();
    await this.#launch().ready;
    this.startMs = performance.now() - began;
    this.counts.restarts += early + 1;
    // A start removes the segments that were not finished.
    const kept = new Set(segmentsIn(this.dataDir));
    if (segments.some((path) => !kept.has(path))) this.counts.unfinished++;
    await this.#openSession();
    await this.#probe(newest);
  }

  async #openSession() {
    this.transport = new Http1(this.server.url);
    this.session = await Session.open(this.transport, TOKEN);
  }

  // An atomic write of nothing gets a versionstamp like any other.
  async #probe(newest) {
    this.verifier.probed((await this.session.atomicWrite([])).versionstamp, newest);
  }

  // ---- a run

  async start() {
    mkdirSync(this.dataDir);
    await this.#launch().ready;
    this.port = this.server.port;
    await this.#openSession();
    const keys = Array.from({ length: ACCOUNTS }, (_, i) => ["account", i]);
    const { versionstamp } = await this.session.atomicWrite(
      keys.map((key) => set(encodeKey(key), u64(ACCOUNT_START), VE_LE64)));
    for (const key of keys) this.verifier.begin(key, ACCOUNT_START, versionstamp);
    const writers = WRITERS.map((runtime, i) => `${runtime}-${i}`);
    for (const name of writers) this.#startWriter(name);
    for (const runtime of READERS) this.#startClient(`${runtime}-reader`, "readers", [this.server.url, writers.join()]);
    await this.#all("the clients' start", ({ ready }) => ready);
    this.transport.close();
  }

  // The clients work until, `afterMs` after the first acknowledgement, the server ends as `ending` says: "kill", "admin"
  // (killed during an admin command), "orderly". Then it is started again, killed `early` times while it starts, and all
  // is verified. `command`: an admin command is run before the end; `offline`: one is run, and killed, before the start;
  // `replace`: a writer is killed, and another takes its place. `doctor` may change the files before the start. Gives what
  // is wrong.
  async round({ ending = "kill", afterMs = 300, early = 0, command = false, offline = false, replace = false, doctor }) {
    this.acks = 0;
    this.#say("go");
    await this.#until("the first acknowledgement", () => this.acks > 0);
    this.serving = true;
    if (command) await this.#commandWhileServed();
    await sleep(afterMs);
    await this.#endAs(ending);
    this.#say(`pause ${++this.pauses}`);
    const replaced = replace ? await this.#endWriter() : null;
    if (offline) await this.databases.command({ killAfterMs: 1 + this.below(ADMIN_MS) });
    doctor?.();
    await this.#restart(early);
    const wrong = await this.#verify();
    if (replaced && !wrong.length) {
      this.#startWriter(replaced);
      await this.#all("the new writer's start", ({ ready }) => ready);
    }
    this.transport.close();
    return wrong;
  }

  async #commandWhileServed() {
    const { done, said } = await this.databases.command();
    if (!done) this.verifier.complain(`an admin command failed while the store was served: ${said}`);
  }

  async #endAs(ending) {
    if (ending !== "admin") return await this.#end(ending === "orderly" ? "SIGTERM" : "SIGKILL");
    const command = this.databases.command();
    await sleep(this.below(ADMIN_MS));
    await this.#end("SIGKILL");
    await command; // the store must be free before the next start
  }

  async #verify() {
    // Then nothing is under way.
    await this.#all("the clients to be idle", ({ idle }) => idle === this.pauses);
    const from = Date.now();
    const store = await readStore(this.session);
    const times = { from, until: Date.now() };
    for (const what of await this.databases.check(this.transport)) this.verifier.complain(what);
    this.verifier.check(store, times);
    await this.databases.mark(this.transport);
    await this.#probe(this.verifier.newest);
    this.entries = store.size;
    this.bytes = [...store.values()].reduce((sum, { value }) => sum + value.length, 0);
    return this.verifier.violations;
  }

  async stop() {
    await Promise.all([...this.clients.values()].map(({ program }) => program.kill()));
    if (this.server) await this.#end("SIGTERM");
  }

  // What was told last, for whoever looks for the cause.
  writeEvents() {
    const path = join(this.folder, "events.jsonl");
    writeFileSync(path, this.events.slice(-EVENTS_KEPT).map((event) => JSON.stringify(event) + "\n").join(""));
    return path;
  }

  summary() {
    const { kills, restarts } = this.counts;
    const { acknowledged, found, missing } = this.verifier.counts;
    return `kills ${kills}, restarts ${restarts}, writes ${acknowledged} acknowledged, ${found + missing} in doubt ` +
      `(${found} found, ${missing} not), violations ${this.verifier.violations.length}`;
  }
}
