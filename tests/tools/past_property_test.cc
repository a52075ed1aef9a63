// Random histories against a model that keeps every state: everything that looks at the past or goes back to
// it, at random moments, with merges, restarts and crashes in between. (What power loss does to rewinds and
// forks is for tests/crash.)
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <map>
#include <optional>
#include <vector>

#include "engine/base/random.h"
#include "server/host/host.h"
#include "server/kv/keyspace.h"
#include "server/kv/keyspace_scan.h"
#include "server/kv/past_reader.h"
#include "server/kv/tuple_key.h"
#include "tests/server/kv/test_store.h"
#include "tools/admin.h"
#include "tools/line_sink.h"

namespace tidemark::tools {
namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

class Lines final : public LineSink {
 public:
  Status line(std::string_view text) override {
    all.emplace_back(text);
    return {};
  }
  Status progress(std::string_view) override { return {}; }
  std::vector<std::string> all;
};

struct Held {
  std::string value;
  std::string stamp;  // of its write
};
using State = std::map<std::string, Held>;
struct Point {
  std::string stamp;
  State state;
};
// All states of a database, the oldest first.
using History = std::vector<Point>;

bool same_values(const State& a, const State& b) {
  return std::ranges::equal(a, b, [](const auto& x, const auto& y) {
    return x.first == y.first && x.second.value == y.second.value;
  });
}

class PastProperty : public ::testing::TestWithParam<uint64_t> {
 protected:
  PastProperty() : random_(GetParam()), data_dir_(folder_ / "data") { open(); }
  ~PastProperty() override { close(); }

