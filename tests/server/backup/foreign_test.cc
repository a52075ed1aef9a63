// Backups that others wrote: snapshots that are of no one version, in any order, with the log on top; names
// of both versions; commits that go on in the next object; versionstamps that do not end in zeros.
#include <algorithm>

#include "engine/base/coding.h"
#include "engine/base/hex.h"
#include "server/backup/log_object.h"
#include "server/backup/object_names.h"
#include "server/backup/verify.h"
#include "tests/server/backup/backup_test.h"

namespace tidemark::backup {
namespace {

struct Value {
  std::string data;
  int encoding = 3;
  int64_t expire_at_ms = 0;
  bool operator==(const Value&) const = default;
};

struct Mutation {
  std::string key;
  std::optional<Value> value;
};

struct Commit {
  Versionstamp stamp;
  int64_t timestamp_ms = 0;
  std::vector<Mutation> mutations;
};

using Entries = std::map<std::string, std::pair<Value, Versionstamp>>;

class ForeignBackupTest : public BackupTest {
 protected:
  void make_commits(int count) {
    uint64_t number = 0x0000010000000000;
    for (int i = 0; i < count; ++i) {
      Commit commit;
      number += random_.below(3);
      commit.stamp = {number, static_cast<uint16_t>(commits_.empty() ? 1 : 0)};
      if (!commits_.empty() && commit.stamp.number == commits_.back().stamp.number)
        commit.stamp.tail = static_cast<uint16_t>(commits_.back().stamp.tail + 1 + random_.below(3));
      commit.timestamp_ms = 1'600'000'000'000 + 10 * i;
      for (uint64_t m = 1 + random_.below(4); m > 0; --m) {
        Mutation mutation{"key/" + std::to_string(random_.below(60)), std::nullopt};
        if (!random_.one_in(4)) {
          Value value{std::string(random_.below(60), static_cast<char>('a' + random_.below(26)))};
          if (random_.one_in(5)) value.expire_at_ms = clock_.wall_ms() + (random_.one_in(2) ? 1000 : -1000);
          if (random_.one_in(6)) value = {std::string("\5\0\0\0\0\0\0\0", 8), 2, 0};
          mutation.value = value;
        }
        commit.mutations.push_back(mutation);
      }
      commits_.push_back(commit);
    }
  }

  // What the first commits make.
  Entries after(size_t commits) const {
    Entries out;
    for (size_t i = 0; i < commits; ++i) {
      for (const Mutation& mutation : commits_[i].mutations) {
        if (mutation.value)
          out[mutation.key] = {*mutation.value, commits_[i].stamp};
        else
          out.erase(mutation.key);
      }
    }
    return out;
  }

  std::string name_of_log(uint64_t sequence, const LogPosition& first, const LogPosition& last) const {
    const std::string name = format_name(LogName{sequence, first, last});
    if (!old_names_) return name;
    // Instead of the version and the sequence: an epoch and a number.
    char fields[64];
    std::snprintf(fields, sizeof fields, "logs/%016x_%016lx", 3, static_cast<unsigned long>(sequence));
    return fields + name.substr(log_start(0).size());
  }
  std::string name_of_snapshot(uint64_t range) const {
    const std::string name = format_name(SnapshotName{9, range});
    if (!old_names_) return name;
    char fields[64];
    std::snprintf(fields, sizeof fields, "snapshots/%016x_%016x", 3, 9);
    return fields + name.substr(name.rfind('_'));
  }

  // The log from commit `from` on, cut into objects anywhere.
  void put_log(size_t from) {
    pb::BackupMutationRange range;
    LogPosition first;
    uint64_t sequence = 40;
    const auto flush = [&](const LogPosition& last) {
      if (range.entries_size() == 0) return;
      objects_map_[prefix_ + name_of_log(++sequence, first, last)] = range.SerializeAsString();
      range.Clear();
    };
    LogPosition position;
    for (size_t i = from; i < commits_.size(); ++i) {
      const Commit& commit = commits_[i];
      for (size_t m = 0; m < commit.mutations.size(); ++m) {
        const bool ends = m + 1 == commit.mutations.size();
        position = {commit.stamp, ends ? LogPosition::kLastIndex : static_cast<uint16_t>(m)};
        if (range.entries_size() == 0) first = position;
        auto& entry = *range.add_entries();
        entry.set_versionstamp(position.bytes());
        entry.set_key(commit.mutations[m].key);
        if (const auto& value = commit.mutations[m].value) {
          entry.set_kind(random_.one_in(3) ? pb::MK_SUM : pb::MK_SET);
          entry.set_value(value->data);
          entry.set_value_encoding(value->encoding);
          entry.set_expire_at_ms(static_cast<uint64_t>(value->expire_at_ms));
        } else {
          entry.set_kind(pb::MK_CLEAR);
        }
        range.set_timestamp_ms(static_cast<uint64_t>(commit.timestamp_ms));
        if (random_.one_in(5)) flush(position);
      }
    }
    flush(position);
  }

