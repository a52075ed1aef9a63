// The verifier of the crash tests is told of writes that a store in memory has applied as they should be: it has nothing
// to say. Then the store, or what is told, is doctored: it must complain, and of that.

import { Databases } from "../crash/databases.mjs";
import { ACCOUNT_START, ACCOUNTS, MOVERS, pathOf, planOf, PRUNE_EVERY, valueOf, WORKERS } from "../crash/plan.mjs";
import { Verifier } from "../crash/verifier.mjs";
import { makeRandom } from "../lib/random.mjs";

const SEED = 7, WRITER = "deno-0", WRITES = 120, MOVER = WORKERS;
const AT = 1_000_000; // when everything happens, unless said otherwise
const LONG_AFTER = AT + 1_000_000; // every lease has expired by then

function u64(number) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(number);
  return bytes;
}

const stampOf = (number) => number.toString(16).padStart(16, "0") + "0000";

// A store in memory, and the verifier that is told of what is done with it.
class World {
  constructor() {
    this.store = new Map();
    this.commits = 100;
    this.verifier = new Verifier(SEED);
    const stamp = this.nextStamp();
    for (let i = 0; i < ACCOUNTS; i++) {
      this.put(["account", i], u64(ACCOUNT_START), 2, stamp);
      this.verifier.begin(["account", i], ACCOUNT_START, stamp);
    }
  }

  nextStamp() {
    return stampOf(++this.commits);
  }

  put(key, value, encoding, versionstamp) {
    this.store.set(pathOf(key), { value: Buffer.from(value), encoding, versionstamp });
  }

  number(key) {
    return this.store.get(pathOf(key))?.value.readBigUInt64LE();
  }

  apply(id, plan, stamp = this.nextStamp()) {
    for (const m of plan.mutations) this.#apply(id, m, stamp);
    return stamp;
  }

  #apply(id, m, stamp) {
    const change = (key, by) => this.put(key, u64(by(this.number(key))), 2, stamp);
    const smaller = (a, b) => a < b ? a : b;
    switch (m.type) {
      case "set": return this.put(m.key, valueOf(id, m.k, m.size), 3, stamp);
      case "suffix": return this.put([...m.key, stamp], valueOf(id, m.k, m.size), 3, stamp);
      case "delete": return this.store.delete(pathOf(m.key));
      case "sum": return change(m.key, (old = 0n) => old + m.operand);
      case "min": return change(m.key, (old = m.operand) => smaller(old, m.operand));
      case "max": return change(m.key, (old = m.operand) => -smaller(-old, -m.operand));
      case "move":
        change(m.from, (old) => old - m.amount);
        return change(m.to, (old) => old + m.amount);
      case "delete marks":
        for (let n = m.start.at(-1); n < m.end.at(-1); n++) {
          const mark = pathOf([...m.start.slice(0, -1), n]) + "/";
          for (const path of [...this.store.keys()]) if (path.startsWith(mark)) this.store.delete(path);
        }
        return;
      default: throw new Error(m.type);
    }
  }

  note(event, client = WRITER) {
    this.verifier.note(client, event);
  }

  // One write; `times` it is applied, and `ack`, `refused` or `fail` is told. Gives what is known of it.
  write(worker, n, { times = 1, told = "ack", prunes } = {}) {
    const id = { writer: WRITER, worker, n };
    const plan = planOf(SEED, id, prunes);
    this.note({ try: [worker, n, AT], prunes });
    let stamp;
    for (let i = 0; i < times; i++) stamp = this.apply(id, plan);
    this.note({ [told]: [worker, n, told === "ack" ? stamp : "the connection was lost"] });
    return { id, plan, stamp };
  }

  check(from = AT, until = from) {
    return this.verifier.check(this.store, { from, until });
  }
}