  void open() {
    engine_ = Engine::create({}, {});
    host::HostOptions options;
    options.data_dir = data_dir_;
    options.database.memtable_bytes = 8 << 10;
    options.database.segment_bytes = 8 << 10;
    options.database.block_bytes = 512;
    options.database.level1_bytes = 16 << 10;
    options.database.level0_compaction_trigger = 2;
    options.database.history_run_trigger = 2;
    options.database.retention = Retention::forever();
    auto host = host::Host::open(*engine_, options);
    ASSERT_TRUE(host.has_value()) << host.error().message;
    host_ = std::move(*host);
  }
  void close() {
    EXPECT_TRUE(host_->close().has_value());
    host_.reset();
    engine_.reset();
  }
  // As a process that was killed leaves it; with nothing under way, so that copying takes one moment.
  // (Databases that were dropped may be closing still: then once more.)
  void crash() {
    for (const auto& [name, history] : databases_)
      EXPECT_TRUE((*host_->open_and_wait(name))->database().wait_idle().has_value());
    const std::string left = folder_ / ("data" + std::to_string(++copies_));
    std::error_code error;
    for (int tries = 0; tries < 20; ++tries) {
      fs::copy(data_dir_, left, fs::copy_options::recursive, error);
      if (!error) break;
      fs::remove_all(left);
      system_clock().sleep_us(20'000);
    }
    ASSERT_FALSE(error) << error.message();
    close();
    fs::remove_all(data_dir_);
    data_dir_ = left;
    open();
  }

  json::object ask(std::string_view command, const json::object& arguments, Lines& lines) {
    const auto answer = Admin(*host_, "").run(command, json::serialize(arguments), lines);
    EXPECT_TRUE(answer.has_value()) << command << " " << json::serialize(arguments) << ": "
                                    << answer.error().message;
    return answer ? json::parse(*answer).as_object() : json::object();
  }
  json::object ask(std::string_view command, const json::object& arguments) {
    Lines lines;
    return ask(command, arguments, lines);
  }

  static std::string key(uint64_t i) {
    return kv::key_from_form(json::array{i % 2 == 0 ? "a" : "b", i}).value();
  }
  State read(const std::string& name, const std::string& stamp) {
    State state;
    const host::DatabaseRef hosted = *host_->open_and_wait(name);
    Database& database = hosted->database();
    const auto reader = kv::PastReader::open(database, *Versionstamp::from_hex(stamp));
    EXPECT_TRUE(reader.has_value()) << reader.error().message;
    if (!reader) return state;
    kv::KeyspaceScan scan(database, (*reader)->snapshot(), kv::part_range(kv::kUserPrefix));
    while (*scan.next())
      state[std::string(scan.key().substr(1))] = {std::string(kv::parse_stored_value(scan.value())->data),
                                                  scan.versionstamp().hex()};
    for (uint64_t i = 0; i < kKeys; ++i) {
      const auto found = (*reader)->get("u" + key(i));
      EXPECT_EQ(found->has_value(), state.contains(key(i)));
    }
    return state;
  }
  void expect_state(const std::string& name, const Point& point) {
    const State found = read(name, point.stamp);
    EXPECT_TRUE(same_values(found, point.state)) << name << " at " << point.stamp;
    for (const auto& [key, held] : point.state) {
      const auto it = found.find(key);
      EXPECT_TRUE(it != found.end() && it->second.stamp == held.stamp);
    }
  }
  std::string head_of(const std::string& name) {
    return (*host_->open_and_wait(name))->database().head().hex();
  }

  // --- the steps

  void write(const std::string& name, History& history) {
    State next = history.empty() ? State() : history.back().state;
    std::vector<std::string> written;
    const host::DatabaseRef hosted = *host_->open_and_wait(name);
    const CommitOutcome outcome =
        commit(hosted->database(), [&](Transaction& transaction) -> Result<CommitRequest::Decision> {
          for (uint64_t n = 1 + random_.below(4); n > 0; --n) {
            const std::string k = key(random_.below(kKeys));
            if (random_.one_in(4)) {
              transaction.erase("u" + k);
              next.erase(k);
            } else {
              const std::string value = std::to_string(++values_) + std::string(random_.below(200), 'v');
              std::string stored;
              kv::append_stored_value(stored, {kv::Encoding::kBytes, 0, value});
              transaction.put("u" + k, stored);
              next[k] = {value, transaction.versionstamp().hex()};
            }
          }
          return CommitRequest::Decision::kCommit;
        });
    ASSERT_TRUE(outcome.committed);
    history.push_back({outcome.versionstamp.hex(), next});
  }

  void list(const std::string& name, const History& history) {
    Lines lines;
    const uint64_t limit = 1 + random_.below(history.size() + 3);
    ask("pitr.list", {{"database", name}, {"limit", limit}}, lines);
    ASSERT_EQ(lines.all.size(), std::min<uint64_t>(limit, history.size()));
    for (size_t i = 0; i < lines.all.size(); ++i)
      EXPECT_EQ(lines.all[i].substr(0, 20), history[history.size() - 1 - i].stamp);
  }

  void diff(const std::string& name, const Point& from, const Point& to) {
    Lines lines;
    ask("pitr.diff", {{"database", name}, {"from", from.stamp}, {"to", to.stamp}}, lines);
    std::map<std::string, std::string> wanted, found;
    for (const auto& [key, held] : from.state)
      if (!to.state.contains(key)) wanted[key] = "removed";
    for (const auto& [key, held] : to.state) {
      const auto before = from.state.find(key);
      if (before == from.state.end())
        wanted[key] = "added";
      else if (before->second.value != held.value)
        wanted[key] = "changed";
    }
    for (size_t i = 1; i < lines.all.size(); ++i) {
      const json::value line = json::parse(lines.all[i]);
      const std::string k = kv::key_from_form(line.at("key")).value();
      found[k] = line.at("change").as_string();
    }
    EXPECT_EQ(found.size(), wanted.size());
    for (const auto& [key, change] : wanted) EXPECT_EQ(found[key], change);
  }

  // And perhaps takes it back.
  void rewind(const std::string& name, History& history, const Point target) {
    const std::string group = random_.one_in(3) ? "a" : "";
    json::object request = {{"database", name}, {"moment", target.stamp}};
    if (!group.empty()) request["prefix"] = "[\"" + group + "\"]";
    const Point before = history.back();
    const json::object done = ask("pitr.rewind", request);
    const auto in_group = [&](const std::string& key) {
      return group.empty() || key.starts_with(kv::key_from_form(json::array{group}).value());
    };
    State wanted;
    for (const auto& [key, held] : before.state)
      if (!in_group(key)) wanted[key] = held;
    for (const auto& [key, held] : target.state)
      if (in_group(key)) wanted[key] = held;
    ASSERT_EQ(done.at("before").at("versionstamp").as_string(), before.stamp);
    take_rewound(name, history, wanted);
    if (!random_.one_in(2)) return;
    ask("pitr.rewind", {{"database", name}, {"moment", before.stamp}});
    take_rewound(name, history, before.state);
  }
  void take_rewound(const std::string& name, History& history, const State& wanted) {
    const std::string head = head_of(name);
    if (head == history.back().stamp) {
      EXPECT_TRUE(same_values(history.back().state, wanted));  // there was nothing to do
      return;
    }
    const State found = read(name, head);
    EXPECT_TRUE(same_values(found, wanted)) << name;
    history.push_back({head, found});
  }

  void fork(const std::string& name, const History& history, size_t at) {
    const std::string forked = "fork" + std::to_string(++names_);
    ask("pitr.fork", {{"database", name}, {"moment", history[at].stamp}, {"newName", forked}});
    databases_[forked] = History(history.begin(), history.begin() + static_cast<ptrdiff_t>(at) + 1);
    expect_state(forked, databases_[forked].back());
  }

  void dump_and_load(const std::string& name, const Point& point) {
    Lines lines;
    json::object request = {{"database", name}, {"at", point.stamp}};
    if (random_.one_in(3)) request["history"] = true;
    ask("dump", request, lines);
    const std::string copy = made("load");
    json::array all(lines.all.begin(), lines.all.end());
    ask("load.batch", {{"database", copy}, {"firstLine", 1}, {"begins", true}, {"lines", all}});
    EXPECT_TRUE(same_values(read(copy, head_of(copy)), point.state)) << name << " at " << point.stamp;
    drop(copy);
  }

  void export_and_import(const std::string& name, const Point& point) {
    const std::string file = folder_ / "exported.sqlite";
    ask("export.sqlite", {{"database", name}, {"at", point.stamp}, {"file", file}});
    const std::string copy = made("import");
    ask("import.sqlite", {{"database", copy}, {"file", file}});
    fs::remove(file);
    const State found = read(copy, head_of(copy));
    EXPECT_TRUE(same_values(found, point.state)) << name << " at " << point.stamp;
    // SQLite has no room for the last two bytes.
    for (const auto& [key, held] : found)
      EXPECT_EQ(held.stamp.substr(0, 16), point.state.at(key).stamp.substr(0, 16));
    drop(copy);
  }

  void check_out(const std::string& name, const Point& point) {
    ask("pitr.checkout", {{"database", name}, {"moment", point.stamp}});
    EXPECT_EQ(ask("pitr.info", {{"database", name}}).at("current").at("versionstamp").as_string(),
              point.stamp);
    ask("pitr.checkout", {{"database", name}, {"moment", "latest"}});
  }

  std::string made(const std::string& kind) {
    const std::string name = kind + std::to_string(++names_);
    ask("db.create", {{"name", name}});
    return name;
  }
  void drop(const std::string& name) { ask("db.delete", {{"name", name}}); }

  void step() {
    const auto chosen =
        std::next(databases_.begin(), static_cast<ptrdiff_t>(random_.below(databases_.size())));
    const std::string name = chosen->first;
    History& history = chosen->second;
    if (history.empty() || random_.one_in(2)) return write(name, history);
    const Point any = history[random_.below(history.size())];
    switch (random_.below(12)) {
      case 0:
        return list(name, history);
      case 1:
        return diff(name, any, history[random_.below(history.size())]);
      case 2:
      case 3:
        return rewind(name, history, any);
      case 4:
        if (databases_.size() < 4) fork(name, history, random_.below(history.size()));
        return;
      case 5:
        return dump_and_load(name, any);
      case 6:
        return export_and_import(name, any);
      case 7:
        return check_out(name, any);
      case 8:
        ask("compact", {{"database", name}});
        return;
      case 9:
        EXPECT_TRUE((*host_->open_and_wait(name))->database().flush().has_value());
        return;
      case 10:
        if (random_.one_in(2)) return crash();
        close();
        return open();
      default:
        return expect_state(name, any);
    }
  }

  static constexpr uint64_t kKeys = 30;
  Random random_;
  test::TempFolder folder_;
  std::string data_dir_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<host::Host> host_;
  std::map<std::string, History> databases_ = {{"default", {}}};
  uint64_t values_ = 0;
  int copies_ = 0;
  int names_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Seeds, PastProperty, ::testing::Range(uint64_t{1}, uint64_t{6}));

TEST_P(PastProperty, EveryStateComesBack) {
  for (int i = 0; i < 200 && !HasFailure(); ++i) {
    SCOPED_TRACE("step " + std::to_string(i));
    step();
  }
  for (const auto& [name, history] : databases_)
    for (const Point& point : history)
      if (!HasFailure()) expect_state(name, point);
}

}  // namespace
}  // namespace tidemark::tools
