// Compares every byte that a server holds with expected.bin (see programs/dataset.mjs).

import { Session } from "./wire.mjs";

// Closes the transport, too.
export async function sameBytesAsExpected(transport, token, expected, count) {
  const session = await Session.open(transport, token);
  let at = 0, entries = 0;
  const take = (length) => expected.subarray(at, (at += length));
  const equal = (what, got, wanted) => {
    if (!got.equals(wanted)) {
      throw new Error(`entry ${entries}: ${what} is ${got.toString("hex").slice(0, 200)} instead of ` +
        wanted.toString("hex").slice(0, 200));
    }
  };
  for await (const entry of session.scan()) {
    if (at >= expected.length) throw new Error(`more than ${entries} entries; then ${entry.key.toString("hex")}`);
    equal("the key", entry.key, take(take(4).readUInt32LE()));
    equal("the encoding", Buffer.from([entry.encoding]), take(1));
    equal("the versionstamp", Buffer.from(entry.versionstamp, "hex"), take(10));
    equal("the value", entry.value, take(take(4).readUInt32LE()));
    entries++;
  }
  if (at !== expected.length) throw new Error(`only ${entries} entries, ${expected.length - at} bytes are missing`);
  if (entries !== count) throw new Error(`${entries} entries instead of ${count}`);
  transport.close();
}
