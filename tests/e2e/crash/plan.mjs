// What the writers of the crash tests agree on with the verifier: what each write does. A write is named by its writer,
// the worker in it and a number, and everything follows from that and the seed; so a writer need not tell what it
// writes, and the verifier need not believe it.
//
// Each write sets a log key of its own, so that one look tells whether it was applied; whatever else it does must have
// come with it. Worker by worker, one write is over before the next begins.

import { makeRandom, seedOf } from "../lib/random.mjs";

export const WORKERS = 6; // of each writer, with keys of their own
export const MOVERS = 2; // further workers of each writer, which move amounts between the accounts of all
export const SLOTS = 10; // of each worker: groups of keys that are always written together
export const SLOT_KEYS = 7;
export const LEASES = 6; // of each worker: keys that expire
export const LEASE_MS = [150, 400, 1000, 3000, 10_000, undefined];
export const ACCOUNTS = 10;
export const ACCOUNT_START = 1_000_000n;
export const PRUNE_EVERY = 12; // one in so many writes deletes old log keys,
export const PRUNED_AT_ONCE = 40; // so many of them

const LOG = -1, MARK = -2, LEASE = -3; // stand for the key in what a value says of itself
const KINDS = [
  "write", "write", "write", "write", "write", "write", "erase", "count", "count", "mark", "lease", "lease",
];

export const pathOf = (key) => key.join("/");

function sizeOf(random, largeOneIn) {
  return random() % largeOneIn ? random() % 2000 : 2048 + random() % (58 * 1024);
}

const slotKeys = (writer, worker, slot) =>
  Array.from({ length: SLOT_KEYS }, (_, k) => ["slot", writer, worker, slot, k]);

const MUTATIONS = {
  write({ writer, worker, n }, random) {
    const largeOneIn = random() % 3 ? 50 : 2;
    return slotKeys(writer, worker, n % SLOTS)
      .map((key, k) => ({ type: "set", key, k, size: sizeOf(random, largeOneIn) }));
  },
  erase({ writer, worker, n }) {
    return slotKeys(writer, worker, n % SLOTS).map((key) => ({ type: "delete", key }));
  },
  count({ writer, worker }, random) {
    const operand = BigInt(1 + random() % 1000);
    return [
      { type: "sum", key: ["sum", "all"], operand },
      { type: "sum", key: ["sum", writer, worker], operand },
      { type: "min", key: ["min", "all"], operand: BigInt(random()) },
      { type: "max", key: ["max", "all"], operand: BigInt(random()) },
    ];
  },
  // Under each versionstamp that it is applied with, it leaves a key of its own, and it raises the sum each time.
  mark({ writer, worker, n }, random) {
    return [
      { type: "suffix", key: ["mark", writer, worker, n], k: MARK, size: sizeOf(random, 20) },
      { type: "sum", key: ["sum", "marks"], operand: BigInt(1 + random() % 1000) },
    ];
  },
  lease({ writer, worker, n }, random) {
    const key = ["lease", writer, worker, n % LEASES];
    return [{ type: "set", key, k: LEASE, size: sizeOf(random, 20), expireIn: LEASE_MS[random() % LEASE_MS.length] }];
  },
  move(_, random) {
    const from = random() % ACCOUNTS, to = (from + 1 + random() % (ACCOUNTS - 1)) % ACCOUNTS;
    return [{ type: "move", from: ["account", from], to: ["account", to], amount: BigInt(1 + random() % 5) }];
  },
  prune({ writer, worker }, _, [first, end]) {
    const numbers = Array.from({ length: end - first }, (_, i) => first + i);
    return [
      ...numbers.map((n) => ({ type: "delete", key: ["log", writer, worker, n] })),
      { type: "delete marks", start: ["mark", writer, worker, first], end: ["mark", writer, worker, end] },
    ];
  },
};

function kindOf({ writer, worker }, random, prunes) {
  if (prunes) return "prune";
  if (worker >= WORKERS) return "move";
  const kind = KINDS[random() % KINDS.length];
  // npm @deno/kv does not know keys with a versionstamp suffix.
  return kind === "mark" && !writer.startsWith("deno") ? "count" : kind;
}

// The write {writer, worker, n}. `prunes`, if it is to delete log keys: the number of the first, and of the one after
// the last. `guarded`: made under the check that its log key is absent, which keeps a client that repeats a write whose
// answer was lost from applying it twice; the others must bear that.
export function planOf(seed, id, prunes) {
  const random = makeRandom(seedOf(seed, id.writer, id.worker, id.n));
  const kind = kindOf(id, random, prunes);
  const log = { type: "set", key: ["log", id.writer, id.worker, id.n], k: LOG, size: sizeOf(random, 12) };
  const guarded = kind === "count" || (kind === "write" && id.n % 3 === 0);
  return { kind, guarded, mutations: [log, ...MUTATIONS[kind](id, random, prunes)] };
}

// ---- values: raw bytes, which every client and the verifier read alike. The first line says whose it is.

const HALF = 1 << 16;
// One half packs well, the other not at all.
const FILL = (() => {
  const random = makeRandom(1);
  return Uint8Array.from({ length: 2 * HALF }, (_, i) => i < HALF ? 97 + random() % 8 : random());
})();

export function valueOf({ writer, worker, n }, k, size) {
  const line = `${writer} ${worker} ${n} ${k} ${size}`;
  const head = new TextEncoder().encode(line + "\n");
  const start = seedOf(line) % HALF;
  const bytes = new Uint8Array(head.length + size);
  bytes.set(head);
  bytes.set(FILL.subarray(start, start + size), head.length);
  return bytes;
}

// The number of the write that a value says it is from; null: it is no such value.
export function numberIn(bytes) {
  const end = bytes.indexOf(10);
  const words = end > 0 && end < 100 ? new TextDecoder().decode(bytes.subarray(0, end)).split(" ") : [];
  return words.length === 5 ? Number(words[2]) : null;
}
