// Going back: states of the past against a model that keeps every one of them.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <thread>

#include "engine/base/random.h"
#include "server/kv/changed_keys.h"
#include "server/kv/difference.h"
#include "server/kv/keyspace.h"
#include "server/kv/keyspace_scan.h"
#include "server/kv/moment.h"
#include "server/kv/past_reader.h"
#include "server/kv/rewind.h"
#include "tests/server/kv/test_store.h"

namespace tidemark::kv {
namespace {

using test::TestStore;

struct Held {
  std::string data;
  int64_t expire_at_ms = 0;
  bool operator==(const Held&) const = default;
};
using State = std::map<std::string, Held>;

State visible(const State& state, int64_t now_ms) {
  State out;
  for (const auto& [key, held] : state)
    if (held.expire_at_ms == 0 || held.expire_at_ms > now_ms) out.emplace(key, held);
  return out;
}

class PastTest : public ::testing::Test {
 protected:
  // What a reader at the moment sees.
  State read_at(const Moment& moment) {
    State state;
    const auto reader = PastReader::open(store_.database(), moment.stamp);
    EXPECT_TRUE(reader.has_value()) << reader.error().message;
    if (!reader) return state;
    KeyspaceScan scan(store_.database(), (*reader)->snapshot(), part_range(kUserPrefix));
    while (true) {
      const auto more = scan.next();
      EXPECT_TRUE(more.has_value());
      if (!more || !*more) return state;
      const auto value = parse_stored_value(scan.value());
      EXPECT_TRUE(value.has_value());
      if (!value->expired_at(moment.now_ms))
        state[std::string(scan.key().substr(1))] = {std::string(value->data), value->expire_at_ms};
    }
  }

  // Some keys set, with and without expiry, or deleted, in one write.
  void write_some(Random& random) {
    AtomicWrite write;
    std::vector<std::pair<std::string, Held>> values;
    std::map<std::string, std::optional<Held>> changes;
    for (uint64_t i = 1 + random.below(4); i > 0; --i) {
      const std::string key = "key" + std::to_string(random.below(30));
      if (random.one_in(4)) {
        changes[key] = std::nullopt;
      } else {
        Held held{"v" + std::to_string(random.below(6)), 0};
        if (random.one_in(4)) held.expire_at_ms = now_ms() + 1 + static_cast<int64_t>(random.below(400));
        changes[key] = held;
      }
    }
    for (const auto& [key, held] : changes) {
      if (!held) {
        write.mutations.push_back(test::delete_mutation(key));
        state_.erase(key);
        continue;
      }
      Mutation mutation = test::set_mutation(key, held->data);
      mutation.expire_at_ms = held->expire_at_ms;
      write.mutations.push_back(mutation);
      state_[key] = *held;
    }
    const auto outcome = store_.write(write);
    ASSERT_TRUE(outcome.commit.committed);
    remember();
  }

  void remember() {
    history_.push_back({head_moment(store_.database()), state_});
    // Deleted for having expired: not to be told from what is hidden.
  }
  int64_t now_ms() { return store_.clock().wall_us() / 1000; }
  void pass_time(int64_t ms) { store_.clock().set_ms(now_ms() + ms); }

  struct Past {
    Moment moment;
    State state;
  };

