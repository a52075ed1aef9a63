#include "server/backup/retrying_object_store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/fake_clock.h"

namespace tidemark::backup {
namespace {

// Holds one object. Each call does what the script says next; without a script it succeeds.
struct Script {
  enum class Step : uint8_t {
    kDo,
    kUnavailable,         // and nothing has happened
    kDoButUnavailable,    // it has happened, but nobody was told
    kOtherButUnavailable  // somebody else has written meanwhile
  };
  std::deque<Step> steps;
  std::optional<std::string> bytes;
  int calls = 0;
  std::vector<std::string> log;
  bool cancelled = false;
};
using Step = Script::Step;

class ScriptedStore final : public ObjectStore {
 public:
  explicit ScriptedStore(Script& script) : script_(script) {}

  Result<std::string> put(std::string_view, std::string_view bytes, const PutCondition& condition) override {
    const Step step = next();
    if (step == Step::kUnavailable) return unavailable();
    if (step == Step::kOtherButUnavailable) {
      script_.bytes = "of another";
      return unavailable();
    }
    const bool holds = condition.kind == PutCondition::Kind::kNone ||
                       (condition.kind == PutCondition::Kind::kAbsent
                            ? !script_.bytes.has_value()
                            : script_.bytes && tag(*script_.bytes) == condition.tag);
    if (!holds) return fail(ErrorCode::kConflict, "conflict");
    script_.bytes = bytes;
    if (step == Step::kDoButUnavailable) return unavailable();
    return tag(bytes);
  }
  Result<std::optional<Object>> get_if_changed(std::string_view, std::string_view,
                                               uint64_t max_bytes) override {
    if (next() != Step::kDo) return unavailable();
    if (!script_.bytes) return fail(ErrorCode::kNotFound, "not found");
    if (script_.bytes->size() > max_bytes) return fail(ErrorCode::kInvalidArgument, "too large");
    return Object{*script_.bytes, tag(*script_.bytes)};
  }
  Result<ObjectPage> list(std::string_view, std::string_view, int) override {
    if (next() != Step::kDo) return unavailable();
    return ObjectPage{{{"a", 1, 0}}, false};
  }
  Result<std::vector<std::string>> list_folders(std::string_view) override {
    if (next() != Step::kDo) return unavailable();
    return std::vector<std::string>{"f"};
  }
  Status remove(std::string_view) override {
    if (next() != Step::kDo) return unavailable();
    script_.bytes.reset();
    return {};
  }
  void cancel() override { script_.cancelled = true; }
  std::string describe() const override { return "scripted"; }

  static std::string tag(std::string_view bytes) { return "tag of " + std::string(bytes); }

 private:
  static std::unexpected<Error> unavailable() { return fail(ErrorCode::kUnavailable, "no answer"); }
  Step next() {
    ++script_.calls;
    if (script_.steps.empty()) return Step::kDo;
    const Step step = script_.steps.front();
    script_.steps.pop_front();
    return step;
  }

  Script& script_;
};

// Passes the time that is slept, at once.
class SleeperClock final : public Clock {
 public:
  int64_t wall_us() override { return now_us_; }
  int64_t monotonic_us() override { return now_us_; }
  void sleep_us(int64_t us) override {
    now_us_ += us;
    longest_us_ = std::max(longest_us_, us);
  }
  int64_t slept_us() const { return now_us_; }
  int64_t longest_us() const { return longest_us_; }

 private:
  int64_t now_us_ = 0;
  int64_t longest_us_ = 0;
};

class RetryingObjectStoreTest : public testing::Test {
 protected:
  std::unique_ptr<ObjectStore> make(Clock& clock, RetryOptions options = {}) {
    return make_retrying_object_store(
        std::make_unique<ScriptedStore>(script_), clock, options,
        [this](LogLevel, std::string_view line) { script_.log.emplace_back(line); });
  }
  static void expect_error(const auto& result, ErrorCode code, std::string_view part = {}) {
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().code, code) << result.error().message;
    EXPECT_NE(result.error().message.find(part), std::string::npos) << result.error().message;
  }

