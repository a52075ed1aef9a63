#include "bench/history_rows.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <span>

#include "bench/own_store.h"
#include "engine/base/random.h"

namespace tidemark::bench {

namespace {

constexpr uint64_t kScanEntries = 100;
constexpr uint64_t kKeepEvery = 100;  // of the deleted store
constexpr int kParts = 10;
constexpr uint64_t kLargeCacheBytes = uint64_t{1} << 30;

DatabaseOptions unsynced() {
  DatabaseOptions options;
  options.durability = Durability::kUnsynced;
  return options;
}

// The workload's value, with the number of the version in it.
class VersionedValues {
 public:
  std::string_view of(const Key& key, uint64_t version) {
    const std::string_view plain = values_.of(key);
    std::memcpy(value_.data(), plain.data(), kValueBytes);
    std::memcpy(value_.data() + 16, &version, sizeof version);
    return {value_.data(), kValueBytes};
  }
  static bool matches(const Key& key, uint64_t version, std::string_view value) {
    return value_matches(key.view(), value) && std::memcmp(value.data() + 16, &version, sizeof version) == 0;
  }

 private:
  Values values_;
  std::array<char, kValueBytes> value_;
};

// Writes versions 1 .. `versions` of all keys, each pass in an order of its own.
void write_versions(OwnStore& store, uint64_t entries, uint64_t versions) {
  Random random(7);
  VersionedValues values;
  Key key;
  for (uint64_t version = 1; version <= versions; ++version) {
    uint64_t stride = 0;
    do {
      stride = random.below(entries) | 1;
    } while (std::gcd(stride, entries) != 1);
    uint64_t id = random.below(entries);
    for (uint64_t i = 0; i < entries; ++i) {
      key.set(id);
      store.put(key.view(), values.of(key, version));
      id = (id + stride) % entries;
    }
  }
}

struct VersionedStore {
  std::string name;
  std::string dir;
  uint64_t versions;
  std::unique_ptr<OwnStore> open;
};

void measure_versions(const VersionsSettings& settings, std::span<VersionedStore> stores,
                      std::span<const uint64_t> sorted, const std::string& suffix, Report& report) {
  Random random(11);
  for (int turn = 0; turn < settings.turns; ++turn) {
    for (VersionedStore& store : stores) {
      const auto get = [&](int) -> Worker {
        return [&](uint64_t count) {
          Key key;
          for (uint64_t i = 0; i < count; ++i) {
            key.set(random.below(settings.entries));
            const auto value = store.open->get(key.view());
            require(value && VersionedValues::matches(key, store.versions, *value),
                    "a get gave a wrong value");
          }
        };
      };
      report.add("get_" + suffix, store.name, turn,
                 run_turn({.warm_ms = 20, .measured_ms = settings.turn_ms, .stride = 32}, get).rate());
    }
    for (const bool reverse : {false, true}) {
      for (VersionedStore& store : stores) {
        const auto scan = [&](int) -> Worker {
          return [&](uint64_t count) {
            for (uint64_t i = 0; i < count; ++i) {
              const uint64_t low = random.below(settings.entries - kScanEntries + 1);
              Key first;
              Key last;
              first.set_mixed(sorted[low]);
              last.set_mixed(sorted[low + kScanEntries - 1]);
              if (reverse) {
                std::swap(first, last);
              }
              ScanCheck check;
              store.open->scan(first.view(), kScanEntries, reverse, check);
              check.expect(kScanEntries, first, last);
            }
          };
        };
        report.add((reverse ? "scan_reverse_" : "scan_forward_") + suffix, store.name, turn,
                   run_turn({.warm_ms = 20, .measured_ms = settings.turn_ms}, scan).rate());
      }
    }
  }
}

std::string queue_key(uint64_t number) {
  char text[32];
  std::snprintf(text, sizeof text, "queue/%016llx", static_cast<unsigned long long>(number));
  return text;
}

double percentile(std::vector<int64_t>& values, double share) {
  const auto at = static_cast<size_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at), values.end());
  return static_cast<double>(values[at]);
}

