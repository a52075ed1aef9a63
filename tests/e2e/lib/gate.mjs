// Lets a client program be paused: its workers pass through the gate before each thing they do. The lines "go" and
// "pause NUMBER" on stdin open and close it. When it is closed and all workers wait, {idle: NUMBER} is told: then
// nothing is under way. At first it is closed.

import process from "node:process";
import { createInterface } from "node:readline";

import { tell } from "./report.mjs";

export class Gate {
  #waiting = [];
  #open = false;
  #pause = null;

  constructor(workers) {
    this.workers = workers;
    createInterface({ input: process.stdin }).on("line", (line) => {
      const [word, number] = line.split(" ");
      this.#open = word === "go";
      this.#pause = this.#open ? null : Number(number);
      if (this.#open) for (const wake of this.#waiting.splice(0)) wake();
      else this.#tellIfIdle();
    });
  }

  #tellIfIdle() {
    if (this.#pause === null || this.#waiting.length < this.workers) return;
    tell({ idle: this.#pause });
    this.#pause = null;
  }

  // Gives whether it had to wait.
  async pass() {
    if (this.#open) return false;
    await new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#tellIfIdle();
    });
    return true;
  }
}
