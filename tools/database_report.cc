// Keys with the same first part lie side by side, so one sum at a time is enough, and the ten largest sums
// are kept: exact, however many prefixes there are.
#include "tools/database_report.h"

#include <algorithm>

#include "engine/base/coding.h"
#include "server/kv/keyspace.h"
#include "server/kv/keyspace_scan.h"
#include "server/kv/queue_message.h"
#include "server/kv/stored_value.h"
#include "server/kv/tuple_key.h"

namespace tidemark::tools {
namespace {

class Reporter {
 public:
  Reporter(Database& database, int64_t now_ms, const TransferProgress& progress)
      : database_(database), snapshot_(database.pin_head()), now_ms_(now_ms), pacer_(progress) {}

  Result<DatabaseReport> run() {
    out_.head = snapshot_->versionstamp();
    out_.head_timestamp_ms = database_.head_timestamp_ms();
    out_.horizon = database_.horizon();
    out_.stats = database_.stats();
    TM_TRY(walk(kv::kExpiryPrefix, out_.expiry_index,
                [this](const kv::KeyspaceScan& entry) { return add_expiry(entry); }));
    TM_TRY(walk(kv::kQueuePrefix, out_.queue,
                [this](const kv::KeyspaceScan& entry) { return add_message(entry); }));
    TM_TRY(
        walk(kv::kUserPrefix, out_.user, [this](const kv::KeyspaceScan& entry) { return add_entry(entry); }));
    end_prefix();
    return std::move(out_);
  }

 private:
  template <class Add>
  Status walk(char prefix, DatabaseReport::Sum& sum, const Add& add) {
    kv::KeyspaceScan scan(database_, *snapshot_, kv::part_range(prefix));
    for (;;) {
      TM_ASSIGN(const bool more, scan.next());
      if (!more) return {};
      count(sum, scan);
      TM_TRY(add(scan));
      TM_TRY(pacer_.tick([this] {
        return "reading: " +
               std::to_string(out_.expiry_index.entries + out_.queue.entries + out_.user.entries) +
               " entries";
      }));
    }
  }

  static void count(DatabaseReport::Sum& sum, const kv::KeyspaceScan& entry) {
    ++sum.entries;
    sum.bytes += entry.key().size() - 1 + entry.value().size();
  }

  Status add_expiry(const kv::KeyspaceScan& entry) {
    if (entry.key().size() < kv::kExpiryKeyHeaderBytes)
      return fail(ErrorCode::kCorruption, "an expiry index key is cut short");
    const auto expire_at_ms = static_cast<int64_t>(load_be64(entry.key().data() + 1));
    if (expire_at_ms > now_ms_) return {};
    if (out_.expiry_due++ == 0) out_.expiry_lag_ms = now_ms_ - expire_at_ms;
    return {};
  }

  Status add_message(const kv::KeyspaceScan& entry) {
    TM_ASSIGN(const kv::QueueKey key, kv::parse_queue_key(entry.key()));
    if (key.deliver_at_ms > now_ms_) return {};
    if (out_.queue_due++ == 0) out_.queue_lag_ms = now_ms_ - key.deliver_at_ms;
    return {};
  }

  Status add_entry(const kv::KeyspaceScan& entry) {
    TM_ASSIGN(const kv::StoredValue value, kv::parse_stored_value(entry.value()));
    if (value.expired_at(now_ms_)) ++out_.user_expired;
    const std::string_view key = entry.key().substr(1);
    if (prefix_sum_.entries == 0 || !kv::has_parts(key, prefix_)) {
      const std::optional<kv::KeyParts> parts = kv::decode_key(key);
      if (!parts || parts->empty()) {
        count(out_.unreadable, entry);
        return {};
      }
      end_prefix();
      TM_ASSIGN(prefix_, kv::encode_key({parts->front()}));
    }
    count(prefix_sum_, entry);
    return {};
  }

  void end_prefix() {
    if (prefix_sum_.entries == 0) return;
    ++out_.prefixes;
    auto& largest = out_.largest;
    if (largest.size() < DatabaseReport::kPrefixes || largest.back().sum.bytes < prefix_sum_.bytes) {
      const auto place = std::ranges::find_if(
          largest, [&](const DatabaseReport::Prefix& one) { return one.sum.bytes < prefix_sum_.bytes; });
      largest.insert(place, {prefix_, prefix_sum_});
      if (largest.size() > DatabaseReport::kPrefixes) largest.pop_back();
    }
    prefix_sum_ = {};
  }

  Database& database_;
  const std::shared_ptr<Snapshot> snapshot_;
  const int64_t now_ms_;
  ProgressPacer pacer_;
  DatabaseReport out_;
  std::string prefix_;  // the one being summed up
  DatabaseReport::Sum prefix_sum_;
};

std::optional<double> ratio(uint64_t part, uint64_t whole) {
  if (whole == 0) return std::nullopt;
  return static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

uint64_t DatabaseReport::live_bytes() const {
  uint64_t sum = 0;
  for (const LevelStats& level : stats.live) sum += level.bytes;
  return sum;
}

uint64_t DatabaseReport::live_entries() const {
  uint64_t sum = 0;
  for (const LevelStats& level : stats.live) sum += level.entries;
  return sum;
}

uint64_t DatabaseReport::disk_bytes() const {
  return live_bytes() + stats.history.bytes + stats.shared.bytes + stats.change_file_bytes + stats.wal_bytes;
}

std::optional<double> DatabaseReport::versions_per_key() const {
  return ratio(live_entries() + stats.history.entries, live_entries());
}

std::optional<double> DatabaseReport::space_amplification() const {
  return ratio(disk_bytes(), user.bytes + expiry_index.bytes + queue.bytes);
}

std::optional<double> DatabaseReport::write_amplification() const {
  return ratio(stats.flush_written_bytes + stats.compaction_written_bytes, stats.flush_written_bytes);
}

Result<DatabaseReport> report_database(Database& database, int64_t now_ms, const TransferProgress& progress) {
  return Reporter(database, now_ms, progress).run();
}

}  // namespace tidemark::tools
