// A database that repeats another one's commits, with the stamps that they were given there.
#include <vector>

#include "tests/engine/database_test.h"

namespace tidemark {
namespace {

struct Repeated final : CommitRequest {
  struct Write {
    std::string key;
    std::optional<std::string> value;
  };
  Versionstamp after;
  CommitPoint point;
  std::vector<Write> writes;

  std::optional<GivenCommit> given() const override { return GivenCommit{after, point}; }
  Result<Decision> run(Transaction& t) override {
    for (const Write& write : writes) {
      if (write.value)
        t.put(write.key, *write.value);
      else
        t.erase(write.key);
    }
    return Decision::kCommit;
  }
  void done(const CommitOutcome&) override {}
};

class Collector final : public WriteVisitor {
 public:
  explicit Collector(size_t most) : most_(most) {}
  bool on_commit(const CommitPoint& commit, uint32_t writes) override {
    if (commits.size() == most_) return false;
    commits.push_back(std::make_unique<Repeated>());
    commits.back()->point = commit;
    EXPECT_EQ(left_, 0U);
    left_ = writes;
    return true;
  }
  void on_put(std::string_view key, std::string_view value) override {
    commits.back()->writes.push_back({std::string(key), std::string(value)});
    --left_;
  }
  void on_erase(std::string_view key) override {
    commits.back()->writes.push_back({std::string(key), std::nullopt});
    --left_;
  }
  std::vector<std::unique_ptr<Repeated>> commits;

 private:
  const size_t most_;
  uint32_t left_ = 0;
};

class RepeatTest : public DatabaseTest, public ::testing::WithParamInterface<uint64_t> {};
using GivenStampTest = DatabaseTest;

TEST_P(RepeatTest, EveryStateIsTheSame) {
  Random random(GetParam());
  open(small_options());
  const auto copy_folder = folder_ / "copy";
  auto opened = Database::open(*engine_, copy_folder, small_options());
  ASSERT_TRUE(opened.has_value()) << opened.error().message;
  std::unique_ptr<Database> copy = std::move(*opened);
  const auto repeat = [&](Versionstamp to) {
    while (copy->head() < to) {
      const auto pinned = db().pin(copy->head());
      ASSERT_TRUE(pinned.has_value());
      Collector collector(1 + random.below(50));
      ASSERT_TRUE(db().visit_writes(copy->head(), to, collector).has_value());
      ASSERT_FALSE(collector.commits.empty());
      for (const auto& one : collector.commits) {
        one->after = copy->head();
        const CommitOutcome outcome = copy->commit(*one);
        ASSERT_TRUE(outcome.status.has_value()) << outcome.status.error().message;
        ASSERT_EQ(outcome.versionstamp, one->point.stamp);
      }
    }
  };
  std::vector<Versionstamp> stamps;
  for (int i = 0; i < 1500; ++i) {
    const uint64_t writes = random.below(5);
    const CommitOutcome outcome = commit(db(), [&](Transaction& t) -> Result<CommitRequest::Decision> {
      for (uint64_t w = 0; w < writes; ++w) {
        const std::string key = "key/" + std::to_string(random.below(200));
        if (random.one_in(4))
          t.erase(key);
        else
          t.put(key, std::string(random.below(100), static_cast<char>('a' + random.below(26))));
      }
      return CommitRequest::Decision::kCommit;
    });
    ASSERT_TRUE(outcome.committed);
    stamps.push_back(outcome.versionstamp);
    if (random.one_in(300)) repeat(stamps[random.below(stamps.size())]);
    if (random.one_in(500)) {
      ASSERT_TRUE(db().compact().has_value());
    }
    if (random.one_in(500)) {
      copy.reset();
      copy = std::move(*Database::open(*engine_, copy_folder, small_options()));
    }
  }
  repeat(stamps.back());
  for (const Versionstamp stamp : stamps) {
    auto here = db().pin(stamp), there = copy->pin(stamp);
    ASSERT_TRUE(here.has_value() && there.has_value());
    ASSERT_EQ(scan(*db().read(**here)), scan(*copy->read(**there))) << stamp.hex();
  }
  ASSERT_EQ(db().head_timestamp_ms(), copy->head_timestamp_ms());
}

INSTANTIATE_TEST_SUITE_P(Seeds, RepeatTest, ::testing::Range<uint64_t>(1, 6));

TEST_F(GivenStampTest, OnlyWhatIsNewerIsTaken) {
  open(small_options());
  Repeated first;
  first.point = {{uint64_t{7} << 40, 3}, 1000};
  first.writes = {{"a", "1"}};
  ASSERT_TRUE(db().commit(first).committed);
  EXPECT_EQ(db().head(), (Versionstamp{uint64_t{7} << 40, 3}));
  EXPECT_EQ(db().head_timestamp_ms(), 1000);
  Repeated again;
  again.after = first.point.stamp;
  again.point = first.point;
  EXPECT_EQ(db().commit(again).status.error().code, ErrorCode::kInvalidArgument);
  again.point = {{uint64_t{7} << 40, 4}, 999};
  EXPECT_EQ(db().commit(again).status.error().code, ErrorCode::kInvalidArgument);
  again.point.timestamp_ms = 1000;
  again.after = {};
  EXPECT_EQ(db().commit(again).status.error().code, ErrorCode::kInvalidArgument);
  again.after = first.point.stamp;
  EXPECT_TRUE(db().commit(again).committed);
}

TEST_F(GivenStampTest, AnotherLineHasAnEpochOfItsOwn) {
  open(small_options());
  Repeated last;
  last.point = {{(uint64_t{5} << 56) | 77, 0}, 1000};
  ASSERT_TRUE(db().commit(last).committed);
  EXPECT_EQ(db().epoch(), 1);
  ASSERT_TRUE(db().begin_line().has_value());
  EXPECT_EQ(db().epoch(), 6);
  const CommitOutcome own = put(db(), "a", "1");
  ASSERT_TRUE(own.committed);
  EXPECT_EQ(own.versionstamp.number >> 56, 6U);
  open(small_options());
  EXPECT_EQ(db().epoch(), 6);
  EXPECT_EQ(put(db(), "a", "2").versionstamp.number >> 56, 6U);

  last.after = db().head();
  last.point = {{(uint64_t{127} << 56) | 1, 0}, INT64_MAX / 2};
  ASSERT_TRUE(db().commit(last).committed);
  EXPECT_EQ(db().begin_line().error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace tidemark
