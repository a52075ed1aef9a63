// What the wire-level cases share.

import { Buffer } from "node:buffer";

import { encodeKey } from "../lib/keys.mjs";
import { TOKEN } from "../lib/server.mjs";
import { decodeAtomicWriteOutput, encodeMessage, Session, VE_LE64 } from "../lib/wire.mjs";

export function expect(condition, message) {
  if (!condition) throw new Error(message);
}

export const show = (value) =>
  JSON.stringify(value, (_, v) => v?.type === "Buffer" ? `x${Buffer.from(v.data).toString("hex").slice(0, 80)}` : v);

export const bytes = (length, fill = 0x61) => Buffer.alloc(length, fill);
export const stampOf = (hex) => Buffer.from(hex, "hex");

export function le64(value) {
  const out = Buffer.alloc(8);
  out.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
  return out;
}

// One transport's session, with a part of the keyspace of its own.
export class Context {
  static async open(suite, server, Transport) {
    const transport = new Transport(server.url);
    const context = new Context();
    context.suite = suite;
    context.server = server;
    context.transport = transport;
    context.session = await Session.open(transport, TOKEN);
    context.always = transport.name === "HTTP/2" ? "transport.http2" : "transport.http1";
    return context;
  }

  // The same over another connection.
  another() {
    return Context.open(this.suite, this.server, this.transport.constructor);
  }

  rule(rules, name, run) {
    return this.suite.rule(`${rules} ${this.always}`, `${this.transport.name}: ${name}`, run);
  }

  key(...parts) {
    return Buffer.from(encodeKey([this.transport.name, ...parts]));
  }

  // An atomic write's outcome, whatever it is: {httpStatus, text} or what the message says.
  async write(fields) {
    const answer = await this.session.call("atomic_write", encodeMessage(fields));
    if (answer.status !== 200) {
      return { httpStatus: answer.status, text: answer.body.toString(), contentType: answer.headers["content-type"] };
    }
    return { httpStatus: 200, ...decodeAtomicWriteOutput(answer.body) };
  }

  // A write that must succeed; gives its versionstamp.
  async commit(fields) {
    const outcome = await this.write(fields);
    expect(outcome.httpStatus === 200 && outcome.status === 1, show(outcome));
    return outcome.versionstamp;
  }

  // A write that must be refused with this text.
  async refused(fields, text) {
    const outcome = await this.write(fields);
    const found = text instanceof RegExp ? text.test(outcome.text) : outcome.text === text;
    expect(outcome.httpStatus === 400 && found && /^text\/plain/.test(outcome.contentType), `wanted ${text}: ${show(outcome)}`);
  }

  async readRefused(fields, text) {
    const answer = await this.session.call("snapshot_read", encodeMessage(fields));
    expect(answer.status === 400 && answer.body.toString() === text, `wanted ${text}: ${answer.status} ${answer.body}`);
  }

  get(key) {
    return this.session.get(key);
  }

  async expectLe64(key, value) {
    const entry = await this.get(key);
    expect(entry?.encoding === VE_LE64 && entry.value.equals(le64(value)), `wanted ${value}: ${show(entry)}`);
  }
}
