// `tidemark import`, `export` and `stats` on stores that are being served and on stores that are not.
#include <gtest/gtest.h>

#include <atomic>
#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <optional>

#include "server/host/host.h"
#include "tests/server/kv/test_store.h"
#include "tests/tools/served_store.h"
#include "tests/tools/sqlite_files.h"
#include "tools/admin_command.h"
#include "tools/answer.h"
#include "tools/stats_picture.h"
#include "tools/store_access.h"
#include "tools/transfer_command.h"

namespace tidemark::tools {
namespace {

namespace json = boost::json;
using test::SqliteTestFile;

constexpr int64_t kHourMs = 3'600'000;

int64_t now_ms() {
  return system_clock().wall_us() / 1000;
}

class TransferTest : public ::testing::TestWithParam<bool> {
 protected:
  TransferTest() : data_dir_(folder_ / "data") {
    if (GetParam()) serve();
  }

  void serve() {
    served_.emplace(data_dir_);
    served_->start();
  }

  Result<std::string> run(std::vector<std::string> words) {
    CLI::App app;
    app.require_subcommand(1);
    TransferArguments arguments;
    add_transfer_commands(app, arguments);
    std::ranges::reverse(words);
    try {
      app.parse(words);
    } catch (const CLI::ParseError& error) {
      return fail(ErrorCode::kInvalidArgument, error.what());
    }
    arguments.data_dir = data_dir_;
    return run_transfer_command(arguments);
  }
  json::object run_json(std::vector<std::string> words) {
    words.push_back("--json");
    const Result<std::string> answer = run(std::move(words));
    EXPECT_TRUE(answer.has_value()) << answer.error().message;
    return answer ? json::parse(*answer).as_object() : json::object();
  }
  void expect_refusal(std::vector<std::string> words, ErrorCode code, const std::string& part) {
    const Result<std::string> answer = run(std::move(words));
    ASSERT_FALSE(answer.has_value()) << part;
    EXPECT_EQ(answer.error().code, code) << answer.error().message;
    EXPECT_NE(answer.error().message.find(part), std::string::npos) << answer.error().message;
    EXPECT_EQ(answer.error().message.find('\n'), std::string::npos);
  }
  std::vector<std::string> databases() {
    NoLines no_lines;
    std::vector<std::string> names;
    const auto answer = administer(data_dir_, "db.list", "{}", no_lines);
    if (!answer) return names;
    const json::value all = json::parse(*answer);
    for (const json::value& one : all.at("databases").as_array())
      names.emplace_back(one.at("name").as_string());
    return names;
  }

  std::string make_file() {
    const std::string path = folder_ / "kv.sqlite";
    SqliteTestFile file(path);
    file.make_schema();
    file.put(std::string("\2users\0\2ann\0", 12), "value", 3, 7);
    file.put(std::string("\2users\0\2bob\0", 12), "value", 3, 8);
    file.put(std::string("\2soon\0", 6), "x", 3, 9, now_ms() + kHourMs);
    file.put("\x27", "x", 3, 10);
    file.put("nonsense", "x", 3, 11);
    file.run("insert into queue values (?, ?, ?, ?, ?)", {"#1000", "$a", "first", "$[]", "$[]"});
    return path;
  }

