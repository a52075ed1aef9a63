// What a Deno KV server must keep, one rule a line: an id and a sentence. Cases (of suites/ and programs/) name the
// rules that they show. Each rule has a mutant of the same id in server/ (engine/base/mutant.h), or says which other
// rule's mutant breaks it too, or why there is none.

const rule = (says) => ({ says });
const brokenWith = (mutant, says) => ({ says, mutant });
const without = (reason, says) => ({ says, reason });

export const RULES = {
  // ---- keys and values
  "key.bytes": rule("A key is the bytes that were sent, whatever they are, the empty one included."),
  "key.order": rule("Lists are in the order of the keys' bytes."),
  "key.order.types": brokenWith("key.order", "Uint8Array < string < bigint < number < boolean, in any part of a key."),
  "key.order.parts": brokenWith("key.order", "Within a type: bytes and UTF-8 bytewise with 00 within, bigints and numbers by value, false < true; a key before those that go on."),
  "value.bytes": rule("A value comes back byte for byte in every encoding, the empty one included."),
  "value.encoding": rule("V8, LE64 and raw bytes come back as what they were."),

  // ---- versionstamps
  "versionstamp.form": rule("A versionstamp has 10 bytes; the last two are zero."),
  "versionstamp.increasing": rule("Versionstamps go up strictly with every commit."),
  "versionstamp.one-per-commit": rule("All that one commit writes carries the versionstamp that was answered."),
  "versionstamp.empty-write": rule("An atomic write without mutations succeeds with a new versionstamp."),

  // ---- checks
  "check.present": rule("A check of a versionstamp holds for the entry that has exactly this one."),
  "check.whole-stamp": rule("All 10 bytes of a checked versionstamp count."),
  "check.absent": rule("A check of an empty versionstamp holds if the key is absent."),
  "check.present-on-absent": rule("A check of a versionstamp fails for an absent key."),
  "check.failed-checks": rule("failed_checks lists the index of every check that failed."),
  "check.nothing-written": rule("When a check fails, the status is AW_CHECK_FAILURE and nothing is written or enqueued."),
  "check.before-mutations": rule("Checks see the state before the mutations of their own write."),

  // ---- mutations
  "mutation.order": rule("Mutations of one key in one write act in their order, and see those before them."),
  "delete.removes": rule("A delete removes the key; of an absent key it is no error."),
  "delete.ignores-value": rule("A delete with a value is a delete."),
  "write.all-or-nothing": rule("When one mutation fails, the answer is a 4xx with its text, and nothing of the write is there."),
  "write.serializable": brokenWith("check.present", "Atomic writes are strictly serializable, whoever sends them: transfers between accounts keep the total."),

  // ---- sum, min, max of LE64
  "sum.le64.adds": rule("A sum of LE64 adds."),
  "sum.le64.wraps": rule("A sum of LE64 wraps at 2^64."),
  "sum.le64.ignores-bounds": rule("An LE64 operand ignores sum_min, sum_max and sum_clamp."),
  "min.le64": rule("A min of LE64 keeps the smaller."),
  "max.le64": rule("A max of LE64 keeps the larger."),
  "le64.absent": rule("Sum, min and max with LE64 of an absent key write the operand."),
  "le64.on-other": rule("Sum, min or max with LE64 of another kind of value: \"Failed to perform 'sum' mutation on a non-U64 value in the database\"."),
  "min.operand": rule("A min whose operand is not LE64: \"Failed to perform 'min' mutation on a non-U64 operand\"."),
  "max.operand": rule("A max whose operand is not LE64: \"Failed to perform 'max' mutation on a non-U64 operand\"."),

  // ---- sum of V8 values
  "sum.number.adds": rule("A sum of numbers adds."),
  "sum.number.forms": rule("Numbers are doubles, int32 and uint32, stored ones and operands alike."),
  "sum.number.writes-double": rule("A sum of numbers is written as a V8 double."),
  "sum.bigint.adds": rule("A sum of BigInts adds, whatever their size and sign."),
  "sum.v8.absent": rule("A sum with a V8 operand of an absent key writes the operand, neither bounded nor clamped."),
  "sum.v8.min": rule("A sum below sum_min without clamp: \"The result of a Sum operation would exceed its range limit\"."),
  "sum.v8.max": rule("A sum above sum_max without clamp: the same text."),
  "sum.v8.clamp": rule("With sum_clamp the sum becomes the bound that it passed."),
  "sum.v8.bound-types": rule("A bound of another type than the operand: \"Min/max parameters have different types than the operand\"."),
  "sum.v8.bad-parameters": rule("An operand or bound that is no number and no BigInt: \"Some of the parameters are not valid V8 values\"."),
  "sum.v8.types": rule("A sum of different types: \"Cannot sum BigInt with Number\" (stored first; BigInt, Number, KvU64)."),
  "sum.v8.le64": rule("A BigInt of 0 to 2^64-1 without bounds and clamp is added to a stored LE64, which wraps."),
  "sum.v8.le64-refused": rule("Any other BigInt on a stored LE64: \"Cannot sum KvU64 with BigInt\"."),
  "sum.v8.other-kind": rule("A sum on a stored value of another kind: a text with \"unsupported value type\"."),
  "arithmetic.clears-expiry": rule("Sum, min and max end the expiry of the key."),

  // ---- keys with a versionstamp suffix
  "suffix.key": rule("A set with a versionstamp suffix writes the key followed by 02, the commit's versionstamp in 20 lower-case hex digits, and 00."),
  "suffix.expires": rule("A suffixed key expires like any other, and its watchers are woken."),

  // ---- limits
  "limit.write-key": rule("A key in a write: 2048 bytes. \"A key exceeds the key size limit.\""),
  "limit.read-key": rule("A key in a read: 2049 bytes, the same text."),
  "limit.check-key": rule("A key in a check: 2049 bytes, the same text."),
  "limit.watched-key": rule("A key in a watch: 2049 bytes, the same text."),
  "limit.undelivered-key": rule("A key of keys_if_undelivered: 2048 bytes, the same text."),
  "limit.value": rule("A value: 65536 bytes. \"A value exceeds the value size limit.\""),
  "limit.payload": rule("A payload of an enqueue: 65536 bytes, the same text."),
  "limit.ranges": rule("Ranges in a read: 10. \"Too many read ranges requested in one read request.\""),
  "limit.entries": rule("The limits of all ranges of a read together: 1000. \"The total number of entries requested across read ranges in the read request is too large.\""),
  "limit.range-limit": rule("The limit of a range: 1 or more. \"The read range limit of the snapshot read request is invalid.\""),
  "limit.checks": rule("Checks in a write: 100. \"Too many checks included in atomic write.\""),
  "limit.mutations": rule("Mutations and enqueues in a write: 1000. \"Too many mutations / enqueues included in atomic write.\""),
  "limit.total": rule("Keys and values of mutations, keys of checks, payloads, undelivered keys and 4 bytes for each back-off interval, but not sum_min and sum_max: 819200 bytes. \"The total size of the atomic write is too large.\""),
  "limit.watched-keys": rule("Keys in a watch: 10. \"Too many keys watched in a single watch request.\""),
  "limit.undelivered-keys": rule("Keys of keys_if_undelivered: 10. \"Too many dead letter keys for a single queue message.\""),
  "limit.backoff-intervals": rule("Intervals of a back-off schedule: 10. \"Too many backoff intervals for a single queue message.\""),
  "limit.backoff-interval": rule("A back-off interval: 3600000 ms. \"A backoff interval exceeds the maximum allowed backoff interval.\""),
  "limit.deadline": rule("The deadline of an enqueue: 30 days ahead; one in the past is legal. \"Invalid mutation enqueue deadline.\""),
  "limit.versionstamp": rule("A versionstamp in a check: 0 or 10 bytes. \"Invalid versionstamp.\""),
  "limit.mutation-kind": rule("A mutation of unknown type: \"Invalid mutation kind or arguments.\""),
  "limit.mutation-value": rule("A mutation that needs a value and has none: the same text."),
  "limit.encoding": rule("A value of unknown encoding is refused."),
  "limit.le64-length": rule("An LE64 value that is not 8 bytes long is refused."),
  "limit.expire-at": rule("An expire_at_ms below -1: \"Invalid mutation expire at.\""),

  // ---- expiry
  "expiry.never": rule("An expire_at_ms of 0 or -1 is none."),
  "expiry.not-early": rule("No entry goes before its millisecond."),
  "expiry.hidden.read": rule("From its millisecond on an entry is absent for get and list, whether it was deleted or not."),
  "expiry.hidden.fills": rule("Expired entries do not count towards the limit of a range."),
  "expiry.hidden.check": rule("From its millisecond on an entry is absent for checks."),
  "expiry.hidden.arithmetic": rule("From its millisecond on an entry is absent for sum, min and max."),
  "expiry.hidden.watch": brokenWith("expiry.hidden.read", "From its millisecond on an entry is absent in a watch's messages."),
  "expiry.past": brokenWith("expiry.hidden.read", "An expiry in the past is legal: the key is absent at once."),
  "expiry.together": rule("Keys of one write with one expiry go together: no read sees some of them."),
  "expiry.in-order": brokenWith("expiry.together", "Expiries inside one write happen in their order."),
  "expiry.newer-stays": rule("A newer entry of the key stays, whatever expiry the older one had."),
  "expiry.deleted": rule("Expired entries are deleted in the background, by a commit of its own."),
  "expiry.deleted-after-restart": rule("Expiries that come due after a restart, or while the server was down, are noticed."),
  "expiry.survives-restart": brokenWith("expiry.hidden.read", "An entry keeps its expiry over a kill and a restart."),
  "expiry.wakes-watch": rule("A key's expiry wakes its watchers."),

  // ---- watch
  "watch.frames": rule("A watch is answered as application/octet-stream with length-prefixed messages."),
  "watch.first-state": rule("The first message comes at once and has the state of every key."),
  "watch.every-key": rule("Every message has every key, each as changed: Deno takes those that are not for absent."),
  "watch.absent": rule("An absent key is changed without an entry."),
  "watch.change": rule("Every kind of mutation wakes the key's watchers."),
  "watch.newest": rule("Messages may skip states, never go back, and the last one has the newest state."),
  "watch.one-snapshot": rule("A message shows one version of all its keys."),
  "watch.suffix": rule("A write with a versionstamp suffix wakes the watchers of the key that it wrote."),
  "watch.keep-alive": rule("A quiet watch gets an empty message every 5 s."),

  // ---- reads
  "read.start-inclusive": rule("A range has the key at its start."),
  "read.end-exclusive": rule("A range does not have the key at its end."),
  "read.reverse": rule("A reverse range has the last entries first."),
  "read.limit": rule("A range has as many entries as its limit if there are so many."),
  "read.empty-range": rule("A range whose ends are equal has no entries."),
  "read.inverted-range": rule("A range that ends before its start has no entries."),
  "read.one-version": rule("A read sees one version for all its ranges."),
  "read.strong": rule("Reads say that they are strongly consistent, and see every commit that was answered before."),

  // ---- read-only servers
  "read-only.writes": rule("A read-only server answers writes with AW_WRITE_DISABLED."),
  "read-only.reads": rule("A read-only server answers reads and watches."),

  // ---- queues
  "enqueue.stored": rule("An enqueue is accepted and stored with its write."),
  "enqueue.transactional": brokenWith("check.nothing-written", "An enqueue of a write that failed leaves nothing."),

  // ---- metadata and requests
  "metadata.fields": rule("Metadata has version, databaseId, token, expiresAt and endpoints with a strong one, and nothing else."),
  "metadata.newest-version": rule("The newest protocol version that both sides know is chosen."),
  "metadata.version-1": rule("Version 1, which is what no body means, gets absolute endpoint URLs."),
  "metadata.unknown-version": rule("Without a common version: 400 and a text that says so."),
  "metadata.json": rule("A body that is not JSON: 400."),
  "auth.access-token": rule("A wrong access token: 401 \"Invalid access token.\""),
  "auth.malformed": rule("No bearer token: 401 \"Malformed authorization header.\""),
  "auth.data-token": rule("A wrong data-path token: 401."),
  "auth.database-id": rule("A wrong or missing database id: 400 \"Invalid database id.\""),
  "auth.version-header": rule("A wrong x-denokv-version: 400; those of versions 1 to 3 are taken."),
  "request.path": rule("An unknown path: 404 \"Resource not found.\""),
  "request.protobuf": rule("A malformed message: 400 \"Request protobuf is invalid\"."),
  "transport.http1": without("A server without it answers no case of this transport at all.", "Every call works over HTTP/1.1."),
  "transport.http2": without("A server without it answers no case of this transport at all.", "Every call works over HTTP/2 with prior knowledge."),
};
