// What must be in the store: the outcome of all writes that were applied, key by key.

import { numberIn, pathOf, valueOf } from "./plan.mjs";

const LEASE_LATE_MS = 2000; // so long after it told of a write, a client has surely worked out when its key expires

const ARITHMETIC = {
  sum: (old, operand) => (old ?? 0n) + operand,
  min: (old, operand) => old === undefined || operand < old ? operand : old,
  max: (old, operand) => old === undefined || operand > old ? operand : old,
};

const u64Of = ({ encoding, value }) => encoding === 2 && value.length === 8 ? value.readBigUInt64LE() : null;

// {number, stamp}: a sum. Otherwise a value of the write `id`: {id, k, size, stamp}, with `lease` if it expires.
export class Model {
  constructor() {
    this.entries = new Map(); // by path
    this.marks = new Map(); // path of a mark to those of the keys under it
    this.round = 0;
  }

  has(key) {
    return this.entries.has(pathOf(key));
  }

  // A sum whose value is told rather than worked out.
  begin(key, number, stamp) {
    this.entries.set(pathOf(key), { number, stamp });
  }

  // A write, {id, at, plan}, that was applied under `stamp`; `marks`: the suffixes under its mark, one for each time.
  apply(write, stamp, marks) {
    for (const mutation of write.plan.mutations) this.#apply(write, mutation, stamp, marks);
  }

  #apply({ id, at }, { type, key, k, size, expireIn, operand, from, to, amount, start, end }, stamp, marks) {
    const value = { id, k, size, stamp, round: this.round };
    switch (type) {
      case "set":
        if (expireIn !== undefined) value.lease = { earliest: at + expireIn, latest: at + expireIn + LEASE_LATE_MS };
        this.entries.set(pathOf(key), value);
        break;
      case "delete":
        this.entries.delete(pathOf(key));
        break;
      case "sum":
        this.#calculate(type, key, operand * BigInt(marks.length || 1), stamp);
        break;
      case "min":
      case "max":
        this.#calculate(type, key, operand, stamp);
        break;
      case "move":
        this.#calculate("sum", from, -amount, stamp);
        this.#calculate("sum", to, amount, stamp);
        break;
      case "suffix":
        this.marks.set(pathOf(key), marks.map((mark) => pathOf([...key, mark])));
        for (const mark of marks) this.entries.set(pathOf([...key, mark]), { ...value, stamp: mark });
        break;
      case "delete marks":
        for (let n = start.at(-1); n < end.at(-1); n++) this.#deleteMarks(pathOf([...start.slice(0, -1), n]));
        break;
      default:
        throw new Error(`unknown mutation: ${type}`);
    }
  }

  // Writes to one sum come in any order: their outcome is the same, and the newest of their versionstamps counts.
  #calculate(type, key, operand, stamp) {
    const old = this.entries.get(pathOf(key));
    const newest = old && old.stamp > stamp ? old.stamp : stamp;
    this.entries.set(pathOf(key), { number: ARITHMETIC[type](old?.number, operand), stamp: newest });
  }

  #deleteMarks(mark) {
    for (const path of this.marks.get(mark) ?? []) this.entries.delete(path);
    this.marks.delete(mark);
  }

  // How the store, read between two moments, differs from the model. What has expired leaves the model by this.
  // `wasApplied(path, n)`: whether the write `n` of the worker that owns the path was.
  *differences(store, { from, until }, wasApplied) {
    for (const [path, wanted] of this.entries) {
      const entry = store.get(path);
      if (entry) {
        const difference = wanted.id ? this.#ofValue(entry, wanted, from) : this.#ofSum(entry, wanted);
        if (difference) yield `${path} ${difference}`;
      } else if (wanted.lease && until >= wanted.lease.earliest) {
        this.entries.delete(path);
      } else {
        yield `${path} ${this.#ofMissing(wanted)}`;
      }
    }
    for (const [path, { value, versionstamp }] of store) {
      if (this.entries.has(path)) continue;
      const n = numberIn(value);
      yield `${path} is there at ${versionstamp}` + (n !== null && !wasApplied(path, n)
        ? `, and write ${n}, which set it, is not: half of an atomic write`
        : ", and was deleted, or has expired, or was never written: it is back");
    }
  }

  #ofMissing({ id, stamp, round, lease }) {
    if (lease) return `is missing before it expires (at ${lease.earliest}, set by write ${id.n})`;
    if (id && round === this.round) {
      return `is missing, and write ${id.n}, which set it, is there: half of an atomic write`;
    }
    return `is lost, and was there at ${stamp} when it was last looked for`;
  }

  #ofSum(entry, { number, stamp }) {
    const found = u64Of(entry);
    if (found === number && entry.versionstamp === stamp) return null;
    return `is ${found} at ${entry.versionstamp}, and the writes that are there make ${number} at ${stamp}`;
  }

  #ofValue(entry, { id, k, size, stamp, lease }, from) {
    const n = numberIn(entry.value);
    if (n !== id.n || entry.versionstamp !== stamp) {
      const why = n > id.n ? "half of an atomic write" : "an older value";
      return `is of write ${n} at ${entry.versionstamp}, and should be of write ${id.n} at ${stamp}: ${why}`;
    }
    if (lease && from > lease.latest) return `is there, and expired at the latest at ${lease.latest}`;
    if (entry.encoding !== 3 || !entry.value.equals(valueOf(id, k, size))) {
      return `is of write ${n}, and its bytes are not what that wrote`;
    }
    return null;
  }
}
