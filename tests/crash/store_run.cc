#include "tests/crash/store_run.h"

#include <algorithm>

#include "engine/base/check.h"
#include "server/kv/keyspace.h"
#include "server/kv/moment.h"
#include "server/kv/rewind.h"
#include "tests/crash/check.h"

namespace tidemark::crash {
namespace {

constexpr char kDataDir[] = "/data";
constexpr char kAccessToken[] = "the token of the test";
constexpr int64_t kLongUs = 1'000'000;

class KeyWrite final : public kv::WriteRequest {
 public:
  KeyWrite(kv::WritePlan plan, std::function<void(const CommitOutcome&)> told)
      : kv::WriteRequest(std::move(plan)), told_(std::move(told)) {}
  void answer(const CommitOutcome& outcome) override {
    told_(outcome);
    delete this;
  }

 private:
  std::function<void(const CommitOutcome&)> told_;
};

class Entries final : public kv::EntrySink {
 public:
  void begin_range() override {}
  void entry(std::string_view key, const kv::StoredValue& value, Versionstamp) override {
    found[std::string(key)] = std::string(value.data);
  }
  void end_range() override {}
  std::map<std::string, std::string> found;
};

}  // namespace

host::HostOptions StoreRun::host_options() const {
  host::HostOptions options;
  options.data_dir = kDataDir;
  options.access_token = kAccessToken;
  options.database.memtable_bytes = 4096;
  options.database.segment_bytes = 2048;
  options.database.block_bytes = 256;
  options.database.level0_compaction_trigger = 2;
  options.database.level1_bytes = 4096;
  options.database.history_run_trigger = 2;
  options.database.retention = Retention::forever();
  return options;
}

std::string StoreRun::go() {
  tally_.runs = 1;
  process([this] { first_process(); });
  if (!failed()) process([this] { second_process(); });
  return problem_;
}

void StoreRun::process(const std::function<void()>& work) {
  sim::Machine machine(random_.next(), disk_, wall_us_);
  machine_ = &machine;
  ++tally_.processes;
  machine.file_system().set_hook(
      [this](uint64_t number, sim::Op op, const std::string& path) { on_change(number, op, path); });
  machine.run([&] {
    if (open(machine, !store_made_)) {
      store_made_ = true;
      work();
      close();
    }
    engine_.reset();
  });
  wall_us_ = machine.clock().wall_us();
  machine_ = nullptr;
}

bool StoreRun::open(sim::Machine& machine, bool make) {
  engine_ = Engine::create({.block_cache_bytes = 64 << 10, .max_open_segments = 8}, machine.components());
  host::HostOptions options = host_options();
  options.create_if_missing = make;
  auto opened = host::Host::open(*engine_, options);
  expect(opened.has_value(), "the store does not open: " + (opened ? "" : opened.error().message));
  if (!opened) return false;
  host_ = std::move(*opened);
  const auto id = host_->id_of("default");
  if (!id) return blame("there is no default database"), false;
  KnownDatabase& known = databases_[id->text()];
  known.presence = Presence::kThere;
  known.name = "default";
  return true;
}

void StoreRun::close() {
  for (const host::Host::Figures& figures : host_->figures()) {
    tally_.flushes += figures.counters.engine.flushes;
    tally_.compactions += figures.counters.engine.compactions;
    tally_.commits += figures.counters.engine.commits;
    expired_ += figures.counters.expired_keys;
    if (figures.database) tally_.history_segments += figures.database->database().stats().history.segments;
  }
  const Status closed = host_->close();
  expect(closed.has_value(), "the store does not close: " + (closed ? "" : closed.error().message));
  host_.reset();
}

// The workload: everything at least once, in little.
void StoreRun::first_process() {
  make("one");
  make("two");
  make_token();
  fill("one", 25);
  set_key("stays", "1", 0);
  set_key("expires", "2", wall_us_ / 1000 + 5000);
  overwrite_and_flush("one");
  overwrite_and_flush("one");
  ingest("one");
  fill("two", 6);
  set_key("expires", "3", wall_us_ / 1000 + 9000);
  set_key("short", "4", wall_us_ / 1000 + 4000);
  erase_key("stays");
  rename("one", "uno");
  let_expire();
  remove("two", false);
  bring_back("two");
  fill("two", 3);
  remove("two", true);
  make_token();
  revoke_token();
  set_key("late", "5", wall_us_ / 1000 + 1'000'000);
  rewind_keys();
  fork("uno", "other");
  fill("other", 3);
}

// On what the first has left: recovery with and without a clean end was the first thing here.
void StoreRun::second_process() {
  fill("uno", 5);
  overwrite_and_flush("uno");
  overwrite_and_flush("other");
  set_key("again", "6", 0);
  make("two");
  fill("two", 2);
  remove("two", true);
  if (options_.wanders) wander();
}

host::DatabaseRef StoreRun::use(const std::string& name) {
  if (failed()) return nullptr;
  const auto id = host_->id_of(name);
  expect(id.has_value(), "there is no database " + name);
  if (!id) return nullptr;
  host::DatabaseRef found;
  bool told = false;
  host_->open_database(*id, [&](const Result<host::DatabaseRef>& opened) {
    expect(opened.has_value(), name + " does not open: " + (opened ? "" : opened.error().message));
    if (opened) found = *opened;
    told = true;
  });
  while (!told) machine_->scheduler().sleep_us(50);
  return found;
}

StoreRun::KnownDatabase& StoreRun::known(const std::string& name) {
  const auto found = std::ranges::find_if(databases_, [&](const auto& one) {
    return one.second.name == name && one.second.presence == Presence::kThere;
  });
  TM_CHECK(found != databases_.end());
  return found->second;
}

void StoreRun::make(const std::string& name) {
  if (failed()) return;
  const auto made = host_->create_database(name);
  expect(made.has_value(), "making " + name + " failed: " + (made ? "" : made.error().message));
  if (!made) return;
  KnownDatabase& known = databases_[made->id.text()];
  known.presence = Presence::kThere;
  known.name = name;
  ++made_;
}

void StoreRun::rename(const std::string& name, const std::string& new_name) {
  if (failed()) return;
  KnownDatabase& database = known(name);
  database.new_name = new_name;
  const auto renamed = host_->rename_database(name, new_name);
  expect(renamed.has_value(), "renaming failed");
  database.name = new_name;
  database.new_name.clear();
}

void StoreRun::remove(const std::string& name, bool for_good) {
  if (failed()) return;
  KnownDatabase& database = known(name);
  database.presence = Presence::kPerhaps;
  expect(host_->delete_database(name).has_value(), "deleting " + name + " failed");
  database.presence = Presence::kGone;
  if (!for_good) return;
  const auto purged = host_->purge_database(name);
  expect(purged.has_value(), "removing " + name + " failed: " + (purged ? "" : purged.error().message));
  ++removed_;
}

void StoreRun::bring_back(const std::string& name) {
  if (failed()) return;
  for (auto& [id, database] : databases_) {
    if (database.name != name || database.presence != Presence::kGone) continue;
    database.presence = Presence::kPerhaps;
    expect(host_->undelete_database(name).has_value(), "bringing " + name + " back failed");
    database.presence = Presence::kThere;
  }
}

void StoreRun::make_token() {
  if (failed()) return;
  const auto made = host_->create_token({{}, true, host::Rights::kReadWrite, "label"});
  expect(made.has_value(), "making a token failed");
  if (made) tokens_.push_back({made->secret});
}

void StoreRun::revoke_token() {
  if (failed()) return;
  KnownToken& token = tokens_.front();
  const auto grant = host_->authenticate(token.secret);
  expect(grant != nullptr, "a token is not good");
  if (!grant) return;
  token.good = Presence::kPerhaps;
  expect(host_->revoke_token(grant->token).has_value(), "revoking a token failed");
  token.good = Presence::kGone;
}

void StoreRun::commit(const std::string& name,
                      std::vector<std::pair<std::string, std::optional<std::string>>> writes) {
  const host::DatabaseRef database = use(name);
  if (!database) return;
  Model& model = known(name).model;
  const CommitOutcome outcome = tidemark::commit(
      database->database(), [&](Transaction& transaction) -> Result<CommitRequest::Decision> {
        std::vector<Written> written;
        for (const auto& [key, value] : writes) {
          value ? transaction.put(key, *value) : transaction.erase(key);
          written.push_back({key, value, transaction.versionstamp()});
        }
        model.follow(std::nullopt, transaction.versionstamp());
        model.begin(transaction.versionstamp(), transaction.timestamp_ms(), std::move(written), 0);
        return CommitRequest::Decision::kCommit;
      });
  expect(outcome.committed, "a commit failed: " + (outcome.status ? "" : outcome.status.error().message));
  model.finish(outcome.versionstamp, outcome);
  blame(model.problem());
}

void StoreRun::fill(const std::string& name, int commits) {
  for (int i = 0; i < commits && !failed(); ++i) {
    ++values_;
    const std::string value = "v" + std::to_string(values_) + std::string(values_ * 37 % 400, 'x');
    std::optional<std::string> second;
    if (i % 3 != 0) second = value + "b";
    commit(name, {{"a" + std::to_string(i % 7), value}, {"b" + std::to_string(i % 5), second}});
  }
}

void StoreRun::overwrite_and_flush(const std::string& name) {
  fill(name, 6);
  const host::DatabaseRef database = use(name);
  if (!database) return;
  expect(database->database().flush().has_value(), "a flush failed");
  expect(database->database().compact().has_value(), "a merge failed");
}

void StoreRun::ingest(const std::string& name) {
  const host::DatabaseRef database = use(name);
  if (!database) return;
  Model& model = known(name).model;
  const auto ingest = database->database().begin_ingest();
  const uint64_t base = database->database().head().number + 5'000;
  std::vector<Written> writes;
  for (int i = 0; i < 9; ++i) {
    std::optional<std::string> value;
    if (i % 4 != 3) value = "i" + std::to_string(i);
    writes.push_back({"a" + std::to_string(i), value, {base + 1, 0}});
  }
  for (const Written& write : writes)
    expect(ingest->add(write.key, write.stamp, write.value).has_value(), "an ingest took no entry");
  const Versionstamp last{base + 2, 0};
  const int64_t timestamp_ms = database->database().head_timestamp_ms() + 5;
  model.begin_ingest(last, timestamp_ms, writes, 0);
  const CommitOutcome outcome = ingest->publish({last, timestamp_ms});
  expect(outcome.committed, "an ingest failed: " + (outcome.status ? "" : outcome.status.error().message));
  model.finish(last, outcome);
  ++tally_.ingests;
}

void StoreRun::fork(const std::string& name, const std::string& new_name) {
  const host::DatabaseRef database = use(name);
  if (!database) return;
  const std::vector<Versionstamp> stamps = known(name).model.stamps(Versionstamp::min(), Versionstamp::max());
  const Versionstamp at = stamps[stamps.size() * 2 / 3];
  const auto made = host_->fork_database(name, {at, 0}, new_name);
  expect(made.has_value(), "a fork failed: " + (made ? "" : made.error().message));
  if (!made) return;
  KnownDatabase& forked = databases_[made->id.text()];
  forked.presence = Presence::kThere;
  forked.name = new_name;
  forked.model = known(name).model;
  forked.model.fork(at);
  ++made_;
}

void StoreRun::rewind_keys() {
  const host::DatabaseRef database = use("default");
  if (!database) return;
  const kv::Moment then = kv::head_moment(database->database());
  const Keys before = held();
  set_key("stays", "changed", 0);
  set_key("new", "changed", 0);
  erase_key("late");
  rewind_to(then, before);
}

StoreRun::Keys StoreRun::held() const {
  Keys held;
  for (const auto& [key, known] : keys_) held[key] = known.value;
  return held;
}

// `held`: what there was then.
void StoreRun::rewind_to(const kv::Moment& then, Keys held) {
  const host::DatabaseRef database = use("default");
  if (!database) return;
  for (const auto& [key, known] : keys_) held.try_emplace(key, std::nullopt);
  rewound_ = held;
  const auto rewound = kv::rewind(database->store(), then, {});
  expect(rewound.has_value(), "a rewind failed: " + (rewound ? "" : rewound.error().message));
  for (const auto& [key, value] : held) keys_[key].value = value;
  rewound_.reset();
  ++tally_.rewinds;
}

// Writes, and goes back to moments on the way, from which it may go on, or to what was taken back.
void StoreRun::wander() {
  std::vector<std::pair<kv::Moment, Keys>> past;
  for (int i = 0; i < 16 && !failed(); ++i) {
    const std::string key = "w" + std::to_string(random_.below(6));
    const uint64_t choice = random_.below(8);
    if (choice < 4) {
      set_key(key, std::to_string(++values_), 0);
    } else if (choice < 6 && !keys_.empty()) {
      erase_key(key);
    } else if (choice == 6 && !past.empty()) {
      const auto& [then, held] = past[random_.below(past.size())];
      rewind_to(then, held);
    } else {
      const host::DatabaseRef database = use("default");
      if (!database) return;
      expect(database->database().flush().has_value(), "a flush failed");
    }
    const host::DatabaseRef database = use("default");
    if (!database) return;
    past.emplace_back(kv::head_moment(database->database()), held());
  }
  if (past.empty() || failed()) return;
  rewind_to(past.front().first, past.front().second);
  rewind_to(past.back().first, past.back().second);
}

void StoreRun::set_key(const std::string& key, const std::string& data, int64_t expire_at_ms) {
  write_key(key, Value{data, expire_at_ms});
}

void StoreRun::erase_key(const std::string& key) {
  write_key(key, std::nullopt);
}

void StoreRun::write_key(const std::string& key, std::optional<Value> value) {
  const host::DatabaseRef database = use("default");
  if (!database) return;
  kv::Mutation mutation;
  mutation.key = key;
  mutation.type = kv::MutationType::kDelete;
  if (value) {
    mutation.type = kv::MutationType::kSet;
    mutation.value = kv::Mutation::Value{value->data, static_cast<int32_t>(kv::Encoding::kBytes)};
    mutation.expire_at_ms = value->expire_at_ms;
  }
  const auto plan = database->store().plan({{}, {mutation}, {}});
  expect(plan.has_value(), "a write is refused");
  if (!plan) return;
  KnownKey& known = keys_[key];
  known.perhaps = value;
  std::optional<CommitOutcome> outcome;
  database->store().submit(*new KeyWrite(*plan, [&](const CommitOutcome& told) { outcome = told; }));
  while (!outcome) machine_->scheduler().sleep_us(50);
  expect(outcome->committed, "a write of Deno KV failed");
  known.value = value;
  known.perhaps.reset();
}

void StoreRun::let_expire() {
  if (failed()) return;
  const int64_t until_us = machine_->clock().monotonic_us() + 20 * kLongUs;
  while (!failed() && host_->counters().expired_keys < 2) {
    expect(machine_->clock().monotonic_us() < until_us, "what has expired is not deleted");
    host_->poll();
    machine_->scheduler().sleep_us(100'000);
  }
}

void StoreRun::on_change(uint64_t number, sim::Op op, const std::string& path) {
  if (op == sim::Op::kCreate && path.ends_with(".wal")) ++tally_.wal_rolls;
  if (op == sim::Op::kCreate && path.find("MANIFEST") != path.npos) ++tally_.manifest_rolls;
  if (failed() || !random_.one_in(options_.crash_point_in)) return;
  ++tally_.crash_points;
  const auto loss = static_cast<sim::Loss>(random_.below(sim::kLosses));
  const std::string problem = check(disk_.after_crash(loss, random_), random_.next(), options_.depth);
  if (!problem.empty())
    blame("power lost at call " + std::to_string(number) + " (" + sim::op_name(op) + " " + path +
          "): " + problem);
}

std::string StoreRun::check(sim::Disk disk, uint64_t seed, int depth) const {
  Random random(seed);
  std::string problem;
  std::optional<sim::Disk> again;
  const uint64_t crash_at = depth > 0 ? 1 + random.below(40) : 0;
  {
    sim::Machine machine(random.next(), disk, machine_->clock().wall_us());
    machine.file_system().set_hook([&](uint64_t number, sim::Op, const std::string&) {
      if (number == crash_at)
        again = disk.after_crash(static_cast<sim::Loss>(random.below(sim::kLosses)), random);
    });
    machine.run([&] {
      const auto engine =
          Engine::create({.block_cache_bytes = 256 << 10, .max_open_segments = 64}, machine.components());
      host::HostOptions options = host_options();
      options.create_if_missing = !store_made_;
      auto host = host::Host::open(*engine, options);
      if (!host) {
        problem = "the store does not open: " + host.error().message;
        return;
      }
      problem = check_host(**host, machine.random());
      machine.file_system().power_off();
      (void)(*host)->close().has_value();
    });
  }
  if (problem.empty() && again) {
    problem = check(std::move(*again), random.next(), depth - 1);
    if (!problem.empty()) problem = "after another crash: " + problem;
  }
  return problem;
}

std::string StoreRun::check_host(host::Host& host, Random& random) const {
  const std::vector<host::DatabaseRecord> records = host.databases();
  for (const auto& [id, known] : databases_) {
    const auto record =
        std::ranges::find_if(records, [&](const host::DatabaseRecord& one) { return one.id.text() == id; });
    const bool there = record != records.end() && !record->gone();
    if (known.presence == Presence::kThere && !there) return "the database " + known.name + " is lost";
    if (known.presence == Presence::kGone && there) return "the database " + known.name + " is back";
    if (!there) continue;
    if (record->name != known.name && record->name != known.new_name)
      return known.name + " is called " + record->name;
    const host::DatabaseRef database = host.find(record->id);
    if (!database) return known.name + " is not open";
    if (known.name == "default") continue;
    Terms terms;
    std::string problem = compare(database->database(), known.model, terms, random);
    if (!problem.empty()) return known.name + ": " + problem;
  }
  for (const KnownToken& token : tokens_) {
    const bool good = host.authenticate(token.secret) != nullptr;
    if (token.good == Presence::kThere && !good) return "a token is lost";
    if (token.good == Presence::kGone && good) return "a revoked token is good";
  }
  return check_keys(host);
}

bool StoreRun::fits(const std::optional<Value>& value, const Found& found, const std::string& key,
                    int64_t before_ms, int64_t after_ms) const {
  const auto entry = found.find(key);
  const bool expires = value && value->expire_at_ms != 0;
  const bool must = value && !(expires && value->expire_at_ms <= after_ms);
  const bool may = value && !(expires && value->expire_at_ms <= before_ms);
  if (entry == found.end()) return !must;
  return may && entry->second == value->data;
}

std::string StoreRun::check_keys(host::Host& host) const {
  const host::DatabaseRef database = host.find("default");
  if (!database) return keys_.empty() ? "" : "the default database is lost";
  Entries entries;
  const kv::ReadRange all{"", "\xff", 1000, false};
  const int64_t before_ms = host.engine().clock().wall_us() / 1000;
  const Status read = database->store().read({&all, 1}, {}, entries);
  const int64_t after_ms = host.engine().clock().wall_us() / 1000;
  if (!read) return "a read of Deno KV failed: " + read.error().message;
  // All of a rewind or nothing.
  if (rewound_ && std::ranges::all_of(*rewound_, [&](const auto& one) {
        return fits(one.second, entries.found, one.first, before_ms, after_ms);
      }))
    return {};
  for (const auto& [key, known] : keys_) {
    const auto found = entries.found.find(key);
    if (!fits(known.value, entries.found, key, before_ms, after_ms) &&
        !(known.perhaps && fits(*known.perhaps, entries.found, key, before_ms, after_ms)))
      return "the key " + key + " is " +
             (found == entries.found.end() ? "absent" : "'" + found->second + "'");
  }
  for (const auto& [key, data] : entries.found)
    if (!keys_.contains(key)) return "the key " + key + " came from nowhere";
  return {};
}

}  // namespace tidemark::crash
