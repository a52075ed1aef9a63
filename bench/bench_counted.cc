// A store of keys with some versions each, and reads of its head, for counting instructions: instructions.sh
// runs this under callgrind. See README.md in this folder.
//
//     bench_counted make DIR [--entries N] [--versions N]
//     bench_counted read DIR [--entries N] [--gets N] [--scans N]
#include <CLI/CLI.hpp>
#include <string>

#include "bench/own_store.h"
#include "engine/base/random.h"

namespace tidemark::bench {
namespace {

constexpr uint64_t kScanEntries = 100;

struct Settings {
  std::string dir;
  uint64_t entries = 50'000;
  uint64_t versions = 1;
  uint64_t gets = 0;
  uint64_t scans = 0;
};

DatabaseOptions options(uint64_t entries) {
  return levelled_options(entries * (kKeyBytes + kValueBytes));
}

// Each version of all keys before the next, and one sorted run in the end: so that stores differ in their
// history alone.
void make(const Settings& settings) {
  OwnStore store(settings.dir, uint64_t{256} << 20, options(settings.entries));
  Values values;
  Key key;
  for (uint64_t version = 0; version < settings.versions; ++version) {
    for (uint64_t id = 0; id < settings.entries; ++id) {
      key.set(id);
      store.put(key.view(), values.of(key));
    }
  }
  store.merge_fully();
  std::fprintf(stderr, "%s\n", store.levels().c_str());
}

void read(const Settings& settings) {
  OwnStore store(settings.dir, uint64_t{1} << 30, options(settings.entries));
  const std::vector<uint64_t> sorted = sorted_mixes(settings.entries);
  Random random(11);
  Key first, last;
  for (uint64_t i = 0; i < settings.gets; ++i) {
    first.set(random.below(settings.entries));
    const auto value = store.get(first.view());
    require(value && value_matches(first.view(), *value), "a get gave a wrong value");
  }
  for (uint64_t i = 0; i < settings.scans; ++i) {
    const uint64_t low = random.below(settings.entries - kScanEntries + 1);
    first.set_mixed(sorted[low]);
    last.set_mixed(sorted[low + kScanEntries - 1]);
    ScanCheck check;
    store.scan(first.view(), kScanEntries, false, check);
    check.expect(kScanEntries, first, last);
  }
}

}  // namespace
}  // namespace tidemark::bench

int main(int argc, char** argv) {
  tidemark::bench::Settings settings;
  CLI::App app{"Reads whose instructions can be counted.", "bench_counted"};
  app.require_subcommand(1);
  const auto add = [&](const char* name, const char* what) {
    CLI::App* const command = app.add_subcommand(name, what);
    command->add_option("dir", settings.dir, "folder of the store")->required();
    command->add_option("--entries", settings.entries, "its keys")
        ->check(CLI::Range(1000, 10'000'000))
        ->capture_default_str();
    return command;
  };
  CLI::App* const make = add("make", "write the store");
  make->add_option("--versions", settings.versions, "versions of each key")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  CLI::App* const read = add("read", "read from it, at head");
  read->add_option("--gets", settings.gets, "single keys")->capture_default_str();
  read->add_option("--scans", settings.scans, "scans of 100 entries")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (*make)
    tidemark::bench::make(settings);
  else
    tidemark::bench::read(settings);
}
