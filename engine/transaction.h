// One transaction, as the engine sees it: a callback that reads the newest state and writes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/commit_point.h"
#include "engine/base/status.h"
#include "engine/base/versionstamp.h"

namespace tidemark {

class Signal;
class IngestSource;

// What a CommitRequest works on. Valid only during CommitRequest::run, on that thread.
class Transaction {
 public:
  struct Value {
    std::string_view bytes;  // valid until the next call of get() on this transaction, or until run() returns
    Versionstamp versionstamp;  // of the commit that wrote it; this transaction's own for its own writes
  };

  virtual ~Transaction() = default;

  // The stamp that this transaction's writes will carry if it commits. Above every stamp given before.
  virtual Versionstamp versionstamp() const = 0;
  // The commit timestamp: milliseconds since 1970, never below that of an earlier commit.
  virtual int64_t timestamp_ms() const = 0;

  // Reads the newest state: every transaction before this one, and this one's own writes. Nothing if the key
  // is absent. Errors: kCorruption, kIo; run() should return them.
  virtual Result<std::optional<Value>> get(std::string_view key) = 0;

  // Writes. The last write to a key wins. Key and value are copied. Keys are 1 to 65,535 bytes.
  virtual void put(std::string_view key, std::string_view value) = 0;
  virtual void erase(std::string_view key) = 0;
};

// A commit that has its place already.
struct GivenCommit {
  Versionstamp after;  // of the commit before it, the last one that the database has
  CommitPoint point;   // above that; its timestamp may be the same
};

struct CommitOutcome {
  // Success: what `committed` says is durable, as the database's durability setting has it; for a transaction
  // that did not commit, the state that it read is. kUnknownOutcome: it may or may not have happened.
  // Any other error: it did not happen.
  Status status;
  bool committed = false;
  Versionstamp versionstamp;  // if committed
  int64_t timestamp_ms = 0;   // if committed
};

// A transaction waiting its turn. Intrusive: the caller owns it and keeps it alive until done() was called.
class CommitRequest {
 public:
  enum class Decision {
    kCommit,
    kAbort
  };  // kAbort: drop what was written, answer when what was read is durable

  virtual ~CommitRequest() = default;
  // Where the commit stands, if that was given elsewhere and this repeats it (restore, replica); nothing: the
  // database chooses. kInvalidArgument is the outcome unless it follows the last commit.
  virtual std::optional<GivenCommit> given() const { return std::nullopt; }
  // Called exactly once, unless the database refuses the request before; one request at a time per database,
  // in the order of the versionstamps. Must not block on other commits. An error aborts, and becomes the
  // outcome's status.
  virtual Result<Decision> run(Transaction& transaction) = 0;
  // Called exactly once, last, on a thread of the commit lane or on one that called commit(). Must be short.
  // The request may be deleted inside.
  virtual void done(const CommitOutcome& outcome) = 0;

 private:
  friend class CommitGate;
  friend class CommitPipeline;
  friend class RequestList;
  CommitRequest* next_ = nullptr;
  Signal* waiter_ = nullptr;        // of the thread that waits for it in commit(); null: done() is called
  IngestSource* ingest_ = nullptr;  // publishes segments instead of running
  bool passes_gate_ = false;        // it waits for nothing but what was before it to be durable here
  CommitOutcome outcome_;
};

}  // namespace tidemark
