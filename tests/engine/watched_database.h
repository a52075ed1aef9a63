// A database on a watching file system, for tests of durability, failures and recovery.
#pragma once

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "engine/io/sync.h"
#include "tests/engine/database_test.h"
#include "tests/support/fake_clock.h"
#include "tests/support/watching_file_system.h"

namespace tidemark {

// Opens once and others wait; a wait ends after `limit_ms` whatever happens.
class Gate {
 public:
  void open() {
    MutexLock lock(mutex_);
    open_ = true;
    opened_.notify_all();
  }
  bool wait(int64_t limit_ms = 20'000) {
    const int64_t until_us = system_clock().monotonic_us() + limit_ms * 1000;
    MutexLock lock(mutex_);
    while (!open_ && system_clock().monotonic_us() < until_us) opened_.wait_for_us(mutex_, 10'000);
    return open_;
  }

 private:
  Mutex mutex_;
  CondVar opened_;
  bool open_ TM_GUARDED_BY(mutex_) = false;
};

// Whether a condition came true within 20 seconds.
template <class F>
bool eventually(F&& condition) {
  for (int i = 0; i < 20'000; ++i) {
    if (condition()) return true;
    system_clock().sleep_us(1000);
  }
  return false;
}

// Tells its outcome to whoever waits.
template <class F>
class Submitted final : public CommitRequest {
 public:
  explicit Submitted(F run) : run_(std::move(run)) {}
  Result<Decision> run(Transaction& transaction) override { return run_(transaction); }
  void done(const CommitOutcome& outcome) override {
    outcome_ = outcome;
    if (on_done) on_done(outcome_);
    done_.open();
  }
  bool wait() { return done_.wait(); }
  const CommitOutcome& outcome() const { return outcome_; }

  std::function<void(const CommitOutcome&)> on_done;

 private:
  F run_;
  CommitOutcome outcome_;
  Gate done_;
};

inline std::string read_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return (std::ostringstream() << in.rdbuf()).str();
}
inline void write_bytes(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}
// Names of files that end so, in order.
inline std::vector<std::string> files_ending(const std::string& dir, std::string_view ending) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(dir))
    if (entry.path().string().ends_with(ending)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}
inline std::vector<std::string> files_starting(const std::string& dir, std::string_view start) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(dir))
    if (entry.path().filename().string().starts_with(start)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}
inline void copy_folder(const std::string& from, const std::string& to) {
  std::filesystem::remove_all(to);
  std::filesystem::copy(from, to);
}

inline std::string why(const Status& status) {
  return status ? "ok" : status.error().message;
}
inline std::string why(const Result<std::unique_ptr<Database>>& result) {
  return result ? "opened" : result.error().message;
}
inline KeyValues contents(Database& db) {
  KeyValues values;
  for (auto& [key, value] : scan(*db.read())) values[key] = value;
  return values;
}

class WatchedDatabaseTest : public ::testing::Test {
 protected:
  explicit WatchedDatabaseTest(bool track_power = false) : fs_(track_power) {}

  EngineComponents components() {
    EngineComponents components;
    components.file_system = &fs_;
    components.clock = &clock_;
    components.log = [this](LogLevel, std::string_view line) {
      MutexLock lock(log_mutex_);
      log_ += std::string(line) + "\n";
    };
    return components;
  }
  bool logged(std::string_view text) {
    MutexLock lock(log_mutex_);
    return log_.find(text) != std::string::npos;
  }
  Result<std::unique_ptr<Database>> try_open(const std::string& dir, const DatabaseOptions& options) {
    return Database::open(*engine_, dir, options);
  }
  void open(const DatabaseOptions& options) {
    database_.reset();
    auto opened = try_open(dir_, options);
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    database_ = std::move(*opened);
  }
  Database& db() { return *database_; }
  ErrorCode code_of_open(const std::string& dir, DatabaseOptions options = small_options()) {
    auto opened = try_open(dir, options);
    EXPECT_FALSE(opened.has_value());
    if (opened) return ErrorCode::kWouldBlock;
    message_ = opened.error().message;
    return opened.error().code;
  }

  TemporaryFolder folder_;
  const std::string dir_ = folder_ / "db";
  WatchingFileSystem fs_;
  FakeClock clock_;
  Mutex log_mutex_;
  std::string log_ TM_GUARDED_BY(log_mutex_);
  std::unique_ptr<Engine> engine_ =
      Engine::create({.block_cache_bytes = 1 << 20, .max_open_segments = 16}, components());
  std::unique_ptr<Database> database_;
  std::string message_;
};

}  // namespace tidemark
