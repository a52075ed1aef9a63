// A store from outside: all that is in it, over the protocol by hand, and its files.

import { copyFileSync, linkSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";

import { pathOf } from "./plan.mjs";
import { decodeKey } from "../lib/keys.mjs";

const AT_ONCE = 400; // values are up to 60 KiB, and one answer is in memory as a whole

// Path to entry, of everything in the session's database.
export async function readStore(session) {
  const store = new Map();
  for await (const entry of session.scan(undefined, undefined, AT_ONCE)) store.set(pathOf(decodeKey(entry.key)), entry);
  return store;
}

// Makes `to` show the files of the folder as they are. A start writes to no file that it finds but the lock, so links
// will do; what it removes stays here.
export function keepFiles(from, to) {
  rmSync(to, { recursive: true, force: true });
  const keep = (folder) => {
    mkdirSync(join(to, folder), { recursive: true });
    for (const entry of readdirSync(join(from, folder), { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) keep(path);
      else if (entry.name === "LOCK") copyFileSync(join(from, path), join(to, path));
      else if (entry.isFile()) linkSync(join(from, path), join(to, path));
    }
  };
  keep("");
}

// The names of the segments in the folder and those beneath.
export function segmentsIn(folder) {
  return readdirSync(folder, { recursive: true }).filter((path) => path.endsWith(".seg"));
}
