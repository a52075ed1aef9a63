// What going back costs: listing, finding, forking and reading the past of a store of many versions, and
// rewinding many keys. Tidemark alone; each figure stands beside what it is to be held against. See README.md
// in this folder.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "bench/machine.h"
#include "engine/base/random.h"
#include "server/kv/moment.h"
#include "server/kv/rewind.h"
#include "server/kv/store.h"

namespace tidemark::bench {
namespace {

constexpr int kTurns = 5;
// So many that those which open a segment, once each, are fewer than one in a hundred.
constexpr uint64_t kColdReads = 10'000;

struct Settings {
  uint64_t keys = 1'000'000;
  uint64_t versions = 10;
  uint64_t batch = 1;
  uint64_t reads = 20'000;
  uint64_t value_bytes = 100;
  std::string parent = "build/bench-data";
};

double now_ms() {
  return static_cast<double>(system_clock().monotonic_us()) / 1000;
}

template <class T>
T must(Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "bench_pitr: %s\n", result.error().message.c_str());
  std::exit(1);
}

void must(const Status& status) {
  if (status) return;
  std::fprintf(stderr, "bench_pitr: %s\n", status.error().message.c_str());
  std::exit(1);
}

std::string key(uint64_t i) {
  char text[32];
  std::snprintf(text, sizeof text, "ukeys/%012llu", static_cast<unsigned long long>(i));
  return text;
}

class Bench {
 public:
  explicit Bench(const Settings& settings) : settings_(settings), dir_(make_fresh_folder(settings.parent)) {}
  ~Bench() {
    close();
    std::filesystem::remove_all(dir_);
  }

  void run() {
    open(uint64_t{256} << 20);
    const double filled_ms = timed([&] { fill(settings_.versions, 0); });
    must(database_->compact());
    const uint64_t all = settings_.keys * settings_.versions;
    std::printf("%llu versions of %llu keys in commits of %llu, written in %.1f s\n",
                static_cast<unsigned long long>(all), static_cast<unsigned long long>(settings_.keys),
                static_cast<unsigned long long>(settings_.batch), filled_ms / 1000);
    close();
    open(uint64_t{256} << 20);

    double first_ms = 0;
    uint64_t listed = 0;
    const double begun = now_ms();
    must(database_->visit_commits(Versionstamp::min(), database_->head(), [&](const CommitPoint&, uint32_t) {
      if (listed++ == 0) first_ms = now_ms() - begun;
      return true;
    }));
    std::printf("list: the first of %llu commits after %.2f ms, all after %.0f ms\n",
                static_cast<unsigned long long>(listed), first_ms, now_ms() - begun);

    const CommitPoint middle = must(database_->last_commit(middle_, INT64_MAX));
    kv::Moment moment;
    std::shared_ptr<Snapshot> snapshot;
    std::printf("check out a moment by its time: %.2f ms\n", timed([&] {
                  moment = must(kv::resolve(*database_, kv::TimeMs{middle.timestamp_ms}, INT64_MAX / 2));
                  snapshot = must(database_->pin(moment.stamp));
                }));
    std::printf("fork: %.1f ms\n", timed([&] { must(database_->fork(dir_ + "/fork", middle.stamp)); }));

    snapshot.reset();
    const auto reopen = [&](uint64_t cache_bytes) {
      snapshot.reset();
      close();
      open(cache_bytes);
      snapshot = must(database_->pin(moment.stamp));
    };
    for (const bool warm : {false, true}) {
      if (warm) {
        reopen(uint64_t{2} << 30);
        (void)read_latencies(nullptr, settings_.reads);
        (void)read_latencies(snapshot.get(), settings_.reads);
      }
      // Interleaved, so that both see the same machine. Cold: nothing of the store is in the engine's cache.
      std::vector<double> head_p99, past_p99, head_p50, past_p50;
      for (int turn = 0; turn < kTurns; ++turn) {
        if (!warm) reopen(uint64_t{256} << 20);
        const auto [h50, h99] = read_latencies(nullptr, warm ? settings_.reads : kColdReads);
        if (!warm) reopen(uint64_t{256} << 20);
        const auto [p50, p99] = read_latencies(snapshot.get(), warm ? settings_.reads : kColdReads);
        head_p50.push_back(h50), head_p99.push_back(h99), past_p50.push_back(p50), past_p99.push_back(p99);
      }
      const auto middle_of = [](std::vector<double> v) {
        std::ranges::sort(v);
        return v[v.size() / 2];
      };
      std::printf("%s reads, us: head p50 %.1f p99 %.1f, past p50 %.1f p99 %.1f, past to head p99 %.2f\n",
                  warm ? "warm" : "cold", middle_of(head_p50), middle_of(head_p99), middle_of(past_p50),
                  middle_of(past_p99), middle_of(past_p99) / middle_of(head_p99));
      std::fflush(stdout);
    }
    snapshot.reset();

    const kv::Moment before = kv::head_moment(*database_);
    const double bulk_ms = timed([&] { fill(1, 1000); });
    kv::RewindResult result;
    const double rewind_ms = timed([&] { result = must(kv::rewind(*store_, before, {})); });
    std::printf(
        "rewind of %llu keys: %.0f ms, %.0f keys/s; writing them by commits of 1,000: %.0f ms, %.0f keys/s\n",
        static_cast<unsigned long long>(result.changes()), rewind_ms,
        static_cast<double>(result.changes()) / rewind_ms * 1000, bulk_ms,
        static_cast<double>(settings_.keys) / bulk_ms * 1000);
  }