  test::TempFolder folder_;
  const std::string data_dir_;
  std::optional<Served> served_;
};

INSTANTIATE_TEST_SUITE_P(Store, TransferTest, ::testing::Values(false, true),
                         [](const auto& info) { return info.param ? "Served" : "NotServed"; });

TEST_P(TransferTest, InAndOut) {
  const std::string path = make_file(), out = folder_ / "out.sqlite";
  const json::object taken = run_json({"import", "--from-sqlite", path, "--database", "orders"});
  EXPECT_EQ(taken.at("database"), "orders");
  EXPECT_EQ(taken.at("created"), true);
  EXPECT_EQ(taken.at("entries"), 5);
  EXPECT_EQ(taken.at("messages"), 1);
  EXPECT_EQ(taken.at("versionstamp"), "000000000000000b0000");
  EXPECT_EQ(databases(), (std::vector<std::string>{"default", "orders"}));
  // Into a database that is there, and was never used.
  EXPECT_EQ(run_json({"import", "--from-sqlite", path}).at("created"), false);

  const json::object written = run_json({"export", "--to-sqlite", out, "--database", "orders"});
  EXPECT_EQ(written.at("entries"), 5);
  EXPECT_EQ(written.at("messages"), 1);
  const std::string sql = "select k, v, v_encoding, version, expiration_ms from kv";
  EXPECT_EQ(SqliteTestFile(path).rows(sql), SqliteTestFile(out).rows(sql));
  run_json({"export", "--to-sqlite", folder_ / "past", "--at", "000000000000000b0000"});
  // Nothing before the import ever was here.
  expect_refusal({"export", "--to-sqlite", folder_ / "x", "--at", "000000000000000a0000"},
                 ErrorCode::kBeyondHorizon, "000000000000000b0000");
  expect_refusal({"export", "--to-sqlite", folder_ / "x", "--at", "yesterday"}, ErrorCode::kInvalidArgument,
                 "20 hex digits");
  expect_refusal({"export", "--to-sqlite", folder_ / "x", "--at", "00ff0000000000000000"},
                 ErrorCode::kBeyondHorizon, "000000000000000b0000");
  expect_refusal({"export", "--to-sqlite", out}, ErrorCode::kInvalidArgument, "exists already");
  expect_refusal({"export", "--to-sqlite", folder_ / "x", "--database", "none"}, ErrorCode::kNotFound,
                 "none");
}

TEST_P(TransferTest, WhatIsPrinted) {
  const std::string path = make_file();
  const auto taken = run({"import", "--from-sqlite", path});
  ASSERT_TRUE(taken.has_value());
  EXPECT_EQ(taken->find("imported " + path + " into the database 'default'\n"), 0u) << *taken;
  EXPECT_NE(taken->find("entries         5, "), std::string::npos) << *taken;
  const auto written = run({"export", "--to-sqlite", folder_ / "out"});
  ASSERT_TRUE(written.has_value());
  EXPECT_EQ(written->find("exported the database 'default' to " + (folder_ / "out") + "\n"), 0u) << *written;
}

TEST_P(TransferTest, WhatIsRefusedChangesNothing) {
  const std::string path = make_file(), other = folder_ / "other.sqlite";
  std::filesystem::copy_file(path, other);
  {
    SqliteTestFile file(other);
    file.run("update kv set v_encoding = 9 where version = 11");
  }
  const std::vector<std::string> before = databases();
  expect_refusal({"import", "--from-sqlite", folder_ / "none"}, ErrorCode::kInvalidArgument, "No such file");
  expect_refusal({"import", "--from-sqlite", other, "--database", "new"}, ErrorCode::kCorruption,
                 "encoding 9");
  expect_refusal({"import", "--from-sqlite", path, "--database", "No Name"}, ErrorCode::kInvalidArgument,
                 "name");
  expect_refusal({"import"}, ErrorCode::kInvalidArgument, "--from-sqlite");
  expect_refusal({"import", "--from-sqlite", ""}, ErrorCode::kInvalidArgument, "path");
  if (GetParam()) {
    EXPECT_EQ(databases(), before);
  }
  // A store is made at most, with its own database.
  EXPECT_LE(databases().size(), 1u);
  run_json({"import", "--from-sqlite", path});
  const json::object stats = run_json({"stats"});
  expect_refusal({"import", "--from-sqlite", path}, ErrorCode::kInvalidArgument, "needs a new one");
  EXPECT_EQ(run_json({"stats"}).at("head"), stats.at("head"));
}

TEST_P(TransferTest, NoStoreIsMadeForAFileThatIsNone) {
  if (GetParam()) return;
  std::ofstream(folder_ / "text") << "text";
  expect_refusal({"import", "--from-sqlite", folder_ / "text"}, ErrorCode::kInvalidArgument,
                 "no SQLite file");
  EXPECT_FALSE(std::filesystem::exists(data_dir_));
  expect_refusal({"stats"}, ErrorCode::kNotFound, "data");
  EXPECT_FALSE(std::filesystem::exists(data_dir_));
}

TEST_P(TransferTest, Stats) {
  run_json({"import", "--from-sqlite", make_file()});
  const json::object stats = run_json({"stats"});
  EXPECT_EQ(stats.at("entries").at("entries"), 5);
  EXPECT_EQ(stats.at("queue").at("messages"), 1);
  EXPECT_EQ(stats.at("queue").at("due"), 1);
  EXPECT_GT(stats.at("queue").at("lagMs").to_number<int64_t>(), 0);
  EXPECT_EQ(stats.at("expiry").at("indexEntries"), 1);
  EXPECT_EQ(stats.at("expiry").at("due"), 0);
  EXPECT_EQ(stats.at("head").at("versionstamp"), "000000000000000b0000");
  EXPECT_EQ(stats.at("retention").is_null(), !GetParam());
  EXPECT_EQ(stats.at("prefixes").at("count"), 3);
  EXPECT_EQ(stats.at("unreadableKeys").at("entries"), 1);
  const json::array& prefixes = stats.at("prefixes").at("largest").as_array();
  ASSERT_EQ(prefixes.size(), 3u);
  EXPECT_EQ(prefixes[0].at("prefix"), json::value({"users"}));
  EXPECT_EQ(prefixes[0].at("entries"), 2);
  EXPECT_EQ(prefixes[0].at("bytes"), 2 * (12 + 6));
  const auto text = run({"stats"});
  ASSERT_TRUE(text.has_value());
  for (const char* part : {"database", "horizon", "versions per key", "level 0", "history", "\"users\"", "█",
                           "1 message, 1 due", "none of Deno KV's"}) {
    EXPECT_NE(text->find(part), std::string::npos) << part << "\n" << *text;
  }
  expect_refusal({"stats", "--database", "none"}, ErrorCode::kNotFound, "none");
}

// Those who use the database already: the sweep of what expires, and watches.
TEST_P(TransferTest, AServerNoticesWhatHasComeIn) {
  if (!GetParam()) return;
  const std::string path = make_file();
  const auto hosted = served_->host().open_and_wait("default");
  ASSERT_TRUE(hosted.has_value());
  kv::Store& store = (*hosted)->store();
  ASSERT_TRUE(test::polled_until([&] { served_->host().poll(); },
                                 [&] { return store.expiry().next_ms() == INT64_MAX; }));
  struct Counting final : kv::WatchHub::Watcher {
    void changed() override { ++times; }
    std::atomic<int> times{0};
  } watcher;
  store.watch_hub().add(watcher, {"some key"});
  run_json({"import", "--from-sqlite", path});
  EXPECT_GT(watcher.times, 0);
  store.watch_hub().remove(watcher, {"some key"});
  EXPECT_GT(store.expiry().next_ms(), now_ms());
  EXPECT_LE(store.expiry().next_ms(), now_ms() + kHourMs);
}

// What is opened for a command keeps its history, whatever the server's setting is.
TEST_P(TransferTest, ManyPrefixesAndHistory) {
  served_.reset();
  {
    const std::unique_ptr<Engine> engine = Engine::create({}, {});
    host::HostOptions options;
    options.data_dir = data_dir_;
    options.database.retention = Retention::forever();
    auto host = host::Host::open(*engine, options);
    ASSERT_TRUE(host.has_value());
    const auto hosted = (*host)->open_and_wait("default");
    ASSERT_TRUE(hosted.has_value());
    Database& database = (*hosted)->database();
    for (int round = 0; round < 3; ++round) {
      const CommitOutcome outcome = commit(database, [&](Transaction& t) -> Result<CommitRequest::Decision> {
        for (int i = 0; i < 500; ++i) {
          const std::string key = "u\2" + std::to_string(i) + '\0' + "\x27";
          t.put(key, "\3" + std::string(static_cast<size_t>(i), 'x'));
        }
        return CommitRequest::Decision::kCommit;
      });
      ASSERT_TRUE(outcome.committed);
      ASSERT_TRUE(database.flush().has_value());
    }
    ASSERT_TRUE(database.compact().has_value());
  }
  if (GetParam()) serve();
  const json::object stats = run_json({"stats"});
  EXPECT_EQ(stats.at("prefixes").at("count"), 500);
  const json::array& largest = stats.at("prefixes").at("largest").as_array();
  ASSERT_EQ(largest.size(), 10u);
  for (size_t i = 0; i < largest.size(); ++i)
    EXPECT_EQ(largest[i].at("prefix").at(0).as_string(), std::to_string(499 - i));
  EXPECT_EQ(stats.at("versionsPerKey").to_number<double>(), 3);
  EXPECT_EQ(stats.at("history").at("entries"), 1000);
  EXPECT_GT(stats.at("history").at("bytes").to_number<int64_t>(), 0);
}

// The bytes of ["a\0b"] begin as those of ["a"] do.
TEST_P(TransferTest, APrefixIsAWholePart) {
  served_.reset();
  {
    const std::unique_ptr<Engine> engine = Engine::create({}, {});
    host::HostOptions options;
    options.data_dir = data_dir_;
    auto host = host::Host::open(*engine, options);
    ASSERT_TRUE(host.has_value());
    const auto hosted = (*host)->open_and_wait("default");
    ASSERT_TRUE(hosted.has_value());
    const CommitOutcome outcome =
        commit((*hosted)->database(), [&](Transaction& t) -> Result<CommitRequest::Decision> {
          for (const std::string& key :
               {std::string("u\2a\0", 4), std::string("u\2a\0\2x\0", 7), std::string("u\2a\0\377b\0", 7)})
            t.put(key, "\3value");
          return CommitRequest::Decision::kCommit;
        });
    ASSERT_TRUE(outcome.committed);
  }
  if (GetParam()) serve();
  const json::object stats = run_json({"stats"});
  const json::array& largest = stats.at("prefixes").at("largest").as_array();
  ASSERT_EQ(largest.size(), 2u);
  EXPECT_EQ(largest[0].at("prefix").at(0).as_string(), "a");
  EXPECT_EQ(largest[0].at("entries"), 2);
  EXPECT_EQ(largest[1].at("prefix").at(0).as_string(), std::string("a\0b", 3));
  EXPECT_EQ(largest[1].at("entries"), 1);
}

TEST(StatsPicture, HumanBytes) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
  EXPECT_EQ(human_bytes(UINT64_MAX), "16777216.0 TiB");
  EXPECT_FALSE(stats_picture({}).empty());
}

TEST(FullStore, TakesNeitherImportsNorLoads) {
  test::TempFolder folder;
  host::HostOptions options;
  options.max_disk_bytes = 1;
  Served served(folder / "data", options);
  served.start();
  ASSERT_TRUE(
      test::polled_until([&] { served.host().poll(); }, [&] { return served.host().disk_state().full; }));
  NoLines no_lines;
  for (const auto& [command, arguments] : {std::pair{"import.sqlite", R"({"file":"/nowhere"})"},
                                           {"load.batch", R"({"lines":["{\"key\":[1],\"value\":1}"]})"}}) {
    StoreAccess store(folder / "data", false);
    const auto answer = store.run(command, arguments, no_lines);
    ASSERT_FALSE(answer.has_value()) << command;
    EXPECT_EQ(answer.error().code, ErrorCode::kNoSpace) << answer.error().message;
  }
}

}  // namespace
}  // namespace tidemark::tools