  TestStore store_;
  State state_;
  std::vector<Past> history_ = {{Moment{}, {}}};
};

TEST_F(PastTest, moments_are_found_by_stamp_and_by_time) {
  const Versionstamp first = store_.set("a", "1");
  const int64_t first_ms = now_ms();
  pass_time(1000);
  const Versionstamp second = store_.set("a", "2");
  const int64_t second_ms = now_ms();
  const Database& database = store_.database();
  const auto at = [&](const MomentName& name) { return resolve(database, name, now_ms()); };
  EXPECT_EQ(at(first), (Moment{first, first_ms}));
  EXPECT_EQ(at(Versionstamp{first.number + 1, 0}), (Moment{first, first_ms}));
  EXPECT_EQ(at(second), (Moment{second, second_ms}));
  EXPECT_EQ(at(TimeMs{first_ms}), (Moment{first, first_ms}));
  EXPECT_EQ(at(TimeMs{first_ms + 999}), (Moment{first, first_ms + 999}));
  EXPECT_EQ(at(TimeMs{second_ms}), (Moment{second, second_ms}));
  EXPECT_EQ(at(TimeMs{first_ms - 1}), (Moment{Versionstamp::min(), first_ms - 1}));
  for (const MomentName& name :
       {MomentName(Versionstamp{second.number + 1, 0}), MomentName(TimeMs{second_ms + 1})}) {
    const auto refused = at(name);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, ErrorCode::kBeyondHorizon);
    EXPECT_NE(refused.error().message.find(second.hex()), std::string::npos) << refused.error().message;
  }
}

// The commits' own clock stands still until the other has caught up.
TEST_F(PastTest, moments_after_a_clock_was_set_back) {
  const Versionstamp first = store_.set("a", "1");
  const int64_t first_ms = now_ms();
  pass_time(-3'600'000);
  const Versionstamp second = store_.set("a", "2");
  pass_time(7'200'000);
  const Versionstamp third = store_.set("a", "3");
  const Database& database = store_.database();
  EXPECT_EQ(resolve(database, TimeMs{first_ms - 1}, now_ms())->stamp, Versionstamp::min());
  EXPECT_EQ(*resolve(database, TimeMs{first_ms}, now_ms()), (Moment{second, first_ms}));
  EXPECT_EQ(*resolve(database, first, now_ms()), (Moment{first, first_ms}));
  EXPECT_EQ(resolve(database, TimeMs{now_ms() - 1}, now_ms())->stamp, second);
  EXPECT_EQ(resolve(database, TimeMs{now_ms()}, now_ms())->stamp, third);
}

TEST_F(PastTest, what_is_no_longer_kept_is_refused_with_the_range) {
  store_.set("a", "1");
  const int64_t first_ms = now_ms();
  pass_time(1000);
  const Versionstamp second = store_.set("a", "2");
  pass_time(1000);
  const Versionstamp third = store_.set("a", "3");
  store_.database().set_retention(Retention::none());
  ASSERT_TRUE(store_.database().compact().has_value());
  ASSERT_EQ(store_.database().horizon(), third);
  const Database& database = store_.database();
  for (const MomentName& name :
       {MomentName(second), MomentName(TimeMs{first_ms}), MomentName(Versionstamp::min())}) {
    const auto refused = resolve(database, name, now_ms());
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, ErrorCode::kBeyondHorizon);
    EXPECT_NE(refused.error().message.find(third.hex()), std::string::npos) << refused.error().message;
  }
  EXPECT_EQ(resolve(database, third, now_ms())->stamp, third);
}

TEST_F(PastTest, changed_keys_come_in_order_and_once_whatever_memory_there_is) {
  Random random(7);
  for (int i = 0; i < 300; ++i) {
    write_some(random);
    if (random.one_in(40)) {
      ASSERT_TRUE(store_.database().flush().has_value());
    }
  }
  for (const size_t memory : {size_t{1}, size_t{100}, size_t{400}, size_t{4000}, ChangedKeys::kMemoryBytes}) {
    for (int i = 0; i < 20; ++i) {
      const size_t from = random.below(history_.size()), to = from + random.below(history_.size() - from);
      std::set<std::string> wanted, found;
      struct Collector final : HistoryVisitor {
        explicit Collector(std::set<std::string>& to) : keys(to) {}
        bool on_commit(const CommitPoint&, uint32_t) override { return true; }
        void on_write(std::string_view key, bool) override { keys.emplace(key); }
        std::set<std::string>& keys;
      } collector(wanted);
      const Versionstamp a = history_[from].moment.stamp, b = history_[to].moment.stamp;
      ASSERT_TRUE(store_.database().visit_history(a, b, collector).has_value());
      const KeyRange range = random.one_in(2) ? user_range("key1") : KeyRange();
      std::erase_if(wanted, [&](const std::string& key) { return !range.contains(key); });
      ChangedKeys keys(store_.database(), a, b, range, {}, memory);
      std::string last;
      while (true) {
        const auto more = keys.next();
        ASSERT_TRUE(more.has_value());
        if (!*more) break;
        EXPECT_LT(last, keys.key());
        last = keys.key();
        found.insert(last);
      }
      EXPECT_EQ(found, wanted);
    }
  }
}

