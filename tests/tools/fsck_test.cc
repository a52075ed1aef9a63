// `tidemark fsck` and the dumps of single files, on whole stores.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "engine/database.h"
#include "engine/io/posix_file_system.h"
#include "server/host/host.h"
#include "server/kv/keyspace.h"
#include "server/kv/queue_message.h"
#include "server/kv/stored_value.h"
#include "tests/server/kv/test_store.h"
#include "tests/tools/server_process.h"
#include "tools/file_dump.h"
#include "tools/fsck_command.h"
#include "tools/store_check.h"
#include "tools/store_repair.h"

namespace tidemark::tools {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

struct Ran {
  int code = 0;
  std::string out;
  std::string log;
};

Ran run(std::vector<std::string> words) {
  ServerProcess process(words, {});
  Ran ran;
  ran.code = process.end(0);
  ran.out = process.out;
  ran.log = process.log;
  return ran;
}

class FsckTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto engine = Engine::create({});
    host::HostOptions options;
    options.data_dir = dir();
    auto host = host::Host::open(*engine, options);
    ASSERT_TRUE(host.has_value()) << host.error().message;
    for (const char* name : {"orders", "gone"}) ASSERT_TRUE((*host)->create_database(name).has_value());
    ASSERT_TRUE((*host)->create_token({{"orders"}, false, host::Rights::kReadOnly, "a label"}).has_value());
    ASSERT_TRUE((*host)->delete_database("gone").has_value());
    for (const host::DatabaseRecord& record : (*host)->databases()) ids_[record.name] = record.id.text();
    ASSERT_TRUE((*host)->close().has_value());
    host->reset();
    put("orders", std::string(1, kv::kUserPrefix) + "key", stored("value"));
  }

  std::string dir() const { return folder_ / "store"; }
  std::string database(const std::string& name) const { return dir() + "/databases/" + ids_.at(name); }

  static std::string stored(const std::string& data, int64_t expire_at_ms = 0) {
    std::string out;
    kv::append_stored_value(out, {kv::Encoding::kBytes, expire_at_ms, data});
    return out;
  }

  // Straight into the engine's database; no value: erased.
  void put_in(const std::string& path, const std::string& key, std::optional<std::string> value) {
    const auto engine = Engine::create({});
    const auto opened = Database::open(*engine, path, {});
    ASSERT_TRUE(opened.has_value());
    ASSERT_TRUE(commit(**opened, [&](Transaction& t) -> Result<CommitRequest::Decision> {
                  value ? t.put(key, *value) : t.erase(key);
                  return CommitRequest::Decision::kCommit;
                }).committed);
    ASSERT_TRUE((*opened)->flush().has_value() && (*opened)->close().has_value());
  }
  void put(const std::string& name, const std::string& key, std::optional<std::string> value) {
    put_in(database(name), key, std::move(value));
  }

  std::string file(const std::string& folder, const std::string& ending) const {
    for (const auto& entry : fs::directory_iterator(folder))
      if (entry.path().string().ends_with(ending)) return entry.path();
    ADD_FAILURE() << "no file " << ending;
    return {};
  }
  static void flip(const std::string& path, size_t at) {
    std::ifstream in(path, std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(in), {}};
    bytes.at(at) = static_cast<char>(bytes.at(at) ^ 4);
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  }

  std::vector<verify::Finding> check(bool deep = true) {
    std::vector<verify::Finding> findings;
    StoreCheckOptions options;
    options.deep = deep;
    options.findings = [&](const verify::Finding& finding) { findings.push_back(finding); };
    const auto summary = check_store(posix_file_system(), dir(), options);
    EXPECT_TRUE(summary.has_value()) << summary.error().message;
    return findings;
  }
  void expect_only(const std::string& code) {
    const auto findings = check();
    EXPECT_FALSE(findings.empty()) << code;
    for (const verify::Finding& finding : findings) EXPECT_EQ(finding.kind.code, code) << finding.what;
  }
  void expect_clean() {
    for (const verify::Finding& finding : check()) ADD_FAILURE() << finding.file << ": " << finding.what;
  }

  // What the store says when it is opened.
  std::vector<std::string> names(const std::string& path) {
    const auto engine = Engine::create({});
    host::HostOptions options;
    options.data_dir = path;
    options.create_if_missing = false;
    const auto host = host::Host::open(*engine, options);
    EXPECT_TRUE(host.has_value()) << host.error().message;
    std::vector<std::string> out;
    if (host)
      for (const host::DatabaseRecord& record : (*host)->databases()) out.push_back(record.name);
    return out;
  }

  test::TempFolder folder_;
  std::map<std::string, std::string> ids_;
};