// Two rounds of writes, the second with an old part pruned, and checked but for the second.
function filled() {
  const world = new World();
  world.writes = [];
  const write = (n, prunes) => {
    world.writes.push(world.write(0, n, { prunes }));
    for (let i = 0; i < MOVERS; i++) world.write(MOVER + i, n);
  };
  for (let n = 0; n < WRITES; n++) write(n);
  expectComplaints(world.check(), []);
  for (let n = WRITES; n < 2 * WRITES; n++) write(n, n === WRITES + PRUNE_EVERY ? [0, 40] : undefined);
  return world;
}

const lastOf = (world, kind) => world.writes.findLast(({ plan }) => plan.kind === kind);

function expectComplaints(found, patterns) {
  const missing = patterns.filter((pattern) => !found.some((text) => pattern.test(text)));
  if (missing.length || (patterns.length === 0 && found.length)) {
    throw new Error(`expected ${patterns.join(", ") || "nothing"}; it said: ${found.slice(0, 5).join("\n") || "nothing"}`);
  }
}

// A case: `doctor` changes a world that is right; the check must say something like each of `patterns`.
const doctored = (suite, name, doctor, ...patterns) => suite.test(`it complains of ${name}`, () => {
  const world = filled();
  const times = doctor(world) ?? [];
  world.check(...times);
  expectComplaints(world.verifier.violations, patterns);
});

// ---- what is right

async function rightStores(suite) {
  await suite.test("it has nothing to say of a store that is right", () => {
    const world = filled();
    for (const kind of ["write", "erase", "count", "mark", "lease", "prune"]) {
      if (!lastOf(world, kind)) throw new Error(`none of the writes is of kind ${kind}`);
    }
    expectComplaints(world.check(), []);
    expectComplaints(world.check(LONG_AFTER), [/missing|is there, and expired/]); // the store in memory does not expire
  });
  await suite.test("it takes a write in doubt as applied or not, and sums with it", () => {
    for (const times of [0, 1]) {
      const world = filled();
      for (let n = 2 * WRITES; n < 2 * WRITES + 60; n++) world.write(0, n, { times, told: "fail" });
      expectComplaints(world.check(), []);
      const { found, missing } = world.verifier.counts;
      if (found !== 60 * times || missing !== 60 * (1 - times)) throw new Error(`${found} found, ${missing} missing`);
    }
  });
  await suite.test("it takes a mark that was applied once for each end of the server, and once more", () => {
    const world = filled();
    const n = nextAfterWrites(world, "mark");
    world.verifier.serverEnded();
    world.write(0, n, { times: 2 });
    expectComplaints(world.check(), []);
    if (world.verifier.counts.repeated !== 1) throw new Error(`${world.verifier.counts.repeated} repeated`);
  });
  await suite.test("it takes a lease as there or not in the moment in which it expires", () => {
    for (const there of [true, false]) {
      const world = filled();
      const [path, { lease }] = leaseOf(world);
      if (!there) world.store.delete(path);
      expectComplaints(world.check(lease.earliest, lease.earliest + 1).filter((text) => text.startsWith(path)), []);
    }
  });
}

// Goes on writing until the next write is of this kind; gives its number.
function nextAfterWrites(world, kind) {
  for (let n = 2 * WRITES; ; n++) {
    if (planOf(SEED, { writer: WRITER, worker: 0, n }).kind === kind) return n;
    world.write(0, n);
  }
}

// A key that expires, by the verifier's model. The world is checked for that.
function leaseOf(world) {
  world.check();
  return [...world.verifier.model.entries].find(([, { lease }]) => lease);
}

// ---- what is wrong

const keysOf = ({ plan }) => plan.mutations.map(({ key }) => pathOf(key));

