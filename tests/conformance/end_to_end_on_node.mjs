// Runs denokv's end-to-end test on Node with npm @deno/kv:
//
//     node end_to_end_on_node.mjs MODULE URL TOKEN VERSION
//
// MODULE is its e2e.ts as strip_types.mjs left it; VERSION the one protocol version that the client offers.

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [module, url, accessToken, version] = process.argv.slice(2);
const require = createRequire(new URL("../e2e/package.json", import.meta.url));
const { openKv } = require("@deno/kv");
const { endToEnd } = await import(pathToFileURL(module));

const service = {
  openKv: (path) => openKv(path, { accessToken, supportedVersions: [Number(version)], maxRetries: 0 }),
};

const kv = await service.openKv(url);
for await (const { key } of kv.list({ prefix: [] })) await kv.delete(key);
kv.close();

// The client watches in version 3 alone. With type "deno" the test leaves watching out, and some things that only this
// client refuses.
const kind = version === "3" ? { type: "userland", subtype: "remote" } : { type: "deno" };
await endToEnd(service, { ...kind, path: url });
