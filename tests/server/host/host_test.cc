// Stores that open, and stores that must not.
#include "server/host/host.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/server/kv/test_store.h"

namespace tidemark::host {
namespace {

using test::TempFolder;

constexpr char kToken[] = "the token of the test";

class HostTest : public ::testing::Test {
 protected:
  HostTest() : engine_(Engine::create({}, {})) {}

  Result<std::unique_ptr<Host>> open(const std::string& dir) {
    HostOptions options;
    options.data_dir = dir;
    options.access_token = kToken;
    return Host::open(*engine_, options);
  }

  void expect_error(const std::string& dir, ErrorCode code, const std::string& part) {
    const Result<std::unique_ptr<Host>> host = open(dir);
    ASSERT_FALSE(host.has_value());
    const std::string& message = host.error().message;
    EXPECT_EQ(host.error().code, code) << message;
    EXPECT_NE(message.find(part), std::string::npos) << message;
    EXPECT_NE(message.find(dir), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }

  static void touch(const std::string& path) { std::ofstream(path) << "content"; }

  std::unique_ptr<Engine> engine_;
  TempFolder folder_;
};

TEST_F(HostTest, MakesAStoreWithADefaultDatabase) {
  const auto host = open(folder_ / "data");
  ASSERT_TRUE(host.has_value()) << host.error().message;
  const auto database = (*host)->find("default");
  ASSERT_TRUE(database);
  EXPECT_EQ(database->name(), "default");
  EXPECT_EQ((*host)->find(database->id()), database);
  EXPECT_FALSE((*host)->find("other"));
  EXPECT_FALSE((*host)->find(Uuid{}));
  EXPECT_TRUE(std::filesystem::is_directory(folder_ / "data" + "/databases/" + database->id().text()));
}

TEST_F(HostTest, AnEmptyFolderAndATrailingSlashWillDo) {
  EXPECT_TRUE(open(folder_.path() + "//").has_value());
  EXPECT_TRUE(std::filesystem::is_directory(folder_ / "catalog"));
}

TEST_F(HostTest, ReopensWhatItMade) {
  Uuid id;
  std::string token;
  Versionstamp head;
  {
    const auto host = open(folder_.path());
    ASSERT_TRUE(host.has_value()) << host.error().message;
    const auto database = (*host)->find("default");
    id = database->id();
    token = (*host)->issue(*(*host)->authenticate(kToken), id).token;
    const CommitOutcome outcome = commit(
        database->database(),
        [](Transaction&) -> Result<CommitRequest::Decision> { return CommitRequest::Decision::kCommit; });
    ASSERT_TRUE(outcome.committed);
    head = outcome.versionstamp;
  }
  const auto host = open(folder_.path());
  ASSERT_TRUE(host.has_value()) << host.error().message;
  const auto database = (*host)->find("default");
  ASSERT_TRUE(database);
  EXPECT_EQ(database->id(), id);
  EXPECT_GE(database->database().head(), head);
  const auto access = (*host)->admit(token);
  ASSERT_TRUE(access);
  EXPECT_EQ(access->database, database);
}

TEST_F(HostTest, ClosesAndOpensAgain) {
  const auto host = open(folder_.path());
  ASSERT_TRUE(host.has_value());
  EXPECT_TRUE((*host)->close().has_value());
  EXPECT_TRUE(open(folder_.path()).has_value());
}

TEST_F(HostTest, GoesOnWhereMakingItStopped) {
  std::filesystem::create_directory(folder_ / "data");
  Uuid id;
  {
    const auto catalog = Catalog::open(*engine_, folder_ / "data/catalog", true);
    ASSERT_TRUE(catalog.has_value());
    ASSERT_EQ((*catalog)->databases().size(), 1u);
    EXPECT_EQ((*catalog)->databases()[0].state, DatabaseState::kCreating);
    id = (*catalog)->databases()[0].id;
  }
  const auto host = open(folder_ / "data");
  ASSERT_TRUE(host.has_value()) << host.error().message;
  EXPECT_EQ((*host)->find("default")->id(), id);
}

TEST_F(HostTest, StoresDiffer) {
  const auto one = open(folder_ / "one");
  const auto other = open(folder_ / "other");
  ASSERT_TRUE(one.has_value() && other.has_value());
  const Uuid id = (*one)->find("default")->id();
  EXPECT_FALSE((*other)->find(id));
  EXPECT_FALSE((*other)->admit((*one)->issue(*(*one)->authenticate(kToken), id).token));
}

TEST_F(HostTest, OnlyTheAccessTokenOpens) {
  const auto host = open(folder_.path());
  ASSERT_TRUE(host.has_value());
  const auto grant = (*host)->authenticate("the token of the test");
  ASSERT_TRUE(grant);
  EXPECT_TRUE(grant->opens(*(*host)->id_of("default")));
  EXPECT_EQ(grant->rights, Rights::kReadWrite);
  EXPECT_FALSE((*host)->authenticate("the token of the tesT"));
  EXPECT_FALSE((*host)->authenticate(""));
}

TEST_F(HostTest, ParentMissing) {
  expect_error(folder_ / "no/data", ErrorCode::kNotFound, "its parent folder");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "no"));
}

TEST_F(HostTest, NotAStore) {
  touch(folder_ / "holiday.jpg");
  expect_error(folder_.path(), ErrorCode::kInvalidArgument, "is not a Tidemark store");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "catalog"));
}

