// Databases and tokens that come and go while the store is in use.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "server/host/host.h"
#include "tests/server/kv/test_store.h"

namespace tidemark::host {
namespace {

constexpr char kOwnToken[] = "the token of the test";
constexpr int64_t kDayMs = int64_t{24} * 3600 * 1000;

class ChangesTest : public ::testing::Test {
 protected:
  ChangesTest() {
    EngineComponents components;
    components.clock = &clock_;
    engine_ = Engine::create({}, components);
    options_.data_dir = folder_.path();
    options_.access_token = kOwnToken;
    options_.purge_wait_us = 10'000;
    reopen();
  }

  void reopen() {
    if (host_) close();
    auto host = Host::open(*engine_, options_);
    ASSERT_TRUE(host.has_value()) << host.error().message;
    host_ = std::move(*host);
  }

  void close() {
    EXPECT_TRUE(host_->close().has_value());
    host_.reset();
  }

  Uuid create(const std::string& name) {
    const auto made = host_->create_database(name);
    EXPECT_TRUE(made.has_value()) << made.error().message;
    return made ? made->id : Uuid{};
  }
  // Closed or open, as a data-path call gets it.
  DatabaseRef open(const Uuid& id) {
    std::atomic<bool> told = false;
    DatabaseRef database;
    host_->open_database(id, [&](const Result<DatabaseRef>& opened) {
      if (opened) database = *opened;
      told = true;
      told.notify_all();
    });
    told.wait(false);
    return database;
  }
  static void put(const DatabaseRef& database, const std::string& key, const std::string& value) {
    const CommitOutcome outcome =
        commit(database->database(), [&](Transaction& transaction) -> Result<CommitRequest::Decision> {
          transaction.put(key, value);
          return CommitRequest::Decision::kCommit;
        });
    EXPECT_TRUE(outcome.committed);
  }
  static std::string get(const DatabaseRef& database, const std::string& key) {
    const auto value = database->database().read()->get(key);
    return value && *value ? std::string((*value)->bytes()) : "";
  }
  bool folder_exists(const Uuid& id) { return std::filesystem::exists(folder_ / ("databases/" + id.text())); }
  template <class T>
  static void expect_refusal(const Result<T>& result, ErrorCode code, const std::string& part) {
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().code, code) << result.error().message;
    EXPECT_NE(result.error().message.find(part), std::string::npos) << result.error().message;
    EXPECT_EQ(result.error().message.find('\n'), std::string::npos);
  }
  // "name" of each that is there, "-name" of each deleted.
  std::string names() {
    std::string out;
    for (const DatabaseRecord& record : host_->databases()) {
      out += (out.empty() ? "" : " ") + std::string(record.gone() ? "-" : "") + record.name;
    }
    return out;
  }

