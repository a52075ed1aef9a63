#include "tests/crash/process.h"

#include <algorithm>
#include <utility>

#include "engine/base/hash.h"
#include "engine/io/sync.h"

namespace tidemark::crash {
namespace {

constexpr char kChain[] = "chain";  // the key that each commit of a chained process writes
constexpr int kKeys = 40;
constexpr int kWriters = 3;
constexpr uint64_t kManyCrashPoints = 200;
constexpr int64_t kHourUs = int64_t{3600} * 1'000'000;

uint64_t mixed(uint64_t hash, std::string_view text) {
  return xxh3(text, hash);
}

}  // namespace

// One transaction, by whichever way it is handed in. Deletes itself when it was submitted.
class Run::Process::Transact final : public CommitRequest {
 public:
  Transact(Process& process, uint64_t seed) : process_(process), random_(seed) {}

  Result<Decision> run(Transaction& transaction) override {
    Model& model = process_.model_;
    std::optional<Versionstamp> previous;
    if (process_.plan_.chained) {
      TM_ASSIGN(const auto link, transaction.get(kChain));
      previous = link ? link->versionstamp : Versionstamp::min();
    }
    model.follow(previous, transaction.versionstamp());
    stamp_ = transaction.versionstamp();
    if (Status read = read_some(transaction); !read) return std::unexpected<Error>(read.error());
    // What is answered shows everything before it.
    saw_ = previous ? *previous : model.newest_stamp();
    if (random_.one_in(6)) return Decision::kAbort;

    std::vector<Written> writes;
    const uint64_t count = random_.one_in(10) ? 0 : 1 + random_.below(5);
    for (uint64_t i = 0; i < count; ++i) {
      std::string key = process_.key(random_);
      if (random_.one_in(4)) {
        transaction.erase(key);
        writes.push_back({std::move(key), std::nullopt, stamp_});
      } else {
        std::string value = process_.value(random_);
        transaction.put(key, value);
        writes.push_back({std::move(key), std::move(value), stamp_});
      }
    }
    if (process_.plan_.chained) {
      transaction.put(kChain, "link");
      writes.push_back({kChain, "link", stamp_});
    }
    model.begin(stamp_, transaction.timestamp_ms(), std::move(writes), process_.open_us());
    committing_ = true;
    return Decision::kCommit;
  }

  void done(const CommitOutcome& outcome) override {
    finish(outcome);
    delete this;
  }

  void finish(const CommitOutcome& outcome) {
    if (process_.machine_off()) return;  // nobody hears it any more
    Model& model = process_.model_;
    if (outcome.committed && (!committing_ || outcome.versionstamp != stamp_))
      model.blame("a transaction was answered with another versionstamp than it was given");
    if (committing_) model.finish(stamp_, outcome);
    if (outcome.status && !outcome.committed) {
      if (committing_) model.blame("a transaction that committed was answered as if it had not");
      model.show(saw_);
    }
    if (!outcome.status) {
      ++process_.tally_.refused;
      if (!process_.faulty_)
        model.blame("a write was refused without a fault: " + outcome.status.error().message);
    }
  }

 private:
  // What it reads must be the newest that was validated.
  Status read_some(Transaction& transaction) {
    for (uint64_t i = random_.below(4); i > 0; --i) {
      const std::string key = process_.key(random_);
      const auto found = transaction.get(key);
      if (!found) {
        if (!process_.faulty_ && !process_.machine_off())
          process_.model_.blame("reading in a transaction failed: " + found.error().message);
        return std::unexpected<Error>(found.error());
      }
      const Version* const wanted = process_.model_.newest(key);
      const bool same = wanted == nullptr ? !found->has_value()
                                          : found->has_value() && (*found)->bytes == wanted->value &&
                                                (*found)->versionstamp == wanted->stamp;
      if (!same)
        process_.model_.blame("a transaction at " + stamp_.hex() + " read another " + key +
                              " than the newest");
    }
    return {};
  }

