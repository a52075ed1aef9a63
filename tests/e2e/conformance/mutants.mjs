// The mutants that the server's sources offer (engine/base/mutant.h), and what they have to do with the rules.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { rootFolder } from "../lib/server.mjs";
import { RULES } from "./rules.mjs";

export const ruleOf = (mutant) => mutant.split("/")[0];

// The ids of all mutants, in the order of the rules.
export function findMutants() {
  const found = new Set();
  for (const name of readdirSync(join(rootFolder, "server"), { recursive: true })) {
    if (!/\.(h|cc)$/.test(name)) continue;
    const source = readFileSync(join(rootFolder, "server", name), "utf8");
    for (const [, id] of source.matchAll(/TM_MUTANT\(\s*"([^"]+)"\s*\)/g)) found.add(id);
    for (const [, id] of source.matchAll(/TM_OFF_BY_ONE\(\s*"([^"]+)"\s*\)/g)) found.add(`${id}/more`).add(`${id}/less`);
  }
  const order = Object.keys(RULES);
  return [...found].sort((a, b) => order.indexOf(ruleOf(a)) - order.indexOf(ruleOf(b)));
}

// What is wrong between rules and mutants, a line each.
export function mutantFaults() {
  const broken = new Set(findMutants().map(ruleOf));
  const faults = [...broken].filter((id) => !RULES[id]).map((id) => `the mutant ${id} is of no rule`);
  for (const [id, { mutant, reason }] of Object.entries(RULES)) {
    if (mutant && !broken.has(mutant)) faults.push(`${id}: there is no mutant ${mutant}`);
    if (broken.has(id) && (mutant || reason)) faults.push(`${id} has a mutant, but names another or a reason for none`);
    if (!broken.has(id) && !mutant && !reason) faults.push(`${id} has no mutant`);
  }
  return faults;
}
