// What clients have written and were told that it is committed: from it follows what every state must be, without asking
// the server.

import { serialize } from "node:v8";

import { KvU64 } from "../../e2e/lib/client.mjs";
import { encodeKey, hex } from "../../e2e/lib/keys.mjs";
import { VE_BYTES, VE_LE64, VE_V8 } from "../../e2e/lib/wire.mjs";
import { inOrder, lineOf } from "./lines.mjs";

// What @deno/kv on Node puts on the wire for a value.
function encodeValue(value) {
  if (value instanceof KvU64) {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(value.value);
    return { encoding: VE_LE64, value: bytes.toString("hex") };
  }
  if (value instanceof Uint8Array) return { encoding: VE_BYTES, value: hex(value) };
  return { encoding: VE_V8, value: serialize(value).toString("hex") };
}

export class Journal {
  commits = []; // {versionstamp, changes}, as they were acknowledged
  ended = new Set(); // keys in hex that have expired or will: the server itself deletes them

  // A commit with its changes in their order: {key, value}, {key, deleted: true}. `key`: parts, or bytes.
  note(versionstamp, changes) {
    this.commits.push({
      versionstamp,
      changes: changes.map(({ key, value, deleted }) => ({
        key: hex(Array.isArray(key) ? encodeKey(key) : key), ...(deleted ? { deleted } : encodeValue(value)),
      })),
    });
  }

  expires(key) {
    this.ended.add(hex(encodeKey(key)));
  }

  // Those that changed something, in their order.
  stamps() {
    return this.commits.filter(({ changes }) => changes.length).map(({ versionstamp }) => versionstamp).sort();
  }

  last() {
    return this.commits.reduce((last, { versionstamp }) => versionstamp > last ? versionstamp : last, "");
  }

  // The lines at a versionstamp, without the keys that expire.
  linesAt(versionstamp) {
    const entries = new Map();
    const ordered = this.commits.filter((commit) => commit.versionstamp <= versionstamp)
      .sort((a, b) => a.versionstamp < b.versionstamp ? -1 : 1);
    for (const commit of ordered) {
      for (const change of commit.changes) {
        if (this.ended.has(change.key)) continue;
        if (change.deleted) entries.delete(change.key);
        else entries.set(change.key, lineOf({ ...change, versionstamp: commit.versionstamp }));
      }
    }
    return inOrder(entries.values());
  }

  // Lines of others without the keys that expire.
  withoutEnded(lines) {
    return lines.filter((line) => !this.ended.has(line.slice(0, line.indexOf(" "))));
  }
}
