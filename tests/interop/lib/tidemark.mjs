// A store that is served with a backup, and the commands around it.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { makeFolder, runTidemark, Server, sleep, TOKEN } from "../../e2e/lib/server.mjs";
import { Http1, Session } from "../../e2e/lib/wire.mjs";
import { lineOf } from "./lines.mjs";

const COMMAND_MS_MAX = 120_000;
const SHIPPED_MS_MAX = 120_000;
const SAYS_MS_MAX = 30_000;

// Runs a command that must succeed; gives what it printed.
export async function tidemark(args, env = {}) {
  const run = await runTidemark(args, { env, msMax: COMMAND_MS_MAX });
  if (run.code !== 0) throw new Error(`tidemark ${args.join(" ")}: exit code ${run.code}, ${run.signal}\n${run.stderr}`);
  return run.stdout;
}

// Options that name a place in a store.
export const s3Options = ({ endpoint, bucket }, prefix) =>
  ["--s3-bucket", bucket, "--s3-prefix", prefix, "--s3-endpoint", endpoint];

// All entries that a server shows in one state, as lines.
export async function linesOf(url, path = "/", token = TOKEN) {
  const transport = new Http1(url);
  try {
    const session = await Session.open(transport, token, path);
    const lines = [];
    for await (const { key, value, encoding, versionstamp } of session.scan()) {
      lines.push(lineOf({ key: key.toString("hex"), value: value.toString("hex"), encoding, versionstamp }));
    }
    return lines;
  } finally {
    transport.close();
  }
}

// A dump's lines. The first tells of the moment, for a dump of now the time of the dump itself: it is left out.
export async function dump(dataDir, ...args) {
  const file = join(makeFolder("dump"), "dump.jsonl");
  await tidemark(["dump", "--data-dir", dataDir, "--output", file, ...args]);
  return readFileSync(file, "utf8").trimEnd().split("\n").slice(1);
}

// The moments of a database as [versionstamp, time], the newest first.
export async function moments(dataDir) {
  const text = await tidemark(["pitr", "list", "--data-dir", dataDir]);
  return text.trimEnd().split("\n").filter(Boolean).map((line) => line.split("\t"));
}

// Makes a new store of a backup; gives its folder, and what the command said of it.
export async function restore(store, prefix, ...args) {
  const to = join(makeFolder("restored"), "data");
  const said = await tidemark(["backup", "restore", "--to", to, ...s3Options(store, prefix), "--json", ...args], store.env);
  return { to, ...JSON.parse(said) };
}

export class BackedUp {
  // `store`: as startMinio() gives it, perhaps with another endpoint. `prefix`: with a slash at its end.
  constructor(store, prefix, { dataDir = makeFolder("interop"), args = [] } = {}) {
    Object.assign(this, { store, prefix, dataDir, args });
  }

  // At the port that it had before, if any, so that clients find it again.
  async start() {
    this.server = await Server.startWith([
      "serve", "--data-dir", this.dataDir, "--addr", `127.0.0.1:${this.server?.port ?? 0}`, "--access-token", TOKEN, "--metrics-addr", "off",
      "--backup-to-s3", ...s3Options(this.store, this.prefix), "--backup-interval", "100ms", ...this.args,
    ], this.store.env);
    this.url = this.server.url;
    return this;
  }

  end(signal) {
    return this.server.end(signal);
  }

  // Of a database: {state, message, prefix, where, shipped, lag...}.
  async status(database = "default") {
    const text = await tidemark(["backup", "status", "--data-dir", this.dataDir, "--database", database, "--json"]);
    const [one] = JSON.parse(text).databases;
    if (!one) throw new Error(`no status of the database: ${text}`);
    return one;
  }

  // Waits for a status whose message has these words; gives it. (A store that does not answer is tried six times.)
  async says(words) {
    for (const until = performance.now() + SAYS_MS_MAX; ;) {
      const status = await this.status();
      if (words.test(status.message ?? "")) return status;
      if (performance.now() > until) throw new Error(`no status that says ${words}: ${JSON.stringify(status)}`);
      await sleep(100);
    }
  }

  // Waits until all that was committed up to the versionstamp is in the backup, and can be restored; gives the status. With
  // `beyond`, the prefix of a generation: until there is another, complete one.
  async shipped(versionstamp, { database, beyond } = {}) {
    for (const until = performance.now() + SHIPPED_MS_MAX; ;) {
      const status = await this.status(database);
      const all = status.state === "active" && status.lag.commits === 0 && status.shipped.versionstamp >= versionstamp;
      if (all && status.prefix !== beyond) return status;
      if (performance.now() > until) {
        throw new Error(`not all is in the backup after ${SHIPPED_MS_MAX} ms: ${JSON.stringify(status)}\n${this.server.stderr.slice(-2000)}`);
      }
      await sleep(100);
    }
  }

  // The lines of a versionstamp, or of now.
  lines(versionstamp, database = "default") {
    return linesOf(this.url, versionstamp ? `/db/${database}@${versionstamp}` : `/db/${database}`);
  }

  moments() {
    return moments(this.dataDir);
  }

  // Where the backup of a database is, with a slash at its end.
  async place(database) {
    return `${this.prefix}${(await this.status(database)).id}/`;
  }
}