TEST_F(HostTest, WhatMayLieInAFolderThatBecomesAStore) {
  std::filesystem::create_directory(folder_ / "lost+found");
  touch(folder_ / "access-token");
  EXPECT_TRUE(open(folder_.path()).has_value());
}

TEST_F(HostTest, AFileInsteadOfAFolder) {
  touch(folder_ / "file");
  const auto host = open(folder_ / "file");
  ASSERT_FALSE(host.has_value());
  EXPECT_NE(host.error().message.find(folder_ / "file"), std::string::npos) << host.error().message;
}

TEST_F(HostTest, InUse) {
  const auto host = open(folder_.path());
  ASSERT_TRUE(host.has_value());
  expect_error(folder_.path(), ErrorCode::kLocked, "is in use");
}

TEST_F(HostTest, NewerFormat) {
  {
    ASSERT_TRUE(open(folder_.path()).has_value());
  }
  {
    const auto catalog = Database::open(*engine_, folder_ / "catalog", {});
    ASSERT_TRUE(catalog.has_value());
    const CommitOutcome outcome =
        commit(**catalog, [](Transaction& transaction) -> Result<CommitRequest::Decision> {
          transaction.put("s", "\x02 whatever it is");
          return CommitRequest::Decision::kCommit;
        });
    ASSERT_TRUE(outcome.committed);
  }
  expect_error(folder_.path(), ErrorCode::kNewerFormat, "newer version");
}

TEST_F(HostTest, ADamagedCatalogRecord) {
  std::string id;
  {
    const auto host = open(folder_.path());
    ASSERT_TRUE(host.has_value());
    id = (*host)->find("default")->id().raw();
  }
  const std::string times = "1234567812345678";
  const std::string records[] = {"",
                                 "\x01",
                                 "\x01\x02" + times + "\x07" + "defau",
                                 "\x01\x05" + times + "\x01" + "x",
                                 std::string("\x01\x00", 2) + times + "\x01" + "x",
                                 "\x01\x02" + times + "\x01" + "xy"};
  for (const std::string& record : records) {
    {
      const auto catalog = Database::open(*engine_, folder_ / "catalog", {});
      ASSERT_TRUE(catalog.has_value());
      const CommitOutcome outcome =
          commit(**catalog, [&](Transaction& transaction) -> Result<CommitRequest::Decision> {
            transaction.put("d" + id, record);
            return CommitRequest::Decision::kCommit;
          });
      ASSERT_TRUE(outcome.committed);
    }
    expect_error(folder_.path(), ErrorCode::kCorruption, "is damaged");
  }
}

TEST_F(HostTest, ADatabaseThatIsGoneIsNotMadeAnew) {
  std::string path;
  {
    const auto host = open(folder_.path());
    ASSERT_TRUE(host.has_value());
    path = folder_ / "databases/" + (*host)->find("default")->id().text();
  }
  std::filesystem::remove_all(path);
  expect_error(folder_.path(), ErrorCode::kNotFound, "default");
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(HostTest, ACatalogThatIsGoneIsNotMadeAnew) {
  {
    ASSERT_TRUE(open(folder_.path()).has_value());
  }
  std::filesystem::remove_all(folder_ / "catalog");
  expect_error(folder_.path(), ErrorCode::kCorruption, "no catalog");
}

}  // namespace
}  // namespace tidemark::host
