// Key parts to bytes, written from the description of the format and sharing no code with the clients, so that the
// order the server gives can be compared with one it had no part in.

function escaped(tag, bytes) {
  const out = [tag];
  for (const byte of bytes) {
    out.push(byte);
    if (byte === 0) out.push(0xff);
  }
  out.push(0);
  return out;
}

function bigEndian(magnitude) {
  const hex = magnitude.toString(16);
  const even = hex.length % 2 ? "0" + hex : hex;
  return even.match(/../g).map((pair) => parseInt(pair, 16));
}

function encodeBigint(value) {
  if (value === 0n) return [0x14];
  const bytes = bigEndian(value < 0n ? -value : value);
  const n = bytes.length;
  if (value > 0n) return n <= 8 ? [0x14 + n, ...bytes] : [0x1d, n, ...bytes];
  const complement = bytes.map((byte) => byte ^ 0xff);
  return n <= 8 ? [0x14 - n, ...complement] : [0x0b, n ^ 0xff, ...complement];
}

function encodeNumber(value) {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  if (Number.isNaN(value)) view.setBigUint64(0, 0x7ff8000000000000n);
  const bits = view.getBigUint64(0);
  view.setBigUint64(0, bits >> 63n ? bits ^ 0xffffffffffffffffn : bits ^ 0x8000000000000000n);
  return [0x21, ...new Uint8Array(view.buffer)];
}

const utf8 = new TextEncoder();

function encodePart(part) {
  if (part instanceof Uint8Array) return escaped(0x01, part);
  if (typeof part === "string") return escaped(0x02, utf8.encode(part));
  if (typeof part === "bigint") return encodeBigint(part);
  if (typeof part === "number") return encodeNumber(part);
  if (typeof part === "boolean") return [part ? 0x27 : 0x26];
  throw new TypeError(`not a key part: ${part}`);
}

export function encodeKey(parts) {
  return Uint8Array.from(parts.flatMap(encodePart));
}

// The parts of a key that is made of strings and numbers without zeros in them.
export function decodeKey(bytes) {
  const parts = [];
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at++];
    if (tag === 0x02) {
      const end = bytes.indexOf(0, at);
      parts.push(new TextDecoder().decode(bytes.subarray(at, end)));
      at = end + 1;
    } else if (tag === 0x21) {
      const bits = Buffer.from(bytes.subarray(at, at + 8)).readBigUInt64BE();
      const plain = bits >> 63n ? bits ^ 0x8000000000000000n : bits ^ 0xffffffffffffffffn;
      const view = new DataView(new ArrayBuffer(8));
      view.setBigUint64(0, plain);
      parts.push(view.getFloat64(0));
      at += 8;
    } else {
      throw new Error(`a key part with tag ${tag} in ${hex(bytes)}`);
    }
  }
  return parts;
}

export function compareBytes(a, b) {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}

export function hex(bytes) {
  let out = "";
  for (const byte of bytes) out += byte.toString(16).padStart(2, "0");
  return out;
}
