#include "bench/own_store.h"

#include <algorithm>

namespace tidemark::bench {

namespace {

void check(const Status& status, const char* what) {
  if (!status) {
    die(std::string(what) + ": " + status.error().message);
  }
}

void append(std::string& text, const std::string& name, const LevelStats& stats) {
  text += name + ": " + std::to_string(stats.segments) + " segments, " + std::to_string(stats.bytes >> 10) +
          " KiB, " + std::to_string(stats.entries) + " entries, " + std::to_string(stats.tombstones) +
          " tombstones";
}

}  // namespace

DatabaseOptions levelled_options(uint64_t head_bytes) {
  DatabaseOptions options;
  options.durability = Durability::kUnsynced;
  options.retention = Retention::forever();
  options.memtable_bytes = std::max(head_bytes / 64, uint64_t{256} << 10);
  options.segment_bytes = options.memtable_bytes;
  options.level1_bytes = std::max(head_bytes / 32, uint64_t{256} << 10);
  return options;
}

OwnStore::OwnStore(const std::string& dir, uint64_t cache_bytes, const DatabaseOptions& options) {
  EngineOptions engine_options;
  engine_options.block_cache_bytes = cache_bytes;
  engine_ = Engine::create(engine_options);
  make_folder(dir);
  auto database = Database::open(*engine_, dir, options);
  if (!database) {
    die("open: " + database.error().message);
  }
  database_ = std::move(*database);
}

OwnStore::~OwnStore() {
  value_ = {};
  check(database_->close(), "close");
}

void OwnStore::put(std::string_view key, std::string_view value) {
  const auto outcome = commit(*database_, [&](Transaction& transaction) -> Result<CommitRequest::Decision> {
    transaction.put(key, value);
    return CommitRequest::Decision::kCommit;
  });
  check(outcome.status, "put");
}

void OwnStore::erase(std::string_view key) {
  const auto outcome = commit(*database_, [&](Transaction& transaction) -> Result<CommitRequest::Decision> {
    transaction.erase(key);
    return CommitRequest::Decision::kCommit;
  });
  check(outcome.status, "erase");
}

std::optional<std::string_view> OwnStore::get(std::string_view key) {
  auto found = database_->read()->get(key);
  if (!found) {
    die("get: " + found.error().message);
  }
  if (!found->has_value()) {
    return std::nullopt;
  }
  value_ = std::move(**found);
  return value_.bytes();
}

std::string OwnStore::first_key(std::string_view start, std::string_view end) {
  auto view = database_->read();
  auto cursor = view->scan({.start = start, .end = end, .reverse = false});
  const auto more = cursor->next();
  if (!more) {
    die("scan: " + more.error().message);
  }
  return *more ? std::string(cursor->key()) : std::string();
}

void OwnStore::scan(std::string_view start, uint64_t limit, bool reverse, ScanCheck& entries) {
  const std::string after = std::string(start) + '\0';
  ScanRange range;
  if (reverse) {
    range.end = after;
    range.reverse = true;
  } else {
    range.start = start;
  }
  auto view = database_->read();
  auto cursor = view->scan(range);
  for (uint64_t i = 0; i < limit; ++i) {
    const auto more = cursor->next();
    if (!more) {
      die("scan: " + more.error().message);
    }
    if (!*more) {
      break;
    }
    entries.entry(cursor->key(), cursor->value());
  }
}

void OwnStore::settle() {
  check(database_->flush(), "flush");
  check(database_->wait_idle(), "wait_idle");
}

void OwnStore::merge_fully() {
  settle();
  check(database_->compact(), "compact");
}

std::string OwnStore::levels() const {
  const DatabaseStats stats = database_->stats();
  std::string text;
  for (const LevelStats& level : stats.live) {
    if (level.segments != 0) {
      append(text, "level " + std::to_string(level.level), level);
      text += "; ";
    }
  }
  append(text, "history", stats.history);
  return text;
}

}  // namespace tidemark::bench
