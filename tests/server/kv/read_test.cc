// Snapshot reads on a real engine.
#include <gtest/gtest.h>

#include "tests/server/kv/test_store.h"

namespace tidemark::kv {
namespace {

using test::EntryList;
using test::TestStore;

class Read : public ::testing::Test {
 protected:
  Read() {
    for (const char* key : {"a", "b", "b1", "b2", "c", "d"}) store_.set(key, std::string("of ") + key);
  }
  TestStore store_;
};

TEST_F(Read, StartIsInEndIsOut) {
  EXPECT_EQ(store_.keys({"b", "c", 100, false}), "b,b1,b2");
  EXPECT_EQ(store_.keys({"b", std::string_view("c\0", 2), 100, false}), "b,b1,b2,c");
  EXPECT_EQ(store_.keys({"b0", "b11", 100, false}), "b1");
}

TEST_F(Read, LimitCutsAtTheEndItStartsFrom) {
  EXPECT_EQ(store_.keys({"a", "z", 2, false}), "a,b");
  EXPECT_EQ(store_.keys({"a", "z", 2, true}), "d,c");
  EXPECT_EQ(store_.keys({"a", "z", 6, false}), "a,b,b1,b2,c,d");
  EXPECT_EQ(store_.keys({"a", "z", 7, true}), "d,c,b2,b1,b,a");
}

TEST_F(Read, ReverseKeepsTheBounds) {
  EXPECT_EQ(store_.keys({"b", "c", 100, true}), "b2,b1,b");
}

TEST_F(Read, EmptyAndInvertedRangesGiveNothing) {
  for (const bool reverse : {false, true}) {
    EXPECT_EQ(store_.keys({"b", "b", 10, reverse}), "");
    EXPECT_EQ(store_.keys({"c", "b", 10, reverse}), "");
    EXPECT_EQ(store_.keys({"", "", 10, reverse}), "");
    EXPECT_EQ(store_.keys({"a", "", 10, reverse}), "");
  }
}

TEST_F(Read, OpenRangesStayInTheUsersPart) {
  // Neighbours of the user's part of the keyspace on both sides.
  const CommitOutcome outcome =
      commit(store_.database(), [](Transaction& transaction) -> Result<CommitRequest::Decision> {
        transaction.put("t\xff", "\x01x");
        transaction.put("v", "\x01x");
        return CommitRequest::Decision::kCommit;
      });
  ASSERT_TRUE(outcome.committed);
  const std::string last(2049, '\xff');
  EXPECT_EQ(store_.keys({"", last, 100, false}), "a,b,b1,b2,c,d");
  EXPECT_EQ(store_.keys({"", last, 100, true}), "d,c,b2,b1,b,a");
}

TEST_F(Read, TheGetOfDeno) {
  EXPECT_EQ(store_.keys({"b1", std::string_view("b1\0", 3), 1, false}), "b1");
  EXPECT_EQ(store_.keys({"b1", std::string_view("b1\0", 3), 1, true}), "b1");
  EXPECT_EQ(store_.keys({"b0", std::string_view("b0\0", 3), 1, false}), "");
}

TEST_F(Read, TheGetOfTheNpmClient) {
  EXPECT_EQ(store_.keys({"b1", "\xff", 1, false}), "b1");
  EXPECT_EQ(store_.keys({"b0", "\xff", 1, false}), "b1");  // the first that follows; the client drops it
  EXPECT_EQ(store_.keys({"e", "\xff", 1, false}), "");
  EXPECT_EQ(store_.keys({"b0", "\xff", 1, true}), "d");
  EXPECT_EQ(store_.keys({"b0", "\xff", 2, false}), "b1,b2");
}

TEST_F(Read, RangesAreAnsweredInTheirOrder) {
  const std::vector<ReadRange> ranges = {{"c", "z", 1, false}, {"x", "y", 5, false}, {"a", "c", 2, true}};
  EntryList list;
  ASSERT_TRUE(store_.store().read(ranges, {}, list).has_value());
  ASSERT_EQ(list.ranges.size(), 3u);
  EXPECT_EQ(list.ended, 3u);
  ASSERT_EQ(list.ranges[0].size(), 1u);
  EXPECT_EQ(list.ranges[0][0].key, "c");
  EXPECT_TRUE(list.ranges[1].empty());
  ASSERT_EQ(list.ranges[2].size(), 2u);
  EXPECT_EQ(list.ranges[2][0].key, "b2");
  EXPECT_EQ(list.ranges[2][1].data, "of b1");
}

TEST_F(Read, DeletedKeysAreGone) {
  store_.erase("b1");
  EXPECT_EQ(store_.keys({"b", "c", 2, false}), "b,b2");
  EXPECT_FALSE(store_.get("b1"));
}

TEST_F(Read, ReadsTheSameFromSegments) {
  ASSERT_TRUE(store_.database().flush().has_value());
  EXPECT_EQ(store_.keys({"a", "z", 100, false}), "a,b,b1,b2,c,d");
  EXPECT_EQ(store_.keys({"a", "z", 3, true}), "d,c,b2");
  EXPECT_EQ(store_.get("b2")->data, "of b2");
}

TEST_F(Read, BoundsSayWouldBlock) {
  const ReadRange range{"a", "z", 100, false};
  EntryList list;
  Status read = store_.store().read({&range, 1}, {false, 3, 0}, list);
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().code, ErrorCode::kWouldBlock);
  // "a" and "of a", "b" and "of b": 10 bytes.
  const ReadRange two{"a", "b\1", 100, false};
  EXPECT_TRUE(store_.store().read({&two, 1}, {false, 0, 10}, list).has_value());
  read = store_.store().read({&two, 1}, {false, 0, 9}, list);
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().code, ErrorCode::kWouldBlock);
}

TEST_F(Read, ExpiredEntriesAreHiddenAndDoNotCount) {
  const int64_t expiry = 2'000'000'000'000;
  for (const char* key : {"a", "b1"}) {
    std::string stored;
    append_stored_value(stored, {Encoding::kBytes, expiry, "soon gone"});
    store_.put_stored(key, stored);
  }
  store_.clock().set_ms(expiry - 1);
  EXPECT_EQ(store_.keys({"a", "z", 3, false}), "a,b,b1");
  store_.clock().set_ms(expiry);
  EXPECT_EQ(store_.keys({"a", "z", 3, false}), "b,b2,c");
  EXPECT_EQ(store_.keys({"b1", "\xff", 1, false}), "b2");
  EXPECT_FALSE(store_.get("a"));
  // The clock goes back; what was gone stays gone.
  store_.clock().set_ms(expiry - 1000);
  EXPECT_FALSE(store_.get("a"));
}

TEST_F(Read, DamagedEntriesAreNotServed) {
  store_.put_stored("b", "\x07");
  const ReadRange range{"a", "z", 100, false};
  EntryList list;
  const Status read = store_.store().read({&range, 1}, {}, list);
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().code, ErrorCode::kCorruption);
}

TEST(ReadKeys, LongestKeys) {
  TestStore store;
  const std::string longest(2048, '\xff');
  store.set(longest, "v");
  EXPECT_EQ(store.get(longest)->data, "v");
  const std::string end(2049, '\xff');
  EXPECT_EQ(store.read({"", end, 10, false}).size(), 1u);
}

}  // namespace
}  // namespace tidemark::kv
