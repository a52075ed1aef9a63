// A store that reaches max_disk_bytes.
#include <gtest/gtest.h>

#include "server/host/host.h"
#include "tests/server/kv/test_store.h"

namespace tidemark::host {
namespace {

constexpr uint64_t kLimit = 3 << 20;

class DiskTest : public ::testing::Test {
 protected:
  DiskTest() : engine_(Engine::create({}, {})) {
    HostOptions options;
    options.data_dir = folder_.path();
    options.access_token = "the token of the test";
    options.max_disk_bytes = kLimit;
    options.database.memtable_bytes = 128 << 10;
    options.database.segment_bytes = 128 << 10;
    options.database.level1_bytes = 256 << 10;
    options.database.compression = false;
    options.log = [this](LogLevel, std::string_view line) {
      MutexLock lock(mutex_);
      log_ += std::string(line) + "\n";
    };
    auto host = Host::open(*engine_, options);
    if (!host) std::abort();
    host_ = std::move(*host);
    database_ = host_->find("default");
  }
  ~DiskTest() override {
    database_.reset();
    EXPECT_TRUE(host_->close().has_value());
  }

  void write(int key, const std::optional<std::string>& value) {
    struct Request final : CommitRequest {
      Result<Decision> run(Transaction& transaction) override {
        value ? transaction.put(key, *value) : transaction.erase(key);
        return Decision::kCommit;
      }
      void done(const CommitOutcome&) override {}
      std::string key;
      std::optional<std::string> value;
    } request;
    request.key = "u" + std::to_string(key);
    request.value = value;
    EXPECT_TRUE(database_->database().commit(request).committed);
  }
  bool polled_until(const std::function<bool()>& condition) {
    return test::polled_until([this] { host_->poll(); }, condition);
  }
  bool logged(std::string_view text) {
    MutexLock lock(mutex_);
    return log_.find(text) != std::string::npos;
  }

  std::unique_ptr<Engine> engine_;
  test::TempFolder folder_;
  Mutex mutex_;
  std::string log_ TM_GUARDED_BY(mutex_);
  std::unique_ptr<Host> host_;
  DatabaseRef database_;
};

TEST_F(DiskTest, HistoryGoesFirst) {
  const std::string value(10'000, 'v');
  for (int i = 0; i < 600; ++i) write(i % 20, value + std::to_string(i));
  ASSERT_TRUE(database_->database().flush().has_value());
  ASSERT_GT(database_->database().stats().history.bytes, kLimit);
  EXPECT_TRUE(polled_until([&] { return host_->disk_state().trims; }));
  EXPECT_TRUE(polled_until([&] { return database_->database().stats().history.bytes < kLimit; }));
  EXPECT_FALSE(host_->disk_state().full);
  EXPECT_TRUE(logged("history is trimmed"));
  // What is there now is untouched.
  const auto found = database_->database().read()->get("u19");
  ASSERT_TRUE(found.has_value() && found->has_value());
  EXPECT_EQ((*found)->bytes(), value + "599");
}

TEST_F(DiskTest, ThenWritesAreToBeRefusedUntilThereIsRoom) {
  const std::string value(10'000, 'v');
  for (int i = 0; i < 400; ++i) write(i, value);
  ASSERT_TRUE(database_->database().flush().has_value());
  EXPECT_TRUE(polled_until([&] { return host_->disk_state().full; }));
  EXPECT_TRUE(logged("writes are refused"));
  for (int i = 0; i < 390; ++i) write(i, std::nullopt);
  ASSERT_TRUE(database_->database().compact().has_value());
  EXPECT_TRUE(polled_until([&] { return !host_->disk_state().full; }));
  EXPECT_TRUE(logged("there is room again"));
}

}  // namespace
}  // namespace tidemark::host
