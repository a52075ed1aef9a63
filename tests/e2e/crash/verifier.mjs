// Knows what the writers and readers of the crash tests have told, and holds it against what is in the store.
//
// A client that lost an answer may send a write again, and the protocol gives a write no name of its own. So a write
// that was not acknowledged may have been applied or not; and one that is not guarded (plan.mjs), once more for each
// time that the server went away. What must hold all the same:
//
// * A write that was acknowledged is there, by its log key, under the versionstamp that was acknowledged.
// * A write of which anything was read is there, whoever read it.
// * A write that is there is there whole. So each is applied, in the order of its worker, to a model, and the store must
//   be equal to that, key by key: sums too, and nothing that was deleted or has expired is back.
// * Versionstamps only go up.

import { Model } from "./model.mjs";
import { pathOf, planOf } from "./plan.mjs";

const ZERO = "0".repeat(20);
const later = (a, b) => a > b ? a : b;

class Worker {
  constructor(writer, worker) {
    this.writer = writer;
    this.worker = worker;
    this.next = 0;
    this.pruned = 0; // log keys of writes before this one have been deleted
    this.open = new Map(); // the writes that were not looked for yet, by their number
    this.absent = new Set(); // numbers of those that were, and had not been applied
    this.seen = new Map(); // number of a write to the newest versionstamp under which it was read, since the last check
  }

  name(n) {
    return `write ${n} of worker ${this.worker} of ${this.writer}`;
  }
}

export class Verifier {
  constructor(seed) {
    this.seed = seed;
    this.model = new Model();
    this.violations = [];
    this.counts = { acknowledged: 0, found: 0, missing: 0, repeated: 0, moves: 0, refused: 0, read: 0 };
    this.workers = new Map();
    this.known = new Map(); // name of a client to the newest versionstamp that it knows
    this.sums = new Map(); // client and path of a sum to what was read last
    this.leases = new Map(); // client and path of a key that expires to what was read last
    this.acknowledged = new Map(); // versionstamp to the write, since the last check
    this.newest = ZERO; // of all that was told
    this.floor = ZERO; // the newest at the last check: what was tried since lies above it
    this.ends = 0; // of the server, since the last check
  }

  complain(text) {
    this.violations.push(text);
  }

