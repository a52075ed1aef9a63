#include <algorithm>

#include "server/kv/queue_message.h"
#include "tests/server/backup/backup_test.h"
#include "tests/support/shipper_round.h"

namespace tidemark::backup {
namespace {

constexpr int kRounds = 400;

}  // namespace

std::string stored(const std::string& data, int64_t expire_at_ms) {
  std::string out;
  kv::append_stored_value(out, {kv::Encoding::kBytes, expire_at_ms, data});
  return out;
}

KeyValues contents(const ReadView& view) {
  KeyValues out;
  const std::string start(1, kv::kExpiryPrefix);
  auto cursor = view.scan({.start = start, .end = {}});
  while (true) {
    auto more = cursor->next();
    EXPECT_TRUE(more.has_value()) << more.error().message;
    if (!more || !*more) return out;
    // With its stamp: that must be the same, too.
    out.emplace(cursor->key(), cursor->versionstamp().hex() + std::string(cursor->value()));
  }
}

BackupTest::BackupTest() {
  EngineComponents components;
  components.clock = &clock_;
  engine_ = Engine::create({.block_cache_bytes = 1 << 20, .max_open_segments = 64}, components);
}

BackupTest::~BackupTest() {
  if (shipper_) shipper_->release();
  shipper_.reset();
  database_.reset();
}

void BackupTest::open(const DatabaseOptions& options) {
  if (shipper_) shipper_->release();
  database_.reset();
  auto opened = Database::open(*engine_, folder_ / "db", options);
  ASSERT_TRUE(opened.has_value()) << opened.error().message;
  database_ = std::move(*opened);
}

void BackupTest::commit_some(int commits) {
  for (int i = 0; i < commits; ++i) {
    clock_.pass_ms(static_cast<int64_t>(random_.below(20)));
    State next = states_.back();
    std::vector<std::pair<std::string, std::optional<std::string>>> writes;
    const auto put = [&](const std::string& key, const std::string& value) {
      writes.emplace_back(key, value);
    };
    for (uint64_t w = random_.below(5); w > 0; --w) {
      const std::string key = "key/" + std::to_string(random_.below(24) * 5 + w);
      if (random_.one_in(4)) {
        writes.emplace_back("u" + key, std::nullopt);
      } else {
        const int64_t expiry = random_.one_in(5) ? clock_.wall_ms() + 1000 : 0;
        put("u" + key,
            stored(std::string(random_.below(150), static_cast<char>('a' + random_.below(26))), expiry));
        if (expiry != 0) put(kv::expiry_key_from(expiry) + key, "");
      }
    }
    if (random_.one_in(6)) {
      std::string message;
      kv::append_queue_message(message, {.payload = "message"});
      put(kv::queue_key(clock_.wall_ms(), {random_.next() >> 8, 0}, 0), message);
    }
    // What an expiry sweep and a delivery do.
    for (const auto& [key, value] : states_.back().values) {
      if ((key[0] != kv::kExpiryPrefix && key[0] != kv::kQueuePrefix) || !random_.one_in(8)) continue;
      writes.emplace_back(key, std::nullopt);
    }
    const CommitOutcome outcome = commit(db(), [&](Transaction& t) -> Result<CommitRequest::Decision> {
      for (const auto& [key, value] : writes) {
        if (value)
          t.put(key, *value);
        else
          t.erase(key);
      }
      return CommitRequest::Decision::kCommit;
    });
    ASSERT_TRUE(outcome.committed) << outcome.status.error().message;
    for (const auto& [key, value] : writes) {
      if (value)
        next.values[key] = outcome.versionstamp.hex() + *value;
      else
        next.values.erase(key);
    }
    next.point = {outcome.versionstamp, outcome.timestamp_ms};
    states_.push_back(std::move(next));
  }
}

const KeyValues& BackupTest::state_at(Versionstamp stamp) const {
  const auto above =
      std::ranges::upper_bound(states_, stamp, {}, [](const State& s) { return s.point.stamp; });
  return (above - 1)->values;
}

void BackupTest::new_shipper(const ShipperOptions& options, const std::string& store) {
  if (shipper_) shipper_->release();
  const LogSink log = [this](LogLevel, std::string_view line) { log_.emplace_back(line); };
  shipper_ = std::make_unique<Shipper>(
      clock_, objects_, kPrefix,
      ShipperIdentity{"database-1", "default", store, "session-" + std::to_string(++sessions_)}, options,
      log);
}

void BackupTest::open_and_ship(int commits, const DatabaseOptions& options) {
  open(options);
  commit_some(commits);
  new_shipper();
  ship_all();
}

void BackupTest::round() {
  run_round(shipper(), db());
}

void BackupTest::ship_all() {
  for (int i = 0; i < kRounds; ++i) {
    if (shipper().idle(db())) return;
    clock_.pass_ms(1);
    if (!shipper().due(db())) clock_.pass_ms(61'000);
    round();
  }
  FAIL() << "not shipped after many rounds: " << shipper().status().message;
}

Result<BackupTest::Restored> BackupTest::restore(const std::optional<kv::MomentName>& until,
                                                 const std::string& prefix) {
  const std::string name = "restored-" + std::to_string(++restores_);
  const std::string scratch = folder_ / (name + "-scratch");
  TM_TRY(engine_->file_system().create_dir(scratch));
  Restored out;
  TM_ASSIGN(out.database, Database::open(*engine_, folder_ / name, small_database()));
  FollowerOptions options;
  options.scratch_folder = scratch;
  options.stretch_bytes = restores_ % 2 == 0 ? SnapshotLoad::kStretchBytes : 3000;
  TM_ASSIGN(out.follower, Follower::open(*engine_, *out.database, *objects_, prefix, options));
  TM_TRY(out.follower->begin(until));
  TM_TRY(out.follower->pull(until));
  return out;
}

void BackupTest::expect_same(Database& database, Versionstamp head) {
  ASSERT_EQ(contents(*database.read()), state_at(head));
  for (const State& state : states_) {
    if (state.point.stamp < database.horizon() || state.point.stamp > database.head()) continue;
    auto pin = database.pin(state.point.stamp);
    ASSERT_TRUE(pin.has_value()) << pin.error().message;
    ASSERT_EQ(contents(*database.read(**pin)), state.values) << state.point.stamp.hex();
    const auto commit = database.last_commit(state.point.stamp, INT64_MAX);
    ASSERT_TRUE(commit.has_value());
    if (state.point.stamp > database.horizon()) {
      ASSERT_EQ(*commit, state.point);
    }
  }
}

void BackupTest::expect_restores_all() {
  const Result<Restored> restored = restore();
  ASSERT_TRUE(restored.has_value()) << restored.error().message;
  ASSERT_EQ(restored->database->head(), db().head());
  ASSERT_NO_FATAL_FAILURE(expect_same(*restored->database, db().head()));
}

void BackupTest::expect_restores(const std::optional<kv::MomentName>& until) {
  Result<Restored> restored = restore(until);
  ASSERT_TRUE(restored.has_value()) << restored.error().message;
  ASSERT_NO_FATAL_FAILURE(expect_same(*restored->database, restored->database->head()));
}

}  // namespace tidemark::backup