  // Each key as it was at some moment between two commits; in no order.
  void put_snapshot(size_t from, size_t to) {
    std::vector<std::pair<std::string, std::pair<Value, Versionstamp>>> found;
    for (int k = 0; k < 60; ++k) {
      const std::string key = "key/" + std::to_string(k);
      const Entries then = after(from + random_.below(to - from + 1));
      if (const auto one = then.find(key); one != then.end()) found.emplace_back(key, one->second);
    }
    for (size_t i = found.size(); i > 1; --i) std::swap(found[i - 1], found[random_.below(i)]);
    uint64_t number = 0;
    pb::BackupSnapshotRange range;
    const auto flush = [&] {
      if (range.data_list_size() > 0)
        objects_map_[prefix_ + name_of_snapshot(number++)] = range.SerializeAsString();
      range.Clear();
    };
    for (const auto& [key, entry] : found) {
      auto& data = *range.add_data_list();
      data.set_key("d" + key);
      data.set_value(entry.first.data);
      auto& metadata = *range.add_metadata_list();
      metadata.set_key("m" + key);
      std::string facts = stamp_bytes(entry.second);
      facts.push_back(static_cast<char>(entry.first.encoding));
      // Older objects say nothing of an expiry.
      if (entry.first.expire_at_ms != 0 || random_.one_in(2))
        put_le64(facts, static_cast<uint64_t>(entry.first.expire_at_ms == 0 ? -1 : entry.first.expire_at_ms));
      metadata.set_value(facts);
      if (random_.one_in(10)) flush();
    }
    flush();
  }

  void expect_entries(const ReadView& view, const Entries& expected) {
    KeyValues found, wanted;
    for (const auto& [key, value] : contents(view))
      if (key[0] == kv::kUserPrefix) found[key] = value;
    for (const auto& [key, entry] : expected) {
      std::string stored;
      kv::append_stored_value(stored, {static_cast<kv::Encoding>(entry.first.encoding),
                                       entry.first.expire_at_ms, entry.first.data});
      wanted["u" + key] = entry.second.hex() + stored;
    }
    EXPECT_EQ(found, wanted);
  }

  // Every value that expires stands in the index; what the index has besides is of no matter.
  void expect_index(const ReadView& view, const Entries& expected) {
    const KeyValues all = contents(view);
    for (const auto& [key, entry] : expected) {
      if (entry.first.expire_at_ms == 0) continue;
      EXPECT_TRUE(all.contains(kv::expiry_key_from(entry.first.expire_at_ms) + key)) << key;
    }
  }

