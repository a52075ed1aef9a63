// The programs of others that take part. ./dev interop gets them and says in INTEROP_BIN where they are.

import { existsSync } from "node:fs";
import { join } from "node:path";

// The file of one; it must be there.
export function foreign(name) {
  const folder = process.env.INTEROP_BIN;
  if (!folder) throw new Error("INTEROP_BIN names no folder: run ./dev interop");
  const path = join(folder, name);
  if (!existsSync(path)) throw new Error(`${path} is not there: run ./dev interop`);
  return path;
}

// "1.2.3" of MinIO and denokv, as they were chosen by ./dev interop.
export const versions = () => process.env.INTEROP_VERSIONS ?? "versions unknown";