  test::TempFolder folder_;
  test::ManualClock clock_;
  HostOptions options_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Host> host_;
};

TEST_F(ChangesTest, MakesRenamesAndDeletes) {
  const Uuid a = create("a");
  const Uuid b = create("b.2_x-y");
  EXPECT_EQ(names(), "a b.2_x-y default");
  EXPECT_EQ(host_->id_of("a"), a);
  put(open(a), "k", "of a");
  EXPECT_EQ(get(open(b), "k"), "");

  ASSERT_TRUE(host_->rename_database("a", "c").has_value());
  EXPECT_FALSE(host_->id_of("a"));
  EXPECT_EQ(host_->id_of("c"), a);
  EXPECT_EQ(open(a)->name(), "c");
  ASSERT_TRUE(host_->rename_database("c", "c").has_value());

  ASSERT_TRUE(host_->delete_database("c").has_value());
  EXPECT_FALSE(host_->id_of("c"));
  EXPECT_FALSE(host_->exists(a));
  EXPECT_FALSE(host_->find(a));
  EXPECT_FALSE(open(a));
  EXPECT_EQ(names(), "b.2_x-y -c default");

  reopen();
  EXPECT_EQ(names(), "b.2_x-y -c default");
  ASSERT_TRUE(host_->undelete_database("c").has_value());
  EXPECT_EQ(get(open(a), "k"), "of a");
}

TEST_F(ChangesTest, TheDefaultDatabaseIsOneLikeOthers) {
  const Uuid id = *host_->id_of("default");
  ASSERT_TRUE(host_->rename_database("default", "other").has_value());
  EXPECT_FALSE(host_->id_of("default"));
  const Uuid anew = create("default");
  EXPECT_NE(anew, id);
  ASSERT_TRUE(host_->delete_database("default").has_value());
  ASSERT_TRUE(host_->delete_database("other").has_value());
  reopen();
  EXPECT_EQ(names(), "-default -other");
}

TEST_F(ChangesTest, NamesThatWillNotDo) {
  EXPECT_TRUE(check_database_name(std::string(64, 'x')).has_value());
  EXPECT_TRUE(check_database_name("0").has_value());
  EXPECT_TRUE(check_database_name("a..b").has_value());
  for (const auto& [name, part] : std::vector<std::pair<std::string, std::string>>{
           {"", "it is empty"},
           {std::string(65, 'x'), "it has 65 characters, and 64 are the most"},
           {std::string(300, 'x'), "it has 300 characters"},
           {"a/b", "a slash"},
           {"../etc", "a slash"},
           {"/", "a slash"},
           {".", "starts with"},
           {"..", "starts with"},
           {"-a", "starts with"},
           {"_a", "starts with"},
           {"A", "other characters"},
           {"a b", "other characters"},
           {"a\n", "other characters"},
           {std::string("a\0b", 3), "other characters"},
           {"\xc3\xa4", "other characters"}}) {
    expect_refusal(host_->create_database(name), ErrorCode::kInvalidArgument, part);
    expect_refusal(host_->rename_database("default", name), ErrorCode::kInvalidArgument, part);
    expect_refusal(host_->delete_database(name), ErrorCode::kInvalidArgument, part);
  }
  EXPECT_EQ(names(), "default");
}

TEST_F(ChangesTest, NamesThatAreTakenOrMissing) {
  create("a");
  expect_refusal(host_->create_database("a"), ErrorCode::kInvalidArgument, "there is a database 'a' already");
  expect_refusal(host_->rename_database("default", "a"), ErrorCode::kInvalidArgument, "'a' already");
  expect_refusal(host_->rename_database("b", "c"), ErrorCode::kNotFound, "there is no database 'b'");
  expect_refusal(host_->delete_database("b"), ErrorCode::kNotFound, "there is no database 'b'");
  expect_refusal(host_->undelete_database("a"), ErrorCode::kNotFound, "there is no deleted database 'a'");
  expect_refusal(host_->purge_database("a"), ErrorCode::kNotFound, "there is no deleted database 'a'");
}

TEST_F(ChangesTest, TheNameOfADeletedOneIsFree) {
  const Uuid first = create("a");
  put(open(first), "k", "first");
  ASSERT_TRUE(host_->delete_database("a").has_value());
  clock_.set_ms(1'700'000'001'000);
  const Uuid second = create("a");
  put(open(second), "k", "second");
  expect_refusal(host_->undelete_database("a"), ErrorCode::kInvalidArgument, "rename that one first");
  ASSERT_TRUE(host_->delete_database("a").has_value());

  // The newest comes back by its name, an older one by its id.
  EXPECT_EQ(host_->undelete_database("a")->id, second);
  EXPECT_EQ(get(open(second), "k"), "second");
  ASSERT_TRUE(host_->rename_database("a", "b").has_value());
  EXPECT_EQ(host_->undelete_database(first.text())->id, first);
  EXPECT_EQ(get(open(first), "k"), "first");
}

TEST_F(ChangesTest, PurgesWhenTheTimeHasCome) {
  const Uuid a = create("a");
  const Uuid b = create("b");
  ASSERT_TRUE(host_->delete_database("a").has_value());
  clock_.set_ms(1'700'000'000'000 + kDayMs);
  ASSERT_TRUE(host_->delete_database("b").has_value());

  clock_.set_ms(1'700'000'000'000 + 7 * kDayMs - 1);
  host_->maintain();
  EXPECT_EQ(names(), "-a -b default");
  clock_.set_ms(1'700'000'000'000 + 7 * kDayMs);
  host_->maintain();
  EXPECT_EQ(names(), "-b default");
  EXPECT_FALSE(folder_exists(a));
  EXPECT_TRUE(folder_exists(b));
  expect_refusal(host_->undelete_database("a"), ErrorCode::kNotFound, "no deleted database");

  EXPECT_EQ(host_->purge_database("b")->id, b);
  EXPECT_FALSE(folder_exists(b));
  reopen();
  EXPECT_EQ(names(), "default");
}

TEST_F(ChangesTest, PurgesAllAtOnce) {
  for (const char* name : {"a", "b", "c"}) {
    create(name);
    ASSERT_TRUE(host_->delete_database(name).has_value());
  }
  EXPECT_EQ(*host_->purge_deleted(INT64_MAX), 3u);
  EXPECT_EQ(names(), "default");
}

TEST_F(ChangesTest, ADatabaseInUseIsClosedWhenItsUsersHaveGone) {
  const Uuid a = create("a");
  DatabaseRef user = open(a);
  put(user, "k", "before");
  ASSERT_TRUE(host_->delete_database("a").has_value());
  EXPECT_FALSE(open(a));
  put(user, "k", "after");  // what was let in is finished

  // Brought back while somebody still has it: the same open database.
  ASSERT_TRUE(host_->undelete_database("a").has_value());
  EXPECT_EQ(open(a), user);

  ASSERT_TRUE(host_->delete_database("a").has_value());
  expect_refusal(host_->purge_database("a"), ErrorCode::kLocked, "still in use");
  EXPECT_TRUE(folder_exists(a));
  expect_refusal(host_->undelete_database("a"), ErrorCode::kNotFound, "cannot be brought back");
  EXPECT_EQ(create("a") == a, false);  // its name is free
  user.reset();
  options_.purge_wait_us = 10'000'000;
  EXPECT_EQ(names(), "-a a default");
  reopen();
  EXPECT_EQ(*host_->purge_deleted(0), 1u);
  EXPECT_FALSE(folder_exists(a));
}

TEST_F(ChangesTest, BroughtBackItIsOpenedAgain) {
  const Uuid a = create("a");
  put(open(a), "k", "v");
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(host_->delete_database("a").has_value());
    ASSERT_TRUE(host_->undelete_database("a").has_value());
    const DatabaseRef database = open(a);  // perhaps while it is being closed
    ASSERT_TRUE(database);
    EXPECT_EQ(get(database, "k"), "v");
  }
}

