#include "server/backup/folder_object_store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/random.h"
#include "engine/io/posix_file_system.h"
#include "server/backup/s3_signature.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/watching_file_system.h"

namespace tidemark::backup {
namespace {

using Op = WatchingFileSystem::Op;
constexpr uint64_t kMax = 1 << 30;

class FolderObjectStoreTest : public testing::Test {
 protected:
  std::string put(std::string_view key, std::string_view bytes, const PutCondition& condition = {}) {
    const auto tag = store_->put(key, bytes, condition);
    EXPECT_TRUE(tag.has_value()) << tag.error().message;
    return tag.value_or("");
  }
  std::vector<std::string> keys(std::string_view prefix, std::string_view start_after = {},
                                int max_keys = 1000) {
    const auto page = store_->list(prefix, start_after, max_keys);
    EXPECT_TRUE(page.has_value()) << page.error().message;
    std::vector<std::string> out;
    for (const ObjectInfo& info : page->objects) out.push_back(info.key);
    return out;
  }
  static void expect_error(const auto& result, ErrorCode code, std::string_view part = {}) {
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().code, code) << result.error().message;
    EXPECT_NE(result.error().message.find(part), std::string::npos) << result.error().message;
  }

  TemporaryFolder folder_;
  WatchingFileSystem files_{false, posix_file_system()};
  std::unique_ptr<ObjectStore> store_ = make_folder_object_store(folder_.path(), files_);
};

TEST_F(FolderObjectStoreTest, PutGetRemove) {
  const std::string tag = put("a/b/c", "first");
  EXPECT_EQ(tag, sha256_hex("first"));
  auto object = store_->get("a/b/c", kMax);
  ASSERT_TRUE(object.has_value()) << object.error().message;
  EXPECT_EQ(object->bytes, "first");
  EXPECT_EQ(object->tag, tag);
  EXPECT_FALSE(store_->get_if_changed("a/b/c", tag, kMax)->has_value());
  put("a/b/c", "second");
  EXPECT_EQ(store_->get_if_changed("a/b/c", tag, kMax)->value().bytes, "second");
  EXPECT_EQ(read_file(files_, folder_ / "a/b/c", 100).value(), "second");
  ASSERT_TRUE(store_->remove("a/b/c").has_value());
  ASSERT_TRUE(store_->remove("a/b/c").has_value());
  expect_error(store_->get("a/b/c", kMax), ErrorCode::kNotFound, "a/b/c");
  EXPECT_EQ(store_->describe(), "file://" + folder_.path());
}

TEST_F(FolderObjectStoreTest, BoundsWhatIsRead) {
  put("a", "12345");
  EXPECT_TRUE(store_->get("a", 5).has_value());
  expect_error(store_->get("a", 4), ErrorCode::kInvalidArgument, "5 bytes");
  put("empty", "");
  EXPECT_EQ(store_->get("empty", 0)->bytes, "");
}

TEST_F(FolderObjectStoreTest, LargeObject) {
  std::string bytes((5 << 20) + 3, '\0');
  Random random(1);
  for (char& c : bytes) c = static_cast<char>(random.next());
  put("large", bytes);
  EXPECT_TRUE(store_->get("large", kMax)->bytes == bytes);
}

TEST_F(FolderObjectStoreTest, Conditions) {
  const std::string first = put("c", "1", PutCondition::absent());
  expect_error(store_->put("c", "2", PutCondition::absent()), ErrorCode::kConflict);
  EXPECT_EQ(store_->get("c", kMax)->bytes, "1");
  const std::string second = put("c", "2", PutCondition::unchanged(first));
  expect_error(store_->put("c", "3", PutCondition::unchanged(first)), ErrorCode::kConflict);
  EXPECT_EQ(store_->get("c", kMax)->bytes, "2");
  put("c", "3", PutCondition::unchanged(second));
  ASSERT_TRUE(store_->remove("c").has_value());
  expect_error(store_->put("c", "4", PutCondition::unchanged(second)), ErrorCode::kConflict);
  put("c", "5", PutCondition::absent());
  EXPECT_EQ(files_.list_dir(folder_.path())->size(), 1u);  // nothing is left of the puts that failed
}

TEST_F(FolderObjectStoreTest, OneOfManyWins) {
  for (int round = 0; round < 20; ++round) {
    const std::string key = "d" + std::to_string(round) + "/race";
    std::atomic<int> won = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 6; ++t)
      threads.emplace_back([&, t] {
        // A store of its own: all in the process share the lock.
        const auto own = make_folder_object_store(folder_.path() + "/", files_);
        const auto result = own->put(key, std::to_string(t), PutCondition::absent());
        if (result)
          ++won;
        else
          expect_error(result, ErrorCode::kConflict);
      });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(won, 1);
  }
}

