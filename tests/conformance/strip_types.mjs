// A Deno program that makes JavaScript of a TypeScript module and of all that it imports, so that Node can run it:
//
//     deno run strip_types.mjs MODULE OUT_DIR PREFIX DIR
//
// Imports that begin with PREFIX are taken from DIR. Prints the path of what MODULE became.

import { stripTypeScriptTypes } from "node:module";
import { dirname, join, resolve } from "node:path";

const [module, outDir, prefix, prefixDir] = Deno.args;
const made = new Map(); // path of the source to the name of its file in outDir

function make(path) {
  if (made.has(path)) return made.get(path);
  const name = `module_${made.size}.mjs`;
  made.set(path, name);
  const code = stripTypeScriptTypes(Deno.readTextFileSync(path), { mode: "transform" });
  const out = code.replace(/(\bfrom\s*|\bimport\s*)(["'])([^"'\n]+\.ts)\2/g, (all, before, quote, specifier) => {
    let target = resolve(dirname(path), specifier);
    if (specifier.startsWith(prefix)) target = join(prefixDir, specifier.slice(prefix.length));
    else if (!specifier.startsWith(".")) return all; // in a comment
    return `${before}${quote}./${make(target)}${quote}`;
  });
  Deno.writeTextFileSync(join(outDir, name), out);
  return name;
}

console.log(join(outDir, make(resolve(module))));
