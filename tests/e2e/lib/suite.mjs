// A suite: a file of suites/ whose default export is `async (suite) => ...`. It names cases by suite.test(), and runs
// client programs by suite.program(), whose own cases count too.

import { Program, within } from "./server.mjs";

export class Suite {
  constructor(name, print) {
    this.name = name;
    this.passed = 0;
    this.failed = 0;
    this.print = print;
  }

  report(name, error) {
    if (error === undefined) {
      this.passed++;
      this.print(`ok    ${this.name}: ${name}`);
    } else {
      this.failed++;
      this.print(`FAIL  ${this.name}: ${name}\n      ${String(error?.stack ?? error).replaceAll("\n", "\n      ")}`);
    }
  }

  // Runs one case. Gives whether it passed.
  async test(name, run) {
    try {
      await run();
    } catch (error) {
      this.report(name, error ?? "failed");
      return false;
    }
    this.report(name);
    return true;
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
        this.report(`${runtime}: ${event.case}`, event.ok ? undefined : event.error);
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
    else if (told === 0) this.report(`${program.name} tells of cases`, "it told of none");
  }
}
