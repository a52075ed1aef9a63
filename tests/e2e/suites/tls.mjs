// HTTPS: the real clients and bare TLS connections, certificates renewed while the server serves, and what is not TLS.

import { readdirSync } from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import net from "node:net";
import tls from "node:tls";

import { Authority, CertificateFiles } from "../lib/certificates.mjs";
import { makeFolder, RUNTIMES, runTidemark, Server, sleep, TOKEN, within } from "../lib/server.mjs";
import { Http1, Http2, Session, set } from "../lib/wire.mjs";

const ANSWER_MS_MAX = 10_000;
const LOAD_MS_MAX = 20_000;
const STREAMS = 12; // requests at once on an HTTP/2 connection
const RELOADS_MIN = 100; // in one row, under load
const RELOAD_EVERY_MS = 15;
const TRANSPORTS = [Http1, Http2];
const WARNING = /warning .*served without TLS/i;

function expect(condition, message) {
  if (!condition) throw new Error(message);
}

const fingerprint = (socket) => socket.getPeerCertificate().fingerprint256;

// A server with TLS, its files, and an authority that signs more of them.
class Site {
  static async open() {
    const site = new Site();
    const folder = makeFolder("certificates");
    site.authority = await Authority.make(folder);
    site.files = new CertificateFiles(folder);
    site.pair = await site.authority.issue(); // what the server should show
    site.files.put(site.pair);
    site.server = await Server.start(makeFolder("tls"), { args: site.files.args });
    return site;
  }

  transport(Transport, options = {}) {
    return new Transport(this.server.url, { ca: this.authority.certificate, ...options });
  }

  // A TLS connection after its handshake; fails with what the handshake failed with.
  connect(options = {}) {
    return within(ANSWER_MS_MAX, "a TLS handshake", new Promise((resolve, reject) => {
      const { port } = this.server;
      const socket = tls.connect({ host: "127.0.0.1", port, ca: this.authority.certificate, ...options });
      socket.on("error", reject);
      socket.on("secureConnect", () => resolve(socket));
    }));
  }

  // Connects, and leaves at once; `session` is to be taken up again.
  async visit(session) {
    const socket = await this.connect({ session });
    const found = { fingerprint: fingerprint(socket), resumed: socket.isSessionReused() };
    socket.destroy();
    return found;
  }

  // The certificate that a new connection gets.
  async shown() {
    return (await this.visit()).fingerprint;
  }

  async expectShown(pair, when) {
    const found = await this.shown();
    expect(found === pair.fingerprint, `${when}: the server shows ${found} instead of ${pair.fingerprint}`);
  }

  // Sends SIGHUP and gives what the server says to it.
  async reload() {
    const from = this.server.stderr.length;
    const said = () => this.server.stderr.slice(from);
    this.server.signal("SIGHUP");
    for (const until = performance.now() + ANSWER_MS_MAX; !/SIGHUP.*\n/.test(said()); await sleep(5)) {
      expect(performance.now() < until, `nothing was said to SIGHUP: ${this.server.stderr.slice(-1000)}`);
    }
    return said();
  }

  // Renews the files and has the server read them.
  async renew(pair) {
    this.files.put(pair);
    const said = await this.reload();
    expect(/info SIGHUP: .*\n$/.test(said), said);
    this.pair = pair;
  }

  // Whether a client that comes now gets its work done.
  async expectServing() {
    for (const Transport of TRANSPORTS) {
      const transport = this.transport(Transport);
      const session = await Session.open(transport, TOKEN);
      const { status } = await session.atomicWrite([set("serving", transport.name)]);
      const entry = await session.get(Buffer.from("serving"));
      transport.close();
      expect(status === 1 && entry.value.toString() === transport.name, `no work was done over ${transport.name}`);
    }
    expect(this.server.child.exitCode === null && this.server.child.signalCode === null, "the server has ended");
  }
}

// ---- the real clients

// Passes connections on to a port, and keeps the first bytes of each: in them a client offers what it speaks.
async function eavesdrop(port) {
  const hellos = [];
  const relay = net.createServer((client) => {
    const server = net.connect(port, "127.0.0.1");
    client.once("data", (part) => hellos.push(part.toString("latin1")));
    client.pipe(server).pipe(client);
    client.on("error", () => server.destroy());
    server.on("error", () => client.destroy());
  });
  await new Promise((resolve) => relay.listen(0, "127.0.0.1", resolve));
  return { url: `https://localhost:${relay.address().port}`, hellos, close: () => relay.close() };
}

