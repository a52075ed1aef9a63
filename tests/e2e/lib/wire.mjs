// The protocol by hand: just enough protobuf, and requests over HTTP/1.1 and HTTP/2, to send what no client would and
// to see the bytes that clients hide.

import http from "node:http";
import http2 from "node:http2";
import https from "node:https";

// ---- protobuf: a message is a list of [field number, value]; a value is a number, bigint, bytes, string or message

function varint(value) {
  let v = BigInt.asUintN(64, BigInt(value));
  const out = [];
  do {
    out.push(Number(v & 0x7fn) | (v > 0x7fn ? 0x80 : 0));
    v >>= 7n;
  } while (v);
  return Buffer.from(out);
}

export function encodeMessage(fields) {
  const parts = [];
  for (const [number, value] of fields) {
    if (typeof value === "number" || typeof value === "bigint") {
      parts.push(varint(number << 3), varint(value));
    } else {
      const bytes = Array.isArray(value) ? encodeMessage(value) : Buffer.from(value);
      parts.push(varint((number << 3) | 2), varint(bytes.length), bytes);
    }
  }
  return Buffer.concat(parts);
}

// Field number to the list of its values, varints as bigint, the rest as Buffer.
export function decodeMessage(bytes) {
  const fields = new Map();
  let at = 0;
  const readVarint = () => {
    let v = 0n;
    for (let shift = 0n; ; shift += 7n) {
      if (at >= bytes.length || shift > 63n) throw new Error("protobuf: a number is cut off");
      const byte = bytes[at++];
      v |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return v;
    }
  };
  while (at < bytes.length) {
    const tag = Number(readVarint());
    let value;
    if ((tag & 7) === 0) {
      value = readVarint();
    } else if ((tag & 7) === 2) {
      const length = Number(readVarint());
      if (at + length > bytes.length) throw new Error("protobuf: a field is cut off");
      value = bytes.subarray(at, at + length);
      at += length;
    } else {
      throw new Error(`protobuf: unexpected wire type ${tag & 7}`);
    }
    const list = fields.get(tag >> 3);
    if (list) list.push(value);
    else fields.set(tag >> 3, [value]);
  }
  return fields;
}

const one = (fields, number, otherwise) => fields.get(number)?.at(-1) ?? otherwise;
const EMPTY = Buffer.alloc(0);

// ---- the messages

export const VE_V8 = 1, VE_LE64 = 2, VE_BYTES = 3;
export const M_SET = 1, M_DELETE = 2, M_SUM = 3, M_MAX = 4, M_MIN = 5, M_SUFFIX = 9;

export const check = (key, versionstamp = EMPTY) => [1, [[1, key], [2, versionstamp]]];
export const mutation = (type, key, { data, encoding = VE_BYTES, expireAtMs, extra = [] } = {}) => [2, [
  [1, key],
  ...(data === undefined ? [] : [[2, [[1, data], [2, encoding]]]]),
  [3, type],
  ...(expireAtMs === undefined ? [] : [[4, expireAtMs]]),
  ...extra,
]];
export const set = (key, data, encoding = VE_BYTES) => mutation(M_SET, key, { data, encoding });
export const enqueue = (payload, deadlineMs = 0, { undelivered = [], backoffMs = [] } = {}) => [3, [
  [1, payload], [2, deadlineMs], ...undelivered.map((key) => [3, key]), ...backoffMs.map((ms) => [4, ms]),
]];
export const watchKey = (key) => [1, [[1, key]]];
export const range = (start, end, limit, reverse = false) =>
  [1, [[1, start], [2, end], [3, limit], [4, reverse ? 1 : 0]]];
export const pointRange = (key) => range(key, Buffer.concat([Buffer.from(key), Buffer.from([0])]), 1);

export function decodeAtomicWriteOutput(body) {
  const fields = decodeMessage(body);
  const failed = [];
  for (const value of fields.get(4) ?? []) {
    if (typeof value === "bigint") failed.push(Number(value));
    else for (const byte of value) failed.push(byte); // packed; indexes below 100 take one byte
  }
  return {
    status: Number(one(fields, 1, 0n)),
    versionstamp: one(fields, 2, EMPTY).toString("hex"),
    failedChecks: failed,
  };
}

function decodeEntry(bytes) {
  const fields = decodeMessage(bytes);
  return {
    key: one(fields, 1, EMPTY),
    value: one(fields, 2, EMPTY),
    encoding: Number(one(fields, 3, 0n)),
    versionstamp: one(fields, 4, EMPTY).toString("hex"),
  };
}

// Keys as {changed, entry}; entry null: absent.
export function decodeWatchOutput(body) {
  const fields = decodeMessage(body);
  return {
    status: Number(one(fields, 1, 0n)),
    keys: (fields.get(2) ?? []).map((bytes) => {
      const key = decodeMessage(bytes);
      return { changed: one(key, 1, 0n) !== 0n, entry: key.has(2) ? decodeEntry(key.get(2)[0]) : null };
    }),
  };
}

