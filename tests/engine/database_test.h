// What tests of whole databases share.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "engine/base/random.h"
#include "engine/database.h"
#include "tests/support/temporary_folder.h"

namespace tidemark {

using KeyValues = std::map<std::string, std::string>;

// Sizes that make a few thousand entries pass through every part of the engine.
inline DatabaseOptions small_options() {
  DatabaseOptions options;
  options.memtable_bytes = 16 << 10;
  options.segment_bytes = 16 << 10;
  options.level1_bytes = 48 << 10;
  options.block_bytes = 512;
  options.level_multiplier = 4;
  options.retention = Retention::forever();
  return options;
}

inline CommitOutcome put(Database& db, const std::string& key, const std::string& value) {
  return commit(db, [&](Transaction& t) -> Result<CommitRequest::Decision> {
    t.put(key, value);
    return CommitRequest::Decision::kCommit;
  });
}

inline CommitOutcome erase(Database& db, const std::string& key) {
  return commit(db, [&](Transaction& t) -> Result<CommitRequest::Decision> {
    t.erase(key);
    return CommitRequest::Decision::kCommit;
  });
}

inline std::optional<std::string> get(const ReadView& view, const std::string& key) {
  auto found = view.get(key);
  EXPECT_TRUE(found.has_value()) << found.error().message;
  if (!found || !*found) return std::nullopt;
  return std::string((*found)->bytes());
}

// Everything that a scan gives, in the order given.
inline std::vector<std::pair<std::string, std::string>> scan(const ReadView& view,
                                                             const ScanRange& range = {}) {
  std::vector<std::pair<std::string, std::string>> out;
  auto cursor = view.scan(range);
  while (true) {
    auto more = cursor->next();
    EXPECT_TRUE(more.has_value()) << more.error().message;
    if (!more || !*more) return out;
    out.emplace_back(cursor->key(), cursor->value());
  }
}

class DatabaseTest : public ::testing::Test {
 protected:
  void open(const DatabaseOptions& options) {
    database_.reset();
    auto opened = Database::open(*engine_, folder_ / "db", options);
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    database_ = std::move(*opened);
  }
  Database& db() { return *database_; }

  TemporaryFolder folder_;
  std::unique_ptr<Engine> engine_ = Engine::create({.block_cache_bytes = 1 << 20, .max_open_segments = 16});
  std::unique_ptr<Database> database_;
};

}  // namespace tidemark
