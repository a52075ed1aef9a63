// An HTTP proxy before a server that speaks S3, which does what networks and overloaded stores do.
//
//     const proxy = await FaultProxy.start(minio.url, { seed: 7 });
//     proxy.add({ fault: "drop-after", method: "PUT", match: /\/logs\//, chance: 0.1 });
//     proxy.add({ fault: "slow-down", times: 3 });   // the next three requests
//     proxy.clear();
//
// A rule is for requests with `method` (any, if not given) whose path and query, decoded, fit `match`; it strikes with the
// probability `chance` (1 if not given), at most `times`. Delays add up; of the others the first that strikes is done.
// Requests and answers pass through as they came, Host and all, so signatures stay valid. They are held whole in memory.

import http from "node:http";

import { makeRandom } from "./random.mjs";

// What each does, with the parameters that the rule may have beside it.
const FAULTS = new Set([
  "delay",         // ms: passes on the request so much later
  "drop-before",   // ends the connection without passing on the request
  "drop-after",    // passes it on and ends the connection when the answer is there
  "swallow",       // passes it on and says nothing for so many ms, then ends the connection
  "tear",          // passes on half of the body, then ends both connections
  "internal",      // answers 500 InternalError without passing it on
  "slow-down",     // answers 503 SlowDown without passing it on
  "truncate",      // passes it on, and of the answer the head and half of the body
  "twice",         // passes it on twice, one after the other, and gives the first answer
  "late",          // passes it on, and ms later a copy, whose answer nobody sees
]);

const XML_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n';
const errorBody = (code, message) =>
  `${XML_HEAD}<Error><Code>${code}</Code><Message>${message}</Message><RequestId>FAULT</RequestId></Error>`;