export function decodeSnapshotReadOutput(body) {
  const fields = decodeMessage(body);
  return {
    ranges: (fields.get(1) ?? []).map((bytes) =>
      (decodeMessage(bytes).get(1) ?? []).map(decodeEntry)
    ),
    readDisabled: one(fields, 2, 0n) !== 0n,
    stronglyConsistent: one(fields, 4, 0n) !== 0n,
    status: Number(one(fields, 8, 0n)),
  };
}

// ---- the two transports: each gives request({method, path, headers, body}) -> {status, headers, body}, and close().
// With `declared`, the request says that its body has so many bytes, and stops after `body` without ending.
// stream({path, headers, body}) gives {status, headers, frames, close()} for an answer that goes on.
// The URL says whether it goes over TLS, `ca` whose certificates to trust there.

// The frames of a watch as they come in: a length of 4 bytes, little-endian, before each.
class Frames {
  #bytes = EMPTY;
  #ready = [];
  #waiting = null;
  #ended = null;

  push(part) {
    this.#bytes = Buffer.concat([this.#bytes, part]);
    while (this.#bytes.length >= 4 && this.#bytes.length >= 4 + this.#bytes.readUInt32LE()) {
      const end = 4 + this.#bytes.readUInt32LE();
      this.#ready.push(this.#bytes.subarray(4, end));
      this.#bytes = this.#bytes.subarray(end);
    }
    this.#waiting?.();
  }

  end(error) {
    this.#ended ??= error;
    this.#waiting?.();
  }

  // The next frame; an empty one is a keep-alive. Null if none has come after so many milliseconds.
  async next(msMax = 5000) {
    const until = performance.now() + msMax;
    while (this.#ready.length === 0) {
      if (this.#ended) throw this.#ended;
      const left = until - performance.now();
      if (left <= 0) return null;
      let timer;
      await new Promise((resolve) => {
        this.#waiting = resolve;
        timer = setTimeout(resolve, left);
      });
      clearTimeout(timer);
      this.#waiting = null;
    }
    return this.#ready.shift();
  }
}

const REQUEST_MS_MAX = 20_000;

// A promise for one request; `start` gives what ends it when it takes too long.
function inTime(start) {
  return new Promise((resolve, reject) => {
    let stop = () => {};
    const timer = setTimeout(() => {
      reject(new Error("no answer in time"));
      stop();
    }, REQUEST_MS_MAX);
    const settle = (then) => (value) => {
      clearTimeout(timer);
      then(value);
    };
    try {
      stop = start(settle(resolve), settle(reject));
    } catch (error) {
      settle(reject)(error);
    }
  });
}

export class Http1 {
  constructor(url, { sockets = 1, ca } = {}) {
    this.name = "HTTP/1.1";
    this.url = new URL(url);
    this.ca = ca;
    this.module = this.url.protocol === "https:" ? https : http;
    this.agent = new this.module.Agent({ keepAlive: true, maxSockets: sockets });
  }

  request({ method = "POST", path = "/", headers = {}, body = EMPTY, declared }) {
    return inTime((resolve, reject) => {
      const request = this.module.request(
        {
          host: this.url.hostname, port: this.url.port, method, path, agent: this.agent, ca: this.ca,
          headers: { "content-length": declared ?? body.length, ...headers },
        },
        (response) => {
          const parts = [];
          response.on("data", (part) => parts.push(part));
          response.on("end", () => {
            resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(parts) });
            if (declared !== undefined) request.destroy();
          });
          response.on("error", reject);
          response.on("aborted", () => reject(new Error("the answer was cut off")));
        },
      );
      request.on("error", reject);
      if (declared === undefined) request.end(body);
      else request.write(body);
      return () => request.destroy();
    });
  }

  // On a connection of its own.
  stream({ path, headers, body }) {
    return inTime((resolve, reject) => {
      const request = this.module.request({
        host: this.url.hostname, port: this.url.port, method: "POST", path, agent: false, ca: this.ca,
        headers: { "content-length": body.length, ...headers },
      }, (response) => {
        const frames = new Frames();
        response.on("data", (part) => frames.push(part));
        response.on("error", (error) => frames.end(error));
        response.on("end", () => frames.end(new Error("the watch ended")));
        resolve({ status: response.statusCode, headers: response.headers, frames, close: () => request.destroy() });
      });
      request.on("error", reject);
      request.end(body);
      return () => request.destroy();
    });
  }

  close() {
    this.agent.destroy();
  }
}

export class Http2 {
  constructor(url, { ca } = {}) {
    this.name = "HTTP/2";
    this.session = http2.connect(url, { ca }); // cleartext: prior knowledge; TLS: by ALPN
    this.failed = null;
    this.session.on("error", (error) => (this.failed = error));
  }

