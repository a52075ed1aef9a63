// A suite: a file of suites/ whose default export is `async (suite) => ...`. It names cases by suite.test(), and runs
// client programs by suite.program(), whose own cases count too. A case may say which rules of conformance/rules.mjs it
// shows, by their ids with a space between.

import { chosenRules, showsChosen } from "./report.mjs";

import { Program, within } from "./server.mjs";

export class Suite {
  // `print` takes each line of the report, `afterFailure` is called after each failure.
  constructor(name, print, afterFailure = () => {}) {
    this.name = name;
    this.rules = new Set(); // shown by cases that ran
    this.afterFailure = afterFailure;
    this.passed = 0;
    this.failed = 0;
    this.print = print;
  }

  // Tells the outcome of one case.
  report(name, error, rules = "") {
    for (const rule of rules.split(" ")) if (rule) this.rules.add(rule);
    if (error === undefined) {
      this.passed++;
      this.print(`ok    ${this.name}: ${name}`);
    } else {
      this.failed++;
      this.print(`FAIL  ${this.name}: ${name}\n      ${String(error?.stack ?? error).replaceAll("\n", "\n      ")}`);
      this.afterFailure(name);
    }
  }

  // Runs one case, unless rules were chosen and it shows none of them.
  async test(name, run, rules = "") {
    if (!showsChosen(rules)) return;
    try {
      await run();
    } catch (error) {
      return this.report(name, error ?? "failed", rules);
    }
    this.report(name, undefined, rules);
  }

  // The same with the rules first, for suites that are about rules.
  rule(rules, name, run) {
    return this.test(name, run, rules);
  }

  // Runs a client program to its end; each case that it tells is one of this suite, and so is its orderly end.
  async program(runtime, name, args = [], { msMax = 120_000, ...options } = {}) {
    let told = 0;
    const program = new Program(runtime, name, args, {
      ...options,
      onEvent: (event) => {
        options.onEvent?.(event);
        if (event.case === undefined) return;
        told++;
        this.report(`${runtime}: ${event.case}`, event.ok ? undefined : event.error, event.rules);
      },
    });
    let end;
    try {
      end = await within(msMax, program.name, program.finished());
    } catch (error) {
      await program.kill();
      return this.report(`${program.name} ends`, `${error}\n${program.stderr}`);
    }
    if (end.code !== 0) this.report(`${program.name} ends`, `exit code ${end.code} ${end.signal ?? ""}\n${program.stderr}`);
    else if (told === 0 && !chosenRules) this.report(`${program.name} tells of cases`, "it told of none");
  }
}
