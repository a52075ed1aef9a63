// Many threads at once: transactions are strictly serializable, a view sees whole transactions only, and what
// is pinned stays.
#include <atomic>
#include <thread>

#include "tests/engine/watched_database.h"

namespace tidemark {
namespace {

using Decision = CommitRequest::Decision;

class ConcurrencyTest : public DatabaseTest, public ::testing::WithParamInterface<Retention::Kind> {};

int64_t number(std::string_view bytes) {
  return std::stoll(std::string(bytes));
}

int64_t read_number(const ReadView& view, const std::string& key) {
  const auto found = get(view, key);
  return found ? number(*found) : 0;
}

TEST_P(ConcurrencyTest, increments_add_up_and_views_see_whole_transactions) {
  DatabaseOptions options = small_options();
  options.retention = {GetParam(), 0};
  open(options);
  constexpr int kWriters = 4, kIncrements = 400;
  std::atomic<bool> writing = true;
  // (order in which transactions ran, versionstamp), each by its own index.
  std::vector<Versionstamp> in_order(kWriters * kIncrements);
  int ran = 0;  // run() is called one at a time
  std::atomic<int64_t> acknowledged = 0;

  const auto increment = [&](uint64_t filler) {
    return [&, filler](Transaction& t) -> Result<Decision> {
      auto a = t.get("a");
      if (!a) return std::unexpected(a.error());
      const int64_t next = (*a ? number((*a)->bytes) : 0) + 1;
      auto b = t.get("z/b");
      if (!b) return std::unexpected(b.error());
      EXPECT_EQ(*b ? number((*b)->bytes) : 0, next - 1);
      t.put("a", std::to_string(next));
      t.put("filler/" + std::to_string(filler % 97), std::string(filler % 300, 'f'));
      t.put("z/b", std::to_string(next));
      EXPECT_EQ(next, ran + 1);
      in_order[static_cast<size_t>(ran++)] = t.versionstamp();
      return Decision::kCommit;
    };
  };
  const auto write = [&](int writer) {
    Random random(static_cast<uint64_t>(writer) + 1);
    for (int i = 0; i < kIncrements; ++i) {
      // What is acknowledged before is seen by what begins later.
      const int64_t before = acknowledged;
      CommitOutcome outcome;
      if (random.one_in(2)) {
        outcome = commit(db(), increment(random.next()));
      } else {
        Submitted request(increment(random.next()));
        db().submit(request);
        ASSERT_TRUE(request.wait());
        outcome = request.outcome();
      }
      ASSERT_TRUE(outcome.committed) << why(outcome.status);
      ++acknowledged;
      auto view = db().read();
      ASSERT_GE(view->versionstamp(), outcome.versionstamp);
      ASSERT_GT(read_number(*view, "a"), before);
    }
  };
  const auto read = [&](int reader) {
    Random random(static_cast<uint64_t>(reader) + 100);
    int64_t last = 0;
    std::shared_ptr<Snapshot> pinned;
    int64_t at_pin = 0;
    while (writing) {
      auto view = db().read();
      const int64_t a = read_number(*view, "a");
      ASSERT_EQ(read_number(*view, "z/b"), a);
      ASSERT_GE(a, last);
      last = a;
      auto cursor = view->scan({});
      int64_t scanned_a = 0, scanned_b = 0;
      while (true) {
        auto more = cursor->next();
        ASSERT_TRUE(more.has_value()) << more.error().message;
        if (!*more) break;
        if (cursor->key() == "a") scanned_a = number(cursor->value());
        if (cursor->key() == "z/b") scanned_b = number(cursor->value());
      }
      ASSERT_EQ(scanned_a, a);
      ASSERT_EQ(scanned_b, a);
      if (pinned != nullptr) {
        auto past = db().read(*pinned);
        ASSERT_EQ(read_number(*past, "a"), at_pin);
        ASSERT_EQ(read_number(*past, "z/b"), at_pin);
      }
      if (pinned == nullptr || random.one_in(8)) {
        pinned = db().pin_head();
        at_pin = read_number(*db().read(*pinned), "a");
        ASSERT_EQ(read_number(*db().read(*pinned), "z/b"), at_pin);
      }
    }
  };
  std::vector<std::thread> writers, readers;
  for (int i = 0; i < 2; ++i) readers.emplace_back(read, i);
  for (int i = 0; i < kWriters; ++i) writers.emplace_back(write, i);
  for (auto& thread : writers) thread.join();
  writing = false;
  for (auto& thread : readers) thread.join();

  EXPECT_EQ(ran, kWriters * kIncrements);
  EXPECT_EQ(read_number(*db().read(), "a"), kWriters * kIncrements);
  for (size_t i = 1; i < in_order.size(); ++i) ASSERT_LT(in_order[i - 1], in_order[i]);
  if (GetParam() == Retention::Kind::kForever) {
    for (size_t i = 0; i < in_order.size(); i += 37) {
      auto pinned = db().pin(in_order[i]);
      ASSERT_TRUE(pinned.has_value());
      ASSERT_EQ(read_number(*db().read(**pinned), "a"), static_cast<int64_t>(i) + 1);
    }
  }
  open(options);
  EXPECT_EQ(read_number(*db().read(), "a"), kWriters * kIncrements);
}

INSTANTIATE_TEST_SUITE_P(retentions, ConcurrencyTest,
                         ::testing::Values(Retention::Kind::kNone, Retention::Kind::kForever));

using ClosingTest = DatabaseTest;

TEST_F(ClosingTest, closing_answers_everything_that_was_taken) {
  open(small_options());
  std::atomic<int> answered = 0, committed = 0;
  const auto run = [](Transaction& t) -> Result<Decision> {
    t.put("key", std::string(50, 'v'));
    return Decision::kCommit;
  };
  std::vector<std::unique_ptr<Submitted<decltype(run)>>> requests;
  for (int i = 0; i < 500; ++i) {
    requests.push_back(std::make_unique<Submitted<decltype(run)>>(run));
    requests.back()->on_done = [&](const CommitOutcome& outcome) {
      ++answered;
      if (outcome.committed) ++committed;
    };
  }
  std::thread writer([&] {
    for (auto& request : requests) db().submit(*request);
  });
  while (answered < 20) system_clock().sleep_us(100);
  ASSERT_TRUE(db().close().has_value());
  writer.join();
  for (auto& request : requests) ASSERT_TRUE(request->wait());
  EXPECT_EQ(answered, 500);
  EXPECT_GE(committed, 20);
  for (auto& request : requests)
    if (!request->outcome().committed) {
      ASSERT_FALSE(request->outcome().status.has_value());
      ASSERT_EQ(request->outcome().status.error().code, ErrorCode::kShutdown);
    }
  const CommitOutcome refused = put(db(), "late", "x");
  ASSERT_FALSE(refused.status.has_value());
  EXPECT_EQ(refused.status.error().code, ErrorCode::kShutdown);
}

}  // namespace
}  // namespace tidemark
