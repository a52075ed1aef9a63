// KV Connect by hand, over both transports: metadata, tokens, paths, checks, limits, bad input.

import { randomUUID } from "node:crypto";
import net from "node:net";

import { makeFolder, Server, TOKEN, within } from "../lib/server.mjs";
import * as wire from "../lib/wire.mjs";
import { check, encodeMessage, enqueue, Http1, Http2, mutation, pointRange, range, Session, set } from "../lib/wire.mjs";

const key = (text) => Buffer.from(text);
const ABSENT = Buffer.alloc(0);

function expect(condition, message) {
  if (!condition) throw new Error(message);
}

function show(answer) {
  return `${answer.status} ${answer.headers["content-type"]} ${answer.body.toString().slice(0, 200)}`;
}

// A 4xx with one plain sentence; `text`, if given, is part of it.
function expectRefused(answer, statuses, text) {
  expect(statuses.includes(answer.status), `expected ${statuses}: ${show(answer)}`);
  const body = answer.body.toString();
  expect(body.length > 5 && body.length < 500 && !/[<{\0]/.test(body), `not a plain sentence: ${show(answer)}`);
  if (text) expect(body.includes(text), `expected "${text}": ${show(answer)}`);
}

async function metadataCases(suite, transport) {
  const ask = (body, headers = { authorization: `Bearer ${TOKEN}` }, more = {}) =>
    transport.request({ path: "/", headers, body: Buffer.from(body), ...more });
  const test = (name, run, rules) => suite.test(`${transport.name}: ${name}`, run, rules);

  for (const version of [2, 3]) {
    await test(`metadata, version ${version}`, async () => {
      const answer = await ask(JSON.stringify({ supportedVersions: [version] }));
      expect(answer.status === 200 && answer.headers["content-type"] === "application/json", show(answer));
      const metadata = JSON.parse(answer.body);
      expect(Object.keys(metadata).sort().join() === "databaseId,endpoints,expiresAt,token,version", show(answer));
      expect(metadata.version === version, show(answer));
      expect(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(metadata.databaseId), show(answer));
      expect(/Z$/.test(metadata.expiresAt) && Date.parse(metadata.expiresAt) > Date.now() + 60_000, show(answer));
      expect(metadata.token.length > 0 && metadata.token !== TOKEN, "the access token was handed out as data-path token");
      expect(metadata.endpoints.some((e) => e.consistency === "strong" && !e.url.endsWith("/")), show(answer));
    }, "metadata.fields");
  }
  await test("metadata, several versions: the newest that both know", async () => {
    expect(JSON.parse((await ask('{"supportedVersions":[1,2,3]}')).body).version === 3, "version");
    expect(JSON.parse((await ask('{"supportedVersions":[3,2,9]}')).body).version === 3, "version");
  }, "metadata.newest-version");
  await test("metadata, version 1: absolute endpoint URLs", async () => {
    for (const body of ["", '{"supportedVersions":[1]}']) {
      const metadata = JSON.parse((await ask(body)).body);
      expect(metadata.version === 1 && metadata.endpoints.every((e) => /^http:\/\//.test(e.url)), JSON.stringify(metadata));
    }
  }, "metadata.version-1");
  await test("metadata, unknown versions: refused", async () =>
    expectRefused(await ask('{"supportedVersions":[77]}'), [400], "version"), "metadata.unknown-version");
  await test("metadata, not JSON: refused", async () => expectRefused(await ask('{"supportedVersions":'), [400]), "metadata.json");
  await test("a wrong access token: 401", async () => {
    expectRefused(await ask("", { authorization: "Bearer a-wrong-token-for-the-tests" }), [401], "Invalid access token.");
    expectRefused(await ask("", { authorization: `Bearer ${TOKEN}x` }), [401]);
    expectRefused(await ask("", { authorization: `Bearer ${TOKEN.slice(0, -1)}` }), [401]);
  }, "auth.access-token");
  await test("no access token, or not a bearer: 401", async () => {
    expectRefused(await ask("", {}), [401], "Malformed authorization header.");
    expectRefused(await ask("", { authorization: TOKEN }), [401], "Malformed authorization header.");
    expectRefused(await ask("", { authorization: "Bearer" }), [401], "Malformed authorization header.");
  }, "auth.malformed");
  await test("an unknown path: 404", async () => {
    const headers = { authorization: `Bearer ${TOKEN}` };
    expectRefused(await ask("", headers, { path: "/no/such/path" }), [404]);
    expectRefused(await ask("", headers, { path: "/v2/no_such_call" }), [404]);
  }, "request.path");
  await test("a method that is not POST: 4xx", async () => {
    const answer = await ask("", { authorization: `Bearer ${TOKEN}` }, { method: "DELETE" });
    expect(answer.status >= 400 && answer.status < 500, show(answer));
  });
}

async function dataPathCases(suite, transport) {
  const test = (name, run, rules) => suite.test(`${transport.name}: ${name}`, run, rules);
  const session = await Session.open(transport, TOKEN);
  const prefix = `${transport.name} `;
  const readBody = encodeMessage([pointRange(key("a"))]);

  await test("a wrong data-path token: 401", async () => {
    for (const authorization of ["Bearer wrong", `Bearer ${TOKEN}`, `Bearer ${session.metadata.token}x`, "Bearer"]) {
      expectRefused(await session.call("snapshot_read", readBody, { ...session.headers, authorization }), [401]);
    }
    const { authorization: _, ...bare } = session.headers;
    expectRefused(await session.call("snapshot_read", readBody, bare), [401]);
  }, "auth.data-token");
  await test("a wrong or missing database id, a wrong version: 400", async () => {
    const { "x-denokv-database-id": id, ...bare } = session.headers;
    expectRefused(await session.call("snapshot_read", readBody, bare), [400]);
    for (const wrong of ["", "x", randomUUID(), id + "0"]) {
      expectRefused(await session.call("snapshot_read", readBody, { ...bare, "x-denokv-database-id": wrong }), [400]);
    }
    expectRefused(await session.call("snapshot_read", readBody, { ...session.headers, "x-denokv-version": "9" }), [400]);
  }, "auth.database-id auth.version-header");
  await test("the headers of versions 1, 2 and 3", async () => {
    const { authorization } = session.headers;
    const id = session.metadata.databaseId;
    for (const headers of [
      { "x-denokv-database-id": id, "x-denokv-version": "2" },
      { "x-denokv-database-id": id, "x-denokv-version": "3" },
      { "x-transaction-domain-id": id },
    ]) {
      const answer = await session.call("snapshot_read", readBody, { authorization, ...headers });
      expect(answer.status === 200 && answer.headers["content-type"] === "application/x-protobuf", show(answer));
      const read = wire.decodeSnapshotReadOutput(answer.body);
      expect(read.status === 1 && read.stronglyConsistent && !read.readDisabled, JSON.stringify(read));
    }
  }, "auth.version-header read.strong");
  await test("malformed protobuf: 400", async () => {
    for (const body of [Buffer.from([0xff]), Buffer.from("garbage"), Buffer.from([0x0a, 0x7f, 0x00])]) {
      for (const call of ["snapshot_read", "atomic_write"]) {
        expectRefused(await session.call(call, body), [400], "Request protobuf is invalid");
      }
    }
  }, "request.protobuf");

  await test("set, read, delete", async () => {
    const k = key(prefix + "basic");
    const first = await session.atomicWrite([set(k, "one")]);
    expect(first.status === 1 && /^[0-9a-f]{20}$/.test(first.versionstamp), JSON.stringify(first));
    expect(first.versionstamp.endsWith("0000"), "the last two bytes of our own versionstamps are zero");
    const entry = await session.get(k);
    expect(entry.key.equals(k) && entry.value.equals(Buffer.from("one")) && entry.encoding === wire.VE_BYTES &&
      entry.versionstamp === first.versionstamp, JSON.stringify(entry));
    const second = await session.atomicWrite([mutation(wire.M_DELETE, k)]);
    expect(second.versionstamp > first.versionstamp, "versionstamps go up");
    expect(await session.get(k) === null, "still there");
  }, "delete.removes versionstamp.form value.bytes");
  await test("mutations of one key in one write: the last wins", async () => {
    const [a, b] = [key(prefix + "order a"), key(prefix + "order b")];
    await session.atomicWrite([set(a, "1"), set(a, "2"), mutation(wire.M_DELETE, a), set(a, "3"), set(b, "1"),
      mutation(wire.M_DELETE, b)]);
    expect((await session.get(a)).value.toString() === "3" && await session.get(b) === null, "order");
  }, "mutation.order");
  await test("a write without mutations gets a versionstamp of its own", async () => {
    const stamps = [];
    for (let i = 0; i < 3; i++) stamps.push((await session.atomicWrite([])).versionstamp);
    expect(stamps[0] < stamps[1] && stamps[1] < stamps[2], stamps.join());
  }, "versionstamp.empty-write");
  await test("checks: failed_checks names every failing index, and nothing is written", async () => {
    const [a, b, c] = ["a", "b", "c"].map((name) => key(`${prefix}check ${name}`));
    const { versionstamp } = await session.atomicWrite([set(a, "1"), set(b, "1")]);
    const stamp = Buffer.from(versionstamp, "hex");
    const other = Buffer.from("00000000000000010000", "hex");
    const outcome = await session.atomicWrite([
      check(a, stamp), check(a, other), check(b, ABSENT), check(c, ABSENT), check(c, stamp), check(b, stamp),
      set(a, "2"), set(c, "2"),
    ]);
    expect(outcome.status === 2 && outcome.failedChecks.join() === "1,2,4", JSON.stringify(outcome));
    expect((await session.get(a)).value.toString() === "1" && await session.get(c) === null, "something was written");
    const good = await session.atomicWrite([check(a, stamp), check(c, ABSENT), set(a, "2"), set(c, "2")]);
    expect(good.status === 1, JSON.stringify(good));
    const entry = await session.get(c);
    expect(entry.versionstamp === good.versionstamp && entry.value.toString() === "2", JSON.stringify(entry));
  }, "check.failed-checks check.nothing-written check.present check.absent");
  await test("ranges: start inclusive, end exclusive, reverse, limit, several in one read", async () => {
    const keys = Array.from({ length: 20 }, (_, i) => key(`${prefix}range ${String.fromCharCode(97 + i)}`));
    await session.atomicWrite(keys.map((k) => set(k, k)));
    const { ranges } = await session.snapshotRead([
      range(keys[2], keys[5], 100), range(keys[2], keys[5], 100, true), range(keys[0], keys[19], 4),
      range(keys[0], keys[19], 4, true), range(keys[5], keys[5], 9), range(keys[6], keys[5], 9), pointRange(keys[7]),
    ]);
    const letters = ranges.map((entries) => entries.map((e) => e.key.toString().at(-1)).join(""));
    expect(letters.join() === "cde,edc,abcd,srqp,,,h", letters.join());
  }, "read.start-inclusive read.end-exclusive read.reverse read.limit read.empty-range read.inverted-range");
}

// Each must be refused, and leave nothing behind.
async function refusedWrites(suite, transport) {
  const test = (name, run, rules) => suite.test(`${transport.name}: ${name}`, run, rules);
  const session = await Session.open(transport, TOKEN);
  const guard = key(`${transport.name} guard`), other = key(`${transport.name} other`);
  const le64 = Buffer.from("0500000000000000", "hex");
  await session.atomicWrite([mutation(wire.M_DELETE, guard), set(other, le64, wire.VE_LE64)]);
  const refused = (name, fields, rule, text) => test(name, async () => {
    const before = set(guard, "written");
    expectRefused(await session.call("atomic_write", encodeMessage([before, ...fields])), [400], text);
    expect(await session.get(guard) === null, "the mutation before it was written");
    expect((await session.get(other)).value.equals(le64), "the other key was changed");
  }, rule);

  const long = (n) => Buffer.alloc(n, 0x61);
  await refused("a mutation of unknown type", [mutation(77, other, { data: "x" })], "limit.mutation-kind", "Invalid mutation kind or arguments.");
  await refused("a mutation of type 0", [mutation(0, other, { data: "x" })], "limit.mutation-kind", "Invalid mutation kind or arguments.");
  await refused("a set without a value", [mutation(wire.M_SET, other)], "limit.mutation-value", "Invalid mutation kind or arguments.");
  await refused("an expiry below -1", [mutation(wire.M_SET, other, { data: "x", expireAtMs: -5 })], "limit.expire-at",
    "Invalid mutation expire at.");
  await refused("a value of unknown encoding", [mutation(wire.M_SET, other, { data: "x", encoding: 9 })], "limit.encoding");
  await refused("a VE_LE64 of 7 bytes", [set(other, long(7), wire.VE_LE64)], "limit.le64-length");
  await refused("a key of 2049 bytes", [set(long(2049), "x")], "limit.write-key", "A key exceeds the key size limit.");
  await refused("a value of 65537 bytes", [set(other, long(65537))], "limit.value", "A value exceeds the value size limit.");
  await refused("a check of a key of 2050 bytes", [check(long(2050))], "limit.check-key", "A key exceeds the key size limit.");
  await refused("a versionstamp of 9 bytes in a check", [check(other, long(9))], "limit.versionstamp", "Invalid versionstamp.");
  await refused("101 checks", Array.from({ length: 101 }, (_, i) => check(key(`c${i}`))), "limit.checks",
    "Too many checks included in atomic write.");
  await refused("1001 mutations", Array.from({ length: 1000 }, (_, i) => set(key(`m${i}`), "x")), "limit.mutations",
    "Too many mutations / enqueues included in atomic write.");
  await refused("819201 bytes in all", [...Array.from({ length: 12 }, (_, i) => set(key(`t${i}`), long(65536))),
    set(key("t12"), long(819201 - 12 * 65536 - 10 * 2 - 2 * 3 - 3 - guard.length - 7))], "limit.total", "The total size of the atomic write is too large.");

  await test("writes at the very limits", async () => {
    const done = async (fields) => expect((await session.atomicWrite(fields)).status === 1, "refused");
    await done([set(long(2048), long(65536))]);
    await done(Array.from({ length: 100 }, (_, i) => check(key(`absent ${i}`))));
    await done(Array.from({ length: 1000 }, (_, i) => mutation(wire.M_DELETE, key(`m${i}`))));
    const edge = Array.from({ length: 12 }, (_, i) => set(key(`${transport.name}e${i}`), long(65536)));
    const keyBytes = edge.length * (transport.name.length + 2) + 2 + transport.name.length + 3;
    await done([...edge, set(key(`${transport.name}e12`), long(819200 - 12 * 65536 - keyBytes))]);
    await done(edge.map((_, i) => mutation(wire.M_DELETE, key(`${transport.name}e${i}`))));
    expect((await session.get(long(2048))).value.length === 65536, "the largest entry");
  }, "limit.write-key limit.value limit.checks limit.mutations limit.total");

  const refusedRead = (name, fields, rule, text) => test(name, async () =>
    expectRefused(await session.call("snapshot_read", encodeMessage(fields)), [400], text), rule);
  await refusedRead("11 ranges in a read", Array.from({ length: 11 }, (_, i) => pointRange(key(`r${i}`))), "limit.ranges",
    "Too many read ranges requested in one read request.");
  await refusedRead("1001 entries in a read", [range("a", "b", 501), range("a", "b", 500)], "limit.entries",
    "The total number of entries requested across read ranges in the read request is too large.");
  await refusedRead("a limit of 0 in a read", [range("a", "b", 0)], "limit.range-limit",
    "The read range limit of the snapshot read request is invalid.");
  await refusedRead("a negative limit in a read", [range("a", "b", -1)], "limit.range-limit",
    "The read range limit of the snapshot read request is invalid.");
  await refusedRead("a key of 2050 bytes in a read", [range(long(2050), "z", 1)], "limit.read-key", "A key exceeds the key size limit.");
  await test("a body far over the limit: 413 before it is sent", async () => {
    const answer = await transport.request({ path: `${session.path}/atomic_write`, headers: session.headers,
      body: Buffer.alloc(1000), declared: 1 << 30 });
    expectRefused(answer, [413]);
    expect((await session.atomicWrite([set(guard, "x")])).status === 1, "the next request fails");
  });
}

// Sends bytes as they are; gives what comes back until the server closes.
function raw(server, parts, { pauseMs = 30, msMax = 60_000 } = {}) {
  return within(msMax, "a connection with bad input to be closed", new Promise((resolve) => {
    const socket = net.connect(server.port, "127.0.0.1");
    const got = [];
    socket.on("data", (part) => got.push(part));
    socket.on("error", () => {});
    socket.on("close", () => resolve(Buffer.concat(got)));
    socket.on("connect", async () => {
      socket.setNoDelay(true);
      for (const part of parts) {
        if (socket.destroyed) return;
        socket.write(part);
        await new Promise((next) => setTimeout(next, pauseMs));
      }
    });
  }));
}

async function bothAtOnce(suite, server) {
  await suite.test("both protocols at once on one port", async () => {
    const transports = [new Http1(server.url, { sockets: 4 }), new Http2(server.url), new Http2(server.url)];
    const sessions = await Promise.all(transports.map((transport) => Session.open(transport, TOKEN)));
    await Promise.all(Array.from({ length: 12 }, async (_, worker) => {
      for (let i = 0; i < 25; i++) {
        const k = key(`both ${worker} ${i}`);
        const written = await sessions[(worker + i) % 3].atomicWrite([set(k, `${worker} ${i}`)]);
        const entry = await sessions[(worker + i + 1) % 3].get(k);
        expect(entry?.versionstamp === written.versionstamp && entry.value.toString() === `${worker} ${i}`, k.toString());
      }
    }));
    for (const transport of transports) transport.close();
  });
  await suite.test("600 requests at once on one HTTP/2 connection", async () => {
    const transport = new Http2(server.url);
    const session = await Session.open(transport, TOKEN);
    const outcomes = await Promise.all(Array.from({ length: 600 }, (_, i) => session.atomicWrite([set(key(`many ${i}`), "x")])));
    expect(new Set(outcomes.map((o) => o.versionstamp)).size === 600, "versionstamps are not distinct");
    transport.close();
  });
  await suite.test("counters raised under checks from both protocols lose nothing", async () => {
    const transports = [new Http1(server.url), new Http2(server.url)];
    const sessions = await Promise.all(transports.map((transport) => Session.open(transport, TOKEN)));
    const k = key("counter");
    let conflicts = 0;
    await Promise.all(Array.from({ length: 6 }, async (_, worker) => {
      const session = sessions[worker % 2];
      for (let raised = 0; raised < 20;) {
        const entry = await session.get(k);
        const value = String(Number(entry?.value ?? 0) + 1);
        const stamp = entry ? Buffer.from(entry.versionstamp, "hex") : ABSENT;
        const outcome = await session.atomicWrite([check(k, stamp), set(k, value)]);
        outcome.status === 1 ? raised++ : conflicts++;
      }
    }));
    const { value } = await sessions[0].get(k);
    expect(value.toString() === "120", `the counter is ${value} after ${conflicts} conflicts`);
    for (const transport of transports) transport.close();
  });
}

async function badInput(suite, server) {
  const steady = new Http1(server.url);
  const session = await Session.open(steady, TOKEN);
  const undisturbed = async () => {
    expect((await session.atomicWrite([set(key("steady"), "x")])).status === 1, "another client is disturbed");
  };
  const http1Line = "POST / HTTP/1.1\r\nHost: x\r\n";
  const cases = {
    "garbage instead of a request": ["\x00\x01\x02\x03 garbage that no protocol knows\r\n\r\n"],
    "a broken HTTP/2 preface": ["PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"],
    "garbage after an HTTP/2 preface": ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Buffer.alloc(64, 0xfe)],
    "a header block of 1 MiB": [http1Line, "X-Long: " + "a".repeat(1 << 20) + "\r\n\r\n"],
    "a content-length that is no number": [http1Line + "Content-Length: many\r\n\r\n"],
  };
  for (const [name, parts] of Object.entries(cases)) {
    await suite.test(`${name}: a 4xx or a closed connection`, async () => {
      const answer = (await raw(server, parts)).toString("latin1");
      expect(!/^HTTP\/1\.1 [235]/.test(answer), answer.slice(0, 100));
      await undisturbed();
    });
  }
  await suite.test("an HTTP/2 preface in single bytes is understood", async () => {
    const preface = [...Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")].map((byte) => Buffer.from([byte]));
    const settings = Buffer.from("000000040000000000", "hex");
    const goAway = Buffer.from("0000080700000000000000000000000000", "hex");
    const answer = await raw(server, [...preface, settings, goAway], { pauseMs: 3 });
    expect(answer.length >= 9 && answer[3] === 4, `no SETTINGS frame: ${answer.toString("hex").slice(0, 60)}`);
  });
  await suite.test("a POST in single bytes is understood", async () => {
    const request = `POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${TOKEN}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`;
    const answer = (await raw(server, [...request], { pauseMs: 1 })).toString();
    expect(answer.startsWith("HTTP/1.1 200"), answer.slice(0, 100));
  });
  steady.close();
}

export default async function protocol(suite) {
  const server = await Server.start(makeFolder("protocol"));
  for (const Transport of [Http1, Http2]) {
    for (const cases of [metadataCases, dataPathCases, refusedWrites]) {
      const transport = new Transport(server.url);
      try {
        await cases(suite, transport);
      } finally {
        transport.close();
      }
    }
  }
  await bothAtOnce(suite, server);
  await badInput(suite, server);
  const end = await server.end();
  await suite.test("the server ends in good order after all this", () => {
    expect(end.code === 0, `code ${end.code}, signal ${end.signal}: ${server.stderr.slice(-1000)}`);
  });
}
