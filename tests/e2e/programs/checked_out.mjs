// What a store shows that is checked out and served read-only.
//
//     checked_out.mjs URL HOLDS

import { openKv, programArguments } from "../lib/client.mjs";
import { expect, failure, show, test } from "../lib/report.mjs";

const kv = await openKv(programArguments[0]);
await test("a store that is checked out shows that moment, and takes no writes", async () => {
  const values = {};
  for await (const entry of kv.list({ prefix: ["past"] })) values[entry.key[1]] = entry.value;
  expect(show(values) === show(JSON.parse(programArguments[1])), show(values));
  await failure(kv.set(["past", "a"], 1));
});
kv.close();
