// Makes the golden stores of this build's format version: run by hand when there is a new version, never to
// make an old one anew.
//
//     build/test/tests/golden/make_golden tests/golden/stores/v1
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <vector>

#include "engine/base/check.h"
#include "engine/database.h"
#include "server/host/host.h"
#include "tests/golden/describe.h"

namespace tidemark::golden {
namespace {

namespace fs = std::filesystem;

void put(Database& database, int from, int to) {
  for (int i = from; i < to; ++i) {
    const CommitOutcome outcome = commit(database, [&](Transaction& t) -> Result<CommitRequest::Decision> {
      const std::string key = "key" + std::to_string(i % 6);
      if (i % 5 == 4)
        t.erase(key);
      else
        t.put(key, "value" + std::to_string(i) + std::string(static_cast<size_t>(i % 3) * 20, 'x'));
      t.put("count", std::to_string(i));
      return CommitRequest::Decision::kCommit;
    });
    TM_CHECK(outcome.committed);
  }
}

// Live and history segments, change files, and commits that are in the log alone. `closed`: in good order;
// otherwise as it is found after a kill.
void make_database(const std::string& dir, bool closed) {
  const auto engine = Engine::create({});
  const std::string live = dir + ".live";
  DatabaseOptions options;
  options.retention = Retention::forever();
  {
    auto opened = Database::open(*engine, live, options);
    TM_CHECK(opened.has_value());
    put(**opened, 0, 12);
    TM_CHECK((*opened)->flush().has_value());
    put(**opened, 12, 20);
    TM_CHECK((*opened)->compact().has_value());
    const auto ingest = (*opened)->begin_ingest();
    const uint64_t base = (*opened)->head().number + 1000;
    for (const char* key : {"ingested1", "ingested2"}) {
      TM_CHECK(ingest->add(key, {base + 1, 7}, "new").has_value());
      TM_CHECK(ingest->add(key, {base, 7}, "old").has_value());
    }
    TM_CHECK(ingest->publish({{base + 2, 0}, (*opened)->head_timestamp_ms() + 1}).committed);
    put(**opened, 20, 26);
    if (!closed) fs::copy(live, dir);
  }
  if (closed) fs::copy(live, dir);
  fs::remove_all(live);
}

// Shares segments beneath a ceiling, and has gone its own way since, in segments and in the log.
void make_fork(const std::string& dir) {
  const auto engine = Engine::create({});
  const std::string base = dir + ".base";
  DatabaseOptions options;
  options.retention = Retention::forever();
  {
    auto opened = Database::open(*engine, base, options);
    TM_CHECK(opened.has_value());
    put(**opened, 0, 12);
    TM_CHECK((*opened)->compact().has_value());
    put(**opened, 12, 18);
    const Versionstamp at = (*opened)->head();
    put(**opened, 18, 24);
    TM_CHECK((*opened)->fork(dir + ".live", at).has_value());
  }
  {
    auto opened = Database::open(*engine, dir + ".live", options);
    TM_CHECK(opened.has_value());
    put(**opened, 30, 34);
    TM_CHECK((*opened)->flush().has_value());
    put(**opened, 34, 37);
    fs::copy(dir + ".live", dir);
  }
  fs::remove_all(base);
  fs::remove_all(dir + ".live");
}

void edit(const std::string& path, const std::function<void(std::string&)>& change) {
  std::ifstream in(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  in.close();
  change(bytes);
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

std::string first_file(const std::string& dir, const std::string& start, const std::string& end) {
  std::string found;
  for (const auto& entry : fs::directory_iterator(dir)) {
    const std::string name = entry.path().filename();
    if (name.starts_with(start) && name.ends_with(end) && (found.empty() || name < found)) found = name;
  }
  TM_CHECK(!found.empty());
  return dir + "/" + found;
}

void make_damaged(const std::string& to, const std::string& name, const std::string& start,
                  const std::string& end, const std::function<void(std::string&)>& damage) {
  const std::string dir = to + "/database-" + name;
  fs::copy(to + "/database-closed", dir);
  edit(first_file(dir, start, end), damage);
}

void make_store(const std::string& dir) {
  const auto engine = Engine::create({});
  host::HostOptions options;
  options.data_dir = dir;
  options.access_token = "the token of the golden store";
  auto opened = host::Host::open(*engine, options);
  TM_CHECK(opened.has_value());
  host::Host& host = **opened;
  TM_CHECK(host.create_database("orders").has_value() && host.create_database("gone").has_value());
  TM_CHECK(host.delete_database("gone").has_value());
  TM_CHECK(host.create_token({{"orders"}, false, host::Rights::kReadOnly, "a label"}).has_value());
  TM_CHECK(host.create_token({{}, true, host::Rights::kReadWrite, ""}).has_value());
  host::DatabaseRef database = host.find("default");
  struct Write final : kv::WriteRequest {
    using kv::WriteRequest::WriteRequest;
    void answer(const CommitOutcome& outcome) override { committed = outcome.committed ? 1 : 2; }
    std::atomic<int> committed = 0;
  };
  const auto write = [&](const kv::AtomicWrite& atomic) {
    auto plan = database->store().plan(atomic);
    TM_CHECK(plan.has_value());
    Write request(std::move(*plan));
    database->store().submit(request);
    while (request.committed == 0) system_clock().sleep_us(100);
    TM_CHECK(request.committed == 1);
  };
  const auto mutation = [](std::string_view key, std::string_view data, kv::Encoding encoding,
                           int64_t expire_at_ms = 0) {
    kv::Mutation out{kv::MutationType::kSet, key, kv::Mutation::Value{data, static_cast<int32_t>(encoding)}};
    out.expire_at_ms = expire_at_ms;
    return out;
  };
  const std::vector<kv::Mutation> mutations = {
      mutation("raw", "bytes", kv::Encoding::kBytes),
      mutation("sum", std::string_view("\x07\0\0\0\0\0\0\0", 8), kv::Encoding::kLe64),
      mutation("v8",
               "\xff\x0f\"\x03"
               "abc",
               kv::Encoding::kV8),
      mutation("expires", "late", kv::Encoding::kBytes, int64_t{4'000'000'000'000})};
  write(kv::AtomicWrite{.checks = {}, .mutations = mutations, .enqueues = {}});
  kv::Enqueue enqueue;
  enqueue.payload = "payload";
  enqueue.keys_if_undelivered = {"dead"};
  enqueue.backoff_schedule_ms = {100, 1000};
  write(kv::AtomicWrite{.checks = {}, .mutations = {}, .enqueues = {enqueue}});
  database.reset();
  TM_CHECK(host.close().has_value());
}

void write_description(const std::string& dir, const std::string& text) {
  std::ofstream(dir + ".txt", std::ios::binary) << text;
}

std::string described(const std::string& dir,
                      const std::function<std::string(const std::string&)>& describe) {
  const std::string copy = dir + ".copy";
  fs::copy(dir, copy, fs::copy_options::recursive);
  std::string text = describe(copy);
  fs::remove_all(copy);
  return text;
}

void make_stores(const std::string& to) {
  TM_CHECK(!fs::exists(to));
  fs::create_directories(to);
  make_database(to + "/database-closed", true);
  make_database(to + "/database-killed", false);
  make_fork(to + "/database-fork");
  const auto flip = [](uint64_t at) {
    return [at](std::string& bytes) { bytes.at(at) = static_cast<char>(bytes.at(at) ^ 0x10); };
  };
  make_damaged(to, "current-flipped", "CURRENT", "", flip(33));
  make_damaged(to, "current-newer", "CURRENT", "", [](std::string& bytes) { bytes[8] = 2; });
  make_damaged(to, "manifest-flipped", "MANIFEST", "", flip(140));
  make_damaged(to, "manifest-emptied", "MANIFEST", "", [](std::string& bytes) { bytes.clear(); });
  make_damaged(to, "log-flipped", "", ".wal", flip(100));
  make_damaged(to, "segment-flipped", "", ".seg", flip(50));
  make_damaged(to, "segment-cut", "", ".seg", [](std::string& bytes) { bytes.resize(bytes.size() / 2); });
  make_damaged(to, "changes-flipped", "", ".chg", flip(45));
  fs::copy(to + "/database-closed", to + "/database-segment-lost");
  fs::remove(first_file(to + "/database-segment-lost", "", ".seg"));
  make_store(to + "/store");
  for (const auto& entry : fs::directory_iterator(to)) {
    if (!entry.is_directory()) continue;
    const std::string dir = entry.path();
    write_description(
        dir, described(dir, entry.path().filename() == "store" ? describe_store : describe_database));
  }
}

}  // namespace
}  // namespace tidemark::golden

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_golden FOLDER, which must not exist\n");
    return 2;
  }
  tidemark::golden::make_stores(argv[1]);
}
