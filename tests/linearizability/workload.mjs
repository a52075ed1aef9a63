// What the clients do: the operation number `index` of a client follows from the seed alone. Only the versionstamps in
// checks are those that the client has met by then.
//
// Keys are written "group/name", both of a fixed length per kind, so that text order is key order:
//   g0/0 .. g2/3     few, so that there is contention; name 0 is a counter (KvU64), the others hold text
//   l07/000012       the log: written only by operation 12 of client 7, and never deleted

const GROUPS = 3, NAMES = 4;
const TOP = 2n ** 64n - 1n;

export const SHARED_KEYS = Array.from({ length: GROUPS * NAMES }, (_, i) => `g${Math.floor(i / NAMES)}/${i % NAMES}`);
const isCounter = (key) => key.endsWith("/0");
export const logKey = (client, index) => `l${String(client).padStart(2, "0")}/${String(index).padStart(6, "0")}`;
// Every key beneath a prefix: '0' comes after '/'.
export const beneath = (prefix) => ({ prefix, from: `${prefix}/`, to: `${prefix}0` });

// Random numbers that follow from these numbers (splitmix, in 32 bits).
export class Chooser {
  #state = 0x9e3779b9;

  constructor(...numbers) {
    for (const number of numbers) {
      this.#state ^= number;
      this.#state = this.#next();
    }
  }

  #next() {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    let x = this.#state;
    x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
    return (x ^ (x >>> 15)) >>> 0;
  }

  below(n) {
    return Math.floor(this.#next() / 2 ** 32 * n);
  }

  chance(percent) {
    return this.below(100) < percent;
  }

  pick(list) {
    return list[this.below(list.length)];
  }

  // `n` different ones.
  some(list, n) {
    const rest = [...list];
    return Array.from({ length: n }, () => rest.splice(this.below(rest.length), 1)[0]);
  }
}

function mutation(choose, key, value) {
  if (isCounter(key)) {
    if (choose.chance(15)) return ["delete", key];
    return ["sum", key, String(choose.chance(10) ? TOP : 1 + choose.below(1000))];
  }
  return choose.chance(25) ? ["delete", key] : ["set", key, value];
}

// "seen": with the versionstamp that the client saw last; "older": with one that was replaced; "absent".
const CHECKS = ["seen", "seen", "seen", "older", "absent"];

function atomic(choose, client, index) {
  const checks = choose.some(SHARED_KEYS, choose.below(4)).map((key) => ({ key, how: choose.pick(CHECKS) }));
  const mutations = choose.some(SHARED_KEYS, 1 + choose.below(4))
    .map((key, i) => mutation(choose, key, `${client}.${index}.${i}`));
  // Sometimes the same key again: the last mutation counts.
  if (choose.chance(20)) mutations.push(mutation(choose, mutations[0][1], `${client}.${index}.again`));
  if (choose.chance(80)) {
    const key = logKey(client, index);
    checks.splice(choose.below(checks.length + 1), 0, { key, how: "absent" });
    mutations.splice(choose.below(mutations.length + 1), 0, ["set", key, `${client}.${index}.log`]);
  }
  // Most read first what they check, as programs do; they fail only if somebody came between.
  return { type: "atomic", checks, mutations, readFirst: choose.chance(70) };
}

function single(choose, client, index) {
  const only = mutation(choose, choose.pick(SHARED_KEYS), `${client}.${index}.0`);
  const [type, key, value] = only;
  return { type: type === "sum" ? "atomic" : type, key, value, checks: [], mutations: [only] };
}

function list(choose, clients) {
  const reverse = choose.chance(60);
  const limit = choose.chance(60) ? 1 + choose.below(5) : 0;
  const kind = choose.below(10);
  if (kind < 4) return { type: "list", ...beneath(`g${choose.below(GROUPS)}`), limit, reverse };
  if (kind < 7) {
    const [from, to] = choose.some(SHARED_KEYS, 2).sort();
    return { type: "list", from, to, limit, reverse };
  }
  // The log of somebody: from its end, or from its start.
  return { type: "list", ...beneath(logKey(choose.below(clients), 0).split("/")[0]), limit: limit || 6, reverse };
}

// Operation `index` of `client`, one of `clients`: {type, pauseMs, ...}.
export function operation(seed, client, clients, index) {
  const choose = new Chooser(seed, client, index);
  const pauseMs = choose.chance(30) ? choose.below(30) : 0;
  const kind = choose.below(100);
  if (kind < 38) return { pauseMs, ...atomic(choose, client, index) };
  if (kind < 50) return { pauseMs, ...single(choose, client, index) };
  if (kind < 70) return { pauseMs, type: "get", keys: choose.some(SHARED_KEYS, 1 + choose.below(5)) };
  return { pauseMs, ...list(choose, clients) };
}

// Watch number `index` of a watcher: its keys, and after how many frames it is given up.
export function watchOf(seed, watcher, index) {
  const choose = new Chooser(seed, 1_000_000 + watcher, index);
  return { keys: choose.some(SHARED_KEYS, 1 + choose.below(4)), frames: 3 + choose.below(30) };
}