TEST_F(FsckTest, ASoundStoreIsClean) {
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{}, {"--deep"}, {"--database", "orders"}}) {
    std::vector<std::string> words = {"fsck", "--data-dir", dir()};
    words.insert(words.end(), more.begin(), more.end());
    const Ran ran = run(words);
    EXPECT_EQ(ran.code, kFsckClean) << ran.out << ran.log;
    EXPECT_NE(ran.out.find("clean"), std::string::npos);
    EXPECT_EQ(ran.log, "");
  }
}

TEST_F(FsckTest, NothingIsWritten) {
  const auto all = [&] {
    std::map<std::string, std::pair<uintmax_t, fs::file_time_type>> out;
    for (const auto& entry : fs::recursive_directory_iterator(dir()))
      if (entry.is_regular_file()) out[entry.path()] = {entry.file_size(), entry.last_write_time()};
    return out;
  };
  for (const auto& entry : fs::recursive_directory_iterator(dir()))
    if (entry.path().filename() == "LOCK" && entry.path().string().find("catalog") == std::string::npos)
      fs::remove(entry.path());
  const auto before = all();
  expect_clean();
  fs::remove(dir() + "/catalog/LOCK");
  expect_clean();
  EXPECT_FALSE(fs::exists(dir() + "/catalog/LOCK"));
  std::ofstream(dir() + "/catalog/LOCK") << "";
  EXPECT_EQ(all().size(), before.size());
}

TEST_F(FsckTest, ExitCodesTellHowBadItIs) {
  std::ofstream(database("orders") + "/000999.seg") << "x";
  Ran ran = run({"fsck", "--data-dir", dir(), "--json"});
  EXPECT_EQ(ran.code, kFsckMinor) << ran.out;
  json::value out = json::parse(ran.out);
  EXPECT_EQ(out.at("result").as_string(), "minor");
  EXPECT_EQ(out.at("findings").as_array().size(), 1u);
  EXPECT_EQ(out.at("databases").as_array().size(), 4u);

  flip(file(database("orders"), ".chg"), 40);
  ran = run({"fsck", "--data-dir", dir()});
  EXPECT_EQ(ran.code, kFsckMajor) << ran.out;
  EXPECT_NE(ran.out.find("at offset 32"), std::string::npos) << ran.out;
  EXPECT_EQ(run({"fsck", "--data-dir", dir(), "--database", "default"}).code, kFsckClean);
}

TEST_F(FsckTest, WhatCannotBeCheckedIsOneLine) {
  const auto refused = [&](const std::vector<std::string>& words, int code) {
    const Ran ran = run(words);
    EXPECT_EQ(ran.code, code) << ran.log;
    EXPECT_EQ(ran.out, "");
    EXPECT_EQ(std::ranges::count(ran.log, '\n'), 1) << ran.log;
  };
  refused({"fsck", "--data-dir", folder_ / "nothing"}, kFsckNotChecked);
  fs::create_directory(folder_ / "empty");
  refused({"fsck", "--data-dir", folder_ / "empty"}, kFsckNotChecked);
  refused({"fsck", "--data-dir", dir(), "--database", "none"}, kFsckNotChecked);
  refused({"fsck", "--what"}, kFsckWrongArguments);
  refused({"fsck", "--data-dir", dir(), "--deep", "--repair", folder_ / "new"}, kFsckWrongArguments);
  refused({"fsck", "--data-dir", dir(), "--repair", folder_.path()}, kFsckWrongArguments);
  refused({"fsck", "--data-dir", dir(), "--repair", dir() + "/new"}, kFsckWrongArguments);
  refused({"fsck", "--data-dir", dir(), "--repair", folder_ / "no/such"}, kFsckWrongArguments);
  EXPECT_FALSE(fs::exists(dir() + "/new"));

  ServerProcess server({"serve", "--data-dir", dir(), "--addr", "127.0.0.1:0", "--metrics-addr", "off"},
                       {"DENO_KV_ACCESS_TOKEN=a-token-of-the-test"});
  ASSERT_NE(server.port_behind("Listening on "), 0) << server.log;
  refused({"fsck", "--data-dir", dir()}, kFsckNotChecked);
  refused({"fsck", "--data-dir", dir(), "--repair", folder_ / "new"}, kFsckNotChecked);
  EXPECT_FALSE(fs::exists(folder_ / "new"));
  EXPECT_EQ(server.end(SIGTERM), 0);
}

