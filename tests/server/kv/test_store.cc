#include "tests/server/kv/test_store.h"

#include <chrono>
#include <cstdlib>
#include <thread>

#include "engine/io/sync.h"
#include "server/kv/keyspace.h"

namespace tidemark::test {

TempFolder::TempFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "tidemark-test-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) std::abort();
  path_ = name;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

bool polled_until(const std::function<void()>& poll, const std::function<bool()>& condition) {
  for (int i = 0; i < 20'000 && !condition(); ++i) {
    poll();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return condition();
}

TestStore::TestStore(const kv::Limits& limits) : limits_(limits) {
  EngineComponents components;
  components.clock = &clock_;
  engine_ = Engine::create({}, components);
  open();
}

void TestStore::open() {
  Result<std::unique_ptr<Database>> database = Database::open(*engine_, folder_ / "db", {});
  if (!database) {
    ADD_FAILURE() << database.error().message;
    std::abort();
  }
  database_ = std::move(*database);
  store_ = std::make_unique<kv::Store>(*engine_, *database_, limits_);
}

TestStore::~TestStore() {
  store_->expiry().stop();
  store_->expiry().wait_idle();
  store_.reset();
  const Status closed = database_->close();
  EXPECT_TRUE(closed.has_value());
}

WriteOutcome TestStore::try_write(const kv::AtomicWrite& write) {
  struct Waiting final : kv::WriteRequest {
    using kv::WriteRequest::WriteRequest;
    void answer(const CommitOutcome& commit) override {
      MutexLock lock(mutex);
      outcome = commit;
      finished.notify_all();
    }
    Mutex mutex;
    CondVar finished;
    std::optional<CommitOutcome> outcome;
  };

  Result<kv::WritePlan> plan = store_->plan(write);
  if (!plan) {
    ADD_FAILURE() << plan.error().message;
    return {};
  }
  Waiting request(std::move(*plan));
  store_->submit(request);
  MutexLock lock(request.mutex);
  while (!request.outcome) request.finished.wait(request.mutex);
  return {*request.outcome, request.failed_checks()};
}

WriteOutcome TestStore::write(const kv::AtomicWrite& write) {
  WriteOutcome outcome = try_write(write);
  EXPECT_TRUE(outcome.commit.status.has_value()) << outcome.commit.status.error().message;
  return outcome;
}

Versionstamp TestStore::set(std::string_view key, std::string_view data) {
  const WriteOutcome outcome = write({{}, {set_mutation(key, data)}, {}});
  EXPECT_TRUE(outcome.commit.committed);
  return outcome.commit.versionstamp;
}

void TestStore::erase(std::string_view key) {
  EXPECT_TRUE(write({{}, {delete_mutation(key)}, {}}).commit.committed);
}

void TestStore::put_stored(std::string_view key, std::string_view stored) {
  const kv::UserKey user_key(key);
  const CommitOutcome outcome =
      commit(*database_, [&](Transaction& transaction) -> Result<CommitRequest::Decision> {
        transaction.put(user_key.view(), stored);
        return CommitRequest::Decision::kCommit;
      });
  EXPECT_TRUE(outcome.committed);
}

std::vector<Entry> TestStore::read(const kv::ReadRange& range) {
  EntryList list;
  const Status legal = store_->check_ranges({&range, 1});
  EXPECT_TRUE(legal.has_value());
  const Status done = store_->read({&range, 1}, {}, list);
  EXPECT_TRUE(done.has_value()) << (done ? "" : done.error().message);
  EXPECT_EQ(list.ranges.size(), 1u);
  EXPECT_EQ(list.ended, 1u);
  return list.ranges.empty() ? std::vector<Entry>() : std::move(list.ranges[0]);
}

uint64_t TestStore::count_engine_keys(char prefix) {
  const std::string start(1, prefix);
  const std::string end(1, static_cast<char>(prefix + 1));
  const auto view = database_->read();
  const auto cursor = view->scan({start, end});
  uint64_t count = 0;
  while (true) {
    const Result<bool> more = cursor->next();
    EXPECT_TRUE(more.has_value());
    if (!more || !*more) return count;
    ++count;
  }
}

void TestStore::reopen() {
  store_->expiry().stop();
  store_->expiry().wait_idle();
  store_.reset();
  EXPECT_TRUE(database_->close().has_value());
  database_.reset();
  open();
}

std::optional<Entry> TestStore::get(std::string_view key) {
  const std::string end = std::string(key) + '\0';
  std::vector<Entry> found = read({key, end, 1, false});
  if (found.empty()) return std::nullopt;
  EXPECT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].key, key);
  return found[0];
}

std::string TestStore::keys(const kv::ReadRange& range) {
  std::string out;
  for (const Entry& entry : read(range)) out += (out.empty() ? "" : ",") + entry.key;
  return out;
}

}  // namespace tidemark::test
