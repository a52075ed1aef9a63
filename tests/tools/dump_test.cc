// `tidemark dump` and `tidemark load` on stores that are being served and on stores that are not.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/server/kv/test_store.h"
#include "tests/tools/served_store.h"
#include "tools/dump_command.h"
#include "tools/load_command.h"
#include "tools/store_access.h"

namespace tidemark::tools {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

class DumpCommandTest : public ::testing::TestWithParam<bool> {
 protected:
  DumpCommandTest() : data_dir_(folder_ / "data") {
    if (GetParam()) {
      served_.emplace(data_dir_);
      served_->start();
    }
    for (const char* name : {"default", "copy"}) create(name);
  }

  void create(const std::string& name) {
    NoLines no_lines;
    StoreAccess store(data_dir_, true);
    // A new store has `default` already.
    const auto made = store.run("db.create", R"({"name":")" + name + "\"}", no_lines);
    EXPECT_EQ(made.has_value(), name != "default");
  }

  std::string file(const std::string& name, const std::vector<std::string>& lines) {
    std::ofstream out(folder_ / name, std::ios::binary);
    for (const std::string& line : lines) out << line << '\n';
    return folder_ / name;
  }
  static std::vector<std::string> lines_of(const std::string& path) {
    std::vector<std::string> lines;
    std::ifstream in(path, std::ios::binary);
    EXPECT_TRUE(in) << path;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  }

  // What it printed, or why it failed.
  std::string load(LoadArguments arguments) {
    arguments.data_dir = data_dir_;
    const auto loaded = run_load_command(arguments);
    return loaded ? *loaded : "failed: " + loaded.error().message;
  }
  std::vector<std::string> dump(DumpArguments arguments) {
    arguments.data_dir = data_dir_;
    arguments.output = folder_ / "dumped";
    fs::remove(arguments.output);
    const Status dumped = run_dump_command(arguments);
    if (!dumped) {
      EXPECT_FALSE(fs::exists(arguments.output) || fs::exists(arguments.output + ".unfinished"));
      return {"failed: " + dumped.error().message};
    }
    return lines_of(arguments.output);
  }
  std::vector<std::string> keys_of(const std::string& database) {
    std::vector<std::string> keys;
    for (const std::string& line : dump({.database = database}))
      if (line.starts_with("{\"key\":")) keys.push_back(line.substr(7, line.find(",\"value\"") - 7));
    return keys;
  }
  static std::string entry(int i, const std::string& value = "1") {
    return "{\"key\":[" + std::to_string(i) + "],\"value\":" + value + "}";
  }

  const test::TempFolder folder_;
  const std::string data_dir_;
  std::optional<Served> served_;
};

std::vector<std::string> without_stamps(std::vector<std::string> lines) {
  for (std::string& line : lines)
    if (const size_t at = line.find("\"versionstamp\":"); at != line.npos) line.erase(at, 38);
  if (!lines.empty()) lines.erase(lines.begin());
  return lines;
}