TEST_F(FsckTest, ValuesAreLookedAt) {
  const std::string user(1, kv::kUserPrefix);
  const std::string key = user + "bad";
  put("orders", key, "");
  expect_only("entry-malformed");
  put("orders", key, "\xff");
  const auto newer = check();
  EXPECT_TRUE(std::ranges::any_of(
      newer, [](const auto& finding) { return std::string(finding.kind.code) == "newer-format"; }));
}

TEST_F(FsckTest, KeysOfNoPart) {
  put("orders", "zzz", "");
  expect_only("entry-malformed");
}

TEST_F(FsckTest, QueueMessages) {
  kv::Enqueue message;
  message.payload = "payload";
  message.keys_if_undelivered = {"dead", "letters"};
  message.backoff_schedule_ms = {1, 1000};
  std::string bytes;
  kv::append_queue_message(bytes, message);
  const auto parsed = kv::parse_queue_message(bytes);
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->payload, "payload");
  EXPECT_EQ(parsed->keys_if_undelivered, message.keys_if_undelivered);
  EXPECT_EQ(parsed->backoff_schedule_ms, message.backoff_schedule_ms);
  const std::string key = kv::queue_key(1000, {5, 0}, 1);
  put("orders", key, bytes);
  expect_clean();
  put("orders", key + "x", bytes);
  expect_only("entry-malformed");
}

TEST_F(FsckTest, MalformedQueueMessage) {
  put("orders", kv::queue_key(1000, {5, 0}, 1), std::string("\x01\x05", 2));
  expect_only("entry-malformed");
}

TEST_F(FsckTest, ExpiryIndex) {
  const int64_t at = 4'000'000'000'000;
  put("orders", std::string(1, kv::kUserPrefix) + "late", stored("x", at));
  expect_only("expiry-unindexed");
  EXPECT_EQ(check().front().kind.severity, verify::Severity::kMinor);
  put("orders", kv::expiry_key_from(at) + "late", "");
  expect_clean();
  // An entry whose value is gone is none.
  put("orders", std::string(1, kv::kUserPrefix) + "late", std::nullopt);
  expect_clean();
}

TEST_F(FsckTest, MalformedIndexEntry) {
  put("orders", std::string(1, kv::kExpiryPrefix) + "123", "");
  expect_only("entry-malformed");
}

TEST_F(FsckTest, CatalogRecords) {
  put_in(dir() + "/catalog", std::string(1, host::kTokenPrefix) + "12345678", "\x01what");
  expect_only("catalog-record");
}

TEST_F(FsckTest, CatalogKeys) {
  put_in(dir() + "/catalog", "x", "");
  expect_only("catalog-record");
}

TEST_F(FsckTest, FoldersAndRecords) {
  fs::create_directory(dir() + "/databases/12345678-1234-4234-9234-123456789abc");
  expect_only("database-unknown");
  fs::remove(dir() + "/databases/12345678-1234-4234-9234-123456789abc");
  fs::create_directory(dir() + "/databases/what");
  expect_only("foreign-file");
  fs::remove(dir() + "/databases/what");
  fs::remove_all(database("gone"));
  expect_only("database-missing");
}

TEST_F(FsckTest, ALostCatalog) {
  fs::remove_all(dir() + "/catalog");
  const auto findings = check();
  ASSERT_FALSE(findings.empty());
  EXPECT_EQ(std::string(findings.front().kind.code), "catalog-record");
  const Ran ran = run({"fsck", "--data-dir", dir(), "--repair", folder_ / "new"});
  EXPECT_EQ(ran.code, kFsckMajor) << ran.log;
  auto all = names(folder_ / "new");
  EXPECT_EQ(all.size(), 4u);  // a default of its own, and three that were found
  EXPECT_EQ(std::ranges::count_if(all, [](const auto& name) { return name.starts_with("recovered-"); }), 3);
}

TEST_F(FsckTest, ARepairedStoreHasAllThatIsSound) {
  flip(dir() + "/catalog/CURRENT", 20);
  flip(file(database("orders"), ".seg"), 40);
  fs::remove_all(database("gone"));
  const Ran ran = run({"fsck", "--data-dir", dir(), "--repair", folder_ / "new", "--json"});
  EXPECT_EQ(ran.code, kFsckMajor) << ran.log;
  const json::value report = json::parse(ran.out);
  std::ifstream in(folder_ / "new/repair-report.json");
  EXPECT_EQ((std::string{std::istreambuf_iterator<char>(in), {}}), ran.out);
  EXPECT_TRUE(report.at("lostSomething").as_bool());
  for (const json::value& one : report.at("databases").as_array()) {
    const std::string name(one.at("name").as_string());
    EXPECT_EQ(one.at("lostSomething").as_bool(), name == "gone" || name == "orders") << ran.out;
    EXPECT_EQ(one.at("saved").as_bool(), name != "gone") << ran.out;
    if (name == "orders") {
      EXPECT_EQ(one.at("lostWrites").to_number<int>(), 1) << ran.out;
    }
  }
  auto all = names(folder_ / "new");
  EXPECT_EQ(all, (std::vector<std::string>{"default", "orders"}));
  EXPECT_EQ(run({"fsck", "--deep", "--data-dir", folder_ / "new"}).code, kFsckClean);
}

