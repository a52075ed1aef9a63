// Reads moments of the past through the client while it writes the present.
//
//     past.mjs URL MOMENTS        of a database; JSON: [{moment, holds}...]

import { openKv, programArguments } from "../lib/client.mjs";
import { expect, failure, show, test } from "../lib/report.mjs";

const [url, moments] = [programArguments[0], JSON.parse(programArguments[1])];
const present = await openKv(url);

const all = async (kv) => {
  const values = {};
  for await (const entry of kv.list({ prefix: ["past"] })) values[entry.key[1]] = entry.value;
  return values;
};

let stop = false;
let written = 0;
const writer = (async () => {
  while (!stop) await present.atomic().set(["past", "now"], ++written).set(["past", "a"], "now").commit();
})();

const views = await Promise.all(moments.map(async ({ moment }) => openKv(`${url}@${moment}`)));
for (const [index, { moment, holds }] of moments.entries()) {
  await test(`the past at ${moment.length === 20 ? "a versionstamp" : "a time"}, number ${index}`, async () => {
    for (let i = 0; i < 20; ++i) {
      const found = await all(views[index]);
      expect(show(found) === show(holds), `${show(found)} instead of ${show(holds)}`);
      const entry = await views[index].get(["past", "a"]);
      expect(entry.value === (holds.a ?? null), show(entry));
    }
  });
}
await test("a view takes no writes", async () => {
  await failure(views[0].set(["past", "a"], 1));
});
stop = true;
await writer;
await test("the present went on meanwhile", async () => {
  expect(written > 0 && (await present.get(["past", "now"])).value === written, `${written}`);
});
for (const kv of [...views, present]) kv.close();
