// Values of every kind, on Deno: writes them, or reads them and looks whether they are what was written.
//
//     kinds.mjs URL write|read

import { keys, form, text, values } from "../../server/kv/recorded/values.mjs";
import { openKv, programArguments } from "../lib/client.mjs";
import { expect, test } from "../lib/report.mjs";

const [url, what] = programArguments;
const kv = await openKv(url);

if (what === "write") {
  await test("values of every kind are written", async () => {
    for (const [name, value] of Object.entries(values)) await kv.set(["value", name], value);
    for (const [i, [key]] of keys.entries()) await kv.set(key, i);
    await kv.set(["u64"], new Deno.KvU64(2n ** 64n - 1n));
    await kv.set(["bytes"], new Uint8Array([0, 255]));
    await kv.set(["expires"], "later", { expireIn: 3_600_000 });
  });
} else {
  await test("values of every kind are read", async () => {
    for (const [name, value] of Object.entries(values)) {
      const found = text(form((await kv.get(["value", name])).value));
      // What any value becomes that goes through V8's serialization.
      const wanted = text(form(structuredClone(value)));
      expect(found === wanted, `${name}: ${found} instead of ${wanted}`);
    }
    for (const [i, [key]] of keys.entries()) expect((await kv.get(key)).value === i, `key ${i}`);
    expect((await kv.get(["u64"])).value?.value === 2n ** 64n - 1n, "u64");
    expect(text([...(await kv.get(["bytes"])).value]) === "[0,255]", "bytes");
    expect((await kv.get(["expires"])).value === "later", "expires");
  });
}
kv.close();
