// Moving in from SQLite files and out again, on a database of its own.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <list>
#include <random>

#include "engine/io/posix_file_system.h"
#include "server/kv/keyspace.h"
#include "server/kv/keyspace_scan.h"
#include "server/kv/queue_message.h"
#include "tests/server/kv/test_store.h"
#include "tests/tools/sqlite_files.h"
#include "tools/sqlite_export.h"
#include "tools/sqlite_import.h"

namespace tidemark::tools {
namespace {

using test::SqliteTestFile;
using test::TestStore;

constexpr int64_t kNowMs = 1'700'000'000'000;  // as the store's clock has it
constexpr char kLe64[] = "\1\2\3\4\5\6\7\10";
const TransferProgress kSilent = [](const std::string&) -> Status { return {}; };

Result<SqliteImportCounts> import_file(const std::string& path, Database& database, int64_t now_ms = kNowMs) {
  TM_ASSIGN(const auto import, SqliteImport::open(path, kSilent));
  TM_TRY(import->verify());
  return import->run(database, now_ms);
}

Result<SqliteExportCounts> export_file(TestStore& store, const std::string& path,
                                       const TransferProgress& progress = kSilent) {
  Database& database = store.database();
  return export_sqlite(database, *database.pin_head(), kNowMs, posix_file_system(), path, progress);
}

// Everything that a part of the keyspace holds, a line each: key, versionstamp, value.
std::vector<std::string> engine_lines(Database& database, char prefix) {
  std::vector<std::string> out;
  const auto snapshot = database.pin_head();
  kv::KeyspaceScan scan(database, *snapshot, kv::part_range(prefix));
  for (;;) {
    const Result<bool> more = scan.next();
    EXPECT_TRUE(more.has_value()) << more.error().message;
    if (!more || !*more) return out;
    out.push_back(std::string(scan.key()) + " @" + scan.versionstamp().hex() + " " +
                  std::string(scan.value()));
  }
}

class SqliteTest : public ::testing::Test {
 protected:
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
      out.push_back(entry.path().filename());
    std::ranges::sort(out);
    return out;
  }

  // Refused with this, in one line that names the file, and nothing changed.
  void expect_refusal(const std::string& path, ErrorCode code, const std::string& part) {
    TestStore& store = untouched_;
    const Result<SqliteImportCounts> counts = import_file(path, store.database());
    ASSERT_FALSE(counts.has_value()) << part;
    EXPECT_EQ(counts.error().code, code) << counts.error().message;
    EXPECT_NE(counts.error().message.find(part), std::string::npos) << counts.error().message;
    EXPECT_NE(counts.error().message.find(path), std::string::npos) << counts.error().message;
    const bool plain =
        std::ranges::all_of(counts.error().message, [](char c) { return c >= ' ' && c <= '~'; });
    EXPECT_TRUE(plain && counts.error().message.size() < 500) << counts.error().message;
    EXPECT_EQ(store.database().head(), Versionstamp::min());
    EXPECT_TRUE(engine_lines(store.database(), kv::kUserPrefix).empty());
    EXPECT_EQ(store.count_engine_keys(kv::kExpiryPrefix), 0u);
  }
  // A file that has one thing that should not be there.
  void expect_refusal_of(const std::string& sql, ErrorCode code, const std::string& part) {
    SCOPED_TRACE(sql);
    const std::string path = folder_ / ("bad" + std::to_string(made_++));
    {
      SqliteTestFile file(path);
      file.make_schema();
      file.put("a", "fine", 3, 5);
      file.run(sql);
    }
    expect_refusal(path, code, part);
  }

