// Programs that go on running beside the server under test: stores that speak S3, other readers of backups. Each is ended
// when the driver ends, however that happens.

import { spawn } from "node:child_process";
import http from "node:http";
import net from "node:net";
import { basename } from "node:path";

import { sleep, within } from "./server.mjs";

const START_MS_MAX = 30_000;
const END_MS_MAX = 20_000;

const children = new Set();
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});

// A port of this machine that nobody listens at just now.
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

// Whether something answers there, with whatever status; with `status`, with this one.
export function answers(url, status) {
  return new Promise((resolve) => {
    const request = http.get(url, { agent: false, timeout: 2000 }, (response) => {
      response.resume();
      resolve(status === undefined || response.statusCode === status);
    });
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(false));
  });
}

export class Service {
  // Starts the program and waits until `ready`, which gets the service, gives true. Nothing is inherited from the environment
  // but what is named here and `env`.
  static async start(command, args, { env = {}, cwd, ready }) {
    const service = new Service(command, args, { PATH: process.env.PATH, TMPDIR: process.env.TMPDIR ?? "/tmp", ...env }, cwd);
    try {
      const until = performance.now() + START_MS_MAX;
      while (!(await ready(service))) {
        if (service.end) throw new Error(`it ended (${service.end}): ${service.output}`);
        if (performance.now() > until) throw new Error(`it was not ready after ${START_MS_MAX} ms: ${service.output}`);
        await sleep(50);
      }
    } catch (error) {
      service.child.kill("SIGKILL");
      await service.ended;
      throw new Error(`${service.name}: ${error.message}`, { cause: error });
    }
    return service;
  }

  constructor(command, args, env, cwd) {
    this.name = basename(command);
    this.output = ""; // what it has said
    this.end = null; // how it ended
    this.child = spawn(command, args, { env, cwd, stdio: ["ignore", "pipe", "pipe"] });
    children.add(this.child);
    for (const stream of [this.child.stdout, this.child.stderr]) stream.on("data", (part) => (this.output += part));
    this.ended = new Promise((resolve) => {
      const over = (how) => {
        children.delete(this.child);
        this.end ??= how;
        resolve();
      };
      this.child.on("error", (error) => over(error.message));
      this.child.on("close", (code, signal) => over(`code ${code}, signal ${signal}`));
    });
  }

  async stop(signal = "SIGTERM") {
    this.child.kill(signal);
    try {
      await within(END_MS_MAX, `the end of ${this.name}`, this.ended);
    } finally {
      this.child.kill("SIGKILL");
    }
  }
}
