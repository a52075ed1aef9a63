#include "bench/engine_rows.h"

#include <atomic>

#include "engine/base/random.h"

namespace tidemark::bench {

namespace {

constexpr uint64_t kScanEntries = 100;
// Operations between two looks at the clock.
constexpr uint64_t kReadStride = 32;
constexpr int64_t kWarmMs = 50;
// Ids from here on are in no store.
constexpr uint64_t kAbsentFirst = uint64_t{1} << 40;
// The reopen row: large enough that nothing is flushed while its log is written.
constexpr uint64_t kReopenWriteBufferBytes = uint64_t{512} << 20;
constexpr uint64_t kReopenBatch = 256;
constexpr uint64_t kReopenProbes = 1000;

double seconds_since(int64_t start_ns) {
  return static_cast<double>(now_ns() - start_ns) * 1e-9;
}

void set_result(benchmark::State& state, const Turn& turn) {
  state.SetIterationTime(turn.seconds);
  state.SetItemsProcessed(static_cast<int64_t>(turn.operations));
}

}  // namespace

const std::vector<EngineRows::Row>& EngineRows::all() {
  // Synced rows come first: the disk is quiet then.
  static const std::vector<Row> rows = {
      {"sync_put_1", true, &EngineRows::sync_put_1},
      {"sync_put_32", true, &EngineRows::sync_put_many},
      {"reopen", false, &EngineRows::reopen},
      {"fill", false, &EngineRows::fill},
      {"get_1", true, &EngineRows::get_1},
      {"get_2", true, &EngineRows::get_2},
      {"absent", true, &EngineRows::absent},
      {"scan_forward", true, &EngineRows::scan_forward},
      {"scan_reverse", true, &EngineRows::scan_reverse},
  };
  return rows;
}

const std::vector<EngineRows::ExtraRow>& EngineRows::extra_rows() {
  static const std::vector<ExtraRow> rows = {{"settled_per_second", "fill_settled"}, {"disk_bytes", "disk"}};
  return rows;
}

std::vector<std::string> EngineRows::names() {
  std::vector<std::string> result;
  for (const Row& row : all()) {
    result.emplace_back(row.name);
  }
  return result;
}

void EngineRows::declare(const EngineSettings& settings, Report& report) {
  report.declare({"fill", "puts/s", false, ""});
  report.declare({"fill_settled", "puts/s", false, ""});
  report.declare({"disk", "B/entry", true, ""});
  report.declare({"bare", "commits/s", false, ""});
  report.declare({"sync_put_1", "commits/s", false, "bare/append_fdatasync"});
  report.declare({"sync_put_32", "commits/s", false, "bare/append_fdatasync"});
  report.declare({"get_1", "gets/s", false, ""});
  report.declare({"get_2", "gets/s", false, ""});
  report.declare({"absent", "gets/s", false, ""});
  report.declare({"scan_forward", "scans/s", false, ""});
  report.declare({"scan_reverse", "scans/s", false, ""});
  report.declare({"reopen", "ms", true, ""});
  std::vector<std::string> peers;
  for (const StoreKind* kind : settings.stores) {
    if (kind->log_structured_peer) {
      peers.emplace_back(kind->name);
    }
  }
  report.set_peers(std::move(peers));
}

EngineRows::EngineRows(const EngineSettings& settings) : settings_(settings) {
  require(settings.entries >= 2 * kScanEntries, "at least 200 entries are needed");
  for (const StoreKind* kind : settings.stores) {
    slots_.push_back({kind, nullptr, nullptr, 0});
  }
  sorted_ = sorted_mixes(settings.entries);
}

EngineRows::~EngineRows() {
  end_round();
}

void EngineRows::register_all() {
  for (int round = 0; round < settings_.rounds; ++round) {
    for (const Row& row : all()) {
      if (!selected(row.name)) {
        continue;
      }
      const int turns = row.by_time ? settings_.turns : 1;
      for (int turn = 0; turn < turns; ++turn) {
        const std::string suffix = "/turn:" + std::to_string(round * turns + turn);
        if (row.run == &EngineRows::sync_put_1) {
          register_turn("bare/append_fdatasync" + suffix, round,
                        [this](benchmark::State& state) { bare(state, BareLog::Space::kAllocated); });
          register_turn("bare/append_fdatasync_zeroed" + suffix, round,
                        [this](benchmark::State& state) { bare(state, BareLog::Space::kZeroed); });
        }
        for (Slot& slot : slots_) {
          register_turn(std::string(row.name) + "/" + slot.kind->name + suffix, round,
                        [this, &slot, run = row.run](benchmark::State& state) { (this->*run)(state, slot); });
        }
      }
    }
  }
}

void EngineRows::register_turn(const std::string& name, int round,
                               std::function<void(benchmark::State&)> body) {
  benchmark::RegisterBenchmark(name.c_str(),
                               [this, round, body = std::move(body)](benchmark::State& state) {
                                 start_round(round);
                                 for (auto _ : state) {
                                   body(state);
                                 }
                               })
      ->Iterations(1)
      ->UseManualTime();
}

void EngineRows::start_round(int round) {
  if (round != round_) {
    end_round();
    round_ = round;
  }
}

void EngineRows::end_round() {
  for (Slot& slot : slots_) {
    slot.loaded.reset();
    slot.synced.reset();
    slot.synced_next = 0;
    for (const char* what : {"loaded", "synced", "log", "crashed"}) {
      remove_folder(folder(slot, what));
    }
  }
  bare_allocated_.reset();
  bare_zeroed_.reset();
}

std::string EngineRows::folder(const Slot& slot, const char* what) const {
  return settings_.dir + "/" + slot.kind->name + "-" + what;
}

EngineRows::Load EngineRows::load(Slot& slot) {
  const std::string dir = folder(slot, "loaded");
  slot.loaded.reset();
  remove_folder(dir);
  make_folder(dir);
  sync_file_system(settings_.dir);
  StoreOptions options;
  options.sync = false;
  options.cache_bytes = settings_.cache_bytes;
  slot.loaded = slot.kind->open(dir, options);
  auto session = slot.loaded->session();

  Load result;
  Key key;
  Values values;
  int64_t start_ns = now_ns();
  for (uint64_t id = 0; id < settings_.entries; ++id) {
    key.set(id);
    session->put(key.view(), values.of(key));
  }
  result.fill_seconds = seconds_since(start_ns);
  session.reset();
  start_ns = now_ns();
  slot.loaded->settle();
  result.settle_seconds = seconds_since(start_ns);
  result.disk_bytes = disk_bytes(dir);

  // Warms every cache, and proves that all is there.
  ScanCheck check;
  Key first;
  Key last;
  first.set_mixed(sorted_.front());
  last.set_mixed(sorted_.back());
  slot.loaded->session()->scan(first.view(), settings_.entries + 1, false, check);
  check.expect(settings_.entries, first, last);
  return result;
}

Store& EngineRows::loaded(Slot& slot) {
  if (slot.loaded == nullptr) {
    load(slot);
  }
  return *slot.loaded;
}

void EngineRows::fill(benchmark::State& state, Slot& slot) {
  const Load result = load(slot);
  const auto entries = static_cast<double>(settings_.entries);
  set_result(state, {settings_.entries, result.fill_seconds});
  state.counters["settled_per_second"] = entries / (result.fill_seconds + result.settle_seconds);
  state.counters["disk_bytes"] = static_cast<double>(result.disk_bytes) / entries;
}

void EngineRows::sync_put(benchmark::State& state, Slot& slot, int threads) {
  if (slot.synced == nullptr) {
    const std::string dir = folder(slot, "synced");
    make_folder(dir);
    StoreOptions options;
    options.cache_bytes = settings_.cache_bytes;
    slot.synced = slot.kind->open(dir, options);
  }
  sync_file_system(settings_.dir);
  std::atomic<uint64_t> next{slot.synced_next};
  const auto make_worker = [&](int) -> Worker {
    struct Writer {
      std::unique_ptr<Session> session;
      Values values;
      Key key;
    };
    auto writer = std::make_shared<Writer>();
    writer->session = slot.synced->session();
    return [writer, &next](uint64_t count) {
      for (uint64_t i = 0; i < count; ++i) {
        writer->key.set(next.fetch_add(1, std::memory_order_relaxed));
        writer->session->put(writer->key.view(), writer->values.of(writer->key));
      }
    };
  };
  const Turn turn =
      run_turn({.threads = threads, .warm_ms = kWarmMs, .measured_ms = settings_.sync_turn_ms, .stride = 1},
               make_worker);
  slot.synced_next = next.load();

  auto session = slot.synced->session();
  Random random(seed_++);
  for (int i = 0; i < 100; ++i) {
    const Key key(random.below(slot.synced_next));
    const auto value = session->get(key.view());
    require(value && value_matches(key.view(), *value), "a synced put cannot be read back");
  }
  set_result(state, turn);
}

void EngineRows::bare(benchmark::State& state, BareLog::Space space) {
  auto& log = space == BareLog::Space::kAllocated ? bare_allocated_ : bare_zeroed_;
  if (log == nullptr) {
    log = std::make_unique<BareLog>(
        settings_.dir + (space == BareLog::Space::kAllocated ? "/bare-allocated" : "/bare-zeroed"), space);
  }
  sync_file_system(settings_.dir);
  // Bytes that change, so that nothing below can save itself the write.
  std::string record(settings_.bare_record_bytes, 'x');
  Random random(seed_++);
  const auto make_worker = [&](int) -> Worker {
    return [&](uint64_t count) {
      for (uint64_t i = 0; i < count; ++i) {
        for (size_t at = 0; at + 8 <= record.size(); at += 8) {
          const uint64_t word = random.next();
          std::memcpy(record.data() + at, &word, 8);
        }
        log->append(record);
      }
    };
  };
  set_result(state,
             run_turn({.threads = 1, .warm_ms = kWarmMs, .measured_ms = settings_.sync_turn_ms, .stride = 1},
                      make_worker));
}

// The log is written by synced commits of 256 puts; then the folder is copied while the store is open, which
// is what a crash at that moment would leave, and the copy is opened. Time runs from the call of open to the
// answer of the first read. LMDB has no log; it is in the row for completeness.
void EngineRows::reopen(benchmark::State& state, Slot& slot) {
  const uint64_t ids =
      (settings_.log_bytes / (kKeyBytes + kValueBytes) + kReopenBatch - 1) / kReopenBatch * kReopenBatch;
  StoreOptions options;
  options.cache_bytes = settings_.cache_bytes;
  options.write_buffer_bytes = kReopenWriteBufferBytes;
  options.keep_log = true;
  const std::string log_dir = folder(slot, "log");
  const std::string dir = folder(slot, "crashed");
  make_folder(log_dir);
  {
    auto store = slot.kind->open(log_dir, options);
    auto session = store->session();
    Values values;
    std::vector<Entry> batch(kReopenBatch);
    for (uint64_t id = 0; id < ids; id += kReopenBatch) {
      for (uint64_t i = 0; i < kReopenBatch; ++i) {
        const Key key(id + i);
        batch[i].key = key.view();
        batch[i].value = values.of(key);
      }
      session->put_batch(batch);
    }
    copy_folder(log_dir, dir);
  }
  remove_folder(log_dir);
  sync_file_system(settings_.dir);

  const Key probe(ids - 1);
  const int64_t start_ns = now_ns();
  auto store = slot.kind->open(dir, options);
  auto session = store->session();
  const auto value = session->get(probe.view());
  const double seconds = seconds_since(start_ns);
  require(value && value_matches(probe.view(), *value), "the last put is missing after reopening");
  Random random(seed_++);
  for (uint64_t i = 0; i < kReopenProbes; ++i) {
    const Key key(random.below(ids));
    const auto found = session->get(key.view());
    require(found && value_matches(key.view(), *found), "a put is missing after reopening");
  }
  session.reset();
  store.reset();
  remove_folder(dir);
  state.SetIterationTime(seconds);
}

void EngineRows::get(benchmark::State& state, Slot& slot, int threads) {
  Store& store = loaded(slot);
  const uint64_t seed = seed_;
  seed_ += static_cast<uint64_t>(threads);
  const auto make_worker = [&](int thread) -> Worker {
    struct Reader {
      std::unique_ptr<Session> session;
      Random random;
      Key key;
    };
    auto reader =
        std::make_shared<Reader>(store.session(), Random(mix(seed + static_cast<uint64_t>(thread))), Key());
    return [reader, entries = settings_.entries](uint64_t count) {
      for (uint64_t i = 0; i < count; ++i) {
        reader->key.set(reader->random.below(entries));
        const auto value = reader->session->get(reader->key.view());
        require(value && value_matches(reader->key.view(), *value), "a get gave a wrong value");
      }
    };
  };
  set_result(state, run_turn({.threads = threads,
                              .warm_ms = kWarmMs,
                              .measured_ms = settings_.read_turn_ms,
                              .stride = kReadStride},
                             make_worker));
}

void EngineRows::absent(benchmark::State& state, Slot& slot) {
  auto session = loaded(slot).session();
  Random random(mix(seed_++));
  Key key;
  const auto make_worker = [&](int) -> Worker {
    return [&](uint64_t count) {
      for (uint64_t i = 0; i < count; ++i) {
        key.set(kAbsentFirst + random.below(kAbsentFirst));
        require(!session->get(key.view()), "an absent key was found");
      }
    };
  };
  set_result(
      state,
      run_turn(
          {.threads = 1, .warm_ms = kWarmMs, .measured_ms = settings_.read_turn_ms, .stride = kReadStride},
          make_worker));
}

void EngineRows::scan(benchmark::State& state, Slot& slot, bool reverse) {
  auto session = loaded(slot).session();
  Random random(mix(seed_++));
  const auto make_worker = [&](int) -> Worker {
    return [&](uint64_t count) {
      for (uint64_t i = 0; i < count; ++i) {
        const uint64_t low = random.below(settings_.entries - kScanEntries + 1);
        Key first;
        Key last;
        first.set_mixed(sorted_[low]);
        last.set_mixed(sorted_[low + kScanEntries - 1]);
        if (reverse) {
          std::swap(first, last);
        }
        ScanCheck check;
        session->scan(first.view(), kScanEntries, reverse, check);
        check.expect(kScanEntries, first, last);
      }
    };
  };
  set_result(state,
             run_turn({.threads = 1, .warm_ms = kWarmMs, .measured_ms = settings_.read_turn_ms, .stride = 1},
                      make_worker));
}

}  // namespace tidemark::bench
