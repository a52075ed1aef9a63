// What the writers of the crash suite agree on with its checker.

export const SLOTS = 10; // slots per worker, used in turn
export const SLOT_KEYS = 7; // keys of one slot, all written by the same atomic write
export const ACCOUNTS = 10;
export const ACCOUNT_START = 1000;

// Values are raw bytes, which every client and the checker read alike.
export const pack = (value) => new TextEncoder().encode(JSON.stringify(value));
export const unpack = (bytes) => JSON.parse(new TextDecoder().decode(bytes));