TEST_F(ChangesTest, FindsAndWritesWhileDatabasesComeAndGo) {
  const Uuid kept = create("kept");
  EXPECT_TRUE(open(kept));
  const std::string token = host_->issue(*host_->authenticate(kOwnToken), kept).token;
  std::atomic<bool> stop = false;
  Mutex mutex;
  Uuid current = kept;
  std::atomic<int64_t> found = 0, refused = 0;
  std::vector<std::thread> users;
  for (int i = 0; i < 3; ++i) {
    users.emplace_back([&, i] {
      while (!stop) {
        const auto access = host_->admit(token);
        EXPECT_TRUE(access && access->database);
        Uuid id;
        {
          MutexLock lock(mutex);
          id = current;
        }
        if (const DatabaseRef database = open(id)) {
          put(database, "k" + std::to_string(i), "v");
          ++found;
        } else {
          ++refused;
        }
      }
    });
  }
  options_.purge_wait_us = 10'000'000;
  for (int i = 0; i < 30; ++i) {
    const Uuid id = create("x");
    {
      MutexLock lock(mutex);
      current = id;
    }
    const int64_t before = found;
    while (found < before + 3) std::this_thread::yield();
    ASSERT_TRUE(host_->delete_database("x").has_value());
    while (true) {  // in use for a moment
      const auto purged = host_->purge_database(id.text());
      if (purged) break;
      ASSERT_EQ(purged.error().code, ErrorCode::kLocked) << purged.error().message;
    }
    EXPECT_FALSE(folder_exists(id));
  }
  stop = true;
  for (std::thread& user : users) user.join();
  EXPECT_EQ(names(), "default kept");
}