TEST_P(DumpCommandTest, ThereAndBack) {
  std::vector<std::string> lines;
  for (int i = 0; i < 20'000; ++i)
    lines.push_back(entry(i, "\"" + std::string(static_cast<size_t>(i % 100), 'x') + "\""));
  lines.push_back(
      R"({"key":["é",{"$bigint":"7"}],"value":{"$map":[[1,2]]},"expireAt":"2999-01-01T00:00:00Z"})");
  EXPECT_EQ(load({.file = file("in", lines)}), "loaded 20001 entries into the database 'default'\n");
  const std::vector<std::string> dumped = dump({});
  ASSERT_THAT(dumped, SizeIs(20'003));
  EXPECT_THAT(dumped.front(), StartsWith(R"({"tidemark":"dump","format":1,"database":"default",)"));
  EXPECT_EQ(dumped.back(), R"({"tidemark":"end","entries":20001})");

  const std::string json =
      load({.file = folder_ / "dumped", .database = "copy", .batch = 7000, .json = true});
  EXPECT_THAT(
      json, StartsWith(R"({"database":"copy","lines":20003,"entries":20001,"deletions":0,"transactions":)"));
  EXPECT_EQ(without_stamps(dump({.database = "copy"})), without_stamps(dumped));
  EXPECT_FALSE(fs::exists(folder_ / "in.tidemark-load"));
}

TEST_P(DumpCommandTest, AllDatabasesThereAndBack) {
  std::vector<std::string> many;
  for (int i = 0; i < 1500; ++i) many.push_back(entry(i));
  load({.file = file("many", many), .database = "copy"});
  load({.file = file("few", {entry(1), entry(2)})});
  const std::vector<std::string> dumped = dump({.all = true});
  ASSERT_THAT(dumped, SizeIs(1506));
  fs::copy_file(folder_ / "dumped", folder_ / "all");
  fs::copy_file(folder_ / "dumped", folder_ / "one");
  EXPECT_EQ(
      load({.file = folder_ / "one"}),
      "failed: line 1503: another dump begins here: for one of all databases there is --all; the 1500 lines "
      "before were loaded, go on with --resume");

  // Into a store that has one of them.
  LoadArguments arguments = {
      .data_dir = folder_ / "other", .file = folder_ / "all", .all = true, .batch = 100};
  const auto loaded = run_load_command(arguments);
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
  EXPECT_EQ(*loaded,
            "loaded 1500 entries into the database 'copy'\nloaded 2 entries into the database 'default'\n");
  DumpArguments other = {.data_dir = folder_ / "other", .all = true, .output = folder_ / "again"};
  ASSERT_TRUE(run_dump_command(other).has_value());
  const auto counts = [&](const std::string& path) {
    std::vector<std::string> lines;
    for (const std::string& line : lines_of(path))
      lines.push_back(line.substr(0, line.find(",\"versionstamp")));
    return lines;
  };
  EXPECT_EQ(counts(folder_ / "again"), counts(folder_ / "all"));

  // Into the same once more, with a line that will not do: it goes on in that database.
  std::vector<std::string> broken = dumped;
  broken[1000] = "nothing";
  EXPECT_THAT(load({.file = file("broken", broken), .all = true, .batch = 100}),
              HasSubstr("failed: line 1001: it is no JSON"));
  EXPECT_THAT(load({.file = folder_ / "broken", .resume = true}), HasSubstr("is of a load with --all"));
  file("broken", dumped);
  EXPECT_EQ(load({.file = folder_ / "broken", .all = true, .resume = true}),
            "loaded 1500 entries into the database 'copy'\nloaded 2 entries into the database 'default'\n");
}

TEST_P(DumpCommandTest, AllRefusesWhatIsNoDumpOfADatabase) {
  EXPECT_EQ(load({.file = file("plain", {"", entry(1)}), .all = true}),
            "failed: line 2: no dump of a database has begun, as it must with --all; nothing was loaded");
  EXPECT_EQ(load({.file = file("empty", {""}), .all = true}), "there was nothing to load\n");
  EXPECT_THAT(load({.file = file("unnamed", {R"({"tidemark":"dump","format":1})", entry(1)}), .all = true}),
              HasSubstr("line 1: it names no database"));
  EXPECT_THAT(
      load({.file = file("name", {R"({"tidemark":"dump","format":1,"database":"NO"})"}), .all = true}),
      StartsWith("failed: "));
}

TEST_P(DumpCommandTest, GoesOnBehindALineThatWouldNotDo) {
  const std::string path = file("in", {entry(1), entry(2), entry(3), "nothing", entry(5)});
  EXPECT_EQ(load({.file = path, .batch = 2}),
            "failed: line 4: it is no JSON: syntax error at byte 1; the 2 lines before were loaded, go on "
            "with --resume");
  EXPECT_THAT(keys_of("default"), ElementsAre("[1]", "[2]"));
  EXPECT_EQ(
      load({.file = path, .batch = 2}),
      "failed: " + path +
          ".tidemark-load says that an earlier load was broken off behind line 2: go on with --resume, or "
          "remove it to begin anew");
  EXPECT_EQ(load({.file = path, .database = "copy", .resume = true}),
            "failed: " + path + ".tidemark-load is of a load into the database 'default'");
  file("in", {entry(1), entry(7), entry(3), entry(4), entry(5)});
  EXPECT_EQ(load({.file = path, .resume = true}),
            "failed: " + path + " is not as it was before line 3, where its load was broken off");
  file("in", {entry(1), entry(2), entry(3), entry(4), entry(5)});
  EXPECT_THAT(load({.file = path, .resume = true, .json = true}),
              HasSubstr(R"("lines":5,"entries":5,"deletions":0,"transactions":1,)"));
  EXPECT_THAT(keys_of("default"), ElementsAre("[1]", "[2]", "[3]", "[4]", "[5]"));
  EXPECT_FALSE(fs::exists(path + ".tidemark-load"));
  EXPECT_EQ(load({.file = path, .resume = true}),
            "failed: there is no " + path + ".tidemark-load, so nothing to resume");
  file("in.tidemark-load", {"{}"});
  EXPECT_EQ(load({.file = path, .resume = true}),
            "failed: " + path + ".tidemark-load is no mark of a load that was broken off");
}

TEST_P(DumpCommandTest, NothingIsMarkedWhenNothingWasLoaded) {
  const std::string path = file("in", {"nothing"});
  EXPECT_EQ(load({.file = path}),
            "failed: line 1: it is no JSON: syntax error at byte 1; nothing was loaded");
  EXPECT_FALSE(fs::exists(path + ".tidemark-load"));
  EXPECT_EQ(load({.file = folder_ / "none"}),
            "failed: " + (folder_ / "none") + ": No such file or directory");
  EXPECT_EQ(load({.file = "-", .resume = true}),
            "failed: --resume needs a file: how far stdin came is not kept");
  EXPECT_EQ(load({.file = file("empty", {})}), "loaded 0 entries into the database 'default'\n");
  EXPECT_THAT(load({.file = file("one", {entry(1)}), .database = "none"}), HasSubstr("none"));
}

TEST_P(DumpCommandTest, ADumpThatIsNotWhole) {
  load({.file = file("in", {entry(1), entry(2), entry(3)})});
  std::vector<std::string> lines = dump({});
  const std::string end = lines.back();
  lines.pop_back();
  EXPECT_EQ(
      load({.file = file("cut", lines), .database = "copy"}),
      "failed: the dump is cut off: its last line is missing; the 3 entries and 0 deletions that it has were "
      "loaded");
  EXPECT_THAT(keys_of("copy"), SizeIs(3));
  lines.erase(lines.begin() + 1);
  lines.push_back(end);
  EXPECT_EQ(load({.file = file("less", lines)}),
            "failed: the dump is not whole: its last line speaks of 3 entries and 0 deletions, but the 2 "
            "entries and "
            "0 deletions that it has were loaded");
  // The end is a batch of its own, and more comes behind it.
  lines.push_back("");
  lines.push_back(entry(9));
  EXPECT_THAT(load({.file = file("more", lines), .batch = 4}),
              StartsWith("failed: line 6: there is more behind the last line of the dump"));
}

TEST_P(DumpCommandTest, ALastLineWithoutEndAndLinesThatAreTooLong) {
  std::ofstream(folder_ / "in", std::ios::binary) << entry(1) << "\r\n\n" << entry(2);
  EXPECT_EQ(load({.file = folder_ / "in"}), "loaded 2 entries into the database 'default'\n");
  file("long", {entry(1), std::string(size_t{17} << 20, 'x')});
  EXPECT_EQ(load({.file = folder_ / "long"}),
            "failed: line 2: it is longer than 16777216 bytes; nothing was loaded");
}

TEST_P(DumpCommandTest, AllDatabases) {
  load({.file = file("in", {entry(1)})});
  load({.file = folder_ / "in", .database = "copy"});
  const std::vector<std::string> lines = dump({.all = true});
  ASSERT_THAT(lines, SizeIs(6));
  EXPECT_THAT(lines[0], HasSubstr(R"("database":"copy")"));
  EXPECT_THAT(lines[3], HasSubstr(R"("database":"default")"));
  EXPECT_THAT(load({.file = file("both", lines)}), StartsWith("failed: line 4: "));
}

TEST_P(DumpCommandTest, AMomentAndAPrefix) {
  const std::string first =
      load({.file = file("in", {entry(1), R"({"key":[1,2],"value":0})"}), .json = true});
  const std::string stamp = first.substr(first.find("\"versionstamp\":\"") + 16, 20);
  load({.file = file("in", {entry(1, "2"), entry(3)})});
  EXPECT_THAT(dump({.at = stamp}), SizeIs(4));
  EXPECT_THAT(dump({.at = stamp})[1], HasSubstr("\"value\":1"));
  EXPECT_THAT(dump({.prefix = "[1]"}), SizeIs(4));
  EXPECT_THAT(dump({.prefix = "[3]"}), SizeIs(3));
  EXPECT_THAT(dump({.at = "yesterday"}),
              ElementsAre(StartsWith(
                  "failed: 'yesterday' is no moment: it must be a versionstamp of 20 hex digits")));
  EXPECT_THAT(dump({.at = "ffffffffffffffffffff"}), ElementsAre(StartsWith("failed: ")));
  EXPECT_THAT(dump({.prefix = "[1"}), ElementsAre("failed: the prefix: it is cut short"));
  EXPECT_THAT(dump({.prefix = "1"}), ElementsAre("failed: the prefix: a key is neither an array nor a $raw"));
  EXPECT_THAT(dump({.database = "none"}), ElementsAre(StartsWith("failed: ")));
}

TEST_P(DumpCommandTest, HistoryLoadsAsItsLastState) {
  load({.file = file("in", {entry(1), entry(2)})});
  load({.file = file("in", {entry(1, "2"), R"({"key":[2],"deleted":true})", entry(3)})});
  const std::vector<std::string> lines = dump({.history = true});
  ASSERT_THAT(lines, SizeIs(7));
  EXPECT_EQ(lines.back(), R"({"tidemark":"end","entries":4,"deletions":1})");
  EXPECT_EQ(load({.file = file("history", lines), .database = "copy"}),
            "loaded 4 entries and 1 deletions into the database 'copy'\n");
  EXPECT_EQ(without_stamps(dump({.database = "copy"})), without_stamps(dump({})));
}

TEST(DumpCommandLine, Options) {
  DumpArguments dump;
  LoadArguments load;
  const auto parse = [&](std::vector<std::string> words) {
    CLI::App app;
    dump = {};
    load = {};
    add_dump_command(app, dump);
    add_load_command(app, load);
    std::vector<std::string> reversed(words.rbegin(), words.rend());
    try {
      app.parse(reversed);
    } catch (const CLI::ParseError&) {
      return false;
    }
    return true;
  };
  ASSERT_TRUE(parse(
      {"dump", "--database", "x", "--prefix", "[]", "--at", "1", "-o", "f", "--data-dir", "d", "--history"}));
  EXPECT_TRUE(dump.chosen && dump.history && !load.chosen && !dump.all);
  EXPECT_THAT((std::vector{dump.database, dump.prefix, dump.at, dump.output, dump.data_dir}),
              ElementsAre("x", "[]", "1", "f", "d"));
  ASSERT_TRUE(parse({"load", "f", "--database", "x", "--batch", "10000", "--resume", "--json"}));
  EXPECT_TRUE(load.chosen && !dump.chosen && load.resume && load.json);
  EXPECT_EQ(load.file + load.database, "fx");
  EXPECT_EQ(load.batch, 10'000u);
  ASSERT_TRUE(parse({"load"}));
  EXPECT_EQ(load.file + load.database, "-default");
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"dump", "--all", "--database", "x"},
                                             {"load", "--batch", "0"},
                                             {"load", "--batch", "10001"},
                                             {"dump", "x"}})
    EXPECT_FALSE(parse(words));
}

INSTANTIATE_TEST_SUITE_P(Stores, DumpCommandTest, ::testing::Bool(),
                         [](const auto& test) { return test.param ? "Served" : "Stopped"; });

}  // namespace
}  // namespace tidemark::tools
