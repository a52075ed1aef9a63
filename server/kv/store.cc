// A read of exactly one key, which is what get() of every client comes down to, is a point look-up (filters,
// no cursor). Deno's get() asks for [key, key 00); @deno/kv's asks for [key, ff) with limit 1 and drops
// foreign keys, so such a range is looked up as a point first and scanned only if the key itself is not
// there.
//
// The clock is read once per request, and only if an entry with an expiry was met. It never goes back: it is
// at least the highest reading so far and the commit timestamp of head, by which transactions judged what has
// expired.
#include "server/kv/store.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>

#include "engine/base/mutant.h"
#include "server/kv/keyspace.h"

namespace tidemark::kv {
namespace {

// Exactly the key `start`: its end is start followed by one zero byte.
bool is_single_key(const ReadRange& range) {
  return range.end.size() == range.start.size() + 1 && range.end.back() == '\0' &&
         range.end.starts_with(range.start);
}

// Asks for the first key at or after `start`, whatever follows: @deno/kv's get().
bool is_open_get(const ReadRange& range) {
  return range.limit == 1 && !range.reverse && range.end == "\xff";
}

// One read request: all ranges from one view, with one clock reading.
class Reader {
 public:
  Reader(const std::unique_ptr<ReadView>& view, const ReadBounds& bounds, EntrySink& sink,
         std::function<int64_t()> now)
      : view_(view),
        bounds_(bounds),
        options_{bounds.memory_only, bounds.max_steps},
        sink_(sink),
        now_(std::move(now)) {}

  Status read(const ReadRange& range) {
    if (TM_MUTANT("read.empty-range") && range.start == range.end) TM_TRY(get(range.start));
    if (TM_MUTANT("read.inverted-range") && range.start > range.end) TM_TRY(get(range.start));
    if (range.start >= range.end) return {};
    const bool single = is_single_key(range);
    if (single || is_open_get(range)) {
      TM_ASSIGN(const bool found, get(range.start));
      if (found || single) return {};
    }
    return scan(range);
  }

  // True if the key is there.
  Result<bool> get(std::string_view key) {
    const UserKey engine_key(key);
    TM_ASSIGN(const std::optional<PinnedValue> found, view_->get(engine_key.view(), options_));
    if (!found) return false;
    return give(key, found->bytes(), found->versionstamp());
  }

 private:
  Status scan(const ReadRange& range) {
    const UserKey start(range.start);
    const UserKey end(range.end);
    const bool reverse = (range.reverse || TM_MUTANT("key.order")) && !TM_MUTANT("read.reverse");
    const std::unique_ptr<Cursor> cursor = view_->scan({start.view(), end.view(), reverse}, options_);
    for (int32_t given = 0; given < range.limit + TM_OFF_BY_ONE("read.limit");) {
      TM_ASSIGN(const bool more, cursor->next());
      if (!more) break;
      if (TM_MUTANT("read.start-inclusive") && cursor->key().substr(1) == range.start) continue;
      TM_ASSIGN(const bool visible, give(cursor->key().substr(1), cursor->value(), cursor->versionstamp()));
      given += visible || TM_MUTANT("expiry.hidden.fills") ? 1 : 0;
    }
    if (TM_MUTANT("read.end-exclusive")) TM_TRY(get(range.end));
    return {};
  }

  // True if the entry has not expired and was given to the sink.
  Result<bool> give(std::string_view key, std::string_view stored, Versionstamp versionstamp) {
    TM_ASSIGN(StoredValue value, parse_stored_value(stored));
    if (TM_MUTANT("value.bytes") && !value.data.empty()) value.data.remove_suffix(1);
    if (value.expire_at_ms != 0) {
      if (!now_ms_) now_ms_ = now_();
      if (TM_MUTANT("expiry.together")) *now_ms_ -= static_cast<int64_t>(value.data.size());
      if (TM_MUTANT("expiry.not-early")) *now_ms_ += 100;
      if (value.expired_at(*now_ms_) && !TM_MUTANT("expiry.hidden.read")) return false;
    }
    bytes_ += key.size() + value.data.size();
    if (bounds_.max_bytes != 0 && bytes_ > bounds_.max_bytes) {
      return fail(ErrorCode::kWouldBlock, "the answer is larger than allowed here");
    }
    sink_.entry(key, value, versionstamp);
    return true;
  }

