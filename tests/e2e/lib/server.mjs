// Starts and ends the server and the client programs. Every child is remembered and killed when the driver ends, and
// no other process ever is.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export const e2eFolder = dirname(dirname(fileURLToPath(import.meta.url)));
export const rootFolder = dirname(dirname(e2eFolder));
export const TOKEN = "a-token-for-the-end-to-end-tests";

const START_MS_MAX = 30_000;
const EXIT_MS_MAX = 60_000;

export const binary = process.env.TIDEMARK_BINARY ?? "";

// The Deno CLI of the npm package, the file itself rather than the wrapper that starts it.
export function denoBinary() {
  const require = createRequire(join(e2eFolder, "package.json"));
  const machine = { x64: "linux-x64-glibc", arm64: "linux-arm64-glibc" }[process.arch];
  const path = join(dirname(require.resolve(`@deno/${machine}/package.json`)), "deno");
  if (!existsSync(path)) throw new Error(`the Deno CLI is not in ${dirname(path)}`);
  return path;
}

const children = new Set();
const folders = new Set();

export function makeFolder(name = "data") {
  const folder = mkdtempSync(join(tmpdir(), `tidemark-e2e-${name}-`));
  folders.add(folder);
  return folder;
}

// From now on the folder is the user's.
export function keepFolder(folder) {
  folders.delete(folder);
}

export function cleanUp() {
  for (const child of children) child.kill("SIGKILL");
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  folders.clear();
}

// Leaves nothing behind, however the driver ends.
export function cleanUpAtTheEnd() {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      cleanUp();
      process.exit(1);
    });
  }
  process.on("exit", cleanUp);
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// A promise that fails with `what` when it takes longer than `ms`.
export async function within(ms, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: took more than ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function launch(command, args, options) {
  const child = spawn(command, args, options);
  children.add(child);
  child.ended = new Promise((resolve) => {
    child.on("error", (error) => {
      children.delete(child);
      resolve({ code: null, signal: null, error });
    });
    child.on("close", (code, signal) => {
      children.delete(child);
      resolve({ code, signal });
    });
  });
  return child;
}

function cleanEnvironment(extra) {
  const env = { ...process.env, NO_COLOR: "1", ...extra };
  for (const name of Object.keys(env)) {
    // TIDEMARK_MUTANT breaks a rule in a build for ./dev mutate.
    if ((name.startsWith("TIDEMARK_") && name !== "TIDEMARK_MUTANT") || (name === "DENO_KV_ACCESS_TOKEN" && !extra?.[name])) delete env[name];
  }
  return { ...env, ...extra };
}

// Runs a program until it ends by itself, or is killed after `killAfterMs`; gives {code, signal, error, stdout, stderr}.
export async function runProgram(command, args, { env = {}, cwd, msMax = START_MS_MAX, killAfterMs } = {}) {
  const child = launch(command, args, { env: cleanEnvironment(env), cwd, stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "", stderr = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8");
  child.stdout.on("data", (part) => (stdout += part));
  child.stderr.on("data", (part) => (stderr += part));
  if (killAfterMs !== undefined) setTimeout(() => child.kill("SIGKILL"), killAfterMs);
  try {
    return { ...(await within(msMax, `${basename(command)} ${args.join(" ")}`, child.ended)), stdout, stderr };
  } finally {
    child.kill("SIGKILL");
  }
}

// Runs the server's program with any arguments until it ends by itself.
export const runTidemark = (args, options) => runProgram(binary, args, options);

export class Server {
  // Starts the server on `dataDir` and waits until it is ready. Port 0 picks one. `token` null: gives none.
  static async start(dataDir, options) {
    return await Server.launch(dataDir, options).ready;
  }

  // Starts it with these arguments and waits until it is ready.
  static async startWith(args, env) {
    return await Server.launchWith(args, env).ready;
  }

  // Does not wait: `ready` of what it gives is a promise of the same server, being ready.
  static launch(dataDir, { port = 0, args = [], token = TOKEN } = {}) {
    const server = Server.launchWith(["serve", "--data-dir", dataDir, "--addr", `127.0.0.1:${port}`, ...args],
      token === null ? {} : { DENO_KV_ACCESS_TOKEN: token });
    server.dataDir = dataDir;
    return server;
  }

  static launchWith(args, env = { DENO_KV_ACCESS_TOKEN: TOKEN }) {
    const server = new Server();
    server.stderr = "";
    server.child = launch(binary, args, {
      env: cleanEnvironment(env),
      stdio: ["ignore", "ignore", "pipe"],
    });
    server.ready = within(START_MS_MAX, "the server's start", server.#listening()).catch((error) => {
      server.child.kill("SIGKILL");
      throw error;
    });
    server.ready.catch(() => {}); // it may be killed before anybody waits for it
    return server;
  }

  #listening() {
    return new Promise((resolve, reject) => {
      this.child.stderr.on("data", (part) => {
        this.stderr += part;
        const found = this.url ? null : this.stderr.match(/Listening on (https?:\/\/\S+?:(\d+))\s/);
        if (!found) return;
        this.url = found[1];
        this.port = Number(found[2]);
        resolve(this);
      });
      this.child.ended.then(({ code, signal, error }) =>
        reject(error ?? new Error(`the server ended (code ${code}, signal ${signal}): ${this.stderr}`)));
    });
  }

  signal(name) {
    this.child.kill(name);
  }

  // Ends it with a signal and waits; gives {code, signal}.
  async end(name = "SIGTERM") {
    this.signal(name);
    return await within(EXIT_MS_MAX, `the server's end after ${name}`, this.child.ended);
  }

  // Ends it as a failure of the machine would.
  async kill() {
    return await this.end("SIGKILL");
  }
}

export const RUNTIMES = ["deno", "node"];

export class Program {
  // Runs NAME.mjs of `folder` under a runtime with its real client. `onEvent` gets each line that it tells.
  constructor(runtime, name, args = [], { onEvent = () => {}, env = {}, file, folder = join(e2eFolder, "programs") } = {}) {
    const path = file ?? join(folder, `${name}.mjs`);
    const [command, before] = runtime === "deno"
      ? [denoBinary(), ["run", "--quiet", "--allow-all", "--unstable-kv", "--no-prompt", "--no-lock"]]
      : [process.execPath, ["--no-warnings"]];
    this.name = `${name} on ${runtime}`;
    this.stderr = "";
    this.stdout = "";
    this.child = launch(command, [...before, path, ...args], {
      cwd: e2eFolder,
      env: cleanEnvironment({ DENO_KV_ACCESS_TOKEN: TOKEN, DENO_NO_UPDATE_CHECK: "1", ...env }),
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.child.stdin.on("error", () => {}); // it may have ended
    this.child.stderr.on("data", (part) => (this.stderr += part));
    this.ended = this.child.ended;
    const lines = createInterface({ input: this.child.stdout });
    lines.on("line", (line) => {
      if (file) {
        this.stdout += line + "\n";
        return;
      }
      let event;
      try {
        event = JSON.parse(line);
      } catch {
        return; // a line cut off by a kill
      }
      onEvent(event);
    });
    this.read = new Promise((resolve) => lines.on("close", resolve));
  }

  say(line) {
    this.child.stdin.write(line + "\n");
  }

  kill() {
    this.child.kill("SIGKILL");
    return this.finished();
  }

  async finished() {
    const end = await this.ended;
    await this.read;
    return end;
  }
}
