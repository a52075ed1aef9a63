#include "tests/crash/bit_rot.h"

#include "engine/base/check.h"
#include "engine/verify/verify.h"
#include "tests/sim/machine.h"

namespace tidemark::crash {
namespace {

std::string kind_of(const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  if (name.starts_with("MANIFEST")) return "manifest";
  if (name.ends_with(".wal")) return "WAL file";
  if (name.ends_with(".seg")) return "segment";
  if (name.ends_with(".chg")) return "change file";
  return name;
}

// Reads everything that is there at `at`; the first error, or nothing.
std::optional<Error> read_all(const ReadView& view, State& state) {
  const auto cursor = view.scan({});
  while (true) {
    const auto more = cursor->next();
    if (!more) return more.error();
    if (!*more) return std::nullopt;
    state[std::string(cursor->key())] = {std::string(cursor->value()), cursor->versionstamp()};
  }
}

}  // namespace

BitRot::BitRot(uint64_t seed, int scale, bool closed) : random_(seed) {
  terms_.options.memtable_bytes = 64 << 10;
  terms_.options.block_bytes = 128;
  terms_.options.segment_bytes = 16 << 10;
  terms_.options.retention = Retention::forever();
  terms_.wall_us = 1'700'000'000'000'000;
  make(scale, closed);
}

void BitRot::make(int scale, bool closed) {
  sim::Machine machine(random_.next(), disk_, terms_.wall_us);
  machine.run([&] {
    const auto engine = Engine::create({}, machine.components());
    auto opened = Database::open(*engine, kDir, terms_.options);
    TM_CHECK(opened.has_value());
    Database& database = **opened;
    const auto put = [&](int round) {
      for (int i = 0; i < 6 * scale; ++i) {
        const std::string key = "key" + std::to_string(i % (4 * scale));
        std::optional<std::string> value;
        if (i % 5 != 4) value = "value" + std::to_string(round * 100 + i) + std::string(i % 3 * 11, 'x');
        const CommitOutcome outcome =
            commit(database, [&](Transaction& t) -> Result<CommitRequest::Decision> {
              value ? t.put(key, *value) : t.erase(key);
              model_.follow(std::nullopt, t.versionstamp());
              model_.begin(t.versionstamp(), t.timestamp_ms(), {{key, value, t.versionstamp()}}, 0);
              return CommitRequest::Decision::kCommit;
            });
        TM_CHECK(outcome.committed);
        model_.finish(outcome.versionstamp, outcome);
      }
    };
    for (int round = 0; round < 2; ++round) {
      put(round);
      TM_CHECK(database.flush().has_value());
    }
    TM_CHECK(database.compact().has_value());
    put(2);
    if (!closed) machine.file_system().power_off();
    TM_CHECK(database.close().has_value() || !closed);
  });
  for (const std::string& path : disk_.files()) bytes_[kind_of(path)] += disk_.find(path)->bytes().size();
}

std::string BitRot::use(sim::Disk disk, bool must_report) {
  ++tried_;
  std::string problem;
  bool reported = false, found = false;
  std::string told;
  sim::Machine machine(random_.next(), disk, terms_.wall_us);
  machine.run([&] {
    const auto engine =
        Engine::create({.block_cache_bytes = 64 << 10, .max_open_segments = 64}, machine.components());
    DatabaseOptions options = terms_.options;
    options.create_if_missing = false;
    const auto report = [&](const Error& error) {
      reported = true;
      told = error.message;
      const bool says = error.code == ErrorCode::kCorruption || error.code == ErrorCode::kNewerFormat ||
                        error.code == ErrorCode::kNotFound || error.code == ErrorCode::kInvalidArgument ||
                        error.code == ErrorCode::kReadOnly;
      if (!says || error.message.find('/') == std::string::npos)
        problem = "damage is told as: " + error.message;
    };
    // A check of the files finds whatever an opening and reading will meet.
    verify::VerifyOptions check;
    check.deep = true;
    check.findings = [&](const verify::Finding&) { found = true; };
    if (const auto checked = verify::verify_database(machine.file_system(), kDir, check); !checked)
      found = true;
    if (const Result<std::string> changes = check_changes(machine.file_system(), kDir, model_); !changes)
      report(changes.error());
    else
      problem = *changes;
    if (!problem.empty()) return;
    auto opened = Database::open(*engine, kDir, options);
    if (!opened) return report(opened.error());
    Database& database = **opened;
    const Versionstamp head = database.head();
    problem = model_.check_head(head, database.head_timestamp_ms());
    const auto look = [&] {
      for (const Versionstamp at : {head, model_.stamps(Versionstamp::min(), head)[3]}) {
        const auto pinned = database.pin(at);
        if (!pinned) {
          problem = "the state at " + at.hex() + " cannot be read: " + pinned.error().message;
          return;
        }
        State found;
        if (const auto error = read_all(*database.read(**pinned), found))
          report(*error);
        else if (std::string wrong = difference(model_.state_at(at, head), found); !wrong.empty())
          problem = "at " + at.hex() + ": " + wrong;
        if (!problem.empty()) return;
      }
    };
    if (problem.empty()) look();
    if (problem.empty()) {
      if (const Status merged = database.compact(); !merged) report(merged.error());
      look();
    }
    (void)database.close().has_value();
  });
  if (problem.empty() && reported && !found) problem = "a check of the files did not find: " + told;
  found_ += found;
  if (problem.empty() && must_report && !reported) problem = "nobody noticed";
  reported_ += reported;
  return problem;
}

std::string BitRot::flip(uint64_t stride) {
  uint64_t next = 0;
  for (const std::string& path : disk_.files()) {
    const uint64_t bits = disk_.find(path)->bytes().size() * 8;
    for (; next < bits; next += stride) {
      sim::Disk damaged = disk_.copy();
      damaged.find(path)->flip_bit(next);
      const std::string problem = use(std::move(damaged), false);
      if (!problem.empty()) return path + ", bit " + std::to_string(next) + ": " + problem;
    }
    next -= bits;
  }
  return {};
}

std::string BitRot::lose_files() {
  for (const std::string& path : disk_.files()) {
    if (path.ends_with("/LOCK")) continue;
    for (int how = 0; how < 3; ++how) {
      // The promises that would give it away are cut off, too (docs/RELIABILITY.md).
      if (how == 2 && path.ends_with(".wal")) continue;
      sim::Disk damaged = disk_.copy();
      const auto file = damaged.find(path);
      if (how == 0)
        damaged.find(kDir)->remove_entry(path.substr(path.rfind('/') + 1));
      else
        file->resize(how == 1 ? 0 : file->bytes().size() / 2);
      const std::string problem = use(std::move(damaged), how < 2);
      if (!problem.empty())
        return path + (how == 0 ? " lost: " : how == 1 ? " emptied: " : " cut: ") + problem;
    }
  }
  return {};
}

}  // namespace tidemark::crash