TEST_F(FolderObjectStoreTest, FoldersComeAndGo) {
  put("a/b/c", "1");
  put("a/d", "2");
  ASSERT_TRUE(store_->remove("a/b/c").has_value());
  EXPECT_FALSE(files_.exists(folder_ / "a/b").value());
  EXPECT_TRUE(files_.exists(folder_ / "a").value());
  ASSERT_TRUE(store_->remove("a/d").has_value());
  EXPECT_FALSE(files_.exists(folder_ / "a").value());
  EXPECT_TRUE(files_.exists(folder_.path()).value());
  put("a/b/c", "3");
  EXPECT_EQ(keys(""), std::vector<std::string>{"a/b/c"});

  // Puts and removes of one folder at once.
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const std::string key = "busy/folder/" + std::to_string(t);
        const auto result = store_->put(key, "x");
        EXPECT_TRUE(result.has_value()) << result.error().message;
        EXPECT_TRUE(store_->remove(key).has_value());
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(files_.exists(folder_ / "busy").value());
}

TEST_F(FolderObjectStoreTest, RefusesKeysThatAreNoPaths) {
  for (const char* key : {"", "/a", "a/", "a//b", "..", "../a", "a/../b", "a/..", ".", "./a",
                          "a/.tidemark-1.tmp", "a\nb", "\x7f", "\xc3\xa4"}) {
    expect_error(store_->put(key, "x"), ErrorCode::kInvalidArgument);
    expect_error(store_->get(key, kMax), ErrorCode::kInvalidArgument);
    expect_error(store_->remove(key), ErrorCode::kInvalidArgument);
  }
  expect_error(store_->put(std::string(256, 'a'), "x"), ErrorCode::kInvalidArgument, "255");
  expect_error(store_->put(std::string_view("a\0b", 3), "x"), ErrorCode::kInvalidArgument);
  std::string long_key;
  while (long_key.size() < 1020) long_key += "part/";
  put(long_key + "1234", "x");
  expect_error(store_->put(long_key + "12345", "x"), ErrorCode::kInvalidArgument, "1025 bytes");
  for (const char* prefix : {"/", "../", "a/../", "a//", "./", "\xff"})
    expect_error(store_->list(prefix, "", 10), ErrorCode::kInvalidArgument);
  put("... a+b%20/..c", "x");
  put(".hidden", "x");
}

TEST_F(FolderObjectStoreTest, ObjectsAreNotFolders) {
  put("a", "1");
  put("f/x", "1");
  expect_error(store_->put("a/b", "2"), ErrorCode::kInvalidArgument, "is a file");
  expect_error(store_->put("f", "2"), ErrorCode::kInvalidArgument, "is a folder");
  expect_error(store_->get("f", kMax), ErrorCode::kNotFound);
  expect_error(store_->get("a/b", kMax), ErrorCode::kNotFound);
  EXPECT_TRUE(store_->remove("f").has_value());
  EXPECT_TRUE(store_->remove("a/b").has_value());
  EXPECT_EQ(keys(""), (std::vector<std::string>{"a", "f/x"}));
  EXPECT_TRUE(keys("a/").empty());
}

