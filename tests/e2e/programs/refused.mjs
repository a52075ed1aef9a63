// Opens a database of a server that this program has no business with: it does not know the program's access token, or
// the program does not know who signed its certificate.
//
//     refused.mjs URL token|certificate

import { openKv, programArguments } from "../lib/client.mjs";
import { expect, failure, test } from "../lib/report.mjs";

const [url, reason] = programArguments;
const [name, pattern] = {
  token: ["a wrong access token is told to the program", /Invalid access token|401/],
  certificate: ["a certificate of an unknown authority is told to the program", /UnknownIssuer|unable to (verify|get)/],
}[reason];

await test(name, async () => {
  // A client may notice at once or with its first call.
  const error = await failure((async () => {
    const kv = await openKv(url);
    try {
      await kv.get(["a"]);
    } finally {
      kv.close();
    }
  })());
  // Node tells the reason of a failed connection apart.
  expect(pattern.test(`${error?.message} ${error?.cause?.message}`), `${error} ${error?.cause ?? ""}`);
});
