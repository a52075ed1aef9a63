#include "tests/crash/backup_run.h"

#include <algorithm>
#include <utility>

#include "engine/io/remove_folder.h"
#include "engine/io/sync.h"
#include "server/backup/follower.h"
#include "server/backup/shipper.h"
#include "server/backup/verify.h"
#include "server/kv/keyspace.h"
#include "server/kv/stored_value.h"
#include "tests/support/shipper_round.h"

namespace tidemark::crash {
namespace {

constexpr char kPrefix[] = "backups/0a0a/";
constexpr char kReplicaDir[] = "/replica";
constexpr char kScratchDir[] = "/scratch";
constexpr char kChain[] = "uchain";  // the key that each commit of a chained run writes
constexpr int kKeys = 30;
constexpr int kWriters = 2;
constexpr int64_t kSecondUs = 1'000'000;
constexpr int kRounds = 500;
constexpr int kPastStates = 3;
constexpr uint64_t kManyCrashPoints = 60;  // of one process: then they become fewer

std::string stored(const std::string& data, int64_t expire_at_ms) {
  std::string out;
  kv::append_stored_value(out, {kv::Encoding::kBytes, expire_at_ms, data});
  return out;
}

// All that a backup holds of a view: everything but the server's bookkeeping.
Result<State> contents(const ReadView& view) {
  State state;
  const std::string start(1, kv::kExpiryPrefix);
  const auto cursor = view.scan({.start = start, .end = {}});
  while (true) {
    TM_ASSIGN(const bool more, cursor->next());
    if (!more) return state;
    state[std::string(cursor->key())] = {std::string(cursor->value()), cursor->versionstamp()};
  }
}

sim::Loss any_loss(Random& random) {
  return static_cast<sim::Loss>(random.below(sim::kLosses));
}

// Each takes a snapshot, and comes of something that went wrong: more of them come of each other.
constexpr uint64_t kMostGaps = 40;

backup::FollowerOptions follower_options() {
  backup::FollowerOptions options;
  options.scratch_folder = kScratchDir;
  options.stretch_bytes = 2000;
  return options;
}

// A database that has taken what there is of the backup, or up to a moment.
struct Followed {
  std::unique_ptr<Database> database;
  std::unique_ptr<backup::Follower> follower;
};
Result<Followed> follow_backup(Engine& engine, backup::ObjectStore& store, const std::string& dir,
                               const DatabaseOptions& options = {},
                               const std::optional<kv::MomentName>& until = {}) {
  Followed out;
  TM_ASSIGN(out.database, Database::open(engine, dir, options));
  TM_ASSIGN(out.follower, backup::Follower::open(engine, *out.database, store, kPrefix, follower_options()));
  TM_TRY(out.follower->begin(until));
  TM_TRY(out.follower->pull(until));
  return out;
}

}  // namespace

void BackupRun::Tally::add(const Tally& other) {
  runs += other.runs;
  crash_points += other.crash_points;
  at_requests += other.at_requests;
  gone_on += other.gone_on;
  power_losses += other.power_losses;
  commits += other.commits;
  requests += other.requests;
  faults += other.faults;
  generations += other.generations;
  gaps += other.gaps;
  pulled += other.pulled;
  refilled += other.refilled;
  gated += other.gated;
}

// One transaction, which is submitted, and deletes itself.
class BackupRun::Write final : public CommitRequest {
 public:
  Write(BackupRun& run, uint64_t seed) : run_(run), random_(seed) {}