  #worker(writer, worker) {
    const name = `${writer}/${worker}`;
    if (!this.workers.has(name)) this.workers.set(name, new Worker(writer, worker));
    return this.workers.get(name);
  }

  // A sum that is there before the writers begin.
  begin(key, number, stamp) {
    this.model.begin(key, number, stamp);
    this.#told(stamp, pathOf(key));
  }

  // Where a client that takes up the writer's name begins: per worker, the next write and the first log key to prune.
  startsOf(writer, workers) {
    return Array.from({ length: workers }, (_, worker) => {
      const { next, pruned } = this.#worker(writer, worker);
      return [next, pruned];
    });
  }

  // ---- what is told

  // An event of a client's; those of one client come in the order in which they happened.
  note(client, event) {
    if (event.try) this.#tried(client, event.try, event.prunes);
    else if (event.ack) this.#ended(client, "acknowledged", event.ack);
    else if (event.refused) this.#ended(client, "refused", event.refused);
    else if (event.fail) this.#ended(client, "failed", event.fail);
    else if (event.saw) this.#saw(event.saw);
    else if (event.sum) this.#sawSum(client, event.sum);
    else if (event.lease) this.#sawLease(client, event.lease);
    else if (event.half) this.complain(`${client}: ${event.half}: half of an atomic write was read`);
  }

  #told(stamp, what) {
    if (!/^[0-9a-f]{20}$/.test(stamp)) this.complain(`${what}: ${stamp} is no versionstamp`);
    this.newest = later(this.newest, stamp);
  }

  #tried(client, [number, n, at], prunes) {
    const worker = this.#worker(client, number);
    if (n !== worker.next) throw new Error(`${worker.name(n)} is tried, and the next one is ${worker.next}`);
    worker.next++;
    const id = { writer: client, worker: number, n };
    const floor = later(this.known.get(client) ?? ZERO, this.floor);
    worker.open.set(n, { id, at, prunes, floor, plan: planOf(this.seed, id, prunes) });
  }

  #ended(client, outcome, [number, n, stamp]) {
    const worker = this.#worker(client, number);
    const write = worker.open.get(n);
    if (!write || write.outcome) throw new Error(`${worker.name(n)} has ended, and it was not under way`);
    write.outcome = outcome;
    if (outcome !== "acknowledged") return;
    const name = worker.name(n);
    write.stamp = stamp;
    this.counts.acknowledged++;
    this.#told(stamp, name);
    if (stamp <= write.floor) {
      this.complain(`${name} got ${stamp}, and ${write.floor} was known when it was sent: versionstamps went back`);
    }
    if (this.acknowledged.has(stamp)) this.complain(`${name} and ${this.acknowledged.get(stamp)} both got ${stamp}`);
    this.acknowledged.set(stamp, name);
    this.known.set(client, later(this.known.get(client) ?? ZERO, stamp));
  }

  #saw([writer, number, n, stamp]) {
    const worker = this.#worker(writer, number);
    this.counts.read++;
    this.#told(stamp, worker.name(n));
    worker.seen.set(n, later(worker.seen.get(n) ?? ZERO, stamp));
  }

  #sawSum(client, [key, text, stamp]) {
    const path = pathOf(key), name = `${client}: ${path}`, number = BigInt(text);
    const before = this.sums.get(name);
    this.counts.read++;
    this.#told(stamp, path);
    if (before && (number < before.number || stamp < before.stamp)) {
      this.complain(`${name} was read as ${before.number} at ${before.stamp}, and then as ${number} at ${stamp}`);
    }
    this.sums.set(name, { path, number, stamp });
  }

  #sawLease(client, [writer, number, lease, n]) {
    const name = `${client}: ${pathOf(["lease", writer, number, lease])}`;
    const before = this.leases.get(name) ?? { n: -1, gone: false };
    this.counts.read++;
    if (n === null) {
      before.gone = true;
      return this.leases.set(name, before);
    }
    if (n < before.n) {
      this.complain(`${name} was read as of write ${before.n}, and then as of write ${n}: an older value`);
    }
    if (n === before.n && before.gone) {
      this.complain(`${name} had expired, and then write ${n} was read again: it is back`);
    }
    this.leases.set(name, { n, gone: false });
  }

  // The server has ended, in whatever way.
  serverEnded() {
    this.ends++;
  }

  // A writer was ended while no server ran: what it had under way was applied, or never will be.
  writerEnded(name) {
    for (const { writer, open } of this.workers.values()) {
      if (writer !== name) continue;
      for (const write of open.values()) write.outcome ??= "failed";
    }
  }

  // The verifier's own write, sent when `newest` was already known.
  probed(stamp, newest) {
    this.#told(stamp, "the verifier's own write");
    if (stamp <= newest) {
      this.complain(`a new write got ${stamp}, and ${newest} was known before it: versionstamps went back`);
    }
  }

  // ---- what is in the store

  // `store`: path to entry, read between the two moments of `times`, while nothing was under way. Gives what is wrong.
  check(store, times) {
    const before = this.violations.length;
    this.model.round++;
    const marks = marksOf(store);
    for (const worker of this.workers.values()) this.#settle(worker, store, marks);
    const wasApplied = (path, n) => {
      const [, writer, worker] = path.split("/");
      return !this.workers.get(`${writer}/${worker}`)?.absent.has(n);
    };
    for (const difference of this.model.differences(store, times, wasApplied)) this.complain(difference);
    this.#checkSumsRead();
    for (const { versionstamp } of store.values()) this.newest = later(this.newest, versionstamp);
    this.acknowledged.clear();
    this.floor = this.newest;
    this.ends = 0;
    return this.violations.slice(before);
  }

  // Finds out which of the worker's writes were applied, and applies those to the model.
  #settle(worker, store, marks) {
    for (const [n, write] of worker.open) {
      const name = worker.name(n);
      if (!write.outcome) throw new Error(`${name} is under way`);
      const entry = store.get(pathOf(["log", worker.writer, worker.worker, n]));
      const complaint = this.#complaintOf(write, entry);
      if (complaint) this.complain(`${name} ${complaint}`);
      this.#count(write, entry);
      if (!entry) {
        worker.absent.add(n);
        continue;
      }
      if (write.prunes) worker.pruned = write.prunes[1];
      this.model.apply(write, entry.versionstamp, this.#marksOf(write, entry, marks));
    }
    this.#checkSeen(worker, store);
    worker.open.clear();
    worker.seen.clear();
  }

  #complaintOf({ outcome, stamp, floor, plan }, entry) {
    if (outcome === "acknowledged") {
      if (!entry) return `was acknowledged at ${stamp} and is lost`;
      if (entry.versionstamp !== stamp) return `was acknowledged at ${stamp} and is there at ${entry.versionstamp}`;
    }
    if (outcome === "refused" && plan.guarded && !entry) return "was refused because it was there already, and is lost";
    if (outcome === "refused" && !plan.guarded && plan.kind !== "move") return "was refused, and had no check";
    if (entry && entry.versionstamp <= floor) {
      return `is there at ${entry.versionstamp}, and ${floor} was known when it was sent: versionstamps went back`;
    }
    return null;
  }

  #count({ outcome, plan }, entry) {
    if (outcome === "refused" && !entry) this.counts.refused++; // another's move came first
    else if (outcome !== "acknowledged") entry ? this.counts.found++ : this.counts.missing++;
    if (entry && plan.kind === "move") this.counts.moves++;
  }

  // The suffixes under the mark of a write; each is the versionstamp of one time that it was applied.
  #marksOf({ id, plan }, log, marks) {
    if (plan.kind !== "mark") return [];
    const path = pathOf(["mark", id.writer, id.worker, id.n]);
    const found = (marks.get(path) ?? []).sort();
    if (found.at(-1) !== log.versionstamp) {
      this.complain(`${path} has ${found.at(-1) ?? "nothing"} as its newest suffix, and the write is there at ` +
        `${log.versionstamp}: half of an atomic write`);
      return [log.versionstamp];
    }
    this.counts.repeated += found.length - 1;
    if (found.length > 1 + this.ends) {
      this.complain(`${path} was applied ${found.length} times, with ${this.ends} ends of the server`);
    }
    return found;
  }

  #checkSeen(worker, store) {
    for (const [n, stamp] of worker.seen) {
      const key = ["log", worker.writer, worker.worker, n];
      const name = `${worker.name(n)}, which was read at ${stamp},`;
      const entry = store.get(pathOf(key));
      if (n >= worker.next) this.complain(`${name} was never tried`);
      else if (worker.absent.has(n)) this.complain(`${name} is lost`);
      else if (entry && entry.versionstamp < stamp) this.complain(`${name} is there at ${entry.versionstamp}`);
    }
  }

  #checkSumsRead() {
    for (const [name, { path, number, stamp }] of this.sums) {
      const now = this.model.entries.get(path);
      if (!now || now.number < number || now.stamp < stamp) {
        this.complain(`${name} was read as ${number} at ${stamp}, and is ${now?.number} at ${now?.stamp}`);
      }
    }
  }
}

// Path of a mark to the suffixes that are there under it.
function marksOf(store) {
  const marks = new Map();
  for (const path of store.keys()) {
    if (!path.startsWith("mark/")) continue;
    const at = path.lastIndexOf("/"), mark = path.slice(0, at);
    if (!marks.has(mark)) marks.set(mark, []);
    marks.get(mark).push(path.slice(at + 1));
  }
  return marks;
}
