// Tidemark, with the settings it ships with: LZ4 blocks of 4 KiB, 10 filter bits per key, history kept for 7
// days. Only durability, cache and memtable size follow the benchmark's options. A get or a scan takes a
// fresh view of head, as the server does for each request; values are read in place.
#include "bench/store.h"
#include "engine/database.h"

namespace tidemark::bench {

namespace {

void check(const Status& status, const char* what) {
  if (!status) {
    die(std::string("tidemark: ") + what + ": " + status.error().message);
  }
}

class PutRequest final : public CommitRequest {
 public:
  void set(std::span<const std::pair<std::string_view, std::string_view>> writes) { writes_ = writes; }
  Result<Decision> run(Transaction& transaction) override {
    for (const auto& [key, value] : writes_) {
      transaction.put(key, value);
    }
    return Decision::kCommit;
  }
  void done(const CommitOutcome&) override {}

 private:
  std::span<const std::pair<std::string_view, std::string_view>> writes_;
};

class TidemarkSession final : public Session {
 public:
  explicit TidemarkSession(Database& database) : database_(database) {}

  void put(std::string_view key, std::string_view value) override {
    const std::pair<std::string_view, std::string_view> write(key, value);
    commit({&write, 1});
  }

  void put_batch(std::span<const Entry> entries) override {
    std::vector<std::pair<std::string_view, std::string_view>> writes;
    writes.reserve(entries.size());
    for (const Entry& entry : entries) {
      writes.emplace_back(entry.key, entry.value);
    }
    commit(writes);
  }

  std::optional<std::string_view> get(std::string_view key) override {
    auto found = database_.read()->get(key);
    if (!found) {
      die("tidemark: get: " + found.error().message);
    }
    if (!found->has_value()) {
      return std::nullopt;
    }
    value_ = std::move(**found);
    return value_.bytes();
  }

  void scan(std::string_view start, uint64_t limit, bool reverse, ScanCheck& check) override {
    ScanRange range;
    if (reverse) {
      end_.assign(start);
      end_.push_back('\0');
      range.end = end_;
      range.reverse = true;
    } else {
      range.start = start;
    }
    auto view = database_.read();
    auto cursor = view->scan(range);
    for (uint64_t i = 0; i < limit; ++i) {
      auto more = cursor->next();
      if (!more) {
        die("tidemark: scan: " + more.error().message);
      }
      if (!*more) {
        break;
      }
      check.entry(cursor->key(), cursor->value());
    }
  }

 private:
  void commit(std::span<const std::pair<std::string_view, std::string_view>> writes) {
    PutRequest request;
    request.set(writes);
    const CommitOutcome outcome = database_.commit(request);
    check(outcome.status, "put");
    require(outcome.committed, "tidemark: a put did not commit");
  }

  Database& database_;
  PinnedValue value_;
  std::string end_;
};

class TidemarkStore final : public Store {
 public:
  TidemarkStore(const std::string& dir, const StoreOptions& options) {
    EngineOptions engine_options;
    engine_options.block_cache_bytes = options.cache_bytes;
    engine_ = Engine::create(engine_options);
    DatabaseOptions database_options;
    database_options.durability = options.sync ? Durability::kSynced : Durability::kUnsynced;
    database_options.memtable_bytes = options.write_buffer_bytes;
    auto database = Database::open(*engine_, dir, database_options);
    if (!database) {
      die("tidemark: open: " + database.error().message);
    }
    database_ = std::move(*database);
  }
  ~TidemarkStore() override { check(database_->close(), "close"); }

  std::unique_ptr<Session> session() override { return std::make_unique<TidemarkSession>(*database_); }

  void settle() override {
    check(database_->flush(), "flush");
    check(database_->compact(), "compact");
    check(database_->wait_idle(), "wait_idle");
  }

 private:
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Database> database_;
};

}  // namespace

std::unique_ptr<Store> open_tidemark(const std::string& dir, const StoreOptions& options) {
  return std::make_unique<TidemarkStore>(dir, options);
}

}  // namespace tidemark::bench