// Lists of 100 entries from random places where at least that many follow. `sorted` holds the mixes of keys
// that are present, in order; if `exact`, of all that are.
double lists_per_second(OwnStore& store, std::span<const uint64_t> sorted, bool exact, Random& random,
                        uint64_t lists) {
  const int64_t start_ns = now_ns();
  for (uint64_t i = 0; i < lists; ++i) {
    const uint64_t low = random.below(sorted.size() - kScanEntries + 1);
    Key first;
    Key last;
    first.set_mixed(sorted[low]);
    last.set_mixed(sorted[low + kScanEntries - 1]);
    ScanCheck check;
    store.scan(first.view(), kScanEntries, false, check);
    if (exact) {
      check.expect(kScanEntries, first, last);
    } else {
      check.expect_from(kScanEntries, first);
    }
  }
  return static_cast<double>(lists) * 1e9 / static_cast<double>(now_ns() - start_ns);
}

double list_all_ms(OwnStore& store, std::span<const uint64_t> sorted) {
  Key first;
  Key last;
  first.set_mixed(sorted.front());
  last.set_mixed(sorted.back());
  ScanCheck check;
  const int64_t start_ns = now_ns();
  store.scan(first.view(), sorted.size() + 1, false, check);
  const double ms = static_cast<double>(now_ns() - start_ns) * 1e-6;
  check.expect(sorted.size(), first, last);
  return ms;
}

}  // namespace

void declare_history_rows(Report& report) {
  for (const char* suffix : {"hot", "quarter"}) {
    report.declare({std::string("get_") + suffix, "gets/s", false, ""});
    report.declare({std::string("scan_forward_") + suffix, "scans/s", false, ""});
    report.declare({std::string("scan_reverse_") + suffix, "scans/s", false, ""});
  }
  report.declare({"queue_messages", "1/s", false, ""});
  report.declare({"queue_first_p50", "us", true, ""});
  report.declare({"queue_first_p99", "us", true, ""});
  report.declare({"list_100", "lists/s", false, ""});
  report.declare({"list_all", "ms", true, ""});
  report.set_peers({"1_version", "part_1", "never_held_more"});
}

void run_versions(const VersionsSettings& settings, Report& report) {
  require(settings.entries >= 2 * kScanEntries, "at least 200 entries are needed");
  const uint64_t head_bytes = settings.entries * (kKeyBytes + kValueBytes);
  const DatabaseOptions options = levelled_options(head_bytes);

  std::array<VersionedStore, 2> stores = {{
      {"1_version", settings.dir + "/versions-1", 1, nullptr},
      {std::to_string(settings.versions) + "_versions", settings.dir + "/versions-many",
       static_cast<uint64_t>(settings.versions), nullptr},
  }};
  for (VersionedStore& store : stores) {
    store.open = std::make_unique<OwnStore>(store.dir, kLargeCacheBytes, options);
    const int64_t start_ns = now_ns();
    write_versions(*store.open, settings.entries, store.versions);
    store.open->settle();
    std::fprintf(stderr, "%s: written and settled in %.1f s\n", store.name.c_str(),
                 static_cast<double>(now_ns() - start_ns) * 1e-9);
    report.note(store.name, store.open->levels());
  }
  const std::vector<uint64_t> sorted = sorted_mixes(settings.entries);
  measure_versions(settings, stores, sorted, "hot", report);
  for (VersionedStore& store : stores) {
    store.open.reset();
  }
  const uint64_t quarter = std::max(disk_bytes(stores[0].dir) / 4, uint64_t{1} << 20);
  report.note("cache of the rows *_quarter, bytes", std::to_string(quarter));
  for (VersionedStore& store : stores) {
    store.open = std::make_unique<OwnStore>(store.dir, quarter, options);
  }
  measure_versions(settings, stores, sorted, "quarter", report);
  for (VersionedStore& store : stores) {
    store.open.reset();
    remove_folder(store.dir);
  }
}