// A runtime that trusts the authority of the tests beside those that it knows.
const trusting = (site) => ({ env: { DENO_CERT: site.authority.file, NODE_EXTRA_CA_CERTS: site.authority.file } });

async function trustingClient(suite, site, runtime) {
  const relay = await eavesdrop(site.server.port);
  await suite.program(runtime, "basics", [relay.url], trusting(site));
  relay.close();
  const offersHttp2 = runtime === "deno";
  await suite.test(`${runtime}: it offers ${offersHttp2 ? "HTTP/2" : "no HTTP/2"} by ALPN`, () => {
    expect(relay.hellos.length > 0, "it did not connect");
    for (const hello of relay.hellos) expect(hello.includes("\x02h2") === offersHttp2, JSON.stringify(hello));
  });
}

async function realClients(suite, site) {
  await Promise.all(RUNTIMES.map((runtime) => trustingClient(suite, site, runtime)));
  await Promise.all(RUNTIMES.map((runtime) => suite.program(runtime, "refused", [site.server.url, "certificate"])));
  await suite.test("the server goes on after clients that do not trust it", () => site.expectServing());
  await suite.test("metadata, version 1: the endpoint is an https URL", async () => {
    for (const Transport of TRANSPORTS) {
      const transport = site.transport(Transport);
      const { status, body } = await transport.request({
        path: "/", headers: { authorization: `Bearer ${TOKEN}` }, body: Buffer.from('{"supportedVersions":[1]}'),
      });
      transport.close();
      expect(status === 200, `${transport.name}: ${status} ${body}`);
      const [{ url }] = JSON.parse(body).endpoints;
      expect(url.startsWith(`${site.server.url}/`), `${transport.name}: ${url}`);
    }
  });
}

// ---- ALPN

// The status of a GET over a connection that is there already.
const askHttp1 = (socket) => new Promise((resolve, reject) => {
  const request = http.get({ createConnection: () => socket, path: "/healthz" }, (answer) => {
    answer.resume();
    resolve(answer.statusCode);
  });
  request.on("error", reject);
});

const askHttp2 = (socket) => new Promise((resolve, reject) => {
  const session = http2.connect("https://localhost", { createConnection: () => socket });
  session.on("error", reject);
  const stream = session.request({ ":path": "/healthz" });
  stream.on("response", (fields) => resolve(fields[":status"]));
  stream.on("error", reject);
  stream.resume();
});

async function alpn(suite, site) {
  const cases = [
    ["h2", ["h2"], "h2", askHttp2],
    ["http/1.1", ["http/1.1"], "http/1.1", askHttp1],
    ["both: HTTP/2, whatever the client prefers", ["http/1.1", "h2"], "h2", askHttp2],
    ["one that is unknown, then http/1.1", ["spdy/3", "http/1.1"], "http/1.1", askHttp1],
    ["none: HTTP/1.1", undefined, false, askHttp1],
  ];
  for (const version of ["TLSv1.2", "TLSv1.3"]) {
    const only = { minVersion: version, maxVersion: version };
    for (const [name, offered, chosen, ask] of cases) {
      await suite.test(`${version}, ALPN offers ${name}`, async () => {
        const socket = await site.connect({ ...only, ALPNProtocols: offered });
        expect(socket.getProtocol() === version && socket.alpnProtocol === chosen,
          `${socket.getProtocol()}, ${socket.alpnProtocol}`);
        const status = await within(ANSWER_MS_MAX, "an answer", ask(socket));
        socket.destroy();
        expect(status === 200, `status ${status}`);
      });
    }
    await suite.test(`${version}, ALPN offers only what is unknown: the handshake is refused and says why`, async () => {
      const error = await site.connect({ ...only, ALPNProtocols: ["spdy/3"] }).then((socket) => {
        socket.destroy();
        throw new Error(`it was let in, with ${socket.alpnProtocol}`);
      }, (e) => e);
      expect(/no application protocol/i.test(error.message), String(error));
      await site.expectServing();
    });
  }
}

// ---- certificates that are renewed

// Writes distinct keys until it is told to stop; gives them. A request that is not answered with 200 is an error.
async function pour(session, name, stop) {
  const keys = [];
  for (; !stop.now; keys.push(`${name} ${keys.length}`)) {
    const { status } = await session.atomicWrite([set(`${name} ${keys.length}`, Buffer.alloc(200, 1))]);
    expect(status === 1, `${name} ${keys.length}: status ${status}`);
    stop.answered++;
  }
  return keys;
}

