// How a client program tells the driver what it found: one JSON object per line on stdout, written at once, so that
// nothing is lost when the program is killed. Runs in Deno and in Node.

import { writeSync } from "node:fs";
import process from "node:process";

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

// The rules to which a run is confined, or null.
export const chosenRules = process.env.E2E_RULES?.split(" ") ?? null;
export const showsChosen = (rules) => !chosenRules || rules.split(" ").some((rule) => chosenRules.includes(rule));

// Runs one case and tells its outcome; a case that fails does not stop the program. `rules`: those of
// conformance/rules.mjs that it shows.
export async function test(name, run, rules = "") {
  if (!showsChosen(rules)) return;
  try {
    await run();
    tell({ case: name, ok: true, rules });
  } catch (error) {
    tell({ case: name, ok: false, rules, error: String(error?.stack ?? error) });
  }
}

export const rule = (rules, name, run) => test(name, run, rules);

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

// What an error says, and what it says of its cause.
export const reasonOf = (error) => [error?.message ?? error, error?.cause?.message].filter(Boolean).join(": ");

// The error of a call that must fail.
export async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("the call succeeded but should have failed");
}