TEST_F(FolderObjectStoreTest, ListsInTheOrderOfWholeKeys) {
  // A slash comes behind a dash and a dot, and before a zero.
  const std::vector<std::string> all = {"a-/z", "a-b", "a.b", "a/b", "a/c-/1", "a/c-1", "a/c/1", "a0", "b"};
  for (const std::string& key : all) put(key, key);
  EXPECT_EQ(keys(""), all);
  EXPECT_EQ(keys("a/"), (std::vector<std::string>{"a/b", "a/c-/1", "a/c-1", "a/c/1"}));
  EXPECT_EQ(keys("a/c"), (std::vector<std::string>{"a/c-/1", "a/c-1", "a/c/1"}));
  EXPECT_EQ(keys("a-"), (std::vector<std::string>{"a-/z", "a-b"}));
  EXPECT_TRUE(keys("c").empty());
  EXPECT_TRUE(keys("none/at/all/").empty());
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(keys("", all[i]),
              std::vector<std::string>(all.begin() + static_cast<ptrdiff_t>(i) + 1, all.end()));
    EXPECT_EQ(keys("", all[i] + "\x01").size(), all.size() - i - 1);
  }
  EXPECT_EQ(keys("", "a/c", 2), (std::vector<std::string>{"a/c-/1", "a/c-1"}));
  const auto page = store_->list("", "", 3);
  EXPECT_TRUE(page->more);
  EXPECT_EQ(page->objects[1].size, 3u);
  EXPECT_FALSE(store_->list("", "", static_cast<int>(all.size()))->more);
  EXPECT_TRUE(store_->list("", "", static_cast<int>(all.size()) - 1)->more);
}

TEST_F(FolderObjectStoreTest, PagesOfRandomKeysAreComplete) {
  MemoryFileSystem memory;
  ASSERT_TRUE(memory.create_dir("m").has_value());
  store_ = make_folder_object_store("m", memory);
  Random random(7);
  std::set<std::string> expected;
  for (int i = 0; i < 400; ++i) {
    std::string key;
    for (uint64_t parts = 1 + random.below(3); parts > 0; --parts) {
      for (uint64_t n = 1 + random.below(2); n > 0; --n) key += "-.0a"[random.below(4)];
      if (parts > 1) key += "d/";  // so that no object is a folder, too
    }
    if (store_->put(key, "x")) expected.insert(key);
  }
  ASSERT_GT(expected.size(), 50u);
  for (const int max_keys : {1, 2, 7, 1000}) {
    std::vector<std::string> seen;
    for (bool more = true; more;) {
      const auto page = store_->list("", seen.empty() ? "" : seen.back(), max_keys);
      ASSERT_TRUE(page.has_value()) << page.error().message;
      for (const ObjectInfo& info : page->objects) seen.push_back(info.key);
      more = page->more;
    }
    EXPECT_EQ(seen, std::vector<std::string>(expected.begin(), expected.end()));
  }
}

TEST_F(FolderObjectStoreTest, ListsFolders) {
  for (const char* key : {"f/2/x", "f/1/y/z", "f/10/v", "f/file", "g/1"}) put(key, "x");
  ASSERT_TRUE(files_.create_dir(folder_ / "f/empty").has_value());
  ASSERT_TRUE(files_.create_dir(folder_ / "f/empty/deeper").has_value());
  EXPECT_EQ(store_->list_folders("f/").value(), (std::vector<std::string>{"1", "10", "2"}));
  EXPECT_EQ(store_->list_folders("").value(), (std::vector<std::string>{"f", "g"}));
  EXPECT_EQ(store_->list_folders("f/1").value(), (std::vector<std::string>{"", "0"}));
  EXPECT_TRUE(store_->list_folders("none/").value().empty());
}

