// The data set of the end-to-end tests: made from a seed, the same in every process. Every kind of key part with its
// edges, alone and in pairs, and a bulk of mixed keys; every kind of value, from 1 byte to 64 KiB.

import { compareBytes, encodeKey } from "./keys.mjs";
import { makeRandom } from "./random.mjs";

const SEED = 0x71de;

const EDGE_PARTS = [
  ...[[], [0], [0, 0], [0, 255], [0, 1], [1], [1, 0, 2], [127, 128], [255], [255, 255, 255, 255]]
    .map((bytes) => Uint8Array.from(bytes)),
  "", "\0", "\0\0", "\0\u00ff", "a", "a\0", "a\0b", "aa", "ab", "b", "Z", "~", "\u007f", "\u0080", "é", "日本語",
  "\uffff", "😀", "👩‍👩‍👧", "long ".repeat(20),
  ...[0n, 1n, 2n, 127n, 128n, 255n, 256n, 65535n, 65536n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 53n, 2n ** 63n - 1n,
    2n ** 63n, 2n ** 64n - 1n, 2n ** 64n, 2n ** 100n, 2n ** 200n - 1n, 2n ** 1000n, 2n ** 2040n - 1n]
    .flatMap((n) => n === 0n ? [n] : [n, -n]),
  NaN, -Infinity, -Number.MAX_VALUE, -1e10, -2, -1, -0.5, -Number.MIN_VALUE, -0, 0, Number.MIN_VALUE, Number.EPSILON,
  0.5, 1, 1.5, 2, 255, 256, 1e10, Number.MAX_SAFE_INTEGER, Number.MAX_VALUE, Infinity,
  false, true,
];

function fixedError(error) {
  error.stack = `${error.name}: ${error.message}\n    at nowhere`; // the real one tells who made it
  return error;
}

function randomBytes(random, length) {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = random();
  return bytes;
}

function randomText(random, length, alphabet) {
  const letters = [...alphabet];
  let out = "";
  for (let i = 0; i < length; i++) out += letters[random() % letters.length];
  return out;
}

const TYPED_ARRAYS = [
  Int8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, Float32Array, Float64Array,
  BigInt64Array, BigUint64Array,
];

// Each makes a value of one kind. `r` gives random 32-bit numbers, `u64` makes what the client takes for KvU64.
const VALUE_KINDS = {
  undefined: () => undefined,
  null: () => null,
  false: () => false,
  true: () => true,
  zero: () => 0,
  "minus zero": () => -0,
  "small integer": (r) => (r() % 2000) - 1000,
  "32-bit integer": (r) => r() | 0,
  "unsigned integer": (r) => r(),
  "safe integer": (r) => r() * 2 ** 21 - 2 ** 52,
  double: (r) => (r() - 2 ** 31) / 997,
  NaN: () => NaN,
  infinity: (r) => r() % 2 ? Infinity : -Infinity,
  "tiny double": () => Number.MIN_VALUE,
  "empty string": () => "",
  "ASCII string": (r) => randomText(r, r() % 60, "abcdefghij klmnop 0123"),
  "string with zeros": (r) => "a\0b\0" + r(),
  "Latin-1 string": (r) => randomText(r, 1 + r() % 40, "aéöüßñ ÿ"),
  "two-byte string": (r) => randomText(r, 1 + r() % 40, "日本語αβγ ж"),
  "string of surrogate pairs": (r) => randomText(r, 1 + r() % 10, "😀👍🎉"),
  "zero bigint": () => 0n,
  "small bigint": (r) => BigInt(r()) - 2n ** 31n,
  "large bigint": (r) => BigInt(r()) ** 9n,
  "negative bigint": (r) => -(BigInt(r()) ** 5n) - 1n,
  Date: (r) => new Date(r() * 1000),
  "Date before 1970": (r) => new Date(-r() * 1000),
  "invalid Date": () => new Date(NaN),
  RegExp: (r) => new RegExp(`^a.{${r() % 9}}\\d+/[日]$`, ["", "g", "gimsuy", "dy"][r() % 4]),
  Map: (r) => new Map([["a", r()], [{ k: 1 }, new Map([[NaN, null]])], [3n, undefined]]),
  Set: (r) => new Set([1, "a", r(), new Set([[]]), null]),
  ArrayBuffer: (r) => randomBytes(r, r() % 70).buffer,
  DataView: (r) => new DataView(randomBytes(r, 16 + r() % 20).buffer, 3, 9),
  Error: (r) => fixedError(new Error(`broken ${r()}`)),
  TypeError: (r) => fixedError(new TypeError(`broken ${r()}`)),
  RangeError: () => fixedError(new RangeError("")),
  array: (r) => [r(), "b", [null, [undefined]], { c: -1.5 }],
  "sparse array": (r) => {
    const array = [1, , 3];
    array[50 + r() % 50] = "end";
    return array;
  },
  "array with names": (r) => Object.assign([1, 2], { name: "n" + r() }),
  object: (r) => ({ id: r(), name: "Ann", tags: ["x", "y"], nested: { deep: { deeper: [new Date(5)] } }, "": 0, 7: 1 }),
  "empty object": () => ({}),
  "cyclic object": (r) => {
    const value = { id: r(), list: [] };
    value.self = value;
    value.list.push(value, value.list);
    return value;
  },
  "shared object": (r) => {
    const part = { n: r() };
    return { a: part, b: part };
  },
  "boxed values": (r) => [new Number(r()), new String("boxed"), new Boolean(false), Object(5n)],
  ...Object.fromEntries(TYPED_ARRAYS.map((Type) => [
    Type.name,
    (r) => new Type(randomBytes(r, 8 * (r() % 9)).buffer),
  ])),
  "view into a larger buffer": (r) => new Int16Array(randomBytes(r, 64).buffer, 6, 5),
  KvU64: (r, u64) => u64((BigInt(r()) << 32n) | BigInt(r())),
  "KvU64 edges": (r, u64) => u64([0n, 1n, 2n ** 63n, 2n ** 64n - 1n][r() % 4]),
  bytes: (r) => randomBytes(r, 1 + r() % 100),
  "one byte": (r) => randomBytes(r, 1),
};