TEST_F(PastTest, differences_between_any_two_moments) {
  Random random(11);
  for (int i = 0; i < 200; ++i) {
    write_some(random);
    pass_time(static_cast<int64_t>(random.below(60)));
    if (random.one_in(30)) {
      ASSERT_TRUE(store_.database().flush().has_value());
    }
    if (random.one_in(50)) {
      ASSERT_TRUE(store_.database().compact().has_value());
    }
  }
  for (int i = 0; i < 200; ++i) {
    const Past& a = history_[random.below(history_.size())];
    const Past& b = history_[random.below(history_.size())];
    Moment at_a = a.moment, at_b = b.moment;
    // Also at times between commits.
    if (random.one_in(2)) at_b.now_ms += static_cast<int64_t>(random.below(30));
    const State before = visible(a.state, at_a.now_ms), after = visible(b.state, at_b.now_ms);
    const std::string prefix = random.one_in(3) ? "key1" : "";
    std::map<std::string, std::pair<std::optional<Held>, std::optional<Held>>> wanted, found;
    for (const auto& [key, held] : before) {
      const auto other = after.find(key);
      if (key.starts_with(prefix) && (other == after.end() || other->second != held))
        wanted[key] = {held, other == after.end() ? std::nullopt : std::optional(other->second)};
    }
    for (const auto& [key, held] : after)
      if (key.starts_with(prefix) && !before.contains(key)) wanted[key] = {std::nullopt, held};
    const auto held_of = [](const std::optional<VersionedValue>& value) -> std::optional<Held> {
      if (!value) return std::nullopt;
      return Held{std::string(value->value.data), value->value.expire_at_ms};
    };
    std::string last;
    const Status told = for_each_difference(
        store_.database(), at_a, at_b, prefix, [&](const Difference& difference) -> Status {
          EXPECT_LE(last, difference.key);
          last = difference.key;
          found[last] = {held_of(difference.before), held_of(difference.after)};
          return {};
        });
    ASSERT_TRUE(told.has_value()) << told.error().message;
    ASSERT_EQ(found, wanted) << "from " << describe(at_a) << " to " << describe(at_b);
  }
}

TEST_F(PastTest, views_hold_a_moment_for_a_while_and_there_are_so_many) {
  struct Steps final : Clock {
    int64_t wall_us() override { return now_us; }
    int64_t monotonic_us() override { return now_us; }
    void sleep_us(int64_t us) override { now_us += us; }
    int64_t now_us = 0;
  } clock;
  store_.database().set_retention(Retention::none());
  std::vector<Moment> moments;
  for (size_t i = 0; i <= PastViews::kMax; ++i) {
    store_.set("key", std::to_string(i));
    moments.push_back(head_moment(store_.database()));
  }
  PastViews views(store_.database(), clock);
  for (size_t i = 0; i < PastViews::kMax; ++i)
    ASSERT_TRUE(views.lease(moments[i], i < 2 ? 1000 : 500).has_value());
  EXPECT_EQ(views.count(), PastViews::kMax);
  const auto refused = views.lease(moments.back(), 1000);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kReadOnly);
  // What is held stays readable, whatever is dropped.
  ASSERT_TRUE(store_.database().compact().has_value());
  const auto view = views.lease(moments[0], 1000);
  ASSERT_TRUE(view.has_value());
  test::EntryList found;
  const std::vector<std::string> keys = {"key"};
  ASSERT_TRUE(store_.store().read_keys(keys, {}, found, &*view).has_value());
  EXPECT_EQ(found.ranges.at(0).at(0).data, "0");
  // A use begins the time anew; the others make room.
  clock.now_us = 500;
  ASSERT_TRUE(views.lease(moments[1], 1000).has_value());
  ASSERT_TRUE(views.lease(moments.back(), 1000).has_value());
  EXPECT_EQ(views.count(), 3u);
  clock.now_us = 1200;
  views.drop_ended();
  EXPECT_EQ(views.count(), 2u);
}

// ["a"] and ["a", "x"] have the part "a" in front, ["a\0b"] has not, though its bytes begin as theirs.
TEST_F(PastTest, a_prefix_is_of_whole_parts) {
  const std::string prefix("\2a\0", 3), deeper("\2a\0\2x\0", 6), other("\2a\0\377b\0", 6);
  for (const std::string& key : {prefix, deeper, other}) store_.set(key, "old");
  const Moment before = head_moment(store_.database());
  for (const std::string& key : {prefix, deeper, other}) store_.set(key, "new");
  std::vector<std::string> found;
  ASSERT_TRUE(for_each_difference(store_.database(), before, head_moment(store_.database()), prefix,
                                  [&](const Difference& difference) -> Status {
                                    found.emplace_back(difference.key);
                                    return {};
                                  })
                  .has_value());
  EXPECT_EQ(found, (std::vector{prefix, deeper}));
  const auto rewound = rewind(store_.store(), before, {.prefix = prefix});
  ASSERT_TRUE(rewound.has_value()) << rewound.error().message;
  EXPECT_EQ(rewound->restored, 2u);
  EXPECT_EQ(store_.get(deeper)->data, "old");
  EXPECT_EQ(store_.get(other)->data, "new");
}

