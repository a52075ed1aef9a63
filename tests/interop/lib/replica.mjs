// A server that follows a backup.

import { makeFolder, Server, sleep, TOKEN } from "../../e2e/lib/server.mjs";
import { expectSame } from "./lines.mjs";
import { linesOf, s3Options } from "./tidemark.mjs";

const FOLLOWED_MS_MAX = 30_000;

export class Replica {
  constructor(store, prefix, dataDir = makeFolder("replica")) {
    Object.assign(this, { store, prefix, dataDir });
  }

  // It has what was in the backup before it listens.
  async start() {
    this.server = await Server.startWith([
      "serve", "--data-dir", this.dataDir, "--addr", "127.0.0.1:0", "--access-token", TOKEN, "--metrics-addr", "off",
      "--sync-from-s3", ...s3Options(this.store, this.prefix), "--sync-interval", "200ms",
    ], this.store.env);
    this.url = this.server.url;
    return this;
  }

  lines() {
    return linesOf(this.url);
  }

  // Waits until it shows what the source shows.
  async follows(source) {
    const wanted = await source.lines();
    for (const until = performance.now() + FOLLOWED_MS_MAX; ;) {
      const found = await this.lines();
      if (found.join() === wanted.join()) return found.length;
      if (performance.now() > until) {
        expectSame(found, wanted, `the replica after ${FOLLOWED_MS_MAX} ms (${this.server.stderr.slice(-1000)})`);
      }
      await sleep(100);
    }
  }
}