  const std::unique_ptr<ReadView>& view_;
  const ReadBounds& bounds_;
  const ReadOptions options_;
  EntrySink& sink_;
  std::function<int64_t()> now_;
  std::optional<int64_t> now_ms_;
  uint64_t bytes_ = 0;
};

}  // namespace

Store::Store(Engine& engine, Database& database, const Limits& limits)
    : clock_(engine.clock()),
      database_(database),
      limits_(limits),
      expiry_(engine, database, watch_hub_),
      past_views_(database, clock_) {
  TM_CHECK(limits.max_read_key_bytes <= kMaxClientKeyBytes);
}

Status Store::check_ranges(std::span<const ReadRange> ranges) const {
  const auto refuse = [](const char* text) { return fail(ErrorCode::kInvalidArgument, text); };
  if (ranges.size() > limits_.max_read_ranges) return refuse(text::kTooManyRanges);
  int64_t total = 0;
  for (const ReadRange& range : ranges) {
    if (std::max(range.start.size(), range.end.size()) >
        limits_.max_read_key_bytes + TM_OFF_BY_ONE("limit.read-key")) {
      return refuse(text::kKeyTooLarge);
    }
    if (range.limit < 1 + TM_OFF_BY_ONE("limit.range-limit")) return refuse(text::kBadRangeLimit);
    total += range.limit;
  }
  if (total > limits_.max_read_entries) return refuse(text::kTooManyEntries);
  return {};
}

Status Store::read(std::span<const ReadRange> ranges, const ReadBounds& bounds, EntrySink& sink,
                   const PastView* past) const {
  std::unique_ptr<ReadView> view = this->view(past);
  Reader reader(view, bounds, sink, [this, past] { return past != nullptr ? past->now_ms : now_ms(); });
  for (const ReadRange& range : ranges) {
    sink.begin_range();
    if (TM_MUTANT("read.one-version")) view = database_.read();
    TM_TRY(reader.read(range));
    sink.end_range();
  }
  return {};
}

Status Store::read_keys(std::span<const std::string> keys, const ReadBounds& bounds, EntrySink& sink,
                        const PastView* past) const {
  std::unique_ptr<ReadView> view = this->view(past);
  Reader reader(view, bounds, sink, [this, past] { return past != nullptr ? past->now_ms : now_ms(); });
  for (const std::string& key : keys) {
    sink.begin_range();
    if (TM_MUTANT("watch.one-snapshot")) view = database_.read();
    TM_TRY(reader.get(key));
    sink.end_range();
  }
  return {};
}

void WriteRequest::done(const CommitOutcome& outcome) {
  if (outcome.status && outcome.committed) store_->committed(plan_);
  answer(outcome);
}

void Store::committed(const WritePlan& plan) {
  if (plan.earliest_expiry_ms() != 0) expiry_.note(plan.earliest_expiry_ms());
  if (TM_MUTANT("watch.change")) return;
  if (watch_hub_.watched()) plan.for_each_key([this](std::string_view key) { watch_hub_.notify(key); });
}

void Store::changed_widely(int64_t earliest_expiry_ms) {
  if (earliest_expiry_ms != 0) expiry_.note(earliest_expiry_ms);
  if (watch_hub_.watched()) watch_hub_.notify_all();
}

int64_t Store::now_ms() const {
  const int64_t reading = std::max(clock_.wall_us() / 1000, database_.head_timestamp_ms());
  int64_t last = last_now_ms_.load(std::memory_order_relaxed);
  while (last < reading && !last_now_ms_.compare_exchange_weak(last, reading, std::memory_order_relaxed)) {
  }
  return std::max(last, reading);
}

}  // namespace tidemark::kv
