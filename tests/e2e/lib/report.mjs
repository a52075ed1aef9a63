// How a client program tells the driver what it found: one JSON object per line on stdout, written at once, so that
// nothing is lost when the program is killed. Runs in Deno and in Node.

import { writeSync } from "node:fs";

export function tell(event) {
  const bytes = new TextEncoder().encode(JSON.stringify(event) + "\n");
  for (let done = 0; done < bytes.length;) {
    try {
      done += writeSync(1, bytes.subarray(done));
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
}

// Runs one case and tells its outcome; a case that fails does not stop the program.
export async function test(name, run) {
  try {
    await run();
    tell({ case: name, ok: true });
  } catch (error) {
    tell({ case: name, ok: false, error: String(error?.stack ?? error) });
  }
}

export function expect(condition, message) {
  if (!condition) throw new Error(message);
}

// What anything looks like in a message.
export function show(value) {
  if (value instanceof Uint8Array) return `bytes(${value.length}) ${[...value.subarray(0, 24)]}`;
  try {
    return JSON.stringify(value, (_, v) => typeof v === "bigint" ? `${v}n` : v)?.slice(0, 300) ?? String(value);
  } catch {
    return Object.prototype.toString.call(value);
  }
}

// The error of a call that must fail.
export async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("the call succeeded but should have failed");
}