TEST_F(FsckTest, ARepairBringsAlongWhatMakesNoSense) {
  put("orders", std::string(1, kv::kUserPrefix) + "bad", "");
  const Ran ran = run({"fsck", "--data-dir", dir(), "--repair", folder_ / "new", "--json"});
  EXPECT_EQ(ran.code, kFsckMajor) << ran.log;
  EXPECT_EQ(json::parse(ran.out).at("leftWrong").to_number<int>(), 1) << ran.out;
  EXPECT_EQ(names(folder_ / "new"), names(dir()));
}

TEST_F(FsckTest, ARepairOfASoundStoreLosesNothing) {
  const Ran ran = run({"fsck", "--data-dir", dir(), "--repair", folder_ / "new"});
  EXPECT_EQ(ran.code, kFsckClean) << ran.out << ran.log;
  EXPECT_EQ(names(folder_ / "new"), names(dir()));
}

TEST_F(FsckTest, FilesAsJsonLines) {
  const std::string folder = database("orders");
  const auto lines = [&](const std::vector<std::string>& words, int code) {
    const Ran ran = run(words);
    EXPECT_EQ(ran.code, code) << ran.log;
    std::vector<json::object> out;
    std::istringstream in(ran.out);
    for (std::string line; std::getline(in, line);) out.push_back(json::parse(line).as_object());
    return out;
  };
  EXPECT_EQ(lines({"dump", "--segment", file(folder, ".seg")}, 0).at(0).at("keyText").as_string(),
            "\"ukey\"");
  const auto changes = lines({"dump", "--changes", file(folder, ".chg")}, 0);
  EXPECT_TRUE(changes.at(0).contains("commit"));
  EXPECT_TRUE(changes.at(1).contains("put"));
  EXPECT_TRUE(lines({"dump", "--manifest", folder}, 0).at(0).contains("header"));
  EXPECT_EQ(lines({"dump", "--wal", file(folder, ".wal")}, 0).back().at("record").as_string(), "close");
  flip(file(folder, ".seg"), 40);
  const auto damaged = lines({"dump", "--segment", file(folder, ".seg")}, 4);
  EXPECT_EQ(damaged.at(0).at("offset").to_number<int>(), 32);
  EXPECT_TRUE(damaged.at(0).contains("damage"));
  EXPECT_EQ(run({"dump", "--wal", folder + "/none"}).code, 1);
  EXPECT_EQ(run({"dump", "--wal", "a", "--all"}).code, 2);
  EXPECT_EQ(run({"dump", "--wal", "a", "--segment", "b"}).code, 2);
}

// The stores that older builds have written: those of known damage have it found, the others are clean.
TEST(FsckGolden, AllAreJudgedRight) {
  const fs::path stores = fs::path(TIDEMARK_SOURCE_ROOT) / "tests/golden/stores";
  const std::map<std::string, std::string> damaged = {
      {"database-current-flipped", "current-damaged"},   {"database-current-newer", "newer-format"},
      {"database-manifest-flipped", "manifest-damaged"}, {"database-manifest-emptied", "manifest-damaged"},
      {"database-log-flipped", "wal-damaged"},           {"database-segment-flipped", "segment-damaged"},
      {"database-segment-cut", "segment-damaged"},       {"database-changes-flipped", "changes-damaged"},
      {"database-segment-lost", "file-missing"}};
  int seen = 0;
  for (const auto& version : fs::directory_iterator(stores)) {
    for (const auto& entry : fs::directory_iterator(version)) {
      if (!entry.is_directory()) continue;
      ++seen;
      const auto known = damaged.find(entry.path().filename());
      bool found = false;
      StoreCheckOptions options;
      options.deep = true;
      options.findings = [&](const verify::Finding& finding) {
        EXPECT_NE(known, damaged.end()) << finding.file << ": " << finding.what;
        if (known != damaged.end()) found |= known->second == finding.kind.code;
      };
      ASSERT_TRUE(check_store(posix_file_system(), entry.path(), options).has_value());
      EXPECT_EQ(found, known != damaged.end()) << entry.path();
    }
  }
  EXPECT_GE(seen, 12);
}

}  // namespace
}  // namespace tidemark::tools