  request({ method = "POST", path = "/", headers = {}, body = EMPTY, declared }) {
    return inTime((resolve, reject) => {
      if (this.session.destroyed || this.session.closed) {
        reject(this.failed ?? new Error("the connection is closed"));
        return () => {};
      }
      const stream = this.session.request(
        { ":method": method, ":path": path, "content-length": declared ?? body.length, ...headers },
        { endStream: false },
      );
      const parts = [];
      let answer;
      stream.on("response", (fields) => (answer = fields));
      stream.on("data", (part) => parts.push(part));
      stream.on("error", reject);
      stream.on("end", () => {
        if (answer) resolve({ status: answer[":status"], headers: answer, body: Buffer.concat(parts) });
      });
      stream.on("close", () => reject(this.failed ?? new Error("the stream was closed without an answer")));
      if (declared === undefined) stream.end(body);
      else stream.write(body);
      return () => stream.destroy();
    });
  }

  stream({ path, headers, body }) {
    return inTime((resolve, reject) => {
      const stream = this.session.request({ ":method": "POST", ":path": path, ...headers }, { endStream: false });
      const frames = new Frames();
      stream.on("response", (fields) =>
        resolve({ status: fields[":status"], headers: fields, frames, close: () => stream.close() }));
      stream.on("data", (part) => frames.push(part));
      stream.on("error", (error) => {
        reject(error);
        frames.end(error);
      });
      stream.on("end", () => frames.end(new Error("the watch ended")));
      stream.on("close", () => {
        const error = this.failed ?? new Error("the stream was closed");
        reject(error);
        frames.end(error);
      });
      stream.end(body);
      return () => stream.destroy();
    });
  }

  close() {
    this.session.destroy();
  }
}

// ---- a session as a client has it: metadata first, then the data path

export class Session {
  // Over `transport` (an Http1 or Http2), with the access token; `path` says which database.
  static async open(transport, accessToken, path = "/") {
    const answer = await transport.request({
      path,
      headers: { authorization: `Bearer ${accessToken}`, "content-type": "application/json" },
      body: Buffer.from(JSON.stringify({ supportedVersions: [1, 2, 3] })),
    });
    if (answer.status !== 200) throw new Error(`metadata: ${answer.status} ${answer.body}`);
    const metadata = JSON.parse(answer.body.toString());
    const endpoint = metadata.endpoints.find((e) => e.consistency === "strong").url;
    return new Session(transport, metadata, new URL(endpoint, "http://any/").pathname.replace(/\/$/, ""));
  }

  constructor(transport, metadata, path) {
    this.transport = transport;
    this.metadata = metadata;
    this.path = path;
    this.headers = {
      authorization: `Bearer ${metadata.token}`,
      "x-denokv-database-id": metadata.databaseId,
      "x-denokv-version": String(metadata.version),
    };
  }

  // The same session over another connection: its token must still be good.
  over(transport) {
    return new Session(transport, this.metadata, this.path);
  }

  // Any call; gives the bare answer.
  call(name, body, headers = this.headers) {
    return this.transport.request({ path: `${this.path}/${name}`, headers, body });
  }

  async atomicWrite(fields) {
    const answer = await this.call("atomic_write", encodeMessage(fields));
    if (answer.status !== 200) throw new Error(`atomic_write: ${answer.status} ${answer.body}`);
    return decodeAtomicWriteOutput(answer.body);
  }

  async snapshotRead(fields) {
    const answer = await this.call("snapshot_read", encodeMessage(fields));
    if (answer.status !== 200) throw new Error(`snapshot_read: ${answer.status} ${answer.body}`);
    return decodeSnapshotReadOutput(answer.body);
  }

  // A watch over the keys: next() gives its next message, or null if none has come in time; keep-alives are passed over.
  async watch(keys) {
    const answer = await this.transport.stream({
      path: `${this.path}/watch`, headers: this.headers, body: encodeMessage(keys.map(watchKey)),
    });
    if (answer.status !== 200) throw new Error(`watch: ${answer.status}`);
    const next = async (msMax = 5000) => {
      for (const until = performance.now() + msMax;;) {
        const frame = await answer.frames.next(until - performance.now());
        if (frame === null || frame.length) return frame && decodeWatchOutput(frame);
      }
    };
    return { ...answer, next };
  }

  // The entry of one key, or null.
  async get(key) {
    return (await this.snapshotRead([pointRange(key)])).ranges[0][0] ?? null;
  }

  // Every entry from `start` to before `end`, in as many reads as it takes.
  async *scan(start = EMPTY, end = Buffer.from([0xff]), limit = 1000) {
    for (let from = start; ;) {
      const { ranges: [entries] } = await this.snapshotRead([range(from, end, limit)]);
      yield* entries;
      if (entries.length < limit) return;
      from = Buffer.concat([entries.at(-1).key, Buffer.from([0])]);
    }
  }
}