void run_queue(const QueueSettings& settings, Report& report) {
  require(settings.messages >= kParts, "at least 10 messages are needed");
  const std::string dir = settings.dir + "/queue";
  DatabaseOptions options = unsynced();
  options.memtable_bytes = settings.memtable_bytes;
  auto store = std::make_unique<OwnStore>(dir, kLargeCacheBytes, options);
  const std::string start = "queue/";
  const std::string end = "queue0";  // '0' follows '/'
  Values values;
  uint64_t tail = 0;
  for (; tail < settings.backlog; ++tail) {
    store->put(queue_key(tail), values.of(Key(tail)));
  }
  // Neighbours, so that the queue is not alone in its store.
  for (uint64_t id = 0; id < 10'000; ++id) {
    const Key key(id);
    store->put(key.view(), values.of(key));
  }
  uint64_t head = 0;
  const uint64_t per_part = settings.messages / kParts;
  std::vector<int64_t> first_ns;
  first_ns.reserve(per_part);
  const auto read_first = [&] {
    const int64_t before_ns = now_ns();
    const std::string key = store->first_key(start, end);
    first_ns.push_back(now_ns() - before_ns);
    require(key == queue_key(head), "the queue's first message is not the one expected");
    return key;
  };
  const auto report_first = [&](const std::string& part) {
    report.add("queue_first_p50", part, 0, percentile(first_ns, 0.5) * 1e-3);
    report.add("queue_first_p99", part, 0, percentile(first_ns, 0.99) * 1e-3);
    first_ns.clear();
  };
  for (int part = 1; part <= kParts; ++part) {
    const int64_t part_start_ns = now_ns();
    for (uint64_t i = 0; i < per_part; ++i) {
      store->put(queue_key(tail), values.of(Key(tail)));
      ++tail;
      store->erase(read_first());
      ++head;
    }
    const double seconds = static_cast<double>(now_ns() - part_start_ns) * 1e-9;
    const std::string name = "part_" + std::to_string(part);
    report.add("queue_messages", name, 0, static_cast<double>(per_part) / seconds);
    report_first(name);
  }
  store->settle();
  for (int i = 0; i < 1000; ++i) {
    read_first();
  }
  report_first("settled");
  report.note("queue, settled", store->levels());
  store.reset();
  remove_folder(dir);
}

void run_deleted(const DeletedSettings& settings, Report& report) {
  require(settings.entries >= 3 * kScanEntries * kKeepEvery, "at least 30000 entries are needed");
  const std::string dir = settings.dir + "/deleted";
  const std::string young_dir = settings.dir + "/young";
  DatabaseOptions options = unsynced();
  options.memtable_bytes = settings.memtable_bytes;
  auto store = std::make_unique<OwnStore>(dir, kLargeCacheBytes, options);
  auto young = std::make_unique<OwnStore>(young_dir, kLargeCacheBytes, options);
  Values values;
  std::vector<uint64_t> left;
  for (uint64_t id = 0; id < settings.entries; ++id) {
    const Key key(id);
    store->put(key.view(), values.of(key));
    if (id % kKeepEvery == 0) {
      young->put(key.view(), values.of(key));
      left.push_back(mix(id));
    }
  }
  std::sort(left.begin(), left.end());
  store->settle();
  young->settle();

  Random random(13);
  constexpr uint64_t kLists = 2000;
  constexpr int kBefore = -1;  // the turn of all that is measured before the last deletion
  lists_per_second(*young, left, true, random, kLists);
  lists_per_second(*store, left, false, random, kLists);
  report.add("list_100", "never_held_more", kBefore, lists_per_second(*young, left, true, random, kLists));
  report.add("list_100", "before", kBefore, lists_per_second(*store, left, false, random, kLists));

  // Ids count upwards through random keys. Every hundredth part of the way a few lists are timed.
  const uint64_t step = std::max<uint64_t>(settings.entries / 100, 1);
  std::vector<double> rates;
  for (uint64_t id = 0; id < settings.entries; ++id) {
    if (id % kKeepEvery != 0) {
      store->erase(Key(id).view());
    }
    if (id % step == step - 1) {
      rates.push_back(lists_per_second(*store, left, false, random, 20));
    }
    if (id % (settings.entries / kParts) == settings.entries / kParts - 1) {
      const uint64_t part = (id + 1) / (settings.entries / kParts);
      report.add("list_100", "during_part_" + std::to_string(part), kBefore, median(rates));
      rates.clear();
    }
  }
  for (const char* when : {"deleted_now", "deleted_settled"}) {
    if (when == std::string("deleted_settled")) {
      store->settle();
    }
    // Turns, so that both meet the same machine.
    for (int turn = 0; turn < 5; ++turn) {
      report.add("list_100", "never_held_more", turn,
                 lists_per_second(*young, left, true, random, kLists / 5));
      report.add("list_100", when, turn, lists_per_second(*store, left, true, random, kLists / 5));
      report.add("list_all", "never_held_more", turn, list_all_ms(*young, left));
      report.add("list_all", when, turn, list_all_ms(*store, left));
    }
  }
  report.note("deleted, settled", store->levels());
  store.reset();
  young.reset();
  remove_folder(dir);
  remove_folder(young_dir);
}

}  // namespace tidemark::bench
