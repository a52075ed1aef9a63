// The table of rules in docs/CONFORMANCE.md.
//
//     node tests/e2e/conformance/table.mjs      writes it anew

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { argv } from "node:process";
import { fileURLToPath } from "node:url";

import { rootFolder } from "../lib/server.mjs";
import { RULES } from "./rules.mjs";

const path = join(rootFolder, "docs/CONFORMANCE.md");
const BEGIN = "<!-- rules: begin -->\n", END = "<!-- rules: end -->";

function withTable(document) {
  const begin = document.indexOf(BEGIN), end = document.indexOf(END);
  if (begin < 0 || end < begin) throw new Error("docs/CONFORMANCE.md has no place for the table of rules");
  const rows = Object.entries(RULES).map(([id, { says }]) => `| \`${id}\` | ${says} |`);
  const table = ["| rule | what it says |", "|---|---|", ...rows].join("\n");
  return `${document.slice(0, begin + BEGIN.length)}\n${table}\n\n${document.slice(end)}`;
}

export function checkTable() {
  const document = readFileSync(path, "utf8");
  if (withTable(document) !== document) {
    throw new Error("the table differs from rules.mjs; node tests/e2e/conformance/table.mjs writes it anew");
  }
}

if (argv[1] === fileURLToPath(import.meta.url)) writeFileSync(path, withTable(readFileSync(path, "utf8")));