TEST_F(FolderObjectStoreTest, TimesAndSizes) {
  const int64_t before_ms = system_clock().wall_us() / 1000;
  put("a", "123");
  const auto page = store_->list("", "", 10);
  EXPECT_EQ(page->objects.at(0).size, 3u);
  EXPECT_GT(page->objects[0].modified_ms, before_ms - 60'000);
  EXPECT_LT(page->objects[0].modified_ms, before_ms + 60'000);
}

TEST_F(FolderObjectStoreTest, TemporariesAreNotSeen) {
  put("a/b", "1");
  {
    ASSERT_TRUE(files_.open(folder_ / "a/.tidemark-00112233.tmp", OpenMode::kCreate).has_value());
  }
  EXPECT_EQ(keys(""), std::vector<std::string>{"a/b"});
  files_.fail(Op::kRename, "", ErrorCode::kIo);
  expect_error(store_->put("n/x", "2"), ErrorCode::kUnavailable, "n/x");
  EXPECT_TRUE(store_->list_folders("").value() == std::vector<std::string>{"a"});
  expect_error(store_->get("n/x", kMax), ErrorCode::kNotFound);
}

TEST_F(FolderObjectStoreTest, FailuresAreTold) {
  files_.fail(Op::kWrite, "", ErrorCode::kNoSpace, 0, 1);
  expect_error(store_->put("a", "1"), ErrorCode::kUnavailable, "put file://");
  files_.fail(Op::kSync, "", ErrorCode::kIo, 0, 1);
  expect_error(store_->put("a", "1"), ErrorCode::kUnavailable);
  EXPECT_TRUE(keys("").empty());
  files_.fail(Op::kSyncDir, "", ErrorCode::kIo, 0, 1);
  expect_error(store_->put("a", "1"), ErrorCode::kUnavailable);
  put("a", "1");
  files_.fail(Op::kRead, "", ErrorCode::kIo, 0, 1);
  expect_error(store_->get("a", kMax), ErrorCode::kUnavailable);
  files_.fail(Op::kRemove, "", ErrorCode::kIo, 0, 1);
  expect_error(store_->remove("a"), ErrorCode::kUnavailable);
}

// The entry of a folder whose sync has failed is synced by the next put that uses it.
TEST_F(FolderObjectStoreTest, FoldersAreSyncedBeforeAPutSucceeds) {
  std::vector<std::string> done;
  files_.set_hook([&](const WatchingFileSystem::Call& call) -> Status {
    const std::string path = call.path.substr(folder_.path().size());
    if (call.op == Op::kSyncDir) done.push_back("sync folder " + path);
    if (call.op == Op::kCreateDir) done.push_back("make " + path);
    if (call.op == Op::kSync) done.push_back("sync file");
    if (call.op == Op::kRename) done.push_back("rename to " + path);
    return {};
  });
  put("a/b/c", "1");
  EXPECT_EQ(done, (std::vector<std::string>{"make /a", "sync folder ", "make /a/b", "sync folder /a",
                                            "sync file", "rename to /a/b/c", "sync folder /a/b"}));
  done.clear();
  put("a/b/d", "1");
  EXPECT_EQ(done, (std::vector<std::string>{"sync file", "rename to /a/b/d", "sync folder /a/b"}));

  files_.fail(Op::kSyncDir, "", ErrorCode::kIo, 0, 1);
  expect_error(store_->put("e/f", "1"), ErrorCode::kUnavailable);
  done.clear();
  put("e/f", "1");
  EXPECT_EQ(done, (std::vector<std::string>{"make /e", "sync folder ", "sync file", "rename to /e/f",
                                            "sync folder /e"}));
}

TEST_F(FolderObjectStoreTest, TheFolderMustBeThere) {
  store_ = make_folder_object_store(folder_ / "not/mounted", files_);
  expect_error(store_->put("a", "1"), ErrorCode::kDenied, "there is no folder");
  expect_error(store_->get("a", kMax), ErrorCode::kDenied);
  expect_error(store_->list("", "", 10), ErrorCode::kDenied);
  expect_error(store_->remove("a"), ErrorCode::kDenied);
}

TEST_F(FolderObjectStoreTest, Cancel) {
  put("a", "1");
  store_->cancel();
  expect_error(store_->put("a", "2"), ErrorCode::kShutdown);
  expect_error(store_->get("a", kMax), ErrorCode::kShutdown);
  expect_error(store_->list("", "", 10), ErrorCode::kShutdown);
  expect_error(store_->list_folders(""), ErrorCode::kShutdown);
  expect_error(store_->remove("a"), ErrorCode::kShutdown);
}

}  // namespace
}  // namespace tidemark::backup
