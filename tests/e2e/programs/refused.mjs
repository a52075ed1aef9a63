// Opens a database with an access token that the server does not know.
//
//     refused.mjs URL

import { openKv, programArguments } from "../lib/client.mjs";
import { expect, failure, test } from "../lib/report.mjs";

await test("a wrong access token is told to the program", async () => {
  // A client may notice at once or with its first call.
  const error = await failure((async () => {
    const kv = await openKv(programArguments[0]);
    try {
      await kv.get(["a"]);
    } finally {
      kv.close();
    }
  })());
  expect(/Invalid access token|401/.test(String(error?.message)), String(error));
});
