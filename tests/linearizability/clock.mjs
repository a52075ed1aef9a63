// One clock for all processes: CLOCK_MONOTONIC, in nanoseconds. It counts from the start of the machine and is the
// same everywhere on it. Node's process.hrtime reads it; Deno's counts from the start of its process, so there the C
// library is asked.

import process from "node:process";

const CLOCK_MONOTONIC = 1;

function denoClock() {
  const { symbols } = Deno.dlopen("libc.so.6", {
    clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
  });
  const time = new BigInt64Array(2);
  return () => {
    if (symbols.clock_gettime(CLOCK_MONOTONIC, time) !== 0) throw new Error("the clock cannot be read");
    return time[0] * 1_000_000_000n + time[1];
  };
}

export const now = globalThis.Deno ? denoClock() : process.hrtime.bigint;
