// A primary and a replica live with a bad way to their bucket and are killed again and again, under the load of real clients.
// Behind each kill of the primary its bucket is restored: all is there that `backup status` had said, and under
// `--durability backup` all that clients were told. Now and then the load rests: then the replica is what the primary is.

import { openKv } from "../../e2e/lib/client.mjs";
import { FaultProxy } from "../../e2e/lib/fault_proxy.mjs";
import { makeRandom, seedOf } from "../../e2e/lib/random.mjs";
import { Server, sleep, TOKEN, within } from "../../e2e/lib/server.mjs";
import { expect, expectSame } from "./lines.mjs";
import { Replica } from "./replica.mjs";
import { BackedUp, dump, linesOf, restore, s3Options, tidemark } from "./tidemark.mjs";
import { Workload } from "./workload.mjs";

const REST_EVERY_MS = 60_000;
const FAULTS = [
  { fault: "delay", chance: 0.05, ms: 100 },
  { fault: "drop-before", chance: 0.03 },
  { fault: "drop-after", chance: 0.03 },
  { fault: "internal", chance: 0.03 },
  { fault: "slow-down", chance: 0.03 },
  { fault: "truncate", method: "GET", chance: 0.03 },
  { fault: "tear", method: "PUT", chance: 0.03 },
  { fault: "twice", method: "PUT", chance: 0.03 },
  { fault: "late", method: "PUT", chance: 0.05, ms: 2500 },
];

// One client that writes numbers, and knows which of them it was told of, and when.
class Ledger {
  told = []; // {number, versionstamp, at}
  number = 0;

  async write(kv, stop) {
    while (!stop()) {
      const number = ++this.number;
      const { versionstamp } = await kv.set(["ledger", number], number);
      this.told.push({ number, versionstamp, at: Date.now() });
      await sleep(5);
    }
  }
}

class Soak {
  constructor({ minio, log, seed, durable }) {
    Object.assign(this, { minio, log, durable });
    this.random = makeRandom(seedOf(seed, "soak"));
    this.seed = seed;
    this.ledger = new Ledger();
    this.counts = { kills: 0, "replica kills": 0, away: 0, restarts: 0, restores: 0, rests: 0 };
    this.steps = 0;
  }

  below = (limit) => this.random() % limit;

  async start() {
    const { minio } = this;
    this.way = await FaultProxy.start(minio.endpoint, { seed: this.seed });
    this.replicaWay = await FaultProxy.start(minio.endpoint, { seed: this.seed + 1 });
    const prefix = `soak-${this.seed}${this.durable ? "-durable" : ""}/`;
    const args = ["--backup-generation-age", "25s", "--backup-keep", "90s", ...(this.durable ? ["--durability", "backup"] : [])];
    this.source = await new BackedUp({ ...minio, endpoint: this.way.url }, prefix, { args }).start();
    await this.source.shipped("");
    this.place = await this.source.place();
    this.replica = await new Replica({ ...minio, endpoint: this.replicaWay.url }, this.place).start();
    this.load();
    this.trouble(true);
  }

  trouble(on, ways = [this.way, this.replicaWay]) {
    for (const proxy of ways) {
      proxy.clear();
      if (on) for (const rule of FAULTS) proxy.add(rule);
    }
  }

  // Clients until pause(); that the server is killed ends them.
  load() {
    this.resting = false;
    this.clients = (async () => {
      const workload = await Workload.open(this.source.url, this.seed + this.ledger.number);
      const kv = await openKv(this.source.url, { accessToken: TOKEN });
      const stop = () => this.resting;
      await Promise.allSettled([workload.churn({ writers: 3, stop, pauseMs: 10 }), this.ledger.write(kv, stop)]);
      this.last = workload.journal.last();
      workload.close();
      kv.close();
    })();
  }

  async pause() {
    this.resting = true;
    await within(90_000, "the end of the load", this.clients);
  }

  async killPrimary() {
    const { source, ledger } = this;
    const status = await source.status();
    const asked = Date.now();
    await sleep(this.below(300));
    await source.end("SIGKILL");
    ++this.counts.kills;
    await this.pause();
    // What clients had been told of before the lag that was reported, or at all.
    const promised = ledger.told.filter(({ at }) => this.durable || (status.state === "active" && at < asked - status.lag.ms - 50));
    const { to, versionstamp } = await restore(this.minio, this.place);
    ++this.counts.restores;
    expect(status.state !== "active" || versionstamp >= status.shipped.versionstamp,
      `restored up to ${versionstamp}, and ${status.shipped.versionstamp} was said to be in the bucket`);
    const server = await Server.start(to, { args: ["--metrics-addr", "off"] });
    const stamps = new Set((await linesOf(server.url)).map((line) => line.slice(line.lastIndexOf(" ") + 1)));
    await server.end("SIGKILL");
    const missing = promised.find((one) => !stamps.has(one.versionstamp));
    expect(!missing, `number ${missing?.number} of ${ledger.number}, versionstamp ${missing?.versionstamp}, was promised, and is not in the ` +
      `bucket, which ends at ${versionstamp}; the status had been ${JSON.stringify(status)}`);
    const gone = ledger.told.filter((one) => one.versionstamp <= versionstamp && !stamps.has(one.versionstamp));
    expect(gone.length === 0, `${gone.length} numbers are missing below the end of what was restored, such as ${gone[0]?.number}`);
    await source.start();
    this.load();
  }

  async killReplica() {
    await this.replica.server.end("SIGKILL");
    ++this.counts["replica kills"];
    this.trouble(false, [this.replicaWay]); // else it would not start, now and then
    await this.replica.start();
    this.trouble(true, [this.replicaWay]);
  }

  async restart() {
    ++this.counts.restarts;
    await this.source.end();
    await this.pause();
    await this.source.start();
    this.load();
  }

  // The load rests: all of it is shipped, and the replica has it.
  async rest() {
    ++this.counts.rests;
    await this.pause();
    this.trouble(false);
    await this.source.shipped(this.last ?? "");
    const entries = await this.replica.follows(this.source);
    const restored = await restore(this.minio, this.place);
    expectSame(await dump(restored.to), await dump(this.source.dataDir), "what is restored");
    await tidemark(["backup", "verify", ...s3Options(this.minio, this.place)], this.minio.env);
    this.log(`${entries} entries, ${this.ledger.told.length} numbers, ${JSON.stringify(this.counts)}, faults ${JSON.stringify(this.way.counts)}`);
  }

  async step() {
    await sleep(1500 + this.below(5000));
    const step = this.steps++;
    if (step % 2 === 0) return this.killPrimary();
    switch (Math.floor(step / 2) % 4) {
      case 1:
        ++this.counts.away;
        return this.way.awayFor(500 + this.below(4000));
      case 3: return this.restart();
      default: return this.killReplica();
    }
  }

  async end() {
    await this.replica.server.end("SIGKILL");
    await this.source.end("SIGKILL");
    await this.way.close();
    await this.replicaWay.close();
  }
}

// For so many milliseconds, and as long as what has begun takes. `durable`: with `--durability backup`.
export async function soak(options, ms) {
  const one = new Soak(options);
  await one.start();
  const until = performance.now() + ms;
  for (let rested = performance.now(); performance.now() < until;) {
    await one.step();
    if (performance.now() - rested < REST_EVERY_MS) continue;
    await one.rest();
    rested = performance.now();
    one.trouble(true);
    one.load();
  }
  await one.rest();
  await one.end();
  return one.counts;
}
