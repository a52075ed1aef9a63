// What a database may, must and must not hold after whatever has happened to it: every commit with all of
// history, each of them durable, refused, or perhaps.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/base/versionstamp.h"
#include "engine/transaction.h"

namespace tidemark::crash {

struct Written {
  std::string key;
  std::optional<std::string> value;  // nothing: erased
  Versionstamp stamp;                // of the commit; of an ingest, its own
};

struct Version {
  std::string value;
  Versionstamp stamp;
  bool operator==(const Version&) const = default;
};
using State = std::map<std::string, Version>;

// Commits with their times and the keys that they wrote.
struct Change {
  int64_t timestamp_ms;
  std::set<std::string> keys;
  bool operator==(const Change&) const = default;
};
using Changes = std::map<Versionstamp, Change>;

// One history, over crashes and reopenings. Not for more than one thread.
class Model {
 public:
  // In CommitRequest::run(), before anything else: a transaction with this stamp begins, and the newest
  // commit that it sees is `previous`, if that is known. What perhaps was committed and does not fit has been
  // refused, though nobody was told yet. REQUIRES: known, if there are ingests.
  void follow(std::optional<Versionstamp> previous, Versionstamp stamp);
  // Then: it is about to commit these.
  void begin(Versionstamp stamp, int64_t timestamp_ms, std::vector<Written> writes, int64_t open_us);
  // Segments with stamps up to `last` are about to be published.
  void begin_ingest(Versionstamp last, int64_t timestamp_ms, std::vector<Written> writes, int64_t open_us);
  // What the commit or ingest with this stamp came to.
  void finish(Versionstamp stamp, const CommitOutcome& outcome);
  // Somebody was shown the state at `stamp`, by a read or by the answer to a check.
  void show(Versionstamp stamp) { shown_ = std::max(shown_, stamp); }
  // The horizon was seen there.
  void see_horizon(Versionstamp horizon) { horizon_ = std::max(horizon_, horizon); }

  // What is wrong with `head` as what recovery found; empty if nothing is.
  std::string check_head(Versionstamp head, int64_t timestamp_ms) const;
  // What is wrong with a horizon there, if history lasts for `retention_us` (nothing: for ever) of time in
  // which the database was open; `open_us` is the sum of that until now.
  std::string check_horizon(Versionstamp horizon, std::optional<int64_t> retention_us, int64_t open_us) const;
  // Recovery found this head: everything up to it is durable, and nothing above it happened.
  void settle(Versionstamp head);

  // From now on it is that of a fork of that commit.
  void fork(Versionstamp at);

  // What is wrong with `found` as the commits above `from` up to `to`.
  std::string check_changes(const Changes& found, Versionstamp from, Versionstamp to) const;

  // All that is not refused, up to `stamp`, if the head is `head`.
  State state_at(Versionstamp stamp, Versionstamp head) const;
  // The same, of the head.
  State state_at(Versionstamp head) const { return state_at(head, head); }
  // Of one key, at the newest moment; null if it is absent.
  const Version* newest(const std::string& key) const;
  // The stamps of commits from `from` to `to`.
  std::vector<Versionstamp> stamps(Versionstamp from, Versionstamp to) const;
  Versionstamp newest_stamp() const;
  // For people: everything, a line for each write.
  std::string describe() const;
  Versionstamp durable() const { return std::max(acknowledged_, shown_); }
  size_t commits() const { return entries_.size(); }
  size_t acknowledged() const { return acknowledged_count_; }
  // The first thing that was found to be wrong; empty: nothing.
  const std::string& problem() const { return problem_; }
  void blame(std::string problem) {
    if (problem_.empty()) problem_ = std::move(problem);
  }

 private:
  enum class Fate : uint8_t { kPerhaps, kDurable };
  struct Entry {
    int64_t timestamp_ms;
    std::vector<Written> writes;
    int64_t open_us;
    bool ingest;
    bool unseen;  // an ingest that no transaction has seen yet
    Fate fate;
  };

  // Its writes are what transactions see.
  void see(Entry& entry);
  void drop(std::map<Versionstamp, Entry>::iterator entry);

  std::map<Versionstamp, Entry> entries_;
  std::map<std::string, Version> newest_;
  Versionstamp acknowledged_;
  Versionstamp shown_;
  Versionstamp horizon_;
  size_t acknowledged_count_ = 0;
  std::string problem_;
};

// In a line: what differs first, or nothing.
std::string difference(const State& wanted, const State& found);

}  // namespace tidemark::crash
