// A Deno KV store on a real engine in a folder of its own, and short ways to use it. Fails the test on any
// error.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/database.h"
#include "server/kv/store.h"

namespace tidemark::test {

// An empty folder that is removed with its content.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// Time as the test says.
class ManualClock final : public Clock {
 public:
  int64_t wall_us() override { return wall_us_; }
  int64_t monotonic_us() override { return system_clock().monotonic_us(); }
  void sleep_us(int64_t us) override { system_clock().sleep_us(us); }
  void set_ms(int64_t ms) { wall_us_ = ms * 1000; }

 private:
  std::atomic<int64_t> wall_us_{1'700'000'000'000'000};
};

// Calls `poll` until `condition` holds; false if that takes too long.
bool polled_until(const std::function<void()>& poll, const std::function<bool()>& condition);

struct Entry {
  std::string key;
  std::string data;
  kv::Encoding encoding;
  Versionstamp versionstamp;
};

class EntryList final : public kv::EntrySink {
 public:
  void begin_range() override { ranges.emplace_back(); }
  void entry(std::string_view key, const kv::StoredValue& value, Versionstamp versionstamp) override {
    ranges.back().push_back({std::string(key), std::string(value.data), value.encoding, versionstamp});
  }
  void end_range() override { ++ended; }

  std::vector<std::vector<Entry>> ranges;
  size_t ended = 0;
};

struct WriteOutcome {
  CommitOutcome commit;
  std::vector<uint32_t> failed_checks;
};

class TestStore {
 public:
  explicit TestStore(const kv::Limits& limits = {});
  ~TestStore();

  kv::Store& store() { return *store_; }
  Database& database() { return *database_; }
  ManualClock& clock() { return clock_; }

  // Closes it and opens it again.
  void reopen();

  // Submits and waits. The plan must be legal and the commit must not fail.
  WriteOutcome write(const kv::AtomicWrite& write);
  // The same, but the commit may fail.
  WriteOutcome try_write(const kv::AtomicWrite& write);
  // One key set to VE_BYTES data; its versionstamp.
  Versionstamp set(std::string_view key, std::string_view data);
  void erase(std::string_view key);
  // Past the codec of requests: what another version may have stored.
  void put_stored(std::string_view key, std::string_view stored);

  std::vector<Entry> read(const kv::ReadRange& range);
  std::optional<Entry> get(std::string_view key);
  // How many engine keys begin with `prefix`.
  uint64_t count_engine_keys(char prefix);
  // The keys of a read, one after the other with a comma between.
  std::string keys(const kv::ReadRange& range);

 private:
  void open();

  const kv::Limits limits_;
  TempFolder folder_;
  ManualClock clock_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<kv::Store> store_;
};

inline kv::Mutation set_mutation(std::string_view key, std::string_view data,
                                 kv::Encoding encoding = kv::Encoding::kBytes) {
  return {kv::MutationType::kSet, key, kv::Mutation::Value{data, static_cast<int32_t>(encoding)}};
}
inline kv::Mutation delete_mutation(std::string_view key) {
  return {kv::MutationType::kDelete, key, {}};
}

}  // namespace tidemark::test
