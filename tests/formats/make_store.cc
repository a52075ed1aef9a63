// Makes databases for the test of the format documents, and tells what must be found in them.
//
//     make_store stores DIR     makes several databases in DIR
//     make_store example DIR    makes the little one that docs/formats/ shows byte by byte
//     make_store show DIR       tells what the engine itself reads in the database DIR, at its head
//
// prints JSON lines, all strings of bytes and versionstamps in hex:
//     {"database": PATH, "head": STAMP, "horizon": STAMP, "clean": true if it was closed}
//     {"at": STAMP, "entries": [[KEY, STAMP, VALUE], ...]}             of the database named last
//     {"commits": [[STAMP, TIMESTAMP_MS, [[0 put or 1 erase, KEY], ...]], ...]}   of the same
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/random.h"
#include "engine/database.h"

namespace tidemark {
namespace {

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "make_store: %s\n", what.c_str());
  std::exit(1);
}

void check(const Status& status) {
  if (!status) die(status.error().message);
}

std::string hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (char c : bytes) {
    out.push_back(kDigits[static_cast<uint8_t>(c) >> 4]);
    out.push_back(kDigits[static_cast<uint8_t>(c) & 15]);
  }
  return out;
}

struct Value {
  Versionstamp stamp;
  std::string bytes;
};
using Values = std::map<std::string, Value>;

struct Write {
  bool erase;
  std::string key;
  std::string value;
};

struct Commit {
  Versionstamp stamp;
  int64_t timestamp_ms;
  std::vector<Write> writes;
};

void print_database(const std::string& path, Versionstamp head, Versionstamp horizon, bool clean) {
  std::printf("{\"database\": \"%s\", \"head\": \"%s\", \"horizon\": \"%s\", \"clean\": %s}\n", path.c_str(),
              head.hex().c_str(), horizon.hex().c_str(), clean ? "true" : "false");
}

void print_state(Versionstamp at, const Values& values) {
  std::printf("{\"at\": \"%s\", \"entries\": [", at.hex().c_str());
  const char* comma = "";
  for (const auto& [key, value] : values) {
    std::printf("%s[\"%s\", \"%s\", \"%s\"]", comma, hex(key).c_str(), value.stamp.hex().c_str(),
                hex(value.bytes).c_str());
    comma = ", ";
  }
  std::printf("]}\n");
}

// A database and a model of all that was ever committed to it.
class Maker {
 public:
  Maker(Engine& engine, std::string path, DatabaseOptions options)
      : engine_(engine), path_(std::move(path)), options_(std::move(options)) {
    open();
  }

  Database& db() { return *database_; }
  const std::string& path() const { return path_; }

  void open() {
    database_.reset();
    auto opened = Database::open(engine_, path_, options_);
    if (!opened) die(opened.error().message);
    database_ = std::move(*opened);
  }

  // Keys of one transaction must differ.
  void commit(std::vector<Write> writes) {
    const CommitOutcome outcome =
        tidemark::commit(*database_, [&](Transaction& t) -> Result<CommitRequest::Decision> {
          for (const Write& w : writes) {
            if (w.erase)
              t.erase(w.key);
            else
              t.put(w.key, w.value);
          }
          return CommitRequest::Decision::kCommit;
        });
    check(outcome.status);
    commits_.push_back({outcome.versionstamp, outcome.timestamp_ms, std::move(writes)});
  }

  // Publishes segments with versions that got their stamps elsewhere: two of each key, in between a
  // tombstone.
  void publish() {
    const uint64_t base = database_->head().number;
    const int64_t timestamp_ms = database_->head_timestamp_ms() + 1;
    const auto ingest = database_->begin_ingest();
    for (uint64_t n = 1; n <= 3; ++n) commits_.push_back({{base + n, 7}, timestamp_ms, {}});
    for (int i = 100; i < 200; ++i) {
      const std::string key = "published/" + std::to_string(i);
      for (uint64_t n = 3; n > 0; --n) {
        const Write write{n == 2, key, n == 2 ? "" : "value " + std::to_string(n) + " of " + key};
        Commit& commit = commits_[commits_.size() - 4 + n];
        check(ingest->add(key, commit.stamp,
                          write.erase ? std::nullopt : std::optional<std::string_view>(write.value)));
        commit.writes.push_back(write);
      }
    }
    check(ingest->publish({commits_.back().stamp, timestamp_ms}).status);
  }

  // Puts, overwrites and erases of random keys: short and long ones, some without a shared beginning; values
  // from nothing to large ones, some that compress and some that do not.
  void random_commits(int count) {
    for (int i = 0; i < count; ++i) {
      std::map<std::string, Write> writes;
      for (uint64_t n = random_.below(6); n > 0; --n) {
        Write w{random_.one_in(4), key(), {}};
        if (!w.erase) w.value = value();
        writes.insert_or_assign(w.key, w);
      }
      std::vector<Write> list;
      for (auto& [key, write] : writes) list.push_back(std::move(write));
      commit(std::move(list));
    }
  }

