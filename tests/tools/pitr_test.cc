// `tidemark pitr` on stores that are being served and on stores that are not.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <map>
#include <optional>

#include "engine/base/random.h"
#include "server/host/host.h"
#include "server/kv/keyspace.h"
#include "server/kv/keyspace_scan.h"
#include "server/kv/past_reader.h"
#include "tests/server/kv/test_store.h"
#include "tools/admin.h"
#include "tools/admin_socket.h"
#include "tools/line_sink.h"
#include "tools/store_access.h"

namespace tidemark::tools {
namespace {

namespace json = boost::json;

class Lines final : public LineSink {
 public:
  Status line(std::string_view text) override {
    if (all.size() == limit) return fail(ErrorCode::kShutdown, "enough");
    all.emplace_back(text);
    return {};
  }
  Status progress(std::string_view) override { return {}; }
  std::vector<std::string> all;
  size_t limit = SIZE_MAX;
};

using State = std::map<std::string, std::string>;

// Commands go to the host itself, or through its socket.
class PitrTest : public ::testing::TestWithParam<bool> {
 protected:
  PitrTest() : data_dir_(folder_ / "data") { open({}); }
  ~PitrTest() override { close(); }

  void open(host::HostOptions options) {
    engine_ = Engine::create({}, {});
    options.data_dir = data_dir_;
    options.database.memtable_bytes = 16 << 10;
    auto host = host::Host::open(*engine_, options);
    ASSERT_TRUE(host.has_value()) << host.error().message;
    host_ = std::move(*host);
    if (!GetParam()) return;
    auto server = AdminServer::start(*host_, data_dir_, "", {}, {});
    ASSERT_TRUE(server.has_value());
    server_ = std::move(*server);
  }
  void close() {
    server_.reset();
    const Status closed = host_ != nullptr ? host_->close() : Status();
    EXPECT_TRUE(closed.has_value());
    host_.reset();
    engine_.reset();
  }

  Result<json::object> ask(std::string_view command, const json::object& arguments) {
    Lines lines;
    return ask(command, arguments, lines);
  }
  Result<json::object> ask(std::string_view command, const json::object& arguments, Lines& lines) {
    const std::string text = json::serialize(arguments);
    const Result<std::string> answer = GetParam() ? ask_admin_server(data_dir_, command, text, lines)
                                                  : Admin(*host_, "").run(command, text, lines);
    if (!answer) return std::unexpected(answer.error());
    return json::parse(*answer).as_object();
  }
  json::object expect(std::string_view command, const json::object& arguments) {
    Lines lines;
    return expect(command, arguments, lines);
  }
  json::object expect(std::string_view command, const json::object& arguments, Lines& lines) {
    const auto answer = ask(command, arguments, lines);
    EXPECT_TRUE(answer.has_value()) << command << ": " << answer.error().message;
    return answer ? *answer : json::object();
  }

  // Some keys of a database, in one commit; its versionstamp.
  std::string write(const State& values, const std::vector<std::string>& erased = {},
                    const std::string& name = "default") {
    const host::DatabaseRef database = *host_->open_and_wait(name);
    const CommitOutcome outcome =
        commit(database->database(), [&](Transaction& transaction) -> Result<CommitRequest::Decision> {
          for (const auto& [key, value] : values) {
            std::string stored;
            kv::append_stored_value(stored, {kv::Encoding::kBytes, 0, value});
            transaction.put("u" + key, stored);
          }
          for (const std::string& key : erased) transaction.erase("u" + key);
          return CommitRequest::Decision::kCommit;
        });
    EXPECT_TRUE(outcome.committed);
    return outcome.versionstamp.hex();
  }
  State read(const std::string& name = "default", std::optional<Versionstamp> at = {}) {
    const host::DatabaseRef hosted = *host_->open_and_wait(name);
    Database& database = hosted->database();
    State state;
    const auto reader = kv::PastReader::open(database, at.value_or(database.head()));
    EXPECT_TRUE(reader.has_value()) << reader.error().message;
    if (!reader) return state;
    kv::KeyspaceScan scan(database, (*reader)->snapshot(), kv::part_range(kv::kUserPrefix));
    while (*scan.next())
      state[std::string(scan.key().substr(1))] = kv::parse_stored_value(scan.value())->data;
    // Key by key as well.
    for (int i = 0; i < 60; ++i) {
      const std::string key = "k" + std::to_string(i);
      const auto found = (*reader)->get("u" + key);
      EXPECT_TRUE(found.has_value());
      const auto wanted = state.find(key);
      EXPECT_EQ(found->has_value(), wanted != state.end()) << key;
      if (*found) {
        EXPECT_EQ(kv::parse_stored_value((*found)->bytes())->data, wanted->second);
      }
    }
    return state;
  }