  Script script_;
  SleeperClock clock_;
  std::unique_ptr<ObjectStore> store_ = make(clock_);
};

TEST_F(RetryingObjectStoreTest, SuccessIsNotRepeated) {
  EXPECT_EQ(store_->put("a", "1").value(), ScriptedStore::tag("1"));
  EXPECT_EQ(store_->get("a", 10)->bytes, "1");
  EXPECT_EQ(script_.calls, 2);
  EXPECT_EQ(clock_.slept_us(), 0);
  EXPECT_EQ(store_->describe(), "scripted");
}

TEST_F(RetryingObjectStoreTest, EveryOperationIsTriedAgain) {
  const auto with = [&](auto operation) {
    script_.steps = {Step::kUnavailable, Step::kUnavailable};
    script_.calls = 0;
    operation();
    EXPECT_EQ(script_.calls, 3);
  };
  with([&] { EXPECT_TRUE(store_->put("a", "1").has_value()); });
  with([&] { EXPECT_EQ(store_->get("a", 10)->bytes, "1"); });
  with([&] { EXPECT_EQ(store_->list("", "", 10)->objects.size(), 1u); });
  with([&] { EXPECT_EQ(store_->list_folders("")->size(), 1u); });
  with([&] { EXPECT_TRUE(store_->remove("a").has_value()); });
  EXPECT_EQ(script_.log.size(), 10u);
  EXPECT_NE(script_.log[0].find("no answer; trying again in "), std::string::npos);
}

TEST_F(RetryingObjectStoreTest, OtherErrorsAreNotTriedAgain) {
  expect_error(store_->get("a", 10), ErrorCode::kNotFound);
  EXPECT_EQ(script_.calls, 1);
}

TEST_F(RetryingObjectStoreTest, GivesUp) {
  store_ = make(clock_, {.tries_max = 4, .pause_first_ms = 100, .pause_max_ms = 250, .seed = 3});
  script_.steps.assign(100, Step::kUnavailable);
  expect_error(store_->get("a", 10), ErrorCode::kUnavailable, "no answer (tried 4 times)");
  EXPECT_EQ(script_.calls, 4);
  // 100, 200 and 250 ms, each less up to half of it.
  EXPECT_GE(clock_.slept_us(), 275'000);
  EXPECT_LE(clock_.slept_us(), 550'000);
  EXPECT_LE(clock_.longest_us(), 50'000);  // in slices
}

TEST_F(RetryingObjectStoreTest, OneTryIsOneTry) {
  store_ = make(clock_, {.tries_max = 1});
  script_.steps = {Step::kUnavailable};
  expect_error(store_->get("a", 10), ErrorCode::kUnavailable);
  EXPECT_EQ(script_.calls, 1);
  EXPECT_EQ(clock_.slept_us(), 0);
}

TEST_F(RetryingObjectStoreTest, PausesDifferBySeed) {
  const auto slept = [&](uint64_t seed) {
    SleeperClock clock;
    script_.steps = {Step::kUnavailable, Step::kUnavailable, Step::kUnavailable};
    EXPECT_TRUE(make(clock, {.seed = seed})->put("a", "1").has_value());
    return clock.slept_us();
  };
  EXPECT_EQ(slept(1), slept(1));
  EXPECT_NE(slept(1), slept(2));
}

TEST_F(RetryingObjectStoreTest, PutThatHadHappenedIsASuccess) {
  script_.steps = {Step::kDoButUnavailable};
  EXPECT_EQ(store_->put("a", "1", PutCondition::absent()).value(), ScriptedStore::tag("1"));
  script_.steps = {Step::kDoButUnavailable, Step::kUnavailable};
  EXPECT_EQ(store_->put("a", "2", PutCondition::unchanged(ScriptedStore::tag("1"))).value(),
            ScriptedStore::tag("2"));
  // The look at the object is tried again, too.
  script_.steps = {Step::kDoButUnavailable, Step::kDo, Step::kUnavailable, Step::kUnavailable};
  EXPECT_EQ(store_->put("a", "3", PutCondition::unchanged(ScriptedStore::tag("2"))).value(),
            ScriptedStore::tag("3"));
}

TEST_F(RetryingObjectStoreTest, PutOfAnotherIsAConflict) {
  script_.steps = {Step::kOtherButUnavailable};
  expect_error(store_->put("a", "1", PutCondition::absent()), ErrorCode::kConflict);
  script_.bytes.reset();
  script_.steps = {Step::kOtherButUnavailable};
  expect_error(store_->put("a", "as long as", PutCondition::absent()), ErrorCode::kConflict);
  // No try was in doubt: the same bytes are not ours.
  script_.bytes = "1";
  expect_error(store_->put("a", "1", PutCondition::absent()), ErrorCode::kConflict);
  // Gone since.
  script_.bytes.reset();
  script_.steps = {Step::kUnavailable};
  expect_error(store_->put("a", "1", PutCondition::unchanged("tag")), ErrorCode::kConflict);
}

TEST_F(RetryingObjectStoreTest, DoubtStaysIfTheObjectCannotBeSeen) {
  script_.steps = {Step::kDoButUnavailable, Step::kDo};
  script_.steps.insert(script_.steps.end(), 100, Step::kUnavailable);
  expect_error(store_->put("a", "1", PutCondition::absent()), ErrorCode::kUnavailable);
}

TEST_F(RetryingObjectStoreTest, CancelEndsAPause) {
  FakeClock clock;
  std::atomic<bool> pausing = false;
  store_ = make_retrying_object_store(std::make_unique<ScriptedStore>(script_), clock,
                                      {.pause_first_ms = 3'600'000, .pause_max_ms = 3'600'000},
                                      [&](LogLevel, std::string_view) { pausing = true; });
  script_.steps = {Step::kUnavailable};
  std::thread canceller([&] {
    while (!pausing) std::this_thread::yield();
    store_->cancel();
  });
  expect_error(store_->get("a", 10), ErrorCode::kShutdown, "no answer; cancelled");
  canceller.join();
  EXPECT_TRUE(script_.cancelled);
}

}  // namespace
}  // namespace tidemark::backup