  // What must be read in the folder `path`, which holds what this database holds now: at head, at the
  // horizon, and at random commits between.
  void tell(const std::string& path, bool clean, int states) {
    const Versionstamp horizon = database_->horizon();
    print_database(path, database_->head(), horizon, clean);
    std::vector<size_t> moments;
    size_t first = 0;
    while (first + 1 < commits_.size() && commits_[first].stamp < horizon) ++first;
    moments.push_back(first);
    moments.push_back(commits_.size() - 1);
    for (int i = 2; i < states; ++i) moments.push_back(first + random_.below(commits_.size() - first));
    std::sort(moments.begin(), moments.end());
    Values values;
    size_t next = 0;
    for (size_t i = 0; i < commits_.size(); ++i) {
      for (const Write& w : commits_[i].writes) {
        if (w.erase)
          values.erase(w.key);
        else
          values[w.key] = {commits_[i].stamp, w.value};
      }
      for (; next < moments.size() && moments[next] == i; ++next) print_state(commits_[i].stamp, values);
    }
    std::printf("{\"commits\": [");
    const char* comma = "";
    for (const Commit& c : commits_) {
      std::printf("%s[\"%s\", %lld, [", comma, c.stamp.hex().c_str(), static_cast<long long>(c.timestamp_ms));
      const char* inner = "";
      for (const Write& w : c.writes) {
        std::printf("%s[%d, \"%s\"]", inner, w.erase ? 1 : 0, hex(w.key).c_str());
        inner = ", ";
      }
      std::printf("]]");
      comma = ", ";
    }
    std::printf("]}\n");
  }

  void close() { check(database_->close()); }

  // Another database, of this one's first commits.
  std::unique_ptr<Maker> fork(const std::string& path, size_t commits) {
    check(database_->fork(path, commits_[commits - 1].stamp));
    auto forked = std::make_unique<Maker>(engine_, path, options_);
    forked->commits_.assign(commits_.begin(), commits_.begin() + static_cast<ptrdiff_t>(commits));
    return forked;
  }

  // A copy of the files as they stand, as a crash would leave them.
  void copy_to(const std::string& path) {
    check(database_->wait_idle());
    std::filesystem::copy(path_, path, std::filesystem::copy_options::recursive);
  }

 private:
  std::string key() {
    const uint64_t n = random_.below(120);
    if (n % 10 == 0) return std::string(1 + n, static_cast<char>(n * 2));
    if (n % 10 == 1) return "a long key that many others share/and that goes on/" + std::to_string(n);
    return "key/" + std::to_string(n);
  }

  std::string value() {
    const uint64_t kind = random_.below(20);
    const size_t size = kind == 0 ? 0 : kind == 1 ? 70'000 : random_.below(200);
    std::string out(size, static_cast<char>('a' + random_.below(26)));
    if (random_.one_in(2))
      for (char& c : out) c = static_cast<char>(random_.below(256));
    return out;
  }

  Engine& engine_;
  const std::string path_;
  const DatabaseOptions options_;
  std::unique_ptr<Database> database_;
  std::vector<Commit> commits_;
  Random random_{20260101};
};

// Sizes that send a few hundred commits through every kind of file.
DatabaseOptions small_options() {
  DatabaseOptions options;
  options.memtable_bytes = 32 << 10;
  options.segment_bytes = 32 << 10;
  options.level1_bytes = 96 << 10;
  options.block_bytes = 1024;
  options.level_multiplier = 4;
  options.retention = Retention::forever();
  return options;
}