async function lostWrites(suite) {
  await doctored(suite, "an acknowledged write that is missing", (world) => {
    for (const path of keysOf(lastOf(world, "write"))) world.store.delete(path);
  }, /^write \d+ of worker 0 of deno-0 was acknowledged at \w+ and is lost/);
  await doctored(suite, "an acknowledged write that is there under another versionstamp", (world) => {
    const { id, plan } = lastOf(world, "write");
    world.apply(id, plan);
  }, /was acknowledged at \w+ and is there at/);
  await doctored(suite, "a write that is lost and was there at the last check", (world) => {
    world.store.delete(pathOf(["log", WRITER, 0, WRITES - 1]));
  }, /^log\/deno-0\/0\/119 is lost, and was there/);
  await doctored(suite, "a write that was read, never acknowledged, and is lost", (world) => {
    const { stamp } = lastOf(world, "write");
    world.write(0, 2 * WRITES, { times: 0, told: "fail" });
    world.note({ saw: [WRITER, 0, 2 * WRITES, stampOf(parseInt(stamp.slice(0, 16), 16) + 500)] }, "node-reader");
  }, /^write 240 .* which was read at \w+, is lost/);
  await doctored(suite, "a guarded write that was refused because it was there, and is lost", (world) => {
    world.write(0, nextAfterWrites(world, "count"), { times: 0, told: "refused" });
  }, /was refused because it was there already, and is lost/);
}

async function brokenWrites(suite) {
  await doctored(suite, "half of an atomic write: one of its keys is missing", (world) => {
    world.store.delete(keysOf(lastOf(world, "write")).at(-1));
  }, /^slot\/\S+ is missing, and write \d+, which set it, is there: half of an atomic write/);
  await doctored(suite, "half of an atomic write: a delete that did not come with the rest", (world) => {
    const { id, plan } = world.write(0, nextAfterWrites(world, "erase"));
    const older = { ...id, n: id.n - 10 };
    world.put(plan.mutations[1].key, valueOf(older, 0, 10), 3, stampOf(150));
  }, /^slot\/\S+ is there .* it is back/);
  await doctored(suite, "half of a write in doubt: its log key is missing", (world) => {
    const n = nextAfterWrites(world, "write");
    world.write(0, n, { told: "fail" });
    world.store.delete(pathOf(["log", WRITER, 0, n]));
  }, /^slot\/\S+ is (of write|there) .*half of an atomic write/);
  await doctored(suite, "half of an atomic write that was read", (world) => {
    world.note({ half: "slot/deno-0/0/1 was read as 5,6" }, "node-reader");
  }, /half of an atomic write was read/);
  await doctored(suite, "an older value", (world) => {
    const { plan, id } = lastOf(world, "write");
    const older = { ...id, n: id.n - 10 };
    world.put(plan.mutations[1].key, valueOf(older, 0, 10), 3, stampOf(150));
  }, /^slot\/\S+ is of write \d+ .*: an older value/);
  await doctored(suite, "a value with a changed byte", (world) => {
    world.store.get(keysOf(lastOf(world, "write"))[0]).value[30] ^= 1;
  }, /its bytes are not what that wrote/);
}

async function versionstamps(suite) {
  await doctored(suite, "a commit whose versionstamp is not above what its client knew", (world) => {
    world.commits -= 50;
    world.write(0, 2 * WRITES);
  }, /versionstamps went back/);
  await doctored(suite, "the verifier's own write below what was known before the start", (world) => {
    world.verifier.probed(stampOf(world.commits - 1), world.verifier.newest);
  }, /^a new write got \w+, and \w+ was known before it: versionstamps went back/);
  await doctored(suite, "one versionstamp for two writes", (world) => {
    const { stamp } = world.write(0, 2 * WRITES);
    world.commits--;
    world.note({ try: [1, 0, AT] }, WRITER);
    world.note({ ack: [1, 0, stamp] }, WRITER);
  }, /both got/);
}

const sawSum = (world, number) =>
  world.note({ sum: [["sum", "all"], String(number), stampOf(world.commits)] }, "node-reader");