// Writers on connections of their own, over both protocols. more(COUNT) waits for their answers; stopped() ends them and
// checks that everything they wrote is there.
async function writers(site, name) {
  const stop = { now: false, answered: 0 };
  const transports = [Http2, Http1, Http1].map((Transport) => site.transport(Transport));
  const sessions = await Promise.all(transports.map((transport) => Session.open(transport, TOKEN)));
  const tasks = sessions.flatMap((session, s) => {
    const length = session.transport instanceof Http2 ? STREAMS : 1;
    return Array.from({ length }, (_, i) => pour(session, `${name} ${s}-${i}`, stop));
  });
  const poured = Promise.all(tasks);
  poured.catch(() => {}); // told by stopped()
  const stopped = async () => {
    stop.now = true;
    try {
      const keys = (await within(LOAD_MS_MAX, "the last answers", poured)).flat();
      const found = new Set();
      const all = sessions[0].scan(Buffer.from(`${name} `), Buffer.from(`${name}!`));
      for await (const { key } of all) found.add(key.toString());
      expect(found.size === keys.length && keys.every((key) => found.has(key)),
        `${keys.length} writes were answered, and ${found.size} are there`);
    } finally {
      for (const transport of transports) transport.close();
    }
  };
  const more = async (count) => {
    const wanted = stop.answered + count;
    const enough = (async () => {
      while (!stop.now && stop.answered < wanted) await sleep(5);
    })();
    await within(LOAD_MS_MAX, `${count} more writes`, Promise.race([enough, poured]));
  };
  return { stopped, more };
}

// The connection of a transport that has one.
const socketOf = ({ session, agent }) =>
  session?.socket ?? [...Object.values(agent.sockets), ...Object.values(agent.freeSockets)].flat()[0];

// A client that keeps its connection, and watches a key.
async function oldClient(site, Transport) {
  const transport = site.transport(Transport);
  const session = await Session.open(transport, TOKEN);
  const key = Buffer.from(`watched over ${transport.name}`);
  await session.atomicWrite([set(key, "before")]);
  const watch = await session.watch([key]);
  const { keys: [{ entry }] } = await watch.next();
  expect(entry.value.toString() === "before", `the watch began with ${entry.value}`);
  return { transport, session, key, watch, pair: site.pair };
}

async function expectGoesOn({ transport, session, key, watch, pair }, value) {
  const { status } = await session.atomicWrite([set(key, value)]);
  expect(status === 1, `${transport.name}: status ${status}`);
  expect(fingerprint(socketOf(transport)) === pair.fingerprint, `${transport.name}: it has connected again`);
  const change = await watch.next();
  expect(change?.keys[0].entry.value.toString() === value, `${transport.name}: the watch does not show the change`);
}

async function renewal(suite, site) {
  const old = await Promise.all(TRANSPORTS.map((Transport) => oldClient(site, Transport)));
  const load = await writers(site, "renewal");
  const next = await site.authority.issue();
  await load.more(50);
  await suite.test("SIGHUP after the files were renewed: one line says so, and new connections get the new certificate",
    async () => {
      await site.expectShown(site.pair, "before the files were renewed");
      site.files.put(next);
      await site.expectShown(site.pair, "before SIGHUP");
      const said = await site.reload();
      expect(/^\S+ info SIGHUP: .*\n$/.test(said), said);
      await site.expectShown(next, "after SIGHUP");
      await site.expectServing();
    });
  site.pair = next;
  for (const client of old) {
    await suite.test(`SIGHUP: a connection and a watch of before it go on over ${client.transport.name}`,
      () => expectGoesOn(client, "after"));
  }
  await suite.test("SIGHUP: every write under way is answered and is there", async () => {
    await load.more(50);
    await load.stopped();
  });
  await suite.test("SIGHUP: a client's session of before it does not bring the old certificate back", () => staleSession(site));
  await suite.test("connections of before two SIGHUPs still go on", async () => {
    for (const client of old) await expectGoesOn(client, "much later");
  });
  for (const { watch, transport } of old) {
    watch.close();
    transport.close();
  }
}

async function staleSession(site) {
  const first = await site.connect();
  const session = await within(ANSWER_MS_MAX, "a session ticket", new Promise((resolve) => first.once("session", resolve)));
  first.destroy();
  expect((await site.visit(session)).resumed, "the session was not taken up even before SIGHUP");
  await site.renew(await site.authority.issue());
  const after = await site.visit(session);
  expect(!after.resumed && after.fingerprint === site.pair.fingerprint, "the old session was taken up");
}