void make_stores(const std::string& dir) {
  const auto engine = Engine::create({.block_cache_bytes = 4 << 20, .max_open_segments = 16});
  {
    Maker empty(*engine, dir + "/empty", small_options());
    empty.close();
    print_database(empty.path(), {}, {}, true);
    print_state({}, {});
    std::printf("{\"commits\": []}\n");
  }
  {
    // Flushes and merges in the background; then commits that stay in the log.
    Maker merged(*engine, dir + "/merged", small_options());
    merged.random_commits(400);
    merged.copy_to(dir + "/merged, not closed");
    merged.tell(dir + "/merged, not closed", false, 8);
    check(merged.db().compact());
    merged.random_commits(20);
    merged.close();
    merged.tell(merged.path(), true, 8);
  }
  {
    // Too few flushes for a merge: level 0 stays as it is.
    DatabaseOptions options = small_options();
    options.memtable_bytes = 64 << 20;
    Maker flushed(*engine, dir + "/flushed", options);
    for (int i = 0; i < 2; ++i) {
      flushed.random_commits(40);
      check(flushed.db().flush());
    }
    flushed.random_commits(10);
    flushed.close();
    flushed.tell(flushed.path(), true, 8);
  }
  {
    DatabaseOptions options = small_options();
    options.retention = Retention::none();
    options.compression = false;
    options.filter_bits_per_key = 0;
    Maker trimmed(*engine, dir + "/no history", options);
    trimmed.random_commits(300);
    check(trimmed.db().flush());
    const auto pin = trimmed.db().pin_head();
    trimmed.random_commits(100);
    check(trimmed.db().compact());
    trimmed.random_commits(10);
    trimmed.copy_to(dir + "/no history, not closed");
    trimmed.tell(dir + "/no history, not closed", false, 8);
  }
  {
    // More log than recovery copies whole: a chain of WAL files, each of which says where the one before it
    // ended.
    DatabaseOptions options = small_options();
    options.memtable_bytes = 64 << 20;
    Maker reopened(*engine, dir + "/reopened", options);
    for (int i = 0; i < 3; ++i) {
      reopened.commit(
          {{false, "large/" + std::to_string(i), std::string(700'000, static_cast<char>('a' + i))}});
      reopened.random_commits(10);
      if (i == 1) reopened.close();
      if (i < 2) reopened.open();
    }
    reopened.copy_to(dir + "/reopened, not closed");
    reopened.tell(dir + "/reopened, not closed", false, 3);
  }
  {
    // The WAL file that the flush let go is put back: what stands there is what a crash during the flush
    // leaves, but for the manifest's last record.
    DatabaseOptions options = small_options();
    options.memtable_bytes = 64 << 20;
    Maker switched(*engine, dir + "/switched", options);
    switched.random_commits(40);
    switched.copy_to(dir + "/before the switch");
    check(switched.db().flush());
    switched.random_commits(10);
    const std::string copy = dir + "/switched, not closed";
    switched.copy_to(copy);
    for (const auto& file : std::filesystem::directory_iterator(dir + "/before the switch"))
      if (file.path().extension() == ".wal")
        std::filesystem::copy(file.path(), copy, std::filesystem::copy_options::skip_existing);
    switched.tell(copy, false, 8);
  }
  {
    DatabaseOptions options = small_options();
    options.memtable_bytes = 64 << 20;
    Maker published(*engine, dir + "/published", options);
    published.random_commits(40);
    published.publish();
    published.copy_to(dir + "/published, not closed");
    published.tell(dir + "/published, not closed", false, 8);
    published.random_commits(10);
    published.close();
    published.tell(published.path(), true, 8);
  }
  {
    Maker source(*engine, dir + "/source", small_options());
    source.random_commits(120);
    check(source.db().compact());
    source.random_commits(60);
    const auto forked = source.fork(dir + "/forked, not closed", 150);
    forked->random_commits(10);
    check(forked->db().flush());
    forked->random_commits(10);
    forked->tell(forked->path(), false, 12);
    // Left as a crash would.
    forked->copy_to(dir + "/copy");
    forked->close();
    std::filesystem::remove_all(forked->path());
    std::filesystem::rename(dir + "/copy", forked->path());
  }
}

// Stands still unless told otherwise, so that the example's bytes do not depend on who looks at it how often.
class ExampleClock final : public Clock {
 public:
  int64_t wall_us() override { return now_us_; }
  int64_t monotonic_us() override { return now_us_; }
  void sleep_us(int64_t) override {}
  // So many seconds into 2026.
  void set(int64_t seconds) { now_us_ = (1'767'225'600 + seconds) * 1'000'000; }

 private:
  std::atomic<int64_t> now_us_ = 1'767'225'600'000'000;
};

void make_example(const std::string& dir) {
  ExampleClock clock;
  EngineComponents components;
  components.clock = &clock;
  const auto engine = Engine::create({}, components);
  DatabaseOptions options;
  options.retention = Retention::forever();
  Maker maker(*engine, dir, options);
  clock.set(2);
  maker.commit({{false, "fruit/apple", "red"}, {false, "fruit/banana", "yellow"}});
  clock.set(4);
  maker.commit({{false, "fruit/apple", "green"}, {true, "fruit/banana", {}}});
  clock.set(7);
  check(maker.db().flush());
  check(maker.db().wait_idle());
  clock.set(9);
  maker.commit({{true, "fruit/apple", {}}, {false, "fruit/cherry", "dark"}});
  maker.close();
  maker.tell(dir, true, 3);
}

void show(const std::string& dir) {
  const auto engine = Engine::create({});
  DatabaseOptions options;
  options.create_if_missing = false;
  options.retention = Retention::forever();
  auto opened = Database::open(*engine, dir, options);
  if (!opened) die(opened.error().message);
  Database& db = **opened;
  print_database(dir, db.head(), db.horizon(), false);
  const auto view = db.read();
  const auto cursor = view->scan({});
  Values values;
  while (true) {
    const auto more = cursor->next();
    if (!more) die(more.error().message);
    if (!*more) break;
    values[std::string(cursor->key())] = {cursor->versionstamp(), std::string(cursor->value())};
  }
  print_state(view->versionstamp(), values);
}

}  // namespace
}  // namespace tidemark

int main(int argc, char** argv) {
  const std::string mode = argc == 3 ? argv[1] : "";
  if (mode == "stores") {
    tidemark::make_stores(argv[2]);
  } else if (mode == "example") {
    tidemark::make_example(argv[2]);
  } else if (mode == "show") {
    tidemark::show(argv[2]);
  } else {
    std::fprintf(stderr, "usage: make_store stores|example|show DIR\n");
    return 2;
  }
  return 0;
}
