// denokv as a reader of a backup, with a SQLite file of its own.

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { answers, freePort, Service } from "../../e2e/lib/s3_service.mjs";
import { makeFolder, runProgram, TOKEN } from "../../e2e/lib/server.mjs";
import { foreign } from "./foreign.mjs";
import { lineOf } from "./lines.mjs";

const RUN_MS_MAX = 90_000; // it tries again for ever what fails
const reader = join(dirname(fileURLToPath(import.meta.url)), "read_denokv.py");

export class Denokv {
  // `prefix`: of one generation of one database, as `tidemark backup status` tells it.
  constructor(store, prefix) {
    this.file = join(makeFolder("denokv"), "kv.sqlite3");
    this.where = ["--s3-bucket", store.bucket, "--s3-prefix", prefix, "--s3-endpoint", store.endpoint];
    this.env = { ...store.env, RUST_LOG: "info", AWS_EC2_METADATA_DISABLED: "true" };
  }

  async #pitr(...args) {
    const run = await runProgram(foreign("denokv"), ["--sqlite-path", this.file, "pitr", ...args], { env: this.env, msMax: RUN_MS_MAX });
    if (run.code !== 0) throw new Error(`denokv pitr ${args.join(" ")}: exit code ${run.code}\n${run.stderr}`);
    return run.stdout;
  }

  sync() {
    return this.#pitr("sync", ...this.where);
  }

  // [versionstamp, time] of each, the newest first.
  async list(...args) {
    return (await this.#pitr("list", ...args)).trimEnd().split("\n").filter(Boolean).map((line) => line.split("\t"));
  }

  async info() {
    const said = await this.#pitr("info");
    const found = said.match(/^Current versionstamp: ([0-9a-f]{20})$/m);
    if (!found) throw new Error(`denokv pitr info says: ${said}`);
    return found[1];
  }

  // Gives where it says that it is now.
  async checkout(versionstamp) {
    const said = await this.#pitr("checkout", versionstamp);
    const found = said.match(/^Snapshot is now at versionstamp ([0-9a-f]{20})$/m);
    if (!found) throw new Error(`denokv pitr checkout says: ${said}`);
    return found[1];
  }

  // All that is checked out, out of its file.
  async lines() {
    const run = await runProgram("python3", ["-B", reader, this.file]);
    if (run.code !== 0) throw new Error(`${reader}: ${run.stderr}`);
    return run.stdout.split("\n").filter(Boolean).map((line) => {
      const [key, value, encoding, versionstamp] = line.split(" ");
      return lineOf({ key, value, encoding, versionstamp });
    });
  }

  // Serves what it reads from the bucket, as a replica; gives {url, service}.
  async serve() {
    const addr = `127.0.0.1:${await freePort()}`;
    const args = ["--sqlite-path", this.file, "serve", "--sync-from-s3", ...this.where, "--access-token", TOKEN, "--addr", addr];
    const service = await Service.start(foreign("denokv"), args, { env: this.env, ready: () => answers(`http://${addr}/`) });
    if (!service.output.includes("Initial snapshot is complete")) throw new Error(`denokv serves without a snapshot: ${service.output}`);
    return { url: `http://${addr}`, service };
  }
}