async function wrongFiles(suite, site) {
  const next = await site.authority.issue();
  const other = await site.authority.issue();
  const half = (text) => text.slice(0, text.length / 2);
  const { certificatePath, keyPath } = site.files;
  const cases = [
    ["the key of another certificate", { ...next, key: other.key }, keyPath, /does not match/],
    ["a certificate that is cut off", { ...next, certificate: half(next.certificate) }, certificatePath, /cannot be read/],
    ["a key that is cut off", { ...next, key: half(next.key) }, keyPath, /cannot be read/],
    ["an empty certificate file", { ...next, certificate: "" }, certificatePath, /holds no certificate/],
    ["no certificate file", { ...next, certificate: null }, certificatePath, /No such file/],
    ["no key file", { ...next, key: null }, keyPath, /No such file/],
  ];
  for (const [name, files, path, what] of cases) {
    await suite.test(`SIGHUP with ${name}: one line says what is wrong, and the old certificate stays`, async () => {
      site.files.put(files);
      const said = await site.reload();
      expect(/^\S+ error SIGHUP: .*\n$/.test(said) && said.includes(path) && what.test(said), said);
      await site.expectShown(site.pair, "after SIGHUP");
      await site.expectServing();
    });
  }
  await suite.test("SIGHUP with the right files after all: they are taken", async () => {
    await site.renew(next);
    await site.expectShown(next, "after SIGHUP");
  });
}

// Clients that come one after the other, each with a handshake of its own. Gives how many came.
async function newcomers(site, pairs, stop) {
  let count = 0;
  for (; !stop.now; count++) {
    const transport = site.transport(TRANSPORTS[count % 2]);
    try {
      const session = await Session.open(transport, TOKEN);
      expect((await session.atomicWrite([set("newcomer", "x")])).status === 1, "a newcomer's write is refused");
      const found = fingerprint(socketOf(transport));
      expect(pairs.some((pair) => pair.fingerprint === found), `a newcomer got ${found}`);
    } finally {
      transport.close();
    }
  }
  return count;
}

// The files change all the time, so that the server may find the key of one pair beside the certificate of the other.
async function manyReloads(suite, site) {
  const pairs = [site.pair, await site.authority.issue()];
  const load = await writers(site, "reloads");
  const stop = { now: false };
  const came = newcomers(site, pairs, stop);
  came.catch(() => {}); // told below
  let working = RUNTIMES.length;
  const programs = Promise.all(RUNTIMES.map((runtime) =>
    suite.program(runtime, "basics", [site.server.url], trusting(site)).finally(() => working--)));
  for (let i = 0; i < RELOADS_MIN || working > 0; i++) {
    site.files.put(pairs[i % 2]);
    site.server.signal("SIGHUP");
    await sleep(RELOAD_EVERY_MS);
  }
  await programs;
  await suite.test("SIGHUP again and again under load: every request is answered, and every write is there", async () => {
    await load.more(50);
    await load.stopped();
  });
  await suite.test("SIGHUP again and again under load: newcomers get one certificate or the other", async () => {
    stop.now = true;
    const count = await within(LOAD_MS_MAX, "the last newcomer", came);
    expect(count >= 10, `only ${count} clients came`);
  });
  await suite.test("the files as they are in the end are taken", async () => {
    await site.renew(pairs[0]);
    await site.expectShown(pairs[0], "in the end");
  });
}

// ---- what is not TLS

// Sends bytes as they are and gives what comes back until the server closes.
const exchangeRaw = (server, bytes) => within(ANSWER_MS_MAX, "a connection to be closed", new Promise((resolve) => {
  const socket = net.connect(server.port, "127.0.0.1", () => socket.write(bytes));
  const got = [];
  socket.on("data", (part) => got.push(part));
  socket.on("error", () => {});
  socket.on("close", () => resolve(Buffer.concat(got)));
}));

const connectSilently = (server, bytes) => new Promise((resolve, reject) => {
  const socket = net.connect(server.port, "127.0.0.1", () => {
    socket.write(bytes);
    resolve(socket);
  });
  socket.on("error", reject);
});