class RewindTest : public PastTest {
 protected:
  RewindResult rewind_to(const Moment& target, const RewindOptions& options = {}) {
    const auto result = rewind(store_.store(), target, options);
    EXPECT_TRUE(result.has_value()) << result.error().message;
    return result ? *result : RewindResult{};
  }
};

TEST_F(RewindTest, any_moment_and_back_again) {
  Random random(3);
  for (int i = 0; i < 60; ++i) write_some(random);
  for (int i = 0; i < 60; ++i) {
    SCOPED_TRACE(i);
    const Past past = history_[random.below(history_.size())];
    const std::string prefix = random.one_in(3) ? "key2" : "";
    const Versionstamp head = store_.database().head();
    RewindOptions dry{.prefix = prefix, .dry_run = true};
    const RewindResult would_be = rewind_to(past.moment, dry);
    ASSERT_EQ(store_.database().head(), head);
    const RewindResult done = rewind_to(past.moment, {.prefix = prefix});
    EXPECT_EQ(done.changes(), would_be.changes());
    EXPECT_EQ(done.before.stamp, head);
    EXPECT_EQ(done.after.stamp, store_.database().head());
    EXPECT_EQ(done.commits_meanwhile, 0u);
    const State old = visible(past.state, now_ms());
    const State before = state_;
    for (auto it = state_.begin(); it != state_.end();)
      it = it->first.starts_with(prefix) ? state_.erase(it) : std::next(it);
    for (const auto& [key, held] : old)
      if (key.starts_with(prefix)) state_[key] = held;
    ASSERT_EQ(read_at(head_moment(store_.database())), visible(state_, now_ms()));
    if (done.after != done.before) remember();
    // What was before can be read still, and gone back to.
    ASSERT_EQ(read_at({done.before.stamp, now_ms()}), visible(before, now_ms()));
    if (random.one_in(3)) {
      rewind_to(done.before);
      state_ = before;
      ASSERT_EQ(read_at(head_moment(store_.database())), visible(state_, now_ms()));
      remember();
    }
    for (uint64_t n = random.below(3); n > 0; --n) write_some(random);
    pass_time(static_cast<int64_t>(random.below(60)));
    if (random.one_in(8)) {
      ASSERT_TRUE(store_.database().compact().has_value());
    }
    if (random.one_in(8)) store_.reopen();
    if (random.one_in(4)) {
      const Past& any = history_[random.below(history_.size())];
      ASSERT_EQ(read_at(any.moment), visible(any.state, any.moment.now_ms));
    }
  }
}

// Many writes go another way: most are prepared while others write.
TEST_F(RewindTest, many_changes_with_others_writing_meanwhile) {
  const auto set_all = [&](const std::string& data) {
    for (int i = 0; i < 8000;) {
      AtomicWrite write;
      std::vector<std::string> keys;
      for (int n = 0; n < 500; ++n, ++i) keys.push_back("many/" + std::to_string(i));
      for (const std::string& key : keys) write.mutations.push_back(test::set_mutation(key, data));
      ASSERT_TRUE(store_.write(write).commit.committed);
    }
  };
  set_all("old");
  store_.set("other", "old");
  const Moment target = head_moment(store_.database());
  const State old = read_at(target);
  set_all("new");
  store_.erase("many/17");
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> written = 0;
  std::thread writer([&] {
    for (int i = 0; !stop; ++i, ++written) {
      store_.set("many/" + std::to_string(i % 9000), "meanwhile");
      store_.set("other", "meanwhile");
    }
  });
  while (written < 20) std::this_thread::yield();
  const RewindResult done = rewind_to(target);
  stop = true;
  writer.join();
  EXPECT_GE(done.changes(), 8000u);
  EXPECT_GT(done.commits_meanwhile, 0u);
  EXPECT_EQ(read_at(done.after), old);
  // Nobody ever saw a part of it.
  EXPECT_EQ(read_at({Versionstamp{done.after.stamp.number - 1, 0}, done.before.now_ms}),
            read_at(done.before));
}

}  // namespace
}  // namespace tidemark::kv
