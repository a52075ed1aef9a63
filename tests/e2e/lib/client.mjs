// The Deno KV client of whatever runs this program: the Deno CLI's own, or npm @deno/kv on Node.

const deno = globalThis.Deno?.openKv;
const npm = deno ? null : await import("@deno/kv");

export const runtime = deno ? "Deno" : "Node";
export const openKv = deno ? (url) => Deno.openKv(url) : npm.openKv;
export const KvU64 = deno ? Deno.KvU64 : npm.KvU64;
export const u64 = (value) => new KvU64(value);
export const programArguments = deno ? Deno.args : process.argv.slice(2);
