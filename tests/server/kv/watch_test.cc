// What a watch is told, and when.
#include "server/kv/watch.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/server/kv/test_store.h"

namespace tidemark::kv {
namespace {

using test::delete_mutation;
using test::set_mutation;
using test::TestStore;

// One message as text: "-" absent, "key:data".
class TextSink final : public WatchSink {
 public:
  void absent() override { add("-"); }
  void entry(std::string_view key, const StoredValue& value, Versionstamp stamp) override {
    add(std::string(key) + ":" + std::string(value.data));
    last = stamp;
  }
  std::string text;
  Versionstamp last;

 private:
  void add(std::string_view part) {
    if (!text.empty()) text += ' ';
    text += part;
  }
};

class WatchTest : public ::testing::Test {
 protected:
  std::unique_ptr<Watch> watch(std::vector<std::string> keys) {
    return std::make_unique<Watch>(store_.store(), std::move(keys), [this] { ++woken_; });
  }
  // The next message, "" if there is no news.
  std::string next(Watch& watch) {
    if (!watch.due()) return "";
    TextSink sink;
    const Result<bool> news = watch.read({}, sink);
    EXPECT_TRUE(news.has_value());
    return news && *news ? sink.text : "";
  }

  TestStore store_;
  std::atomic<int> woken_{0};
};

TEST_F(WatchTest, TheFirstMessageHasEveryKey) {
  store_.set("a", "1");
  const auto w = watch({"a", "b", "a"});
  EXPECT_EQ(next(*w), "a:1 - a:1");
  EXPECT_EQ(next(*w), "");
  EXPECT_EQ(woken_, 0);
  const auto none = watch({"nothing"});
  EXPECT_EQ(next(*none), "-");
}

TEST_F(WatchTest, LaterMessagesHaveEveryKeyToo) {
  store_.set("a", "1");
  const auto w = watch({"a", "b"});
  next(*w);
  store_.set("b", "2");
  EXPECT_EQ(woken_, 1);
  EXPECT_EQ(next(*w), "a:1 b:2");
  store_.erase("a");
  EXPECT_EQ(next(*w), "- b:2");
  store_.set("c", "not watched");
  EXPECT_EQ(woken_, 2);
  EXPECT_EQ(next(*w), "");
}

TEST_F(WatchTest, AWriteOfTheSameValueIsAChange) {
  store_.set("a", "1");
  const auto w = watch({"a"});
  next(*w);
  store_.set("a", "1");
  EXPECT_EQ(next(*w), "a:1");
}

TEST_F(WatchTest, StatesThatNobodyAskedForAreSkipped) {
  const auto w = watch({"a"});
  next(*w);
  for (int i = 0; i < 100; ++i) store_.set("a", std::to_string(i));
  EXPECT_EQ(woken_, 1);
  EXPECT_EQ(next(*w), "a:99");
  // Made and gone again in between: as it was.
  store_.erase("a");
  next(*w);
  store_.set("a", "x");
  store_.erase("a");
  EXPECT_EQ(next(*w), "");
}

TEST_F(WatchTest, OneMessageIsOneState) {
  const auto w = watch({"a", "b"});
  next(*w);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int i = 0; !stop; ++i) {
      const std::string text = std::to_string(i);
      store_.write({{}, {set_mutation("a", text), set_mutation("b", text)}, {}});
    }
  });
  for (int messages = 0; messages < 200;) {
    const std::string text = next(*w);
    if (text.empty()) continue;
    ++messages;
    const size_t space = text.find(' ');
    EXPECT_EQ(text.substr(2, space - 2), text.substr(space + 3)) << text;
  }
  stop = true;
  writer.join();
}

// The last state is always told, whenever the commit comes.
TEST_F(WatchTest, NothingIsMissedBetweenReadingAndWaiting) {
  const auto w = watch({"a"});
  std::atomic<int> written{0};
  constexpr int kWrites = 3000;
  std::thread writer([&] {
    for (int i = 1; i <= kWrites; ++i) {
      store_.set("a", std::to_string(i));
      written = i;
    }
  });
  std::string last;
  while (last != "a:" + std::to_string(kWrites)) {
    const int before = written;
    const std::string text = next(*w);
    if (!text.empty()) last = text;
    // What was acknowledged before the read is in what it gave or gave before.
    if (before > 0) {
      ASSERT_TRUE(last.starts_with("a:"));
      ASSERT_GE(std::stoi(last.substr(2)), before);
    }
  }
  writer.join();
}

TEST_F(WatchTest, ASuffixedSetWakesTheKeyThatItWrote) {
  const auto prefix = watch({"p"});
  next(*prefix);
  Mutation mutation = set_mutation("p", "v");
  mutation.type = MutationType::kSetSuffixVersionstampedKey;
  store_.write({{}, {mutation}, {}});
  EXPECT_FALSE(prefix->due());
}

TEST_F(WatchTest, AFailedCheckWakesNobody) {
  const auto w = watch({"a"});
  next(*w);
  EXPECT_FALSE(store_.write({{{"a", "0123456789"}}, {set_mutation("a", "x")}, {}}).commit.committed);
  EXPECT_FALSE(w->due());
}

TEST_F(WatchTest, AnExpiryIsAChange) {
  const int64_t at = store_.clock().wall_us() / 1000 + 100;
  Mutation mutation = set_mutation("a", "x");
  mutation.expire_at_ms = at;
  store_.write({{}, {mutation}, {}});
  const auto w = watch({"a"});
  EXPECT_EQ(next(*w), "a:x");
  store_.clock().set_ms(at);
  EXPECT_TRUE(
      test::polled_until([this] { store_.store().expiry().poll(nullptr); }, [&] { return w->due(); }));
  EXPECT_EQ(next(*w), "-");
}

TEST_F(WatchTest, AfterItIsGoneNobodyIsTold) {
  auto w = watch({"a", "b"});
  next(*w);
  w.reset();
  store_.set("a", "1");
  EXPECT_EQ(woken_, 0);
  EXPECT_EQ(store_.store().watch_hub().watchers(), 0u);
}

TEST_F(WatchTest, ManyComeAndGoBesideWriters) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> writers;
  for (int t = 0; t < 2; ++t) {
    writers.emplace_back([&, t] {
      for (int i = 0; !stop; ++i) store_.set("k" + std::to_string((i * 7 + t) % 5), std::to_string(i));
    });
  }
  std::vector<std::thread> watchers;
  for (int t = 0; t < 3; ++t) {
    watchers.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        std::vector<std::unique_ptr<Watch>> some;
        for (int k = 0; k < 5; ++k) some.push_back(watch({"k" + std::to_string(k), "k0"}));
        for (const auto& one : some) EXPECT_NE(next(*one), "");
      }
    });
  }
  for (std::thread& thread : watchers) thread.join();
  stop = true;
  for (std::thread& thread : writers) thread.join();
  EXPECT_EQ(store_.store().watch_hub().watchers(), 0u);
}

TEST_F(WatchTest, AReadThatMustNotWaitLeavesItDue) {
  store_.set("a", "1");
  ASSERT_TRUE(store_.database().flush().has_value());
  const auto w = watch({"a"});
  TextSink sink;
  const Result<bool> refused = w->read({true, 0, 1}, sink);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kWouldBlock);
  EXPECT_TRUE(w->due());
  EXPECT_EQ(next(*w), "a:1");
}

}  // namespace
}  // namespace tidemark::kv