  Process& process_;
  Random random_;
  Versionstamp stamp_;
  Versionstamp saw_;
  bool committing_ = false;
};

Run::Process::Process(const Plan& plan, sim::Disk& disk, Model& model, Terms& terms, Tally& tally)
    : plan_(plan),
      random_(plan.seed),
      disk_(disk),
      model_(model),
      terms_(terms),
      tally_(tally),
      machine_(random_.next(), disk, terms.wall_us) {
  faulty_ = plan.run.faults && plan.chained && random_.one_in(2);
  if (!random_.one_in(3)) crash_at_ = 1 + random_.below(random_.one_in(2) ? 60 : 1200);
  machine_.file_system().set_hook(
      [this](uint64_t number, sim::Op op, const std::string& path) { on_change(number, op, path); });
  if (random_.one_in(8)) machine_.file_system().set_slowness(static_cast<int64_t>(1 + random_.below(200)));
}

Terms Run::Process::terms_now() {
  Terms now = terms_;
  now.wall_us = machine_.clock().wall_us();
  now.open_us = open_us();
  return now;
}

void Run::Process::on_change(uint64_t number, sim::Op op, const std::string& path) {
  tally_.hash = mixed(tally_.hash, path + sim::op_name(op) + std::to_string(machine_.scheduler().now_us()));
  if (op == sim::Op::kCreate && path.ends_with(".wal")) ++tally_.wal_rolls;
  if (op == sim::Op::kCreate && path.find("MANIFEST") != path.npos) ++tally_.manifest_rolls;
  if (!model_.problem().empty()) return;
  const bool lost = number == crash_at_;
  // What comes late in a process, when there is much to compare, is tried less often.
  const bool many = plan_.run.crash_point_in > 1 && crash_points_ > kManyCrashPoints;
  if (lost || random_.one_in(plan_.run.crash_point_in * (many ? 16 : 1))) {
    ++crash_points_;
    sim::Disk left = disk_.after_crash(any_loss(), random_);
    ++tally_.crash_points;
    if (lost) lost_ = left.copy();
    // Now and then the fork is looked at instead, which is a database like any other.
    const bool other = fork_ && random_.one_in(3);
    Terms terms = other ? fork_->terms : terms_now();
    terms.wall_us = machine_.clock().wall_us();
    const CheckResult result =
        check(std::move(left), other ? fork_->model : model_, terms, random_.next(), plan_.run.depth);
    if (!result.problem.empty())
      model_.blame(std::string(other ? "of a fork, " : "") + "power lost at call " + std::to_string(number) +
                   " (" + sim::op_name(op) + " " + path + "): " + result.problem);
  }
  if (lost) {
    ++tally_.power_losses;
    machine_.file_system().power_off();
  }
}

void Run::Process::choose_faults() {
  if (!faulty_) return;
  sim::SimFileSystem& fs = machine_.file_system();
  const uint64_t soon = random_.below(200);
  switch (random_.below(3)) {
    case 0: {  // one call fails, or all from then on
      static constexpr sim::Op kKinds[] = {sim::Op::kWrite,    sim::Op::kSync,   sim::Op::kSyncDir,
                                           sim::Op::kRename,   sim::Op::kCreate, sim::Op::kAllocate,
                                           sim::Op::kTruncate, sim::Op::kRemove};
      static constexpr const char* kParts[] = {"", ".wal", ".seg", "MANIFEST", "CURRENT", ".chg"};
      const uint64_t times = random_.one_in(2) ? 1 : UINT64_MAX;
      fs.add_fault({kKinds[random_.below(std::size(kKinds))], kParts[random_.below(std::size(kParts))],
                    random_.one_in(2) ? soon : soon / 20, times, ErrorCode::kIo});
      break;
    }
    case 1:
      fs.add_fault(
          {sim::Op::kRead, random_.one_in(2) ? ".seg" : "", soon, 1 + random_.below(3), ErrorCode::kIo});
      break;
    default:
      fs.set_capacity(disk_.bytes() + random_.below(400'000));
  }
}

sim::Disk Run::Process::live() {
  machine_.run([this] { main(); });
  if (faulty_)
    for (size_t i = 0; i < tally_.faults.size(); ++i)
      tally_.faults[i] += machine_.file_system().failures()[i];
  terms_.wall_us = machine_.clock().wall_us();
  // Meanwhile the machine is off, and perhaps its clock is set.
  if (random_.one_in(4)) {
    terms_.wall_us += (random_.one_in(2) ? 1 : -1) * static_cast<int64_t>(random_.below(48)) * kHourUs;
    ++tally_.clock_jumps;
  }
  // The next process goes on with the fork, and in place of the other database there may be nothing.
  if (fork_ && random_.one_in(2)) {
    ++tally_.forks;
    fork_->terms.left = terms_.dir;
    fork_->terms.wall_us = terms_.wall_us;
    terms_ = std::move(fork_->terms);
    model_ = std::move(fork_->model);
  }
  if (lost_) return std::move(*lost_);
  // A process that ended: all that the system has in memory is there, on the disk or not.
  return std::move(disk_);
}

bool Run::Process::open(Engine& engine) {
  DatabaseOptions options = terms_.options;
  options.create_if_missing = model_.durable() == Versionstamp::min();
  auto opened = Database::open(engine, terms_.dir, options);
  if (!opened) {
    const bool excused = machine_off() || (faulty_ && opened.error().code != ErrorCode::kCorruption);
    if (!excused) model_.blame("it does not open: " + opened.error().message);
    return false;
  }
  database_ = std::move(*opened);
  opened_at_us_ = machine_.clock().monotonic_us();
  return true;
}

void Run::Process::main() {
  engine_ = Engine::create({.block_cache_bytes = 64 << 10, .max_open_segments = 4},
                           machine_.components([this](LogLevel, std::string_view line) {
                             tally_.hash = mixed(tally_.hash, line);
                           }));
  // Faults may meet the opening, or come later.
  const bool early = random_.one_in(4);
  if (early) choose_faults();
  if (!terms_.left.empty() && random_.one_in(2)) remove_left();
  if (!machine_off() && open(*engine_)) {
    if (!machine_off()) {
      const bool reads_fail = early && faulty_;
      const std::string problem = reads_fail
                                      ? model_.check_head(database_->head(), database_->head_timestamp_ms())
                                      : compare(*database_, model_, terms_now(), machine_.random());
      // Power may have gone while all that was compared.
      if (!machine_off()) {
        model_.blame(problem);
        model_.settle(database_->head());
        model_.show(database_->head());
        if (!early) choose_faults();
        work();
      }
    }
    if (!machine_off()) count();
    if (!machine_off() && !faulty_) {
      const std::string problem = compare(*database_, model_, terms_now(), machine_.random());
      if (!machine_off()) model_.blame(problem);
    }
    (void)database_->close().has_value();
    terms_.open_us = open_us();
    opened_at_us_ = 0;
    database_.reset();
  }
  engine_.reset();
}

void Run::Process::count() {
  const DatabaseStats stats = database_->stats();
  tally_.flushes += stats.flushes;
  tally_.compactions += stats.compactions;
  tally_.history_segments += stats.history.segments;
  if (database_->horizon() > Versionstamp::min()) ++tally_.horizon_moves;
}

void Run::Process::work() {
  int left = 0;
  Mutex mutex;
  CondVar ended;
  const auto start = [&](void (Process::*body)(), int count) {
    for (int i = 0; i < count; ++i) {
      ++left;
      machine_.scheduler().spawn([&, body] {
        (this->*body)();
        MutexLock lock(mutex);
        --left;
        ended.notify_all();
      });
    }
  };
  start(&Process::write_some, kWriters);
  start(&Process::read_some, 1);
  start(&Process::pin_some, 1);
  start(&Process::maintain_some, 1);
  start(&Process::trouble_some, 1);
  MutexLock lock(mutex);
  while (left > 0) ended.wait(mutex);
}

std::string Run::Process::key(Random& random) {
  return "key" + std::to_string(random.below(kKeys));
}

std::string Run::Process::value(Random& random) {
  std::string value = "v" + std::to_string(++writes_) + ".";
  const uint64_t size = random.one_in(12) ? random.below(3000) : random.below(120);
  // Half of it is hard to compress.
  while (value.size() < size) value += random.one_in(2) ? static_cast<char>('a' + random.below(26)) : '.';
  return value;
}

void Run::Process::write(Random& random) {
  if (random.one_in(2)) {
    database_->submit(*new Transact(*this, random.next()));
    return;
  }
  Transact transaction(*this, random.next());
  transaction.finish(database_->commit(transaction));
}

void Run::Process::write_some() {
  Random random(machine_.random().next());
  for (int i = 0; i < plan_.run.steps && !done(); ++i) {
    const uint64_t burst = random.one_in(6) ? random.below(12) : 1;
    for (uint64_t j = 0; j < burst && !done(); ++j) write(random);
    machine_.scheduler().sleep_us(static_cast<int64_t>(random.below(300)));
  }
}

void Run::Process::read_some() {
  Random random(machine_.random().next());
  for (int i = 0; i < plan_.run.steps && !done(); ++i) {
    machine_.scheduler().sleep_us(static_cast<int64_t>(random.below(600)));
    if (done()) return;
    const auto view = database_->read();
    const Versionstamp at = view->versionstamp();
    model_.show(at);
    const std::string name = key(random);
    const auto found = view->get(name);
    if (done()) return;
    if (!found) {
      if (!faulty_) model_.blame("a read failed: " + found.error().message);
      continue;
    }
    const State wanted = model_.state_at(at);
    const auto entry = wanted.find(name);
    const bool same = entry == wanted.end()
                          ? !found->has_value()
                          : found->has_value() && (*found)->bytes() == entry->second.value &&
                                (*found)->versionstamp() == entry->second.stamp;
    if (!same) model_.blame("a read at " + at.hex() + " gave another " + name + " than there was");
  }
}

void Run::Process::pin_some() {
  Random random(machine_.random().next());
  for (int i = 0; i < plan_.run.steps / 4 && !done(); ++i) {
    machine_.scheduler().sleep_us(static_cast<int64_t>(random.below(2000)));
    if (done()) return;
    const std::vector<Versionstamp> stamps = model_.stamps(database_->horizon(), database_->head());
    if (stamps.empty()) continue;
    const Versionstamp at = stamps[random.below(stamps.size())];
    const auto pinned = database_->pin(at);
    if (!pinned) continue;
    machine_.scheduler().sleep_us(static_cast<int64_t>(random.below(10'000)));
    if (done()) return;
    State found;
    const auto view = database_->read(**pinned);
    const auto cursor = view->scan({});
    while (true) {
      const auto more = cursor->next();
      if (done()) return;
      if (!more) {
        if (!faulty_) model_.blame("a scan of the past failed: " + more.error().message);
        break;
      }
      if (!*more) {
        if (std::string problem = difference(model_.state_at(at, database_->head()), found); !problem.empty())
          model_.blame("pinned at " + at.hex() + ": " + problem);
        break;
      }
      found[std::string(cursor->key())] = {std::string(cursor->value()), cursor->versionstamp()};
    }
  }
}

void Run::Process::maintain_some() {
  Random random(machine_.random().next());
  for (int i = 0; i < plan_.run.steps / 4 && !done(); ++i) {
    machine_.scheduler().sleep_us(static_cast<int64_t>(random.below(4000)));
    if (done()) return;
    Status status;
    switch (random.below(7)) {
      case 0:
      case 1:
        status = database_->flush();
        break;
      case 2:
        status = database_->compact();
        break;
      case 3:
        if (plan_.chained) ingest();
        break;
      case 4:
        (void)database_->stats();
        break;
      case 5:
        if (!fork_) fork(random);
        break;
      default:
        // No shorter than the least that the model knows of.
        if (terms_.options.retention.kind == Retention::Kind::kDuration)
          database_->set_retention(Retention::for_ms(terms_.options.retention.duration_ms +
                                                     static_cast<int64_t>(random.below(50))));
    }
    if (done()) return;
    if (!status && !faulty_) model_.blame("a flush or a merge failed: " + status.error().message);
  }
}

// Full disks have room again, clocks are set.
void Run::Process::trouble_some() {
  Random random(machine_.random().next());
  for (int i = 0; i < 4 && !done(); ++i) {
    machine_.scheduler().sleep_us(static_cast<int64_t>(random.below(20'000)));
    if (random.one_in(3)) {
      machine_.clock().jump_us((random.one_in(2) ? 1 : -1) * static_cast<int64_t>(random.below(5 * kHourUs)));
      ++tally_.clock_jumps;
    }
  }
  machine_.file_system().set_capacity(std::nullopt);
}

// Of any moment that can be read, while others write.
void Run::Process::fork(Random& random) {
  const std::vector<Versionstamp> stamps = model_.stamps(database_->horizon(), database_->head());
  if (stamps.empty()) return;
  // What perhaps is a commit may be none.
  const auto at = database_->last_commit(stamps[random.below(stamps.size())], INT64_MAX);
  if (!at || at->stamp < database_->horizon() || machine_off()) return;
  // What another one left behind is in nobody's way.
  const std::string dir = kDir + std::to_string(++terms_.forks_begun);
  const Status forked = database_->fork(dir, at->stamp);
  if (done()) return;
  if (!forked) {
    if (!faulty_ && database_->horizon() <= at->stamp)
      model_.blame("a fork failed: " + forked.error().message);
    return;
  }
  model_.show(at->stamp);
  fork_.emplace(Fork{model_, terms_now()});
  fork_->model.fork(at->stamp);
  fork_->terms.dir = dir;
}

// The database that this one is a fork of.
void Run::Process::remove_left() {
  FileSystem& fs = machine_.file_system();
  const std::string dir = std::exchange(terms_.left, {});
  const auto names = fs.list_dir(dir);
  if (!names) return;
  for (const std::string& name : *names)
    if (!fs.remove(dir + "/" + name)) return;
  (void)fs.remove_dir(dir).has_value();
}

void Run::Process::ingest() {
  Random random(machine_.random().next());
  const auto ingest = database_->begin_ingest();
  const int64_t ahead_us = static_cast<int64_t>(random.below(20'000));
  const Versionstamp after = model_.newest_stamp();
  const uint64_t base =
      std::max(next_versionstamp_number(after.number, database_->epoch(), machine_.clock().wall_us()),
               after.number + 1) +
      static_cast<uint64_t>(ahead_us);
  std::vector<Written> writes;
  for (int i = 0; i < kKeys; ++i) {
    if (random.one_in(2)) continue;
    const std::string name = "key" + std::to_string(i);
    // Of one key the newest first.
    for (uint64_t version = 1 + random.below(3); version > 0; --version) {
      std::optional<std::string> text;
      if (!random.one_in(4)) text = value(random);
      writes.push_back({name, text, {base + version, static_cast<uint16_t>(random.below(3))}});
    }
  }
  // No commit can have this stamp, however far others come meanwhile.
  const Versionstamp last{base + 9, 3};
  if (plan_.chained) writes.push_back({kChain, "link", last});
  std::ranges::stable_sort(writes, {}, &Written::key);
  for (const Written& write : writes) {
    const Status added = ingest->add(write.key, write.stamp, write.value);
    if (done()) return;
    if (added) continue;
    if (!faulty_) model_.blame("an ingest took no entry: " + added.error().message);
    return;
  }
  if (writes.empty()) return;
  const int64_t timestamp_ms =
      std::max(database_->head_timestamp_ms(), machine_.clock().wall_us() / 1000) + 60'000'000;
  const bool late = random.one_in(2);
  if (!late) model_.begin_ingest(last, timestamp_ms, writes, open_us());
  // Or something is added at the last moment.
  const auto complete = [&](const CommitPoint&, const CommitPoint&) -> Result<std::optional<CommitPoint>> {
    if (late) {
      const Written extra{key(random), value(random), last};
      TM_TRY(ingest->begin_part());
      TM_TRY(ingest->add(extra.key, extra.stamp, *extra.value));
      writes.push_back(extra);
      model_.begin_ingest(last, timestamp_ms, writes, open_us());
    }
    return CommitPoint{last, timestamp_ms};
  };
  const CommitOutcome outcome = ingest->publish(complete);
  if (machine_off()) return;
  model_.finish(last, outcome);
  if (outcome.committed) ++tally_.ingests;
}

}  // namespace tidemark::crash
