// The cases of Deno's suite that need a word of their own. Each pattern must match a case: the driver reports one that
// matches none.

const LISTEN = "Deno's client does not listen to queues of remote databases: listenQueue() waits for ever";
const ENQUEUE = "Deno's client does not enqueue in remote databases: enqueue() throws";
const LOCAL = "about a local database: a remote one needs the permission to use the network";
const OTHER_SERVER = "about the client alone, with answers that only Deno's own test server gives";

// They say nothing about a remote database.
export const NOT_REMOTE = [
  [/^openKv :memory: no permissions$/, LOCAL],
  [/^basic listenQueue and enqueue$/, LISTEN],
  [/^listenQueue and enqueue /, LISTEN],
  [/^queue mixed types$/, LISTEN],
  [/^queue delay/, LISTEN],
  [/^queue large delay$/, ENQUEUE],
  [/^listenQueue with async callback$/, LISTEN],
  [/^queue retries/, LISTEN],
  [/^multiple listenQueues$/, LISTEN],
  [/^enqueue with atomic/, LISTEN],
  [/^queue persistence with /, LISTEN],
  [/^different kv instances for enqueue and queueListen$/, LISTEN],
  [/^queue graceful close$/, LISTEN],
  [/^remote backend$/, OTHER_SERVER],
  [/^remote backend invalid (format|version)$/, OTHER_SERVER],
];

// They want a TypeError with a certain text. Of what a server refuses, Deno's client makes a plain Error that quotes the
// server: a TypeError is made of it, and so the text is compared.
export const TEXT_ALONE = [
  [/^atomic mutation type=(sum|min|max) wrong type in (db|mutation)$/, "the text of the refusal, not its class"],
];

export const reasonIn = (table, name) => table.find(([pattern]) => pattern.test(name))?.[1] ?? null;
