#include "tests/crash/check.h"

#include <algorithm>
#include <memory>

#include "engine/changes/change_file.h"
#include "engine/database.h"
#include "engine/format/file_names.h"
#include "engine/manifest/manifest.h"
#include "tests/sim/machine.h"

namespace tidemark::crash {
namespace {

constexpr int kPastStates = 3;

// What a scan gives; an error, or keys out of order, as a problem.
std::string scan(const ReadView& view, bool reverse, State& state) {
  const auto cursor = view.scan({{}, {}, reverse});
  std::string last;
  bool any = false;
  while (true) {
    const auto more = cursor->next();
    if (!more) return "a scan failed: " + more.error().message;
    if (!*more) return {};
    std::string key(cursor->key());
    if (any && (reverse ? key >= last : key <= last)) return "a scan gave " + key + " after " + last;
    any = true;
    last = key;
    state[std::move(key)] = {std::string(cursor->value()), cursor->versionstamp()};
  }
}

std::string compare_view(const ReadView& view, const Model& model, const State& wanted, bool both_ways,
                         Random& random) {
  const auto at = [&](const std::string& problem) {
    return problem.empty() ? problem : "at " + view.versionstamp().hex() + ": " + problem;
  };
  for (const bool reverse : {false, true}) {
    if (reverse && !both_ways) continue;
    State found;
    if (std::string problem = scan(view, reverse, found); !problem.empty()) return at(problem);
    if (std::string problem = difference(wanted, found); !problem.empty()) return at(problem);
  }
  for (int i = 0; i < 4 && !wanted.empty(); ++i) {
    const auto key = std::next(wanted.begin(), static_cast<ptrdiff_t>(random.below(wanted.size())));
    const std::string name = random.one_in(4) ? key->first + "x" : key->first;
    const auto present = wanted.find(name);
    const auto found = view.get(name);
    if (!found) return at("reading " + name + " failed: " + found.error().message);
    if (found->has_value() != (present != wanted.end()))
      return at(name + " is there for a scan or a get alone");
    if (*found && Version{std::string((*found)->bytes()), (*found)->versionstamp()} != present->second)
      return at(name + " differs between a scan and a get");
  }
  return {};
}

// What happened from the horizon on, as the database tells it.
std::string compare_history(Database& database, const Model& model, Random& random) {
  struct Collector final : HistoryVisitor {
    bool on_commit(const CommitPoint& commit, uint32_t) override {
      last = &changes[commit.stamp];
      last->timestamp_ms = commit.timestamp_ms;
      points.push_back(commit);
      return true;
    }
    void on_write(std::string_view key, bool) override { last->keys.emplace(key); }
    Changes changes;
    Change* last = nullptr;
    std::vector<CommitPoint> points;
  } collector;
  const Versionstamp horizon = database.horizon();
  const Versionstamp head = database.head();
  if (const Status visited = database.visit_history(horizon, head, collector); !visited)
    return "history cannot be read: " + visited.error().message;
  if (database.horizon() != horizon) return {};  // it goes on moving
  if (std::string problem = model.check_changes(collector.changes, horizon, head); !problem.empty())
    return problem;
  auto wanted = collector.points.rbegin();
  const Status listed = database.visit_commits(horizon, head, [&](const CommitPoint& commit, uint32_t) {
    return wanted != collector.points.rend() && *wanted == commit && (++wanted, true);
  });
  if (!listed) return "commits cannot be listed: " + listed.error().message;
  if (database.horizon() != horizon) return {};
  if (wanted != collector.points.rend()) return "the newest commits first are not the others turned round";
  if (collector.points.empty()) return {};
  const CommitPoint at = collector.points[random.below(collector.points.size())];
  const auto by_stamp = database.last_commit(at.stamp, INT64_MAX);
  const auto by_time = database.last_commit(head, at.timestamp_ms);
  if (!by_stamp || !by_time) return "a commit cannot be found";
  if (database.horizon() != horizon) return {};
  if (*by_stamp != at) return "commit " + at.stamp.hex() + " is not found by its stamp";
  const auto last_then =
      std::find_if(collector.points.rbegin(), collector.points.rend(),
                   [&](const auto& point) { return point.timestamp_ms <= at.timestamp_ms; });
  if (*by_time != *last_then) return "commit " + at.stamp.hex() + " is not found by its time";
  return {};
}

}  // namespace

std::string compare(Database& database, const Model& model, const Terms& terms, Random& random) {
  const Versionstamp head = database.head();
  if (std::string problem = model.check_head(head, database.head_timestamp_ms()); !problem.empty())
    return problem;
  std::string problem = compare_view(*database.read(), model, model.state_at(head), true, random);
  if (!problem.empty()) return problem;
  const Versionstamp horizon = database.horizon();
  problem = model.check_horizon(horizon, terms.least_retention_us, terms.open_us);
  if (!problem.empty()) return problem;
  problem = compare_history(database, model, random);
  if (!problem.empty()) return problem;

  std::vector<Versionstamp> past = model.stamps(horizon, head);
  past.insert(past.begin(), horizon);
  for (int i = 0; i < kPastStates; ++i) {
    const Versionstamp at = i == 0 ? horizon : past[random.below(past.size())];
    const auto pinned = database.pin(at);
    if (!pinned) {
      // The horizon goes on moving.
      if (database.horizon() > at) continue;
      return "the state at " + at.hex() + " cannot be read: " + pinned.error().message;
    }
    const auto view = database.read(**pinned);
    problem = compare_view(*view, model, model.state_at(at, head), random.one_in(2), random);
    if (!problem.empty()) return problem;
  }
  if (horizon > Versionstamp::min()) {
    const Versionstamp below{horizon.number - 1, 0};
    if (database.pin(below).has_value()) return "a state below the horizon can be pinned";
  }
  return {};
}

Result<std::string> check_changes(FileSystem& fs, const std::string& dir, const Model& model) {
  struct Collector final : ChangeVisitor {
    void on_commit(Versionstamp stamp, int64_t timestamp_ms, uint32_t) override {
      last = &changes[stamp];
      last->timestamp_ms = timestamp_ms;
    }
    void on_write(WriteKind, std::string_view key) override { last->keys.emplace(key); }
    Changes changes;
    Change* last = nullptr;
  } collector;
  TM_ASSIGN(const auto manifest, Manifest::open(fs, dir));
  const ManifestState& state = manifest->state();
  for (const auto& [number, meta] : state.changes) {
    TM_ASSIGN(const auto reader,
              ChangeFileReader::open(fs, file_path(dir, FileType::kChanges, number), meta));
    TM_TRY(reader->visit(collector));
  }
  return model.check_changes(collector.changes, state.horizon, state.flushed_stamp);
}

CheckResult check(sim::Disk disk, const Model& model, const Terms& terms, uint64_t seed, int depth,
                  Versionstamp at_least) {
  CheckResult result;
  Random random(seed);
  std::optional<sim::Disk> during, after;
  Terms later = terms;
  const uint64_t crash_at = depth > 0 ? 1 + random.below(16) : 0;
  const auto lose_power = [&] {
    return disk.after_crash(static_cast<sim::Loss>(random.below(sim::kLosses)), random);
  };
  {
    sim::Machine machine(random.next(), disk, terms.wall_us);
    machine.file_system().set_hook([&](uint64_t number, sim::Op, const std::string&) {
      if (number == crash_at && !during) during = lose_power();
    });
    machine.run([&] {
      const auto engine =
          Engine::create({.block_cache_bytes = 256 << 10, .max_open_segments = 64}, machine.components());
      DatabaseOptions options = terms.options;
      // Made when the power went: perhaps there is nothing yet.
      options.create_if_missing = model.durable() == Versionstamp::min() && at_least == Versionstamp::min();
      const bool is_there = disk.find(terms.dir + "/CURRENT") != nullptr;
      if (is_there) {
        const Result<std::string> changes = check_changes(machine.file_system(), terms.dir, model);
        result.problem = changes ? *changes : "change files cannot be read: " + changes.error().message;
        if (!result.problem.empty()) return;
      }
      auto opened = Database::open(*engine, terms.dir, options);
      if (!opened) {
        result.problem = "it does not open: " + opened.error().message;
        return;
      }
      Database& database = **opened;
      result.head = database.head();
      result.horizon = database.horizon();
      if (result.head < at_least)
        result.problem = "the head is " + result.head.hex() + ", and " + at_least.hex() +
                         " was read after the crash before";
      else
        result.problem = compare(database, model, terms, machine.random());
      if (depth > 0) after = lose_power();
      // Closing in order costs time and shows nothing here.
      if (random.one_in(8))
        (void)database.close().has_value();
      else
        machine.file_system().power_off();
    });
    later.wall_us += machine.scheduler().now_us();
    later.open_us += machine.scheduler().now_us();
  }
  if (!result.problem.empty()) return result;
  const auto again = [&](std::optional<sim::Disk>& left, Versionstamp seen, const char* when) {
    if (!left || !result.problem.empty()) return;
    CheckResult second =
        check(std::move(*left), model, later, random.next(), depth - 1, std::max(seen, at_least));
    if (!second.problem.empty()) result.problem = std::string(when) + ": " + second.problem;
  };
  again(during, Versionstamp::min(), "after another crash during recovery");
  again(after, result.head, "after another crash right behind recovery");
  return result;
}

}  // namespace tidemark::crash