  std::string prefix_ = "deploy/6a0b/";
  bool old_names_ = false;
  std::vector<Commit> commits_;
  std::map<std::string, std::string> objects_map_;
};

class ForeignBackupPropertyTest : public ForeignBackupTest, public ::testing::WithParamInterface<uint64_t> {};

TEST_P(ForeignBackupPropertyTest, EveryStateFromTheFirstConsistentOneOn) {
  random_ = Random(GetParam());
  old_names_ = GetParam() % 2 == 0;
  make_commits(300);
  const size_t from = 100 + random_.below(50), consistent = from + 1 + random_.below(60);
  put_snapshot(from, consistent);
  put_log(from);
  objects_map_[prefix_ + "differential"] = commits_[consistent - 1].stamp.hex();
  objects_->set_objects(objects_map_);

  auto restored = restore({}, prefix_);
  ASSERT_TRUE(restored.has_value()) << restored.error().message;
  Database& database = *restored->database;
  EXPECT_EQ(database.head(), commits_.back().stamp);
  EXPECT_EQ(database.horizon(), commits_[consistent - 1].stamp);
  for (size_t i = consistent; i <= commits_.size(); ++i) {
    SCOPED_TRACE(i);
    const auto pin = database.pin(commits_[i - 1].stamp);
    ASSERT_TRUE(pin.has_value());
    const Entries expected = after(i);
    ASSERT_NO_FATAL_FAILURE(expect_entries(*database.read(**pin), expected));
    if (i % 20 == 0) expect_index(*database.read(**pin), expected);
  }
  const auto source = Source::open(*objects_, prefix_);
  ASSERT_TRUE(source.has_value());
  const auto verified = verify_backup(*engine_, *source, {});
  ASSERT_TRUE(verified.has_value());
  EXPECT_TRUE(verified->problems.empty()) << verified->problems.front();

  // As of a moment, and what came later.
  const size_t then = consistent + random_.below(commits_.size() - consistent);
  auto earlier = restore(commits_[then].stamp, prefix_);
  ASSERT_TRUE(earlier.has_value()) << earlier.error().message;
  EXPECT_EQ(earlier->database->head(), commits_[then].stamp);
  expect_entries(*earlier->database->read(), after(then + 1));
  ASSERT_TRUE(earlier->follower->pull().has_value());
  expect_entries(*earlier->database->read(), after(commits_.size()));
}

INSTANTIATE_TEST_SUITE_P(Seeds, ForeignBackupPropertyTest, ::testing::Range<uint64_t>(1, 21));

TEST_P(ForeignBackupPropertyTest, ALogThatGrowsIsFollowed) {
  random_ = Random(GetParam() + 100);
  make_commits(200);
  put_snapshot(50, 80);
  put_log(50);
  objects_map_[prefix_ + "differential"] = commits_[79].stamp.hex();
  // It grows object by object.
  std::vector<std::string> logs;
  for (const auto& [key, bytes] : objects_map_)
    if (key.find("/logs/") != std::string::npos) logs.push_back(key);
  auto now = objects_map_;
  for (const std::string& key : logs) now.erase(key);
  size_t next = 0;
  const auto grow = [&](size_t count) {
    for (; count > 0 && next < logs.size(); --count, ++next) now[logs[next]] = objects_map_.at(logs[next]);
    objects_->set_objects(now);
  };
  while (next < logs.size() && !now.empty()) {
    grow(1);
    const auto name = parse_log_name(std::string_view(logs[next - 1]).substr(prefix_.size() + 5));
    if (name->last.stamp > commits_[80].stamp) break;
  }
  auto replica = restore({}, prefix_);
  ASSERT_TRUE(replica.has_value()) << replica.error().message;
  while (next < logs.size()) {
    grow(1 + random_.below(3));
    const auto taken = replica->follower->pull();
    ASSERT_TRUE(taken.has_value()) << taken.error().message;
    // Begun anew, as after a restart.
    if (random_.one_in(3)) {
      FollowerOptions options;
      options.scratch_folder = folder_.path();
      auto again = Follower::open(*engine_, *replica->database, *objects_, prefix_, options);
      ASSERT_TRUE(again.has_value());
      replica->follower = std::move(*again);
      ASSERT_TRUE(replica->follower->begin().has_value());
    }
  }
  expect_entries(*replica->database->read(), after(commits_.size()));
}

TEST_F(ForeignBackupTest, AnEmptyDatabase) {
  objects_->set_objects({{prefix_ + "differential", Versionstamp{5, 7}.hex()}});
  auto restored = restore({}, prefix_);
  ASSERT_TRUE(restored.has_value()) << restored.error().message;
  expect_entries(*restored->database->read(), {});
  EXPECT_EQ(restored->database->head(), (Versionstamp{5, 7}));
}

TEST_F(ForeignBackupTest, WhatIsNotCompleteIsNotTaken) {
  make_commits(10);
  put_log(0);
  objects_->set_objects(objects_map_);
  EXPECT_EQ(restore({}, prefix_).error().code, ErrorCode::kUnavailable);
  objects_map_[prefix_ + "differential"] = "0123";
  objects_->set_objects(objects_map_);
  EXPECT_EQ(restore({}, prefix_).error().code, ErrorCode::kCorruption);
  objects_map_[prefix_ + "differential"] = commits_[0].stamp.hex();
  objects_map_[prefix_ + "logs/holiday.jpg"] = "x";
  objects_->set_objects(objects_map_);
  const auto foreign = restore({}, prefix_);
  EXPECT_EQ(foreign.error().code, ErrorCode::kConflict);
  EXPECT_NE(foreign.error().message.find("holiday.jpg"), std::string::npos) << foreign.error().message;
}

}  // namespace
}  // namespace tidemark::backup