  Result<Decision> run(Transaction& transaction) override {
    std::optional<Versionstamp> previous;
    if (run_.chained_) {
      TM_ASSIGN(const auto link, transaction.get(kChain));
      previous = link ? link->versionstamp : Versionstamp::min();
    }
    stamp_ = transaction.versionstamp();
    run_.model_.follow(previous, stamp_);
    std::vector<Written> writes;
    const auto put = [&](const std::string& key, const std::string& value) {
      transaction.put(key, value);
      writes.push_back({key, value, stamp_});
    };
    // Each key once, as a server's plan has it.
    for (uint64_t i = random_.below(5); i > 0; --i) {
      const std::string key = "key" + std::to_string(random_.below(kKeys / 5) * 5 + i);
      if (random_.one_in(4)) {
        transaction.erase("u" + key);
        writes.push_back({"u" + key, std::nullopt, stamp_});
        continue;
      }
      const int64_t expiry = random_.one_in(6) ? transaction.timestamp_ms() + 5000 : 0;
      const uint64_t size = random_.one_in(10) ? random_.below(1500) : random_.below(100);
      put("u" + key,
          stored("v" + std::to_string(++run_.values_) + std::string(size, static_cast<char>('a' + i)),
                 expiry));
      if (expiry != 0) put(kv::expiry_key_from(expiry) + key, "");
    }
    if (run_.chained_) put(kChain, stored("link", 0));
    run_.model_.begin(stamp_, transaction.timestamp_ms(), std::move(writes), 0);
    return Decision::kCommit;
  }

  void done(const CommitOutcome& outcome) override {
    if (!run_.off_) {
      run_.model_.finish(stamp_, outcome);
      if (outcome.committed) {
        ++run_.tally_.commits;
        run_.promise_.acknowledged = std::max(run_.promise_.acknowledged, stamp_);
      }
    }
    delete this;
  }

