// Keys and values of every kind that Deno KV can store, and the form in which a dump is to show each, worked out
// here by JavaScript itself. record.py has Deno and Node write them.

const shared = { a: 1 };
const cycle = { name: "cycle" };
cycle.self = cycle;
const buffer = new Uint8Array([0, 1, 2, 3, 4, 5, 6, 7]).buffer;
const resizable = new ArrayBuffer(4, { maxByteLength: 8 });
const tracking = new Uint16Array(resizable);
const points = [{ x: 0.5, y: 0 }, { x: 1.5, y: 0 }];
points[0].x = 1; // stays a double within V8
const withProperties = [1, 2];
withProperties.name = "n";
const far = [];
far[4_000_000_000] = "far";
const error = new TypeError("wrong", { cause: new RangeError("why") });
const bare = new Error("bare");
delete bare.stack;
const errors = [new EvalError("e"), new ReferenceError("f"), new SyntaxError("s"), new URIError("u"), new Error()];
// As recorded on any machine.
for (const one of [error, error.cause, ...errors]) one.stack = `${one}\n    at file:///values.mjs:1:1`;
const filled = new Array(2);
filled[0] = filled[1] = 7;
const deep = (depth) => (depth === 0 ? "bottom" : [deep(depth - 1)]);

// "inexact": V8 may write these in more than one way.
export const values = {
  "undefined": undefined,
  "null": null,
  "true": true,
  "false": false,
  "zero": 0,
  "minus zero": -0,
  "minus one": -1,
  "largest small": 2 ** 31 - 1,
  "smallest small": -(2 ** 31),
  "above small": 2 ** 31,
  "2^30": 2 ** 30,
  "fraction": 0.1 + 0.2,
  "smallest": 5e-324,
  "largest": 1.7976931348623157e308,
  "1e21": 1e21,
  "NaN": NaN,
  "Infinity": Infinity,
  "-Infinity": -Infinity,
  "bigint 0": 0n,
  "bigint": 12345678901234567890123n,
  "bigint negative": -(2n ** 64n),
  "bigint 1024 bytes": 2n ** 8192n - 1n,
  "bigint 1025 bytes": -(2n ** 8192n),
  "string empty": "",
  "string ascii": "it's \"quoted\"\n\u0000\u001f\u007f",
  "string latin-1": "é\u00ff\u0080",
  "string utf-16": "€uro 😀 日本",
  "string odd place": { a: "x", "€": "😀", b: "ä€" },
  "string lone surrogate": "a\ud800b",
  "inexact: slice of a wide string": "€abcdefghijklmnopqrstuvw".slice(1),
  "array empty": [],
  "array": [1, "two", null, undefined, [3]],
  "array of doubles": [1, 2.5, -0],
  "array with holes": [1, , 3],
  "array of holes": new Array(3),
  "array far": far,
  "array filled": filled,
  "array with properties": withProperties,
  "object empty": {},
  "object": { b: 1, a: { c: [true] }, "": "empty", __proto__x: 1 },
  "object with indexes": { z: 1, 10: "ten", 2: "two", 4294967294: "last", 4294967295: "none", "01": 1, "-1": 2, "1.5": 3 },
  "object with dollars": { $date: "no date", a: { $b: 1 } },
  "object with surrogates": { "\ud800": 1 },
  "object of doubles": points,
  "same object twice": [shared, shared],
  "cycle": cycle,
  "nested": deep(150),
  "inexact: nested too deep": deep(250),
  "date": new Date("2024-02-29T12:34:56.789Z"),
  "date before 1970": new Date(-1),
  "date far": new Date(8.64e15),
  "date invalid": new Date(NaN),
  "regexp": /a\/b[€]/dgimsuy,
  "regexp v": /x/v,
  "boxed true": new Boolean(true),
  "boxed false": new Boolean(false),
  "boxed number": new Number(7),
  "boxed NaN": new Number(NaN),
  "boxed bigint": Object(-5n),
  "boxed string": new String("s€"),
  "map": new Map([["k", 1], [{ o: 1 }, new Map()], [NaN, null]]),
  "set": new Set([1, "1", new Set([undefined])]),
  "array buffer": buffer,
  "array buffer resizable": resizable,
  "view shared twice": [new Uint8Array(buffer, 2, 3), new DataView(buffer, 4), buffer],
  "view tracking": tracking,
  "view of resizable": [new Uint8Array(resizable, 1, 2)],
  "Int8Array": [new Int8Array([-1, 2])],
  "Uint8Array": [new Uint8Array([1, 2, 255])],
  "Uint8ClampedArray": [new Uint8ClampedArray([9])],
  "Int16Array": [new Int16Array([-300])],
  "Uint16Array": [new Uint16Array([65535])],
  "Int32Array": [new Int32Array([-70000])],
  "Uint32Array": [new Uint32Array([4294967295])],
  "Float32Array": [new Float32Array([1.5])],
  "Float64Array": [new Float64Array([Math.PI])],
  "BigInt64Array": [new BigInt64Array([-1n])],
  "BigUint64Array": [new BigUint64Array([2n ** 64n - 1n])],
  "DataView": [new DataView(new ArrayBuffer(3))],
  "error": error,
  "error without stack": bare,
  "errors": errors,
};
if (globalThis.Float16Array) values["Float16Array"] = [new Float16Array([1.5])];

