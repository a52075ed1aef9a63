// Loaded before a suite of Deno's (`deno test --preload`): every database that the suite opens in memory or in a file
// becomes the one behind SUITE_SERVER, emptied. Nothing in the suite's own files is changed.

import { NOT_REMOTE, reasonIn, TEXT_ALONE } from "./cases.mjs";

const server = Deno.env.get("SUITE_SERVER");
const openKv = Deno.openKv;
const test = Deno.test;

async function empty(db) {
  const keys = await Array.fromAsync(db.list({ prefix: [] }), (entry) => entry.key);
  while (keys.length) {
    const deletion = db.atomic();
    for (const key of keys.splice(-30)) deletion.delete(key); // 30 keys of any size are within the limits
    await deletion.commit();
  }
}

// File name to a promise. A file is empty when it is new; those who open it at once wait for the same emptying.
const emptied = new Map();

async function openRemote(name) {
  if (/^https?:/.test(name)) return openKv(name.replace(/^https?:\/\/localhost:4545/, server));
  if (!name || (name.startsWith(":") && name !== ":memory:")) return openKv(name); // to be refused
  const db = await openKv(server);
  if (name === ":memory:") {
    await empty(db);
  } else {
    if (!emptied.has(name)) emptied.set(name, empty(db));
    await emptied.get(name);
  }
  return db;
}

const commit = Deno.AtomicOperation.prototype.commit;

async function commitWithTypeErrors() {
  try {
    return await commit.call(this);
  } catch (error) {
    throw / \(status=400 .*\): /.test(error.message) ? new TypeError(error.message) : error;
  }
}

async function withTypeErrors(run, context) {
  Deno.AtomicOperation.prototype.commit = commitWithTypeErrors;
  try {
    await run(context);
  } finally {
    Deno.AtomicOperation.prototype.commit = commit;
  }
}

// Deno.test in all its forms, with the permissions that a remote database needs.
function adapted(...args) {
  const given = args.find((arg) => typeof arg === "object") ?? {};
  const run = args.findLast((arg) => typeof arg === "function") ?? given.fn;
  const name = args.find((arg) => typeof arg === "string") ?? given.name ?? run.name;
  const options = { ...given, name, fn: run };
  if (typeof options.permissions === "object") options.permissions = { ...options.permissions, net: true, env: true };
  if (reasonIn(NOT_REMOTE, name)) options.ignore = true;
  if (reasonIn(TEXT_ALONE, name)) options.fn = (context) => withTypeErrors(run, context);
  test(options);
}

Object.defineProperty(Deno, "openKv", { value: openRemote });
Object.defineProperty(Deno, "test", { value: Object.assign(adapted, test) });