 private:
  BackupRun& run_;
  Random random_;
  Versionstamp stamp_;
};

BackupRun::BackupRun(const BackupRunOptions& options) : options_(options), random_(options.seed) {
  tally_.runs = 1;
  choose_terms();
}

void BackupRun::choose_terms() {
  DatabaseOptions& database = database_options_;
  database.memtable_bytes = uint64_t{4096} << random_.below(3);
  database.segment_bytes = uint64_t{2048} << random_.below(3);
  database.block_bytes = 256;
  database.level0_compaction_trigger = static_cast<int>(1 + random_.below(4));
  database.level1_bytes = 4096;
  database.history_run_trigger = 2;
  switch (random_.below(3)) {
    case 0:
      database.retention = Retention::none();
      break;
    case 1:
      database.retention = Retention::forever();
      break;
    default:
      database.retention = Retention::for_ms(static_cast<int64_t>(2 + random_.below(2000)));
  }
  database.gated = random_.one_in(3);
  tally_.gated = database.gated ? 1 : 0;
  chained_ = random_.one_in(2);
  may_let_go_ = !database.gated && random_.one_in(3);
  objects_->knows_conditions = !random_.one_in(5);

  backup::ShipperOptions& shipper = shipper_options_;
  shipper.immediate = database.gated;
  shipper.interval_us = static_cast<int64_t>(1 + random_.below(100)) * 1000;
  shipper.log_object_bytes = uint64_t{512} << random_.below(4);
  shipper.snapshot_object_bytes = uint64_t{512} << random_.below(3);
  shipper.generation_age_ms = static_cast<int64_t>(60 + random_.below(600)) * 1000;
  shipper.keep_ms = shipper.generation_age_ms * static_cast<int64_t>(1 + random_.below(4));
}

std::string BackupRun::go() {
  for (int i = 0; i < options_.processes && model_.problem().empty(); ++i) one_process();
  if (model_.problem().empty()) model_.blame(check(std::move(disk_), true));
  tally_.gaps = gaps(*objects_);
  if (model_.problem().empty() && tally_.gaps > kMostGaps)
    model_.blame("it began anew " + std::to_string(tally_.gaps) + " times");
  if (const auto source = backup::Source::open(*objects_, kPrefix); source && source->index())
    tally_.generations = source->index()->generations.size();
  return model_.problem();
}

void BackupRun::one_process() {
  sim::Machine machine(random_.next(), disk_, wall_us_);
  machine_ = &machine;
  off_ = false;
  lost_.reset();
  lost_at_change_ = lost_at_request_ = 0;
  switch (random_.below(4)) {
    case 0:
      lost_at_change_ = 1 + random_.below(400);
      break;
    case 1:
    case 2:
      lost_at_request_ = 1 + random_.below(80);
      break;
    default:  // a clean end
      break;
  }
  store_ = std::make_shared<DistantStore>(machine.scheduler(), *objects_);
  if (options_.faults && random_.one_in(2)) store_->set_faults(5 + random_.below(25));
  machine.file_system().set_hook(
      [this](uint64_t number, sim::Op op, const std::string& path) { on_change(number, op, path); });
  store_->set_hook([this](uint64_t number, const std::string& what) { on_request(number, what); });
  ++processes_;
  machine.run([this] { main(); });
  tally_.faults += store_->faults_met();
  store_.reset();
  wall_us_ = machine.clock().wall_us() + static_cast<int64_t>(random_.below(60)) * kSecondUs;
  machine_ = nullptr;
  if (lost_) disk_ = std::move(*lost_);
}

void BackupRun::on_change(uint64_t number, sim::Op op, const std::string& path) {
  crash_point(number == lost_at_change_, options_.change_in,
              std::string(sim::op_name(op)) + " " + path + " (call " + std::to_string(number) + ")");
}

void BackupRun::on_request(uint64_t number, const std::string& what) {
  ++tally_.requests;
  const uint64_t before = tally_.crash_points;
  crash_point(number == lost_at_request_, options_.request_in, what + " (" + std::to_string(number) + ")");
  tally_.at_requests += tally_.crash_points - before;
}

void BackupRun::crash_point(bool lost, uint64_t one_in, const std::string& when) {
  if (off_ || !model_.problem().empty()) return;
  const bool many = one_in > 1 && tally_.crash_points > kManyCrashPoints * static_cast<uint64_t>(processes_);
  if (lost || random_.one_in(one_in * (many ? 16 : 1))) {
    ++tally_.crash_points;
    std::optional<sim::Disk> left;
    const bool goes_on = random_.one_in(3);
    if (lost || goes_on) left = disk_.after_crash(any_loss(random_), random_);
    if (lost) lost_ = left->copy();
    if (!goes_on) left.reset();
    if (goes_on) ++tally_.gone_on;
    const std::string problem = check(std::move(left), false);
    if (!problem.empty()) model_.blame("power lost at " + when + ": " + problem);
  }
  if (!lost) return;
  ++tally_.power_losses;
  off_ = true;
  machine_->file_system().power_off();
  store_->cut_off();
}

// What `backup status` would tell.
void BackupRun::look_at_promise() {
  for (const backup::BackupService::Report& report : service_->reports()) {
    promise_.shipped = std::max(promise_.shipped, report.status.shipped.stamp);
    if (report.status.state == backup::ShipperState::kActive) promise_.restorable = true;
  }
}

// ---------------------------------------------------------------------------------------------------------
// A process

void BackupRun::main() {
  engine_ = Engine::create({.block_cache_bytes = 64 << 10, .max_open_segments = 8}, machine_->components());
  (void)machine_->file_system().create_dir(kScratchDir).has_value();
  DatabaseOptions options = database_options_;
  options.create_if_missing = model_.durable() == Versionstamp::min();
  auto opened = Database::open(*engine_, "/db", options);
  if (!opened) {
    if (!off_) model_.blame("it does not open: " + opened.error().message);
    engine_.reset();
    return;
  }
  database_ = std::move(*opened);
  if (!off_) {
    model_.settle(database_->durable());
    service_ = std::make_unique<backup::BackupService>(*engine_, shipper_options_, LogSink());
    work();
    // A clean end ships what is left, if the store lets it.
    service_->stop(off_ ? 0 : 20 * kSecondUs);
    look_at_promise();
    service_.reset();
  }
  (void)database_->close().has_value();
  database_.reset();
  engine_.reset();
}

void BackupRun::work() {
  Mutex mutex;
  CondVar ended;
  const auto start = [&](void (BackupRun::*body)()) {
    ++working_;
    machine_->scheduler().spawn([&, body] {
      (this->*body)();
      MutexLock lock(mutex);
      --working_;
      ended.notify_all();
    });
  };
  for (int i = 0; i < kWriters; ++i) start(&BackupRun::write_some);
  start(&BackupRun::follow_some);
  start(&BackupRun::maintain_some);
  start(&BackupRun::poll_until_done);
  MutexLock lock(mutex);
  while (working_ > 0) ended.wait(mutex);
}

void BackupRun::poll_until_done() {
  Random random(machine_->random().next());
  const std::string session = "session-" + std::to_string(processes_);
  while (working_ > 1 && !done()) {
    service_->poll({{identity(session), database_, store_, kPrefix}});
    look_at_promise();
    machine_->scheduler().sleep_us(static_cast<int64_t>(random.below(50'000)));
  }
  // With the power off nothing is released: whoever waits for that is gone.
  if (done()) (void)database_->end_gate();
}

void BackupRun::write_some() {
  Random random(machine_->random().next());
  for (int i = 0; i < options_.steps && !done(); ++i) {
    for (uint64_t j = random.one_in(5) ? random.below(12) : 1; j > 0 && !done(); --j)
      database_->submit(*new Write(*this, random.next()));
    // Backups take pauses of seconds when something fails.
    machine_->scheduler().sleep_us(
        static_cast<int64_t>(random.below(random.one_in(8) ? 3 * kSecondUs : 20'000)));
  }
}

void BackupRun::maintain_some() {
  Random random(machine_->random().next());
  for (int i = 0; i < options_.steps / 2 && !done(); ++i) {
    machine_->scheduler().sleep_us(static_cast<int64_t>(random.below(kSecondUs)));
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
        if (chained_) ingest();
        break;
      case 4:
        if (may_let_go_) service_->let_go();
        break;
      default:  // generations come of age
        machine_->clock().jump_us(static_cast<int64_t>(random.below(300)) * kSecondUs);
    }
    if (!status && !done()) model_.blame("a flush or a merge failed: " + status.error().message);
  }
}

void BackupRun::ingest() {
  Random random(machine_->random().next());
  const auto ingest = database_->begin_ingest();
  const Versionstamp after = model_.newest_stamp();
  const Versionstamp last{
      std::max(next_versionstamp_number(after.number, database_->epoch(), machine_->clock().wall_us()),
               after.number + 1) +
          10'000,
      3};
  std::vector<Written> writes = {{kChain, stored("link", 0), last}};
  for (int i = 0; i < kKeys; ++i) {
    if (random.one_in(2)) continue;
    std::optional<std::string> value;
    if (!random.one_in(4)) value = stored("i" + std::to_string(++values_), 0);
    writes.push_back({"ukey" + std::to_string(i), value, last});
  }
  std::ranges::sort(writes, {}, &Written::key);
  for (const Written& write : writes) {
    const Status added = ingest->add(write.key, write.stamp, write.value);
    if (done()) return;
    if (!added) return model_.blame("an ingest took no entry: " + added.error().message);
  }
  const int64_t timestamp_ms =
      std::max(database_->head_timestamp_ms(), machine_->clock().wall_us() / 1000) + 10;
  model_.begin_ingest(last, timestamp_ms, writes, 0);
  const CommitOutcome outcome = ingest->publish({last, timestamp_ms});
  if (off_) return;
  model_.finish(last, outcome);
  if (outcome.committed) promise_.acknowledged = std::max(promise_.acknowledged, last);
}

// A replica, on the same machine, so that it dies with it.
void BackupRun::follow_some() {
  Random random(machine_->random().next());
  while (working_ > 2 && !done()) {
    machine_->scheduler().sleep_us(static_cast<int64_t>(random.below(kSecondUs)));
    if (!done()) follow();
  }
}

std::string BackupRun::replica_dir() const {
  return kReplicaDir + std::to_string(replicas_);
}

DatabaseOptions BackupRun::replica_options() const {
  DatabaseOptions options = database_options_;
  options.gated = false;
  options.retention = Retention::forever();
  return options;
}

void BackupRun::follow() {
  auto replica = Database::open(*engine_, replica_dir(), replica_options());
  if (!replica) {
    if (!done()) model_.blame("the replica does not open: " + replica.error().message);
    return;
  }
  const auto give_up = [&](const Error& error) {
    if (done() || error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kNotFound) return;
    if (!excused(error, *objects_)) return model_.blame("the replica follows no more: " + error.message);
    // It has nothing to follow any more, and begins anew.
    ++tally_.refilled;
    ++replicas_;
  };
  auto follower = backup::Follower::open(*engine_, **replica, *store_, kPrefix, follower_options());
  if (!follower) return give_up(follower.error());
  if (const Status begun = (*follower)->begin(); !begun) return give_up(begun.error());
  Random random(machine_->random().next());
  for (uint64_t i = 1 + random.below(6); i > 0 && working_ > 2 && !done(); --i) {
    const Result<uint64_t> pulled = (*follower)->pull();
    if (!pulled) return give_up(pulled.error());
    tally_.pulled += *pulled;
    if (done()) return;
    const std::string problem = compare_states(**replica, model_, (*replica)->head(), random);
    if (!done() && !problem.empty()) model_.blame("of the replica: " + problem);
    machine_->scheduler().sleep_us(static_cast<int64_t>(random.below(kSecondUs / 2)));
  }
}

// ---------------------------------------------------------------------------------------------------------
// What must be there behind a crash

// Generations that do not continue the one before.
uint64_t BackupRun::gaps(backup::ObjectStore& store) {
  const auto source = backup::Source::open(store, kPrefix);
  if (!source || !source->index()) return 0;
  return static_cast<uint64_t>(std::ranges::count_if(
      source->index()->generations,
      [](const backup::Generation& one) { return !one.continues && !one.id.starts_with("0001-"); }));
}

// Whether a replica may find nothing to follow any more.
bool BackupRun::excused(const Error& error, backup::ObjectStore& store) {
  return error.code == ErrorCode::kConflict &&
         (gaps(store) > 0 || error.message.find("no longer holds") != std::string::npos);
}

std::string BackupRun::compare_states(Database& database, const Model& model, Versionstamp head,
                                      Random& random) const {
  const auto compare_at = [&](const ReadView& view) -> std::string {
    const Result<State> found = contents(view);
    if (!found) return "a scan failed: " + found.error().message;
    const std::string problem = difference(model.state_at(view.versionstamp(), head), *found);
    return problem.empty() ? problem : "at " + view.versionstamp().hex() + ": " + problem;
  };
  std::string problem = compare_at(*database.read());
  const std::vector<Versionstamp> past = model.stamps(database.horizon(), head);
  for (int i = 0; i < kPastStates && problem.empty() && !past.empty(); ++i) {
    const auto pin = database.pin(past[random.below(past.size())]);
    if (!pin) return "a state of the past cannot be read: " + pin.error().message;
    problem = compare_at(*database.read(**pin));
  }
  return problem;
}

std::string BackupRun::check(std::optional<sim::Disk> disk, bool all) {
  std::string problem;
  const auto copy = std::make_shared<MemoryObjectStore>();
  copy->set_objects(objects_->objects());
  copy->knows_conditions = objects_->knows_conditions;
  const int64_t wall_us = machine_ == nullptr ? wall_us_ : machine_->clock().wall_us();
  const auto on_machine = [&](sim::Disk& on, auto&& body) {
    sim::Machine machine(random_.next(), on, wall_us);
    machine.run([&] {
      const auto engine =
          Engine::create({.block_cache_bytes = 256 << 10, .max_open_segments = 64}, machine.components());
      (void)machine.file_system().create_dir(kScratchDir).has_value();
      problem = body(*engine, machine.random());
    });
  };
  sim::Disk empty;
  on_machine(empty,
             [&](Engine& engine, Random& random) { return check_restore(engine, *copy, random, all); });
  if (!problem.empty() || !disk) return problem;
  on_machine(*disk, [&](Engine& engine, Random& random) { return go_on(engine, copy, random); });
  return problem;
}

std::string BackupRun::check_restore(Engine& engine, backup::ObjectStore& store, Random& random,
                                     bool all) const {
  // What was answered under `--durability backup` is there; so is what was said to be in the store, but for
  // the log of a generation that has no snapshot yet, which is said to be pending.
  const Versionstamp answered = database_options_.gated ? promise_.acknowledged : Versionstamp::min();
  const Result<Followed> restored = follow_backup(engine, store, "/restored");
  if (!restored) {
    const ErrorCode code = restored.error().code;
    const bool early = code == ErrorCode::kNotFound || code == ErrorCode::kUnavailable;
    if (early && !promise_.restorable && answered == Versionstamp::min()) return {};
    return "it cannot be restored: " + restored.error().message;
  }
  const Versionstamp end = restored->database->head();
  const bool gap = !restored->follower->source().index()->generations.back().complete;
  const Versionstamp promised = gap || !promise_.restorable ? answered : std::max(answered, promise_.shipped);
  // A position may lie between commits, below a snapshot's.
  const std::vector<Versionstamp> above = model_.stamps(end, promised);
  if (std::ranges::any_of(above, [&](Versionstamp stamp) { return stamp > end; }))
    return "restored are commits up to " + end.hex() + ", and " + promised.hex() + " was promised";
  if (std::string problem = compare_states(*restored->database, model_, end, random); !problem.empty())
    return "restored: " + problem;
  if (!gap && (all || random.one_in(6))) {
    const auto verified = backup::verify_backup(engine, restored->follower->source(),
                                                [](const backup::Verification&) { return Status(); });
    if (!verified) return "the backup cannot be verified: " + verified.error().message;
    // What was cut off on its way will be written again; who looks then takes it for damage.
    if (!verified->problems.empty() && restored->follower->torn_end().empty())
      return "verify: " + verified->problems.front();
  }
  const std::vector<Versionstamp> stamps = model_.stamps(Versionstamp::min(), end);
  for (int i = 0; i < (all ? 12 : 1) && !stamps.empty(); ++i) {
    const Versionstamp until = stamps[random.below(stamps.size())];
    const std::string problem = check_until(engine, store, until, end, "/until" + std::to_string(i));
    if (!problem.empty()) return "restored as of " + until.hex() + ": " + problem;
  }
  return {};
}

std::string BackupRun::check_until(Engine& engine, backup::ObjectStore& store, Versionstamp until,
                                   Versionstamp end, const std::string& dir) const {
  const Result<Followed> restored = follow_backup(engine, store, dir, {}, until);
  if (!restored) return restored.error().code == ErrorCode::kBeyondHorizon ? "" : restored.error().message;
  const Versionstamp head = restored->database->head();
  if (head > until) return "it went on to " + head.hex();
  // It may lie where nothing was shipped.
  const std::vector<Versionstamp> between = model_.stamps(head, until);
  if (!between.empty() && between.back() > head && gaps(store) == 0) return "it came to " + head.hex();
  const Result<State> found = contents(*restored->database->read());
  if (!found) return found.error().message;
  return difference(model_.state_at(head, end), *found);
}

// The next process: ships what is left, and then the backup is what the database is.
std::string BackupRun::go_on(Engine& engine, const std::shared_ptr<MemoryObjectStore>& store,
                             Random& random) const {
  DatabaseOptions options = database_options_;
  options.create_if_missing = model_.durable() == Versionstamp::min();
  auto opened = Database::open(engine, "/db", options);
  if (!opened) return "it does not open: " + opened.error().message;
  Database& database = **opened;
  Model model = model_;
  model.settle(database.durable());
  if (!model.problem().empty()) return model.problem();
  const Versionstamp head = database.durable();
  backup::Shipper shipper(engine.clock(), store, kPrefix, identity("the next one"), shipper_options_,
                          LogSink());
  for (int i = 0; !shipper.idle(database); ++i) {
    if (i == kRounds) return "it is not shipped after many rounds: " + shipper.status().message;
    run_round(shipper, database);
    engine.clock().sleep_us(200'000);
  }
  shipper.release();
  const Result<Followed> restored = follow_backup(engine, *store, "/restored");
  if (!restored) return "gone on: " + restored.error().message;
  if (restored->database->head() != head)
    return "gone on: restored up to " + restored->database->head().hex() + " instead of " + head.hex();
  if (std::string problem = compare_states(*restored->database, model, head, random); !problem.empty())
    return "gone on: " + problem;
  std::string problem = go_on_following(engine, *store, head);
  return problem.empty() ? problem : "the replica gone on with: " + problem;
}

std::string BackupRun::go_on_following(Engine& engine, backup::ObjectStore& store, Versionstamp head) const {
  const Result<Followed> replica = follow_backup(engine, store, replica_dir(), replica_options());
  if (!replica) return excused(replica.error(), store) ? "" : replica.error().message;
  if (replica->database->head() != head)
    return "it came to " + replica->database->head().hex() + " instead of " + head.hex();
  const Result<State> found = contents(*replica->database->read());
  if (!found) return found.error().message;
  return difference(model_.state_at(head, head), *found);
}

}  // namespace tidemark::crash