 private:
  template <class F>
  double timed(F&& f) {
    const double begun = now_ms();
    f();
    return now_ms() - begun;
  }

  void open(uint64_t cache_bytes) {
    engine_ = Engine::create({.block_cache_bytes = cache_bytes, .max_open_segments = 2000});
    DatabaseOptions options;
    options.retention = Retention::forever();
    options.durability = Durability::kUnsynced;
    database_ = must(Database::open(*engine_, dir_ + "/db", options));
    store_ = std::make_unique<kv::Store>(*engine_, *database_, kv::Limits{});
  }
  void close() {
    store_.reset();
    if (database_ != nullptr) must(database_->close());
    database_.reset();
    engine_.reset();
  }

  // Every key once in each round, in a random order. `batch` 0: as the settings say.
  void fill(uint64_t rounds, uint64_t batch) {
    if (batch == 0) batch = settings_.batch;
    Random random(rounds + batch);
    std::string stored;
    for (uint64_t round = 0; round < rounds; ++round) {
      const uint64_t step = 982'451'653 % settings_.keys | 1;
      uint64_t at = random.below(settings_.keys);
      for (uint64_t done = 0; done < settings_.keys;) {
        const CommitOutcome outcome =
            commit(*database_, [&](Transaction& transaction) -> Result<CommitRequest::Decision> {
              for (uint64_t i = 0; i < batch && done < settings_.keys; ++i, ++done) {
                at = (at + step) % settings_.keys;
                stored.clear();
                std::string data(settings_.value_bytes, 'x');
                for (size_t c = 0; c < data.size() / 2; ++c)
                  data[c] = static_cast<char>('a' + random.below(26));
                kv::append_stored_value(stored, {kv::Encoding::kBytes, 0, data});
                transaction.put(key(at), stored);
              }
              return CommitRequest::Decision::kCommit;
            });
        must(outcome.status);
      }
      if (round == rounds / 2) middle_ = database_->head();
    }
  }

  // p50 and p99 of single reads of random keys, each with a view of its own, in microseconds.
  std::pair<double, double> read_latencies(const Snapshot* past, uint64_t reads) {
    Random random(17);
    std::vector<double> us;
    for (uint64_t i = 0; i < reads; ++i) {
      const std::string name = key(random.below(settings_.keys));
      const int64_t begun = now_ns();
      const auto view = past != nullptr ? database_->read(*past) : database_->read();
      (void)must(view->get(name));
      us.push_back(static_cast<double>(now_ns() - begun) / 1000);
    }
    std::ranges::sort(us);
    return {us[us.size() / 2], us[us.size() * 99 / 100]};
  }

  const Settings settings_;
  const std::string dir_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<kv::Store> store_;
  Versionstamp middle_;
};

}  // namespace
}  // namespace tidemark::bench

int main(int argc, char** argv) {
  tidemark::bench::Settings settings;
  CLI::App app{"Benchmark of what going back costs.", "bench_pitr"};
  app.add_option("--keys", settings.keys, "keys of the store")
      ->check(CLI::Range(1000, 100'000'000))
      ->capture_default_str();
  app.add_option("--versions", settings.versions, "versions of each")
      ->check(CLI::Range(2, 1000))
      ->capture_default_str();
  app.add_option("--batch", settings.batch, "writes of one commit")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  app.add_option("--reads", settings.reads, "reads of each turn")
      ->check(CLI::Range(100, 10'000'000))
      ->capture_default_str();
  app.add_option("--dir", settings.parent,
                 "folder for the store; a fresh folder in it is used and deleted afterwards")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  tidemark::bench::Bench(settings).run();
}