const ANSWERS = {
  internal: [500, errorBody("InternalError", "We encountered an internal error. Please try again.")],
  "slow-down": [503, errorBody("SlowDown", "Please reduce your request rate.")],
};
const TARGET_MS_MAX = 30_000;
const LISTEN_TRIES_MAX = 50;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function decoded(path) {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function collect(stream) {
  return new Promise((resolve, reject) => {
    const parts = [];
    stream.on("data", (part) => parts.push(part));
    stream.on("end", () => resolve(Buffer.concat(parts)));
    stream.on("error", reject);
    stream.on("aborted", () => reject(new Error("cut off")));
  });
}

export class FaultProxy {
  // Listens on a free port of this machine. `seed`: of what happens by chance.
  static async start(target, { seed = 1 } = {}) {
    const proxy = new FaultProxy(new URL(target), seed);
    await proxy.#listen(0);
    proxy.port = proxy.server.address().port;
    proxy.url = `http://127.0.0.1:${proxy.port}`;
    return proxy;
  }

  constructor(target, seed) {
    this.target = target;
    this.random = makeRandom(seed);
    this.rules = [];
    this.requests = 0;
    this.counts = {}; // by fault
    this.seen = []; // the last requests, for people: [method, path, faults]
    this.late = new Set(); // copies that are still to be sent
    this.closed = false;
  }

  add(rule) {
    if (!FAULTS.has(rule.fault)) throw new Error(`no such fault: ${rule.fault}`);
    this.rules.push({ chance: 1, times: Infinity, ...rule });
  }

  clear() {
    this.rules = [];
  }

  // Refuses connections for so long, and ends those that there are.
  async awayFor(ms) {
    this.#count("away");
    await this.#stopListening();
    await sleep(ms);
    if (!this.closed) await this.#listen(this.port);
  }

  // Waits until no copy is still to be sent.
  async settled() {
    await Promise.all([...this.late]);
  }

  async close() {
    this.closed = true;
    await this.settled();
    await this.#stopListening();
  }

  async #listen(port) {
    for (let tries = 1; ; tries++) {
      try {
        this.server = http.createServer({ keepAliveTimeout: 60_000, requestTimeout: 0 }, (request, response) => {
          this.#handle(request, response).catch(() => request.socket.destroy());
        });
        await new Promise((resolve, reject) => {
          this.server.once("error", reject);
          this.server.listen(port, "127.0.0.1", resolve);
        });
        return;
      } catch (error) {
        if (tries === LISTEN_TRIES_MAX) throw error; // somebody else has taken the port
        await sleep(100);
      }
    }
  }

  async #stopListening() {
    if (!this.server.listening) return;
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    await closed;
  }

  #count(fault) {
    this.counts[fault] = (this.counts[fault] ?? 0) + 1;
  }

  // The rules that strike: delays, and at most one other.
  #choose(method, path) {
    const chosen = [];
    for (const rule of this.rules) {
      if (rule.times <= 0 || (rule.method && rule.method !== method) || (rule.match && !rule.match.test(path))) continue;
      if (rule.fault !== "delay" && chosen.some((other) => other.fault !== "delay")) continue;
      if (rule.chance < 1 && this.random() >= rule.chance * 2 ** 32) continue;
      rule.times--;
      chosen.push(rule);
      this.#count(rule.fault);
    }
    return chosen;
  }

  async #handle(request, response) {
    const body = await collect(request);
    const path = decoded(request.url);
    const chosen = this.#choose(request.method, path);
    this.requests++;
    this.seen.push([request.method, path, chosen.map(({ fault }) => fault).join(" ")]);
    if (this.seen.length > 2000) this.seen.splice(0, 1000);
    for (const { fault, ms } of chosen) if (fault === "delay") await sleep(ms);
    const { fault, ms } = chosen.find((rule) => rule.fault !== "delay") ?? {};
    if (fault in ANSWERS) {
      const [status, text] = ANSWERS[fault];
      response.writeHead(status, { "content-type": "application/xml", "content-length": text.length });
      return void response.end(request.method === "HEAD" ? "" : text);
    }
    if (fault === "drop-before") return void request.socket.destroy();
    if (fault === "tear") {
      await this.#tear(request, body);
      return void request.socket.destroy();
    }
    let answer;
    try {
      answer = await this.#pass(request, body);
      if (fault === "twice") await this.#pass(request, body);
    } catch {
      return void request.socket.destroy();
    }
    if (fault === "late") this.#later(ms, request, body);
    if (fault === "swallow") await sleep(ms);
    if (fault === "drop-after" || fault === "swallow") return void request.socket.destroy();
    response.writeHead(answer.status, answer.message, answer.headers);
    if (fault === "truncate" && answer.body.length > 1) {
      response.write(answer.body.subarray(0, answer.body.length >> 1));
      return void setTimeout(() => request.socket.destroy(), 20);
    }
    response.end(answer.body);
  }

  #later(ms, request, body) {
    const sent = sleep(ms).then(() => this.#pass(request, body)).catch(() => {}).then(() => this.late.delete(sent));
    this.late.add(sent);
  }

  #options(request) {
    const { hostname: host, port } = this.target;
    // Each on a connection of its own: one that was kept could be closed by the other side just when it is used again.
    return { host, port, method: request.method, path: request.url, headers: request.rawHeaders, agent: false,
      timeout: TARGET_MS_MAX };
  }

  // Passes on a request and gives its whole answer.
  #pass(request, body) {
    return new Promise((resolve, reject) => {
      const passed = http.request(this.#options(request), (answer) => {
        collect(answer).then((bytes) => {
          resolve({ status: answer.statusCode, message: answer.statusMessage, headers: answer.rawHeaders, body: bytes });
          if (!passed.writableEnded) passed.destroy();
        }, reject);
      });
      passed.on("error", reject);
      passed.on("timeout", () => passed.destroy(new Error("the store does not answer")));
      if (request.headers.expect) {
        // The server is asked before it is sent much: it may refuse the request, and then reads no more.
        passed.on("continue", () => passed.end(body));
        passed.flushHeaders();
      } else {
        passed.end(body);
      }
    });
  }

  // The server behind sees a request that breaks off in its middle.
  #tear(request, body) {
    return new Promise((resolve) => {
      const torn = http.request(this.#options(request), (answer) => answer.resume());
      torn.on("error", () => {});
      torn.on("close", resolve);
      torn.write(body.subarray(0, body.length >> 1));
      setTimeout(() => torn.destroy(), 20);
    });
  }
}
