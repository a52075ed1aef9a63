// Strict structural equality over everything that V8 can serialize: kind by kind, NaN equals NaN, 0 differs from -0,
// and circles must close at the same place.

const kindOf = (value) => Object.prototype.toString.call(value);

function bytesOf(view) {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

export function sameBytes(a, b) {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

export function same(a, b, seen = new Map()) {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (seen.has(a)) return seen.get(a) === b;
  seen.set(a, b);
  if (kindOf(a) !== kindOf(b) || a.constructor?.name !== b.constructor?.name) return false;
  if (ArrayBuffer.isView(a)) return sameBytes(bytesOf(a), bytesOf(b));
  if (a instanceof ArrayBuffer) return sameBytes(new Uint8Array(a), new Uint8Array(b));
  if (a instanceof Date) return Object.is(a.getTime(), b.getTime());
  if (a instanceof RegExp) return a.source === b.source && a.flags === b.flags;
  if (a instanceof Error) {
    return a.name === b.name && a.message === b.message && a.stack === b.stack && same(a.cause, b.cause, seen);
  }
  if (a instanceof Boolean || a instanceof Number || a instanceof String || a instanceof BigInt) {
    return Object.is(a.valueOf(), b.valueOf());
  }
  if (a.constructor?.name === "_KvU64" || a.constructor?.name === "KvU64") return a.value === b.value;
  if (a instanceof Map) {
    if (a.size !== b.size) return false;
    const others = [...b];
    return [...a].every(([key, value], i) => same(key, others[i][0], seen) && same(value, others[i][1], seen));
  }
  if (a instanceof Set) {
    if (a.size !== b.size) return false;
    const others = [...b];
    return [...a].every((value, i) => same(value, others[i], seen));
  }
  if (Array.isArray(a) && a.length !== b.length) return false;
  const names = Object.keys(a); // the holes of an array have no name
  const others = Object.keys(b);
  return names.length === others.length && names.every((name, i) => name === others[i] && same(a[name], b[name], seen));
}