async function notTls(suite, site) {
  const requests = {
    "HTTP/1.1": "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  };
  for (const [protocol, request] of Object.entries(requests)) {
    await suite.test(`cleartext ${protocol} to the TLS port: the answer says what the port takes, and the server goes on`,
      async () => {
        const answer = (await exchangeRaw(site.server, request)).toString();
        expect(/^HTTP\/1\.1 400 [^]*HTTPS/.test(answer), answer);
        await site.expectServing();
      });
  }
  const garbage = {
    "garbage": Buffer.from("\x00\x01\x02\x03 garbage that no protocol knows\r\n\r\n"),
    "garbage that begins like TLS": Buffer.concat([Buffer.from([0x16, 3, 1, 0x20, 0]), Buffer.alloc(0x2000, 0xfe)]),
    "a hello of nothing but zeros": Buffer.concat([Buffer.from([0x16, 3, 1, 0, 100, 1, 0, 0, 96]), Buffer.alloc(96)]),
  };
  for (const [name, bytes] of Object.entries(garbage)) {
    await suite.test(`${name}: the connection is closed, and the server goes on`, async () => {
      const answer = (await exchangeRaw(site.server, bytes)).toString("latin1");
      expect(!/^HTTP\/1\.1 [235]/.test(answer), answer);
      await site.expectServing();
    });
  }
  await suite.test("clients that say nothing, or half a hello, keep nobody waiting", async () => {
    const said = ["", "\x16\x03\x01"].flatMap((bytes) => Array(40).fill(Buffer.from(bytes, "latin1")));
    const silent = await Promise.all(said.map((bytes) => connectSilently(site.server, bytes)));
    await site.expectServing();
    for (const [i, socket] of silent.entries()) i % 2 ? socket.destroy() : socket.resetAndDestroy();
    await site.expectServing();
  });
}

// ---- starts

async function starts(suite, site) {
  await suite.test("a start with a certificate and the key of another: one sentence, exit code 2", async () => {
    const files = new CertificateFiles(makeFolder("mismatch"));
    files.put({ ...site.pair, key: (await site.authority.issue()).key });
    const dataDir = makeFolder();
    const args = ["serve", "--data-dir", dataDir, "--addr", "127.0.0.1:0", ...files.args];
    const { code, stderr } = await runTidemark(args, { env: { DENO_KV_ACCESS_TOKEN: TOKEN } });
    expect(readdirSync(dataDir).length === 0, "it made a store");
    const sentences = stderr.split("\n").filter((line) => line.startsWith("tidemark: "));
    expect(code === 2 && sentences.length === 1 && !/Listening on/.test(stderr), `code ${code}: ${stderr}`);
    const names = stderr.includes(files.keyPath) && stderr.includes(files.certificatePath);
    expect(/does not match/.test(stderr) && names, stderr);
  });
  await suite.test("--check-config reads the certificate and its key as a start would", async () => {
    const args = ["serve", "--check-config", "--tls-cert", site.files.certificatePath, "--tls-key"];
    const right = await runTidemark([...args, site.files.keyPath]);
    expect(right.code === 0, right.stderr);
    const wrong = await runTidemark([...args, site.files.certificatePath]);
    expect(wrong.code === 2 && /holds no private key/.test(wrong.stderr), `code ${wrong.code}: ${wrong.stderr}`);
  });
  await suite.test("SIGHUP without TLS: a line in the log, and the server goes on", async () => {
    const server = await Server.start(makeFolder("cleartext"));
    const transport = new Http1(server.url);
    const session = await Session.open(transport, TOKEN);
    server.signal("SIGHUP");
    while (!/SIGHUP: there is nothing to reload/.test(server.stderr)) await sleep(10);
    await session.atomicWrite([set(Buffer.from("after"), Buffer.from("SIGHUP"))]);
    transport.close();
    const { code } = await server.end();
    expect(code === 0, `code ${code}: ${server.stderr}`);
  });
  const saidAt = async (address, args = []) => {
    const server = await Server.startWith(
      ["serve", "--data-dir", makeFolder(), "--addr", address, "--metrics-addr", "off", ...args]);
    await server.end();
    return server.stderr;
  };
  await suite.test("cleartext on more than the loopback address: a warning", async () => {
    const said = await saidAt("0.0.0.0:0");
    expect(said.split("\n").filter((line) => WARNING.test(line)).length === 1, said);
    expect(/access token/.test(said) && /--tls-cert/.test(said), `it does not say what is at stake, or what to do: ${said}`);
  });
  await suite.test("cleartext on the loopback address, or TLS: no warning", async () => {
    const { stderr } = site.server;
    for (const said of [stderr, await saidAt("127.0.0.1:0"), await saidAt("0.0.0.0:0", site.files.args)]) {
      expect(/Listening on/.test(said) && !WARNING.test(said), said);
    }
  });
}

export default async function tlsSuite(suite) {
  const site = await Site.open();
  await realClients(suite, site);
  await alpn(suite, site);
  await renewal(suite, site);
  await wrongFiles(suite, site);
  await manyReloads(suite, site);
  await notTls(suite, site);
  await starts(suite, site);
  const end = await site.server.end();
  await suite.test("the server ends in good order after all this", () => {
    expect(end.code === 0, `code ${end.code}, signal ${end.signal}: ${site.server.stderr.slice(-1000)}`);
  });
}