TEST_F(ChangesTest, ManyDatabasesAreOpenedOnFirstUse) {
  std::vector<Uuid> ids;
  for (int i = 0; i < 40; ++i) ids.push_back(create("d" + std::to_string(i)));
  for (const Uuid& id : ids) put(open(id), "k", id.text());
  reopen();
  for (const Uuid& id : ids) EXPECT_FALSE(host_->find(id));
  for (const Uuid& id : ids) {
    const DatabaseRef database = open(id);
    ASSERT_TRUE(database);
    EXPECT_EQ(get(database, "k"), id.text());
    EXPECT_EQ(host_->find(id), database);
  }
}

TEST_F(ChangesTest, AFolderThatIsGoneIsFoundAtTheStart) {
  options_.open_at_start = 0;
  const Uuid a = create("a");
  close();
  std::filesystem::remove_all(folder_ / ("databases/" + a.text()));
  const auto host = Host::open(*engine_, options_);
  expect_refusal(host, ErrorCode::kNotFound, "database 'a': its folder is gone");
}

TEST_F(ChangesTest, ADamagedDatabaseAmongManyDoesNotHarmTheOthers) {
  options_.open_at_start = 0;
  const Uuid a = create("a");
  close();
  std::filesystem::remove(folder_ / ("databases/" + a.text() + "/CURRENT"));
  reopen();
  EXPECT_FALSE(open(a));
  EXPECT_TRUE(host_->exists(a));
  EXPECT_TRUE(open(*host_->id_of("default")));
  // And it can be deleted.
  ASSERT_TRUE(host_->delete_database("a").has_value());
  ASSERT_TRUE(host_->purge_database("a").has_value());
  EXPECT_FALSE(folder_exists(a));
}

TEST_F(ChangesTest, DoesNotMakeAStoreUnlessAsked) {
  HostOptions options = options_;
  options.create_if_missing = false;
  options.data_dir = folder_ / "new";
  expect_refusal(Host::open(*engine_, options), ErrorCode::kNotFound, "no such folder");
  std::filesystem::create_directory(options.data_dir);
  expect_refusal(Host::open(*engine_, options), ErrorCode::kNotFound, "no store in it");
  EXPECT_TRUE(std::filesystem::is_empty(options.data_dir));
}

TEST_F(ChangesTest, TokensOpenWhatTheyName) {
  const Uuid a = create("a");
  const Uuid b = create("b");
  const auto all = host_->create_token({{}, true, Rights::kReadWrite, "for all"});
  clock_.set_ms(1'700'000'000'001);
  const auto some = host_->create_token({{"a", "default", "a"}, false, Rights::kReadOnly, ""});
  ASSERT_TRUE(all && some);
  EXPECT_NE(all->secret, some->secret);
  const Uuid later = create("later");

  for (int round = 0; round < 2; ++round) {
    const auto all_grant = host_->authenticate(all->secret);
    ASSERT_TRUE(all_grant);
    EXPECT_EQ(all_grant->rights, Rights::kReadWrite);
    for (const Uuid& id : {a, b, later}) EXPECT_TRUE(all_grant->opens(id));
    const auto some_grant = host_->authenticate(some->secret);
    ASSERT_TRUE(some_grant);
    EXPECT_EQ(some_grant->rights, Rights::kReadOnly);
    EXPECT_TRUE(some_grant->opens(a));
    EXPECT_FALSE(some_grant->opens(b));
    EXPECT_FALSE(some_grant->opens(later));
    EXPECT_EQ(some_grant->databases.size(), 2u);
    EXPECT_FALSE(host_->authenticate(all->secret + "x"));
    EXPECT_FALSE(host_->authenticate(all->record.grant.token.text()));
    reopen();
  }
  ASSERT_EQ(host_->tokens().size(), 2u);
  EXPECT_EQ(host_->tokens()[0].label, "for all");
}

