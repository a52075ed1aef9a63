// Opens a database once and keeps using it while the server is restarted: each line on stdin asks for one more round.
//
//     survivor.mjs URL

import { createInterface } from "node:readline";

import { openKv, programArguments, runtime } from "../lib/client.mjs";
import { expect, show, tell, test } from "../lib/report.mjs";

const kv = await openKv(programArguments[0]);
await kv.set(["survivor", runtime], 0);
tell({ ready: 0 });

let round = 0;
for await (const _ of createInterface({ input: process.stdin })) {
  round++;
  await test(`goes on after restart ${round} without opening again`, async () => {
    const entry = await kv.get(["survivor", runtime]);
    expect(entry.value === round - 1, show(entry));
    const result = await kv.atomic().check(entry).set(["survivor", runtime], round).commit();
    expect(result.ok && result.versionstamp > entry.versionstamp, show(result));
  });
  tell({ ready: round });
}
kv.close();