export const KIND_NAMES = Object.keys(VALUE_KINDS);

// Sizes around every power of two up to the limit, for raw bytes and for strings.
function largeSizes() {
  const sizes = [];
  for (let power = 7; power <= 16; power++) {
    for (const around of [-1, 0, 1]) if (2 ** power + around <= 65536) sizes.push(2 ** power + around);
  }
  return sizes;
}

function bulkKey(random, parts, i) {
  const edge = () => parts[random() % parts.length];
  switch (i % 6) {
    case 0: return ["bulk", i];
    case 1: return ["bulk", BigInt(i) * 977n - 40_000_000n, edge()];
    case 2: return ["users", randomText(random, 8, "abcdefgh"), i];
    case 3: return [edge(), "bulk", i, edge()];
    case 4: return [randomBytes(random, 1 + random() % 20), i / 7 - 3000, i % 4 === 0];
    default: return [i % 12 === 5, "日本 " + (i % 97), BigInt(i), (random() - 2 ** 31) / 3];
  }
}

// All entries as {key, value, kind}, in the order of their making (which is not key order); keys are distinct.
// `u64` makes a KvU64 of a bigint. Without `minusZero` no key has a -0: @deno/kv takes it for 0, which Deno does not.
export function makeDataset(u64, count, { minusZero = true } = {}) {
  const parts = minusZero ? EDGE_PARTS : EDGE_PARTS.filter((part) => !Object.is(part, -0));
  const random = makeRandom(SEED);
  const entries = [];
  const add = (key) => {
    const kind = KIND_NAMES[entries.length % KIND_NAMES.length];
    entries.push({ key, kind, value: VALUE_KINDS[kind](random, u64) });
  };
  for (const part of parts) add([part]);
  for (const first of parts) for (const second of parts) add([first, second]);
  for (const length of largeSizes()) {
    entries.push({ key: ["large", "bytes", length], kind: "large bytes", value: randomBytes(random, length) });
    const letters = Math.max(1, length - 8); // room for what V8 puts before a string
    entries.push({ key: ["large", "string", length], kind: "large string", value: randomText(random, letters, "abcé") });
  }
  for (let i = 0; i < 160; i++) {
    entries.push({ key: ["large", "mixed", i], kind: "large bytes", value: randomBytes(random, 1 + random() % 65536) });
  }
  entries.push({ key: ["large", "key", "k".repeat(2000)], kind: "large key", value: 1 });
  for (let i = 0; entries.length < count; i++) add(bulkKey(random, parts, i));
  return entries;
}

// The entries with `encoded` (the key's bytes), in key order.
export function inKeyOrder(entries) {
  return entries
    .map((entry) => ({ ...entry, encoded: encodeKey(entry.key) }))
    .sort((a, b) => compareBytes(a.encoded, b.encoded));
}