const base64 = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
const isIndex = (name) => String(name >>> 0) === name && name >>> 0 !== 4294967295;
const bigint = (value) => {
  const digits = value < 0n ? -value : value;
  const sign = value < 0n ? "-" : "";
  return { $bigint: digits >= 2n ** 8192n ? `${sign}0x${digits.toString(16)}` : String(value) };
};
const number = (value) => Number.isFinite(value) ? value : { $number: String(value) };
const string = (value) => {
  if (value.isWellFormed()) return value;
  return { $utf16: base64(new Uint8Array(Uint16Array.from(value, (_, i) => value.charCodeAt(i)).buffer)) };
};

// `seen`: objects in the order in which they began.
function view(value, seen) {
  const kind = `$${value.constructor.name.toLowerCase()}`;
  const fresh = !seen.includes(value.buffer);
  const whole = value.byteOffset === 0 && value.byteLength === value.buffer.byteLength && !value.buffer.resizable;
  const buffer = form(value.buffer, seen);
  seen.push(value);
  if (fresh && whole) return { [kind]: buffer.$arraybuffer };
  const out = { [kind]: buffer, byteOffset: value.byteOffset };
  return value === tracking ? { ...out, lengthTracking: true } : { ...out, byteLength: value.byteLength };
}

function array(value, seen) {
  const names = Object.keys(value).filter((name) => !isIndex(name));
  const indexes = Object.keys(value).length - names.length;
  const packed = indexes === value.length && value !== filled;
  if (packed) {
    const items = value.map((item) => form(item, seen));
    if (names.length === 0) return items;
    return { $array: items, properties: names.map((name) => [name, form(value[name], seen)]) };
  }
  if (value.length > 100) return { $sparse: [], length: value.length, properties: [[4_000_000_000, "far"]] };
  const items = Array.from(value, (item, i) => i in value ? form(item, seen) : { $hole: true });
  while (items.at(-1)?.$hole) items.pop();
  return items.length === value.length ? { $sparse: items } : { $sparse: items, length: value.length };
}

function plainObject(value, seen) {
  const names = Object.keys(value);
  if (names.some((name) => name.startsWith("$") || !name.isWellFormed())) {
    return { $object: names.map((name) => [string(name), form(value[name], seen)]) };
  }
  return Object.fromEntries(names.map((name) => [name, form(value[name], seen)]));
}

function errorForm(value, seen) {
  const out = { $error: value.name };
  if (Object.hasOwn(value, "message")) out.message = value.message;
  if (value.stack !== undefined) out.stack = value.stack;
  if (Object.hasOwn(value, "cause")) out.cause = form(value.cause, seen);
  return out;
}

export function form(value, seen = []) {
  if (value === undefined) return { $undefined: true };
  if (typeof value === "bigint") return bigint(value);
  if (typeof value === "number") return number(value);
  if (typeof value === "string") return string(value);
  if (value === null || typeof value !== "object") return value;
  if (seen.includes(value)) return { $ref: seen.indexOf(value) };
  if (ArrayBuffer.isView(value)) return view(value, seen);
  seen.push(value);
  if (Array.isArray(value)) return array(value, seen);
  if (value instanceof Date) {
    const text = Number.isNaN(+value) || Math.abs(+value) > 1e15 ? undefined : value.toISOString();
    return { $date: text ?? number(+value) };
  }
  if (value instanceof RegExp) {
    return { $regexp: value.source, flags: [..."gimyusldv"].filter((flag) => value.flags.includes(flag)).join("") };
  }
  if (value instanceof Map) return { $map: Array.from(value, ([k, v]) => [form(k, seen), form(v, seen)]) };
  if (value instanceof Set) return { $set: Array.from(value, (item) => form(item, seen)) };
  if (value instanceof ArrayBuffer) {
    const out = { $arraybuffer: base64(new Uint8Array(value)) };
    if (value.resizable) out.maxByteLength = value.maxByteLength;
    return out;
  }
  if (value instanceof Error) return errorForm(value, seen);
  for (const kind of [Boolean, Number, String, BigInt]) {
    if (value instanceof kind) return { $boxed: form(value.valueOf(), seen) };
  }
  return plainObject(value, seen);
}

// Keys with the form of each.
export const keys = [
  [[""], [""]],
  [["a", "b\u0000c", "é€😀"], ["a", "b\u0000c", "é€😀"]],
  [[new Uint8Array([0, 255, 0, 1]), new Uint8Array()], [{ $bytes: "AP8AAQ==" }, { $bytes: "" }]],
  [[0, -0, 1, -1, 0.5, 1e300, -5e-324], [0, -0, 1, -1, 0.5, 1e300, -5e-324]],
  [[NaN, Infinity, -Infinity], [{ $number: "NaN" }, { $number: "Infinity" }, { $number: "-Infinity" }]],
  [[2 ** 53, 2 ** 53 - 1], [2 ** 53, 2 ** 53 - 1]],
  [[0n, 1n, -1n, 255n, 256n, -256n], ["0", "1", "-1", "255", "256", "-256"].map((text) => ({ $bigint: text }))],
  [[2n ** 64n - 1n, 2n ** 64n, -(2n ** 64n) + 1n, -(2n ** 64n)], [
    { $bigint: "18446744073709551615" }, { $bigint: "18446744073709551616" },
    { $bigint: "-18446744073709551615" }, { $bigint: "-18446744073709551616" },
  ]],
  [[2n ** 2039n], [{ $bigint: String(2n ** 2039n) }]],
  [[true, false], [true, false]],
];

// JSON that keeps -0.
export const text = (value) =>
  JSON.stringify(value, (_, item) => (Object.is(item, -0) ? "@-0@" : item)).replaceAll('"@-0@"', "-0.0");
export const encoded = base64;
