// Databases made and deleted by the admin command while the server, or the command itself, is killed: what it said was
// done is done, and what it had no time to say is done or not.

import { readStore } from "./store.mjs";
import { runTidemark, TOKEN } from "../lib/server.mjs";
import { encodeKey } from "../lib/keys.mjs";
import { Session, set } from "../lib/wire.mjs";

const READY_MOST = 6; // beyond that, the next command deletes
const MARK = ["mark"];

// What `db list` may show after each command, when it said that it was done, and when it did not.
const AFTER = {
  create: { done: ["ready"], doubtful: [undefined, "ready"] },
  delete: { done: ["deleted"], doubtful: ["ready", "deleted"] },
  remove: { done: [undefined], doubtful: ["ready", "deleted", "purging", undefined] },
};

export class Databases {
  constructor(dataDir, random) {
    this.dataDir = dataDir;
    this.random = random;
    this.known = new Map(); // name to {id, states: those it may be in, mark: versionstamp of the value in it}
    this.made = 0;
    this.counts = { done: 0, doubtful: 0 };
  }

  // The next command, by chance: makes one, deletes one so that it is kept, or removes one. `killAfterMs`: the command
  // is killed then. Gives {done, said}.
  async command({ killAfterMs } = {}) {
    const ready = [...this.known].filter(([, { states }]) => states.length === 1 && states[0] === "ready");
    if (ready.length === 0 || (ready.length < READY_MOST && this.random() % 2)) {
      return await this.#run("create", `db-${++this.made}`, ["create"], killAfterMs);
    }
    const [name] = ready[this.random() % ready.length];
    return this.random() % 3 ? await this.#run("remove", name, ["delete", "--now"], killAfterMs)
      : await this.#run("delete", name, ["delete"], killAfterMs);
  }

  async #run(what, name, words, killAfterMs) {
    const known = this.known.get(name) ?? { states: [undefined] };
    this.known.set(name, known);
    known.states = AFTER[what].doubtful;
    const run = await runTidemark(["db", ...words, name, "--json", "--data-dir", this.dataDir], { killAfterMs });
    const done = run.code === 0;
    this.counts[done ? "done" : "doubtful"]++;
    const said = `${what} ${name}: ${run.signal ?? run.stderr.trim()}`;
    if (!done) return { done, said };
    known.states = AFTER[what].done;
    const { id } = JSON.parse(run.stdout);
    known.id ??= id;
    return { done, said };
  }

  // Puts a value into each database that must be there and has none.
  async mark(transport) {
    for (const [name, known] of this.known) {
      if (known.mark || known.states.length > 1 || known.states[0] !== "ready") continue;
      const session = await Session.open(transport, TOKEN, `/db/${name}`);
      known.mark = (await session.atomicWrite([set(encodeKey(MARK), name)])).versionstamp;
    }
  }

  // Gives what is wrong, and takes over what was in doubt as it is.
  async check(transport) {
    const run = await runTidemark(["db", "list", "--json", "--data-dir", this.dataDir]);
    if (run.code !== 0) return [`db list: ${run.stderr}`];
    const listed = new Map(JSON.parse(run.stdout).databases.map((database) => [database.name, database]));
    listed.delete("default");
    const wrong = this.compare(listed);
    for (const [name, { states, mark }] of this.known) {
      if (states[0] !== "ready" || !mark) continue;
      const entry = (await readStore(await Session.open(transport, TOKEN, `/db/${name}`))).get(MARK.join("/"));
      if (entry?.versionstamp !== mark || entry.value.toString() !== name) {
        wrong.push(`database ${name}: its value of ${mark} is ${entry ? `of ${entry.versionstamp}` : "lost"}`);
      }
    }
    return wrong;
  }

  // `listed`: name to what `db list` shows of it.
  compare(listed) {
    const wrong = [];
    for (const [name, known] of this.known) {
      const found = listed.get(name);
      if (!known.states.includes(found?.state)) {
        const allowed = known.states.map((state) => state ?? "gone").join(" or ");
        wrong.push(`database ${name} is ${found?.state ?? "not there"}, and must be ${allowed}`);
      }
      if (found && known.id && found.id !== known.id) {
        wrong.push(`database ${name} has the id ${found.id}, and was made as ${known.id}`);
      }
      known.id ??= found?.id;
      // What is being removed will be gone some time.
      known.states = found?.state === "purging" ? ["purging", undefined] : [found?.state];
      if (!found) this.known.delete(name);
    }
    for (const name of listed.keys()) {
      if (!this.known.has(name)) wrong.push(`database ${name} is back, or nobody made it`);
    }
    return wrong;
  }
}