async function sums(suite) {
  const smaller = (path) => (world) => {
    world.store.get(path).value.writeBigUInt64LE(world.number(path.split("/")) - 1n);
  };
  await doctored(suite, "a sum that is too small", smaller("sum/all"),
    /^sum\/all is \d+ at \w+, and the writes that are there make/);
  await doctored(suite, "an account that is too small", smaller("account/3"), /^account\/3 is/);
  await doctored(suite, "a sum that was read larger than it is", (world) => {
    sawSum(world, world.number(["sum", "all"]) + 1n);
  }, /sum\/all was read as \d+/);
  await doctored(suite, "a sum that was read, and then smaller", (world) => {
    for (const number of [9n, 8n]) sawSum(world, number);
  }, /and then as 8/);
  await doctored(suite, "a mark that was applied more often than the server ended", (world) => {
    const n = nextAfterWrites(world, "mark");
    world.write(0, n, { times: 2 });
  }, /was applied 2 times, with 0 ends/);
  await doctored(suite, "a mark whose key is missing", (world) => {
    const { plan, stamp } = lastOf(world, "mark");
    world.store.delete(pathOf([...plan.mutations[1].key, stamp]));
  }, /^mark\/\S+ has .*half of an atomic write/);
}

async function goneKeys(suite) {
  await doctored(suite, "a deleted log key that is back", (world) => {
    world.put(["log", WRITER, 0, 3], valueOf({ writer: WRITER, worker: 0, n: 3 }, -1, 10), 3, stampOf(120));
  }, /^log\/deno-0\/0\/3 is there .* it is back/);
  await doctored(suite, "a key that expired, was seen absent, and is back", (world) => {
    const [path, { lease }] = leaseOf(world);
    const entry = world.store.get(path);
    world.store.delete(path);
    world.check(lease.earliest + 1);
    world.store.set(path, entry);
    return [lease.earliest + 2];
  }, /^lease\/\S+ is there .* it is back/);
  await doctored(suite, "a key that is missing before it expires", (world) => {
    const [path, { lease }] = leaseOf(world);
    world.store.delete(path);
    return [AT, lease.earliest - 1];
  }, /^lease\/\S+ is missing before it expires/);
  await doctored(suite, "a key that is there long after it expired", () => [LONG_AFTER],
    /^lease\/\S+ is there, and expired/);
  await doctored(suite, "a key that was read, read as expired, and read again", (world) => {
    for (const n of [5, null, 5]) world.note({ lease: [WRITER, 0, 1, n] }, "node-reader");
  }, /had expired, and then write 5 was read again/);
}

async function databases(suite) {
  const makeDatabases = (states) => {
    const all = new Databases("", makeRandom(1));
    all.known.set("one", { id: "1", states });
    return all;
  };
  const listing = (...list) => new Map(list.map(([name, id, state]) => [name, { id, state }]));
  const test = (name, states, listed, ...patterns) => suite.test(name, () => {
    expectComplaints(makeDatabases(states).compare(listing(...listed)), patterns);
  });
  const ready = ["one", "1", "ready"];
  await test("it has nothing to say of a database that is there", ["ready"], [ready]);
  await test("it takes a database in doubt as there or not", [undefined, "ready"], []);
  await test("it complains of a database that was made and is not there", ["ready"], [],
    /one is not there, and must be ready/);
  await test("it complains of a database that was deleted and is there", ["deleted"], [ready], /one is ready/);
  await test("it complains of a database that was removed and is there", [undefined], [ready],
    /one is ready, and must be gone/);
  await test("it complains of a database with another id", ["ready"], [["one", "2", "ready"]], /has the id 2/);
  await test("it complains of a database that nobody made", ["ready"], [ready, ["two", "2", "ready"]], /two is back/);
}

export default async function verifierSuite(suite) {
  await rightStores(suite);
  await lostWrites(suite);
  await brokenWrites(suite);
  await versionstamps(suite);
  await sums(suite);
  await goneKeys(suite);
  await databases(suite);
}