  test::TempFolder folder_;
  const std::string data_dir_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<host::Host> host_;
  std::unique_ptr<AdminServer> server_;
};

INSTANTIATE_TEST_SUITE_P(Store, PitrTest, ::testing::Values(false, true),
                         [](const auto& info) { return info.param ? "ThroughTheSocket" : "Directly"; });

TEST_P(PitrTest, lists_moments_the_newest_first) {
  std::vector<std::string> stamps;
  for (int i = 0; i < 300; ++i) stamps.push_back(write({{"k", std::to_string(i) + std::string(200, '.')}}));
  Lines lines;
  EXPECT_EQ(expect("pitr.list", {}, lines).at("points").to_number<int>(), 300);
  ASSERT_EQ(lines.all.size(), 300u);
  for (size_t i = 0; i < 300; ++i) {
    EXPECT_EQ(lines.all[i].substr(0, 20), stamps[299 - i]);
    EXPECT_EQ(lines.all[i][20], '\t');
    EXPECT_EQ(lines.all[i].size(), 20 + 1 + 24u);
  }
  Lines some;
  expect("pitr.list", {{"start", stamps[10]}, {"end", stamps[19]}, {"limit", 5}}, some);
  ASSERT_EQ(some.all.size(), 5u);
  EXPECT_EQ(some.all.front().substr(0, 20), stamps[19]);
  Lines all_of_them;
  expect("pitr.list", {{"start", stamps[10]}, {"end", stamps[19]}}, all_of_them);
  EXPECT_EQ(all_of_them.all.size(), 10u);
  Lines none;
  expect("pitr.list", {{"end", "2001-01-01T00:00:00Z"}}, none);
  EXPECT_TRUE(none.all.empty());
  // Whoever has seen enough ends it.
  Lines few;
  few.limit = 3;
  EXPECT_FALSE(ask("pitr.list", {}, few).has_value());
  EXPECT_EQ(few.all.size(), 3u);
}

TEST_P(PitrTest, diff_rewind_and_undo) {
  const std::string a(
      "\x02"
      "a\0",
      3),
      b("\x02"
        "b\0",
        3),
      c("\x02"
        "c\0",
        3);
  const std::string first = write({{a, "1"}, {b, "1"}});
  const std::string second = write({{a, "2"}, {c, "1"}}, {b});
  Lines lines;
  const json::object counts = expect("pitr.diff", {{"from", first}, {"to", second}}, lines);
  EXPECT_EQ(json::serialize(counts), R"({"added":1,"changed":1,"removed":1})");
  ASSERT_EQ(lines.all.size(), 4u);
  EXPECT_EQ(json::parse(lines.all[0]).at("from").at("versionstamp").as_string(), first);
  const json::value changed = json::parse(lines.all[1]);
  EXPECT_EQ(changed.at("change").as_string(), "changed");
  EXPECT_EQ(json::serialize(changed.at("key")), R"(["a"])");
  EXPECT_EQ(json::serialize(changed.at("before").at("value")), R"({"$bytes":"MQ=="})");
  EXPECT_EQ(changed.at("after").at("versionstamp").as_string(), second);
  Lines of_prefix;
  expect("pitr.diff", {{"from", first}, {"to", second}, {"prefix", R"(["c"])"}}, of_prefix);
  EXPECT_EQ(of_prefix.all.size(), 2u);

  const State before = read();
  const json::object dry = expect("pitr.rewind", {{"moment", first}, {"dryRun", true}});
  EXPECT_EQ(dry.at("restored").to_number<int>(), 2);
  EXPECT_EQ(dry.at("removed").to_number<int>(), 1);
  EXPECT_EQ(read(), before);
  const json::object done = expect("pitr.rewind", {{"moment", first}});
  EXPECT_EQ(read(), (State{{a, "1"}, {b, "1"}}));
  EXPECT_EQ(done.at("before").at("versionstamp").as_string(), second);
  expect("pitr.rewind", {{"moment", done.at("before").at("versionstamp")}});
  EXPECT_EQ(read(), before);
  const json::object nothing = expect("pitr.rewind", {{"moment", second}});
  EXPECT_EQ(nothing.at("before"), nothing.at("after"));
}

TEST_P(PitrTest, bad_arguments_are_refused_in_one_line_and_change_nothing) {
  const std::string stamp = write({{"k", "v"}});
  const std::string head = host_->find("default") ? host_->find("default")->database().head().hex() : stamp;
  const std::vector<std::pair<const char*, json::object>> wrong = {
      {"pitr.list", {{"start", "yesterday"}}},
      {"pitr.list", {{"limit", -1}}},
      {"pitr.list", {{"database", "none"}}},
      {"pitr.diff", {{"from", stamp}}},
      {"pitr.diff", {{"from", stamp}, {"to", "nonsense"}}},
      {"pitr.diff", {{"from", stamp}, {"to", stamp}, {"prefix", "users"}}},
      {"pitr.rewind", json::object()},
      {"pitr.rewind", {{"moment", "2999-01-01T00:00:00Z"}}},
      {"pitr.rewind", {{"moment", "ffffffffffffffffffff"}}},
      {"pitr.rewind", {{"moment", stamp}, {"prefix", "[1,{}]"}}},
      {"pitr.checkout", {{"moment", "2999-01-01T00:00:00Z"}}},
      {"pitr.fork", {{"moment", stamp}, {"newName", "default"}}},
      {"pitr.fork", {{"moment", stamp}, {"newName", "Not A Name"}}},
      {"pitr.fork", {{"moment", "2999-01-01T00:00:00Z"}, {"newName", "copy"}}},
      {"db.retention", {{"retention", "soon"}}},
  };
  for (const auto& [command, arguments] : wrong) {
    const auto answer = ask(command, arguments);
    ASSERT_FALSE(answer.has_value()) << command << json::serialize(arguments);
    EXPECT_EQ(answer.error().message.find('\n'), std::string::npos);
  }
  EXPECT_EQ(host_->find("default")->database().head().hex(), head);
  EXPECT_EQ(host_->databases().size(), 1u);
}

TEST_P(PitrTest, forks_are_independent_of_each_other) {
  Random random(5);
  State state;
  std::vector<std::pair<std::string, State>> past;
  for (int i = 0; i < 400; ++i) {
    const std::string key = "k" + std::to_string(random.below(50));
    if (random.one_in(5)) {
      state.erase(key);
      past.emplace_back(write({}, {key}), state);
    } else {
      state[key] = std::to_string(i) + std::string(random.below(300), '.');
      past.emplace_back(write({{key, state[key]}}), state);
    }
    if (random.one_in(100)) expect("compact", {});
  }
  for (int i = 0; i < 6; ++i) {
    const auto& [stamp, then] = past[random.below(past.size())];
    const std::string name = "fork" + std::to_string(i);
    const json::object made = expect("pitr.fork", {{"moment", stamp}, {"newName", name}});
    EXPECT_EQ(made.at("name").as_string(), name);
    EXPECT_EQ(read(name), then) << stamp;
    // Its past is that of the other, up to there.
    for (int n = 0; n < 5; ++n) {
      const auto& [earlier, held] = past[random.below(past.size())];
      if (earlier <= stamp) {
        EXPECT_EQ(read(name, *Versionstamp::from_hex(earlier)), held);
      }
    }
    Lines listed;
    expect("pitr.list", {{"database", name}}, listed);
    ASSERT_FALSE(listed.all.empty());
    EXPECT_EQ(listed.all.front().substr(0, 20), stamp);
    host::DatabaseRef fork = *host_->open_and_wait(name);
    EXPECT_EQ(fork->database().epoch(), 2);
    EXPECT_NE(fork->database().id().bytes, (*host_->open_and_wait("default"))->database().id().bytes);
    // From here on each goes its own way, over flushes and merges of either.
    State own = then;
    for (int n = 0; n < 60; ++n) {
      const std::string key = "k" + std::to_string(random.below(60));
      if (random.one_in(4)) {
        own.erase(key);
        write({}, {key}, name);
      } else {
        own[key] = "own " + std::to_string(n) + std::string(random.below(400), '.');
        write({{key, own[key]}}, {}, name);
      }
      if (random.one_in(20)) {
        ASSERT_TRUE(fork->database().flush().has_value());
        EXPECT_EQ(read(name), own);
      }
    }
    EXPECT_EQ(read(name), own);
    const Versionstamp before = fork->database().head();
    if (i % 2 == 0) {
      expect("compact", {{"database", name}});
      EXPECT_EQ(fork->database().stats().shared.segments, 0u);
      EXPECT_EQ(read(name), own);
      EXPECT_EQ(read(name, *Versionstamp::from_hex(stamp)), then);
    }
    fork.reset();
    // A fork of the fork.
    const std::string second = name + "b";
    expect("pitr.fork", {{"database", name}, {"moment", before.hex()}, {"newName", second}});
    EXPECT_EQ(read(second), own);
    EXPECT_EQ(read(second, *Versionstamp::from_hex(stamp)), then);
    if (i % 3 == 0) expect("db.delete", {{"name", name}, {"now", true}});
    EXPECT_EQ(read(second), own);
  }
  EXPECT_EQ(read(), state);
  for (int n = 0; n < 20; ++n) {
    const auto& [stamp, then] = past[random.below(past.size())];
    EXPECT_EQ(read("default", *Versionstamp::from_hex(stamp)), then);
  }
}

TEST_P(PitrTest, a_store_that_is_checked_out_is_served_read_only_or_not_at_all) {
  const std::string first = write({{"k", "1"}});
  write({{"k", "2"}});
  const json::object answer = expect("pitr.checkout", {{"moment", first}});
  EXPECT_EQ(answer.at("moment").at("versionstamp").as_string(), first);
  EXPECT_EQ(expect("pitr.info", {}).at("current").at("versionstamp").as_string(), first);
  close();
  engine_ = Engine::create({}, {});
  host::HostOptions options;
  options.data_dir = data_dir_;
  options.serves = true;
  const auto refused = host::Host::open(*engine_, options);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("checkout latest"), std::string::npos) << refused.error().message;
  EXPECT_NE(refused.error().message.find("rewind"), std::string::npos);
  options.read_only = true;
  open(options);
  const host::DatabaseRef shown = *host_->open_and_wait("default");
  ASSERT_NE(shown->checkout(), nullptr);
  EXPECT_EQ(shown->checkout()->snapshot->versionstamp().hex(), first);
  EXPECT_FALSE(ask("pitr.rewind", {{"moment", first}}).has_value());
  expect("pitr.checkout", {{"moment", "latest"}});
  EXPECT_EQ(shown->checkout(), nullptr);
}

}  // namespace
}  // namespace tidemark::tools
