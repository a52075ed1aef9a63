// The index has an entry for every set that carried an expiry, under its time. Writers never remove one,
// since that would make every blind set a read. So when an entry is due it is held against its key: only if
// that has this very expiry is it deleted. The index entry goes in any case.
//
// A step looks up one batch on the read lane, which also brings into the cache what the batch's transaction
// will look at again on the commit lane. Batches are small, so that commits of clients get in between.
#include "server/kv/expiry.h"

#include <algorithm>
#include <limits>
#include <memory>

#include "engine/base/mutant.h"
#include "server/kv/keyspace.h"
#include "server/kv/stored_value.h"

namespace tidemark::kv {
namespace {

constexpr size_t kBatchEntries = 256;
constexpr int64_t kRetryMs = 1000;  // after a failure
constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

int64_t expiry_of(std::string_view index_key) {
  return static_cast<int64_t>(load_be64(index_key.data() + 1));
}

}  // namespace

// Deletes itself when it is done.
class ExpirySweeper::Batch final : public CommitRequest {
 public:
  explicit Batch(ExpirySweeper& sweeper) : sweeper_(sweeper) {}

  // Fills in what is due at `now_ms`, from index key `start` on. The earliest time after `start` that is not
  // in it.
  Result<int64_t> collect(const std::string& start, int64_t now_ms) {
    const std::unique_ptr<ReadView> view = sweeper_.database_.read();
    const std::unique_ptr<Cursor> cursor = view->scan({start, std::string(1, kExpiryPrefix + 1)});
    while (index_keys_.size() < kBatchEntries) {
      TM_ASSIGN(const bool more, cursor->next());
      if (!more) return kNever;
      const std::string_view key = cursor->key();
      if (key.size() < kExpiryKeyHeaderBytes)
        return fail(ErrorCode::kCorruption, "an expiry index key is cut short");
      if (expiry_of(key) > now_ms) return expiry_of(key);
      index_keys_.emplace_back(key);
    }
    for (const std::string& key : index_keys_) TM_TRY(view->get(user_key_of(key)));
    return now_ms;
  }
  bool empty() const { return index_keys_.empty(); }
  const std::string& last() const { return index_keys_.back(); }

  Result<Decision> run(Transaction& transaction) override {
    for (std::string& index_key : index_keys_) {
      const int64_t expiry = expiry_of(index_key);
      if (expiry > transaction.timestamp_ms()) continue;  // the clock was set back
      const std::string user_key = user_key_of(index_key);
      TM_ASSIGN(const std::optional<Transaction::Value> found, transaction.get(user_key));
      if (found) {
        TM_ASSIGN(const StoredValue value, parse_stored_value(found->bytes));
        if (value.expire_at_ms == expiry || TM_MUTANT("expiry.newer-stays")) {
          transaction.erase(user_key);
          erased_.push_back(user_key);
        }
      }
      transaction.erase(index_key);
      any_ = true;
    }
    return any_ ? Decision::kCommit : Decision::kAbort;
  }

  void done(const CommitOutcome& outcome) override {
    ExpirySweeper& sweeper = sweeper_;
    if (outcome.status && outcome.committed) {
      sweeper.deleted_.fetch_add(erased_.size(), std::memory_order_relaxed);
      if (sweeper.hub_.watched() && !TM_MUTANT("expiry.wakes-watch")) {
        for (const std::string& key : erased_) sweeper.hub_.notify(std::string_view(key).substr(1));
      }
      sweeper.engine_.executor().post(Lane::kRead, [&sweeper] { sweeper.step(); });
    } else {
      // What this batch had is still to be deleted.
      sweeper.finish(expiry_of(index_keys_.front()), kRetryMs);
    }
    delete this;
  }

 private:
  static std::string user_key_of(std::string_view index_key) {
    std::string key(1, kUserPrefix);
    key.append(index_key.substr(kExpiryKeyHeaderBytes));
    return key;
  }

  ExpirySweeper& sweeper_;
  std::vector<std::string> index_keys_;
  std::vector<std::string> erased_;
  bool any_ = false;
};

ExpirySweeper::ExpirySweeper(Engine& engine, Database& database, WatchHub& hub)
    : engine_(engine), database_(database), hub_(hub), sweeping_ms_(kNever) {}

ExpirySweeper::~ExpirySweeper() = default;

int64_t ExpirySweeper::now_ms() const {
  return engine_.clock().wall_us() / 1000;
}

void ExpirySweeper::note(int64_t expire_at_ms) {
  int64_t next = next_ms_.load(std::memory_order_relaxed);
  while (expire_at_ms < next && !next_ms_.compare_exchange_weak(next, expire_at_ms)) {
  }
}

int64_t ExpirySweeper::next_ms() const {
  return std::min(next_ms_.load(std::memory_order_relaxed), sweeping_ms_.load(std::memory_order_relaxed));
}

int64_t ExpirySweeper::lag_ms() const {
  const int64_t next = next_ms();
  return next == 0 ? 0 : std::max<int64_t>(now_ms() - next, 0);
}

void ExpirySweeper::poll(std::shared_ptr<const void> owner) {
  if (TM_MUTANT("expiry.deleted")) return;
  if (next_ms_.load(std::memory_order_relaxed) > now_ms()) return;
  {
    MutexLock lock(mutex_);
    if (running_ || stopped_ || now_ms() < not_before_ms_) return;
    running_ = true;
    owner_ = std::move(owner);
  }
  engine_.executor().post(Lane::kRead, [this] { step(); });
}

void ExpirySweeper::step() {
  bool stopped;
  {
    MutexLock lock(mutex_);
    stopped = stopped_;
  }
  if (stopped) return finish(resume_.empty() ? now_ms() : expiry_of(resume_), 0);
  // Where the sweep goes on, lest it walk over what it has deleted; earlier if a commit has put something
  // there since. Commits from here on lower it again by themselves, those before are in the index.
  const int64_t noted_ms = next_ms_.exchange(kNever);
  std::string start = resume_;
  if (start.empty() || noted_ms <= expiry_of(start)) {
    start = expiry_key_from(noted_ms);
  } else {
    note(noted_ms);
  }
  sweeping_ms_.store(expiry_of(start), std::memory_order_relaxed);
  auto batch = std::make_unique<Batch>(*this);
  const Result<int64_t> next = batch->collect(start, now_ms());
  if (!next) return finish(expiry_of(start), kRetryMs);
  if (batch->empty()) return finish(*next, 0);
  resume_ = batch->last();
  database_.submit(*batch.release());
}

void ExpirySweeper::finish(int64_t next_ms, int64_t pause_ms) {
  resume_.clear();
  sweeping_ms_.store(kNever, std::memory_order_relaxed);
  std::shared_ptr<const void> owner;  // let go last: this object may go with it
  MutexLock lock(mutex_);
  note(next_ms);
  not_before_ms_ = now_ms() + pause_ms;
  running_ = false;
  owner = std::move(owner_);
  idle_.notify_all();
}

void ExpirySweeper::stop() {
  MutexLock lock(mutex_);
  stopped_ = true;
}

void ExpirySweeper::start() {
  MutexLock lock(mutex_);
  stopped_ = false;
}

void ExpirySweeper::wait_idle() {
  MutexLock lock(mutex_);
  while (running_) idle_.wait(mutex_);
}

}  // namespace tidemark::kv