TEST_F(ChangesTest, OnlyTheHashOfATokenIsKept) {
  const auto token = host_->create_token({{}, true, Rights::kReadWrite, "label to be found"});
  ASSERT_TRUE(token.has_value());
  close();
  bool label_found = false;
  for (const auto& file : std::filesystem::recursive_directory_iterator(folder_.path())) {
    if (!file.is_regular_file()) continue;
    const auto bytes = read_file(engine_->file_system(), file.path(), uint64_t{1} << 30);
    ASSERT_TRUE(bytes.has_value());
    EXPECT_EQ(bytes->find(token->secret.substr(3, 16)), std::string::npos);
    label_found |= bytes->find("label to be found") != std::string::npos;
  }
  EXPECT_TRUE(label_found);
}

TEST_F(ChangesTest, ARevokedTokenOpensNothing) {
  const Uuid id = *host_->id_of("default");
  const auto token = host_->create_token({{"default"}, false, Rights::kReadWrite, ""});
  const auto other = host_->create_token({{"default"}, false, Rights::kReadWrite, ""});
  ASSERT_TRUE(token && other);
  const std::string data_token = host_->issue(*host_->authenticate(token->secret), id).token;
  const std::string other_data = host_->issue(*host_->authenticate(other->secret), id).token;
  ASSERT_TRUE(host_->admit(data_token));
  reopen();
  ASSERT_TRUE(host_->admit(data_token));

  ASSERT_TRUE(host_->revoke_token(token->record.grant.token).has_value());
  for (int round = 0; round < 2; ++round) {
    EXPECT_FALSE(host_->authenticate(token->secret));
    EXPECT_FALSE(host_->admit(data_token));
    EXPECT_TRUE(host_->admit(other_data));
    reopen();
  }
  expect_refusal(host_->revoke_token(token->record.grant.token), ErrorCode::kNotFound, "no token with id");
}

TEST_F(ChangesTest, AnotherAccessTokenEndsWhatTheOldOneGot) {
  const Uuid id = *host_->id_of("default");
  const std::string data_token = host_->issue(*host_->authenticate(kOwnToken), id).token;
  options_.access_token = "another token of the test";
  reopen();
  EXPECT_FALSE(host_->admit(data_token));
  options_.access_token = "";
  reopen();
  EXPECT_FALSE(host_->admit(data_token));
  EXPECT_FALSE(host_->authenticate(""));
  options_.access_token = kOwnToken;
  reopen();
  EXPECT_TRUE(host_->admit(data_token));
}

TEST_F(ChangesTest, TokensThatWillNotDo) {
  const auto make = [&](TokenRequest request) { return host_->create_token(request); };
  expect_refusal(make({{}, false, Rights::kReadWrite, ""}), ErrorCode::kInvalidArgument, "all databases or");
  expect_refusal(make({{"default"}, true, Rights::kReadWrite, ""}), ErrorCode::kInvalidArgument, "or some");
  expect_refusal(make({{"no"}, false, Rights::kReadWrite, ""}), ErrorCode::kNotFound, "no database 'no'");
  expect_refusal(make({{"a/b"}, false, Rights::kReadWrite, ""}), ErrorCode::kInvalidArgument, "slash");
  expect_refusal(make({{}, true, Rights::kReadWrite, std::string(101, 'x')}), ErrorCode::kInvalidArgument,
                 "101 bytes");
  expect_refusal(make({{}, true, Rights::kReadWrite, "a\nb"}), ErrorCode::kInvalidArgument, "control");
  EXPECT_TRUE(host_->tokens().empty());
}

TEST_F(ChangesTest, AfterClosingNothingChanges) {
  ASSERT_TRUE(host_->close().has_value());
  expect_refusal(host_->create_database("a"), ErrorCode::kShutdown, "being closed");
  expect_refusal(host_->create_token({{}, true, Rights::kReadWrite, ""}), ErrorCode::kShutdown, "closed");
  EXPECT_FALSE(host_->id_of("default"));
}

}  // namespace
}  // namespace tidemark::host