  test::TempFolder folder_;
  TestStore untouched_;
  int made_ = 0;
};

TEST_F(SqliteTest, KeepsEverything) {
  const std::string path = folder_ / "kv.sqlite";
  {
    SqliteTestFile file(path);
    file.make_schema();
    file.put("", "key of no bytes", 3, 1);
    file.put("le64", kLe64, 2, 2);
    file.put("v8", "\xff\x0f\"\x01x", 1, 300);
    file.put("empty", "", 3, 4);
    file.put("later", "x", 3, 5, kNowMs + 1);
    file.put("much later", "y", 1, 6, kNowMs + 1'000'000);
    file.put("now", "z", 3, 7, kNowMs);
    file.put("before", "z", 3, 8, 1);
    file.put("at the beginning", "z", 3, 8, 0);
    file.put(std::string(2070, 'k'), std::string(70'000, 'v'), 3, 9);
    file.run("insert into queue values (?, ?, ?, ?, ?)",
             {"#50", "$b", "second", "$[100,1000]", "$[[1,2,255],[]]"});
    file.run("insert into queue values (?, ?, ?, ?, ?)", {"#-5", "$c", "first", "$null", "$[]"});
    file.run("insert into queue_running values (?, ?, ?, ?, ?)", {"#50", "$a", "running", "$[]", "$"});
    file.run("update data_version set version = 1000");
  }
  ASSERT_EQ(names(), std::vector<std::string>({"kv.sqlite"}));
  TestStore store;
  const auto counts = import_file(path, store.database());
  ASSERT_TRUE(counts.has_value()) << counts.error().message;
  EXPECT_EQ(names(), std::vector<std::string>({"kv.sqlite"}));
  EXPECT_EQ(counts->entries, 7u);
  EXPECT_EQ(counts->expired, 3u);
  EXPECT_EQ(counts->expiring, 2u);
  EXPECT_EQ(counts->messages, 3u);
  EXPECT_EQ(counts->being_delivered, 1u);
  EXPECT_EQ(counts->earliest_expiry_ms, kNowMs + 1);
  EXPECT_EQ(counts->head, (Versionstamp{1000, 0}));

  for (const bool reopened : {false, true}) {
    SCOPED_TRACE(reopened);
    if (reopened) store.reopen();
    EXPECT_EQ(store.database().head(), (Versionstamp{1000, 0}));
    EXPECT_EQ(store.database().horizon(), (Versionstamp{1000, 0}));
    EXPECT_EQ(engine_lines(store.database(), kv::kUserPrefix).size(), 7u);
    const auto expect = [&](const std::string& key, const std::string& data, kv::Encoding encoding,
                            uint64_t version) {
      const auto entry = store.get(key);
      ASSERT_TRUE(entry.has_value()) << key;
      EXPECT_EQ(entry->data, data);
      EXPECT_EQ(entry->encoding, encoding);
      EXPECT_EQ(entry->versionstamp, (Versionstamp{version, 0}));
    };
    expect("", "key of no bytes", kv::Encoding::kBytes, 1);
    expect("le64", kLe64, kv::Encoding::kLe64, 2);
    expect("v8", "\xff\x0f\"\x01x", kv::Encoding::kV8, 300);
    expect("empty", "", kv::Encoding::kBytes, 4);
    expect("later", "x", kv::Encoding::kBytes, 5);
    expect("much later", "y", kv::Encoding::kV8, 6);
    EXPECT_FALSE(store.get("now").has_value());

    const std::vector<std::string> queued = engine_lines(store.database(), kv::kQueuePrefix);
    ASSERT_EQ(queued.size(), 3u);
    std::vector<std::string> payloads;
    for (const std::string& line : queued) {
      const auto key = kv::parse_queue_key(std::string_view(line).substr(0, kv::kQueueKeyBytes));
      ASSERT_TRUE(key.has_value());
      EXPECT_EQ(key->enqueued, (Versionstamp{1000, 0}));
      EXPECT_EQ(key->index, payloads.size());
      EXPECT_EQ(key->deliver_at_ms, payloads.empty() ? 0 : 50);
      const auto message = kv::parse_queue_message(
          std::string_view(line).substr(kv::kQueueKeyBytes + 2 + 2 * Versionstamp::kBytes + 1));
      ASSERT_TRUE(message.has_value()) << message.error().message;
      payloads.emplace_back(message->payload);
      if (message->payload == "second") {
        EXPECT_EQ(message->backoff_schedule_ms, (std::vector<uint32_t>{100, 1000}));
        EXPECT_EQ(message->keys_if_undelivered, (std::vector<std::string_view>{"\1\2\xff", ""}));
      } else {
        EXPECT_TRUE(message->backoff_schedule_ms.empty() && message->keys_if_undelivered.empty());
      }
    }
    EXPECT_EQ(payloads, (std::vector<std::string>{"first", "running", "second"}));
  }

  // The index makes the sweep delete what expires.
  store.clock().set_ms(kNowMs + 2'000'000);
  EXPECT_TRUE(test::polled_until([&] { store.store().expiry().poll(nullptr); },
                                 [&] { return store.count_engine_keys(kv::kExpiryPrefix) == 0; }));
  EXPECT_EQ(engine_lines(store.database(), kv::kUserPrefix).size(), 5u);
  // Commits go on above.
  EXPECT_GT(store.set("new", "x"), (Versionstamp{1000, 0}));
}

TEST_F(SqliteTest, ManyEntriesOutAndInAgain) {
  constexpr int kEntries = 100'000;
  const std::string path = folder_ / "kv.sqlite", out = folder_ / "out.sqlite";
  std::mt19937_64 random(5);
  {
    SqliteTestFile file(path);
    file.make_schema();
    file.run("begin");
    for (int i = 0; i < kEntries; ++i) {
      const uint64_t r = random();
      std::string key(reinterpret_cast<const char*>(&r), sizeof r);
      key += std::to_string(i);
      const int encoding = 1 + static_cast<int>(r % 3);
      const size_t size = encoding == 2 ? 8 : i % 5000 == 0 ? 65536 : r % 100;
      file.put(key, std::string(size, static_cast<char>(r)), encoding,
               1 + static_cast<int64_t>(r % 1'000'000),
               i % 7 == 0 ? kNowMs + 1 + static_cast<int64_t>(r % 100'000) : -1);
    }
    for (int i = 0; i < 1000; ++i) {
      file.run("insert into queue values (?, ?, ?, ?, ?)",
               {"#" + std::to_string(random() % 500), "$" + std::to_string(i), std::string(i, 'p'), "$[1,2]",
                "$[[1]]"});
    }
    file.run("commit; update data_version set version = 1000000");
  }
  TestStore store;
  const auto counts = import_file(path, store.database());
  ASSERT_TRUE(counts.has_value()) << counts.error().message;
  EXPECT_EQ(counts->entries, static_cast<uint64_t>(kEntries));

  const auto exported = export_file(store, out);
  ASSERT_TRUE(exported.has_value()) << exported.error().message;
  EXPECT_EQ(exported->entries, counts->entries);
  EXPECT_EQ(exported->bytes, counts->bytes);
  EXPECT_EQ(exported->messages, 1000u);
  EXPECT_EQ(exported->cut_versionstamps, 0u);
  EXPECT_EQ(exported->file_bytes, std::filesystem::file_size(out));
  EXPECT_EQ(names(), std::vector<std::string>({"kv.sqlite", "out.sqlite"}));
  {
    SqliteTestFile before(path, false), after(out, false);
    const auto same = [&](const std::string& sql) { EXPECT_EQ(before.rows(sql), after.rows(sql)) << sql; };
    same("select k, v, v_encoding, version, seq, expiration_ms from kv order by k");
    same("select ts, data, backoff_schedule, keys_if_undelivered from queue order by 1, 2");
    same("select * from data_version");
    same("select * from migration_state");
    for (const char* table : {"migration_state", "data_version", "kv", "queue", "queue_running"})
      same("select name, type, \"notnull\", dflt_value, pk from pragma_table_info('" + std::string(table) +
           "')");
    same("select name, tbl_name from sqlite_schema where type = 'index' and sql is not null");
    same("pragma integrity_check");
  }

  TestStore again;
  ASSERT_TRUE(import_file(out, again.database()).has_value());
  for (const char prefix : {kv::kUserPrefix, kv::kExpiryPrefix}) {
    EXPECT_EQ(engine_lines(store.database(), prefix), engine_lines(again.database(), prefix));
  }
  EXPECT_EQ(again.count_engine_keys(kv::kQueuePrefix), 1000u);
  EXPECT_EQ(again.database().head(), store.database().head());
}

TEST_F(SqliteTest, OlderSchemasAndWhatTimeTravelLeaves) {
  for (const int version : {1, 2}) {
    const std::string path = folder_ / ("v" + std::to_string(version));
    {
      SqliteTestFile file(path);
      file.make_schema(version);
      file.run("insert into kv values (x'6b', x'76', 3, 9)");
    }
    TestStore store;
    const auto counts = import_file(path, store.database());
    ASSERT_TRUE(counts.has_value()) << counts.error().message;
    EXPECT_EQ(counts->entries, 1u);
    // The entry's version is the newest that there is.
    EXPECT_EQ(store.database().head(), (Versionstamp{9, 0}));
  }
  const std::string path = folder_ / "checked-out";
  {
    SqliteTestFile file(path);
    file.run(
        "create view migration_state as select 0 as k, 3 as version;"
        "create table data_version (k integer primary key, version integer not null, seq integer);"
        "insert into data_version values (0, 7, 0);"
        "create table kv_snapshot (k blob primary key, v blob not null, v_encoding integer not null, "
        "version integer not null, seq integer not null default 0, expiration_ms integer not null default "
        "-1) "
        "without rowid;"
        "create view kv as select k, v, v_encoding, version, seq, expiration_ms from kv_snapshot;"
        "insert into kv_snapshot values (x'62', x'01', 3, 7, 0, 1800000000000), (x'61', x'02', 3, 6, 0, -1)");
  }
  TestStore store;
  const auto counts = import_file(path, store.database());
  ASSERT_TRUE(counts.has_value()) << counts.error().message;
  EXPECT_EQ(counts->entries, 2u);
  EXPECT_EQ(counts->expiring, 1u);
  EXPECT_EQ(store.count_engine_keys(kv::kExpiryPrefix), 1u);
}

TEST_F(SqliteTest, AnEmptyFileOfDenoLeavesTheDatabaseUsable) {
  const std::string path = folder_ / "kv.sqlite";
  {
    SqliteTestFile file(path);
    file.make_schema();
  }
  TestStore store;
  const auto counts = import_file(path, store.database());
  ASSERT_TRUE(counts.has_value()) << counts.error().message;
  EXPECT_EQ(counts->entries + counts->messages, 0u);
  EXPECT_EQ(counts->head, Versionstamp::min());
  store.set("a", "b");
  store.reopen();
  ASSERT_TRUE(store.database().compact().has_value());
  EXPECT_EQ(store.get("a")->data, "b");
}

TEST_F(SqliteTest, ReadsTheWalOfAFileInUseAndOfOneThatWasLeft) {
  const std::string path = folder_ / "kv.sqlite";
  SqliteTestFile file(path);
  file.make_schema();
  file.run("pragma wal_checkpoint(truncate)");
  file.put("in the log", "x", 3, 5);
  std::filesystem::create_directory(folder_ / "left");
  for (const char* suffix : {"", "-wal"})
    std::filesystem::copy_file(path + suffix, folder_ / (std::string("left/kv.sqlite") + suffix));
  file.run("begin immediate");
  file.put("not committed", "x", 3, 6);
  for (const std::string& each : {path, folder_ / "left/kv.sqlite"}) {
    TestStore store;
    const auto counts = import_file(each, store.database());
    ASSERT_TRUE(counts.has_value()) << counts.error().message;
    EXPECT_EQ(counts->entries, 1u);
    EXPECT_EQ(store.get("in the log")->data, "x");
  }
  file.run("commit");
  EXPECT_EQ(file.rows("select count(*) from kv"), std::vector<std::string>({"#2"}));
}

TEST_F(SqliteTest, WhatIsWrittenWhileItIsReadIsRefusedOrNotSeen) {
  const std::string path = folder_ / "kv.sqlite";
  {
    SqliteTestFile file(path);
    file.make_schema();
    file.put("a", "x", 3, 5);
  }
  // Nobody uses it: it is read without locks.
  {
    TestStore store;
    const auto import = SqliteImport::open(path, kSilent);
    ASSERT_TRUE(import.has_value());
    SqliteTestFile file(path);
    file.put("b", "x", 3, 6);
    const auto counts = (*import)->run(store.database(), kNowMs);
    ASSERT_FALSE(counts.has_value());
    EXPECT_EQ(counts.error().code, ErrorCode::kLocked) << counts.error().message;
    EXPECT_EQ(store.database().head(), Versionstamp::min());
  }
  // Somebody does: what is read is one moment.
  SqliteTestFile file(path);
  file.put("c", "x", 3, 7);
  TestStore store;
  const auto import = SqliteImport::open(path, kSilent);
  ASSERT_TRUE(import.has_value());
  file.put("d", "x", 3, 8);
  const auto counts = (*import)->run(store.database(), kNowMs);
  ASSERT_TRUE(counts.has_value()) << counts.error().message;
  EXPECT_EQ(counts->entries, 3u);
  EXPECT_FALSE(store.get("d").has_value());
}

TEST_F(SqliteTest, AFileThatIsLocked) {
  const std::string path = folder_ / "kv.sqlite";
  SqliteTestFile file(path, false);
  file.make_schema();
  file.run("begin exclusive");
  expect_refusal(path, ErrorCode::kLocked, "in use");
  file.run("rollback");
}

TEST_F(SqliteTest, FilesThatAreNone) {
  expect_refusal(folder_ / "missing", ErrorCode::kInvalidArgument, "No such file");
  std::filesystem::create_directory(folder_ / "folder");
  expect_refusal(folder_ / "folder", ErrorCode::kInvalidArgument, "no file");
  std::ofstream(folder_ / "empty");
  expect_refusal(folder_ / "empty", ErrorCode::kInvalidArgument, "empty");
  std::ofstream(folder_ / "text") << std::string(10'000, 'x');
  expect_refusal(folder_ / "text", ErrorCode::kInvalidArgument, "no SQLite file");
  std::ofstream(folder_ / "short") << "SQLite format 3";
  expect_refusal(folder_ / "short", ErrorCode::kInvalidArgument, "no SQLite file");
  {
    SqliteTestFile(folder_ / "other").run("create table t (a)");
  }
  expect_refusal(folder_ / "other", ErrorCode::kInvalidArgument, "lacks the tables");
  {
    SqliteTestFile(folder_ / "half").run("create table kv (a); create table data_version (k, version)");
  }
  expect_refusal(folder_ / "half", ErrorCode::kInvalidArgument, "lacks the tables");
  expect_refusal_of("update migration_state set version = 4", ErrorCode::kNewerFormat, "version 4");
}

TEST_F(SqliteTest, FilesWithWhatCannotBe) {
  const auto kv = [](const std::string& values) {
    return "insert into kv (k, v, v_encoding, version, expiration_ms) values (" + values + ")";
  };
  const ErrorCode damage = ErrorCode::kCorruption;
  expect_refusal_of(kv("x'01', x'00', 4, 1, -1"), damage, "encoding 4");
  expect_refusal_of(kv("x'01', x'00', 0, 1, -1"), damage, "encoding 0");
  expect_refusal_of(kv("x'01', x'00', -253, 1, -1"), damage, "encoding");
  expect_refusal_of(kv("x'01', x'00', 2, 1, -1"), damage, "KvU64");
  expect_refusal_of(kv("x'01', x'00', 1, 0, -1"), damage, "version 0");
  expect_refusal_of(kv("x'01', x'00', 1, -7, -1"), damage, "version -7");
  expect_refusal_of(kv("'text', x'00', 1, 1, -1"), damage, "type");
  expect_refusal_of(kv("x'01', 'text', 1, 1, -1"), damage, "type");
  expect_refusal_of(kv("x'01', x'00', 'x', 1, -1"), damage, "type");
  expect_refusal_of(kv("x'01', x'00', 1, 1, 'x'"), damage, "type");
  expect_refusal_of(kv("zeroblob(2071), x'00', 1, 1, -1"), damage, "2071 bytes");
  expect_refusal_of(kv("zeroblob(70000), x'00', 1, 1, 1800000000000"), damage, "70009 bytes");
  expect_refusal_of(kv("x'01', zeroblob(67108865), 1, 1, -1"), ErrorCode::kInvalidArgument, "64 MiB");
  for (const char* bad : {"'[1.5]', '[]'", "'[-1]', '[]'", "'[4294967296]', '[]'", "'[', '[]'", "'{}', '[]'",
                          "'[]', '[1]'", "'[]', '[[256]]'", "'[]', '[[1]'", "'[]', '\"x\"'", "1, '[]'"}) {
    expect_refusal_of("insert into queue values (1, 'id', x'00', " + std::string(bad) + ")", damage,
                      "message id");
  }
  expect_refusal_of("insert into queue values (1, cast(x'0aff' || zeroblob(5000) as text), x'00', '[', '[]')",
                    damage, "message");
  expect_refusal_of("insert into queue values ('x', 'id', x'00', '[]', '[]')", damage, "type");
}

// Whatever bytes of a file are changed: it is taken as a whole, or refused, and nothing crashes.
TEST_F(SqliteTest, DamagedFiles) {
  const std::string path = folder_ / "kv.sqlite", bad = folder_ / "bad.sqlite";
  {
    SqliteTestFile file(path);
    file.make_schema();
    for (int i = 0; i < 400; ++i)
      file.put("key " + std::to_string(i * 7919 % 400), std::string(i % 60 == 0 ? 9000 : 40, 'v'), 3, 1 + i,
               i % 3 == 0 ? kNowMs + i + 1 : -1);
  }
  std::ifstream in(path, std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(in)), {});
  std::mt19937_64 random(11);
  int refused = 0;
  std::list<TestStore> stores(1);
  const auto attempt = [&](const std::string& bytes) {
    std::ofstream(bad, std::ios::binary | std::ios::trunc) << bytes;
    auto& store = stores.back();
    const auto counts = import_file(bad, store.database());
    if (counts) {
      stores.emplace_back();
      return;
    }
    ++refused;
    EXPECT_EQ(counts.error().message.find('\n'), std::string::npos) << counts.error().message;
    EXPECT_EQ(store.database().head(), Versionstamp::min());
  };
  for (int i = 0; i < 60; ++i) {
    std::string bytes = whole;
    const size_t page = random() % (bytes.size() / 4096);
    for (int j = 0; j < 8; ++j)
      bytes[page * 4096 + random() % (i % 2 == 0 ? 64 : 4096)] = static_cast<char>(random());
    attempt(bytes);
  }
  for (size_t page = 0; page * 4096 < whole.size(); ++page) {
    attempt(whole.substr(0, page * 4096 + 100));
    std::string bytes = whole;
    std::fill_n(bytes.begin() + static_cast<int64_t>(page * 4096), 4096, '\0');
    attempt(bytes);
  }
  EXPECT_GT(refused, 50);
}

TEST_F(SqliteTest, OnlyADatabaseThatWasNeverWrittenTo) {
  const std::string path = folder_ / "kv.sqlite";
  {
    SqliteTestFile file(path);
    file.make_schema();
    // Above whatever this machine's clock gives.
    file.put("a", "x", 3, int64_t{100} << 56);
  }
  TestStore store;
  const auto import = SqliteImport::open(path, kSilent);
  ASSERT_TRUE(import.has_value());
  EXPECT_TRUE(check_never_written(store.database(), "x").has_value());
  // A client comes while the file is being read.
  const Versionstamp written = store.set("mine", "1");
  EXPECT_FALSE(check_never_written(store.database(), "x").has_value());
  const auto counts = (*import)->run(store.database(), kNowMs);
  ASSERT_FALSE(counts.has_value());
  EXPECT_EQ(counts.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(store.database().head(), written);
  EXPECT_EQ(engine_lines(store.database(), kv::kUserPrefix).size(), 1u);
}

TEST_F(SqliteTest, GivesUpWhenAsked) {
  const std::string path = folder_ / "kv.sqlite", out = folder_ / "out.sqlite";
  {
    SqliteTestFile file(path);
    file.make_schema();
    file.run("begin");
    for (int i = 0; i < 20'000; ++i) file.put(std::to_string(i), "x", 3, 1 + i);
    file.run("commit");
  }
  const TransferProgress stop = [](const std::string&) { return Status(fail(ErrorCode::kShutdown, "stop")); };
  TestStore store;
  const auto import = SqliteImport::open(path, stop);
  ASSERT_TRUE(import.has_value());
  const auto counts = (*import)->run(store.database(), kNowMs);
  ASSERT_FALSE(counts.has_value());
  EXPECT_EQ(counts.error().code, ErrorCode::kShutdown) << counts.error().message;
  EXPECT_EQ(store.database().head(), Versionstamp::min());

  ASSERT_TRUE(import_file(path, store.database()).has_value());
  const auto exported = export_file(store, out, stop);
  ASSERT_FALSE(exported.has_value());
  EXPECT_EQ(exported.error().code, ErrorCode::kShutdown);
  EXPECT_EQ(names(), std::vector<std::string>({"kv.sqlite"}));
}

TEST_F(SqliteTest, ExportOfThePast) {
  TestStore store;
  store.write({{}, {test::set_mutation("a", "old")}, {}});
  kv::Mutation expiring = test::set_mutation("gone", "x");
  expiring.expire_at_ms = kNowMs - 1;
  store.write({{}, {expiring}, {}});
  const Versionstamp then = store.set("b", "1");
  store.set("a", "new");
  store.erase("b");
  const auto pinned = store.database().pin(then);
  ASSERT_TRUE(pinned.has_value());
  const auto counts =
      export_sqlite(store.database(), **pinned, kNowMs, posix_file_system(), folder_ / "past", kSilent);
  ASSERT_TRUE(counts.has_value()) << counts.error().message;
  EXPECT_EQ(counts->entries, 2u);
  EXPECT_EQ(counts->expired, 1u);
  EXPECT_EQ(SqliteTestFile(folder_ / "past", false).rows("select k, v from kv"),
            (std::vector<std::string>{"a|old", "b|1"}));
  EXPECT_EQ(SqliteTestFile(folder_ / "past", false).rows("select version from data_version"),
            (std::vector<std::string>{"#" + std::to_string(then.number)}));
}

TEST_F(SqliteTest, VersionstampsThatASqliteFileHasNoRoomFor) {
  TestStore store;
  const auto ingest = store.database().begin_ingest();
  const std::string stored = "\3x";
  ASSERT_TRUE(ingest->add("ua", {5, 0}, stored).has_value());
  ASSERT_TRUE(ingest->add("ub", {5, 7}, stored).has_value());
  ASSERT_TRUE(ingest->publish({{6, 1}, kNowMs}).committed);
  const auto counts = export_file(store, folder_ / "cut");
  ASSERT_TRUE(counts.has_value()) << counts.error().message;
  EXPECT_EQ(counts->cut_versionstamps, 1u);
  EXPECT_EQ(SqliteTestFile(folder_ / "cut", false).rows("select k, version from kv"),
            (std::vector<std::string>{"a|#5", "b|#5"}));

  const auto more = store.database().begin_ingest();
  ASSERT_TRUE(more->add("uc", {uint64_t{1} << 63, 0}, stored).has_value());
  ASSERT_TRUE(more->publish({{uint64_t{1} << 63, 0}, kNowMs}).committed);
  const auto refused = export_file(store, folder_ / "large");
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "large"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "large.partial"));
}

TEST_F(SqliteTest, ExportTouchesNoFileThatIsThere) {
  TestStore store;
  store.set("a", "1");
  const auto refused = [&](const std::string& path, ErrorCode code) {
    const auto counts = export_file(store, path);
    ASSERT_FALSE(counts.has_value()) << path;
    EXPECT_EQ(counts.error().code, code) << counts.error().message;
    EXPECT_NE(counts.error().message.find(path), std::string::npos) << counts.error().message;
  };
  std::ofstream(folder_ / "there") << "letter";
  refused(folder_ / "there", ErrorCode::kInvalidArgument);
  EXPECT_EQ(std::filesystem::file_size(folder_ / "there"), 6u);
  std::ofstream(folder_ / "other.partial") << "letter";
  refused(folder_ / "other", ErrorCode::kInvalidArgument);
  EXPECT_EQ(std::filesystem::file_size(folder_ / "other.partial"), 6u);
  refused(folder_ / "no-folder/file", ErrorCode::kIo);
  EXPECT_EQ(names(), (std::vector<std::string>{"other.partial", "there"}));
  // Names that mean something in a URI.
  ASSERT_TRUE(export_file(store, folder_ / "a?mode=ro#%41.sqlite").has_value());
  TestStore again;
  EXPECT_TRUE(import_file(folder_ / "a?mode=ro#%41.sqlite", again.database()).has_value());
}

}  // namespace
}  // namespace tidemark::tools
