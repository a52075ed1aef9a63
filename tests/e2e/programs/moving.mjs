// What goes with the entries when a database moves: messages and expiries. For Deno only.
//
//     moving.mjs write FILE     makes a database, tells what it wrote, and keeps it open until a line comes on stdin
//     moving.mjs read URL WHAT  what was written, by what `write` told
//     moving.mjs listen FILE    both messages are delivered, or become what they become when they are not

import { createInterface } from "node:readline";

import { programArguments } from "../lib/client.mjs";
import { expect, show, tell, test } from "../lib/report.mjs";

const [mode, where, what] = programArguments;
const kv = await Deno.openKv(where);

async function write() {
  const stays = await kv.set(["stays"], "x", { expireIn: 3_600_000 });
  await kv.set(["goes"], "x", { expireIn: 6_000 });
  const counter = await kv.atomic().sum(["counter"], 7n).commit();
  await kv.enqueue({ hello: ["world", new Date(5)] }, { delay: 1000 });
  await kv.enqueue("nobody wants this", { delay: 1000, backoffSchedule: [], keysIfUndelivered: [["undelivered"]] });
  tell({ stays: stays.versionstamp, counter: counter.versionstamp });
  for await (const _ of createInterface({ input: process.stdin })) break;
}

async function read() {
  const written = JSON.parse(what);
  await test("entries and versionstamps", async () => {
    const [stays, counter] = await kv.getMany([["stays"], ["counter"]]);
    expect(stays.versionstamp === written.stays && stays.value === "x", show(stays));
    expect(counter.versionstamp === written.counter && counter.value.value === 7n, show(counter));
  });
  await test("a check with a versionstamp of before holds", async () => {
    const result = await kv.atomic().check({ key: ["counter"], versionstamp: written.counter }).sum(["counter"], 1n).commit();
    expect(result.ok && result.versionstamp > written.counter, show(result));
  });
  await test("an entry expires when it would have", async () => {
    const until = Date.now() + 10_000;
    while ((await kv.get(["goes"])).value !== null) {
      expect(Date.now() < until, "it is still there");
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect((await kv.get(["stays"])).value === "x", "the other is gone");
  });
}

async function listen() {
  await test("messages are delivered by whoever opens the file", async () => {
    let heard;
    const message = new Promise((resolve) => (heard = resolve));
    const listening = kv.listenQueue((value) => {
      if (typeof value === "string") throw new Error("no");
      heard(value);
    });
    const value = await message;
    expect(value.hello[0] === "world" && value.hello[1].getTime() === 5, show(value));
    const until = Date.now() + 20_000;
    for (let entry; (entry = await kv.get(["undelivered"])).value !== "nobody wants this";) {
      expect(Date.now() < until, show(entry));
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect((await kv.get(["counter"])).value.value === 8n, "the counter");
    kv.close();
    await listening;
  });
}

await { write, read, listen }[mode]();
if (mode !== "listen") kv.close();
Deno.exit(0); // stdin may still be open
