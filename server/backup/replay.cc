#include "server/backup/replay.h"

#include <deque>
#include <optional>

#include "engine/io/sync.h"

namespace tidemark::backup {
namespace {

// Counts those that are not answered, and keeps the first error.
class Outcomes {
 public:
  explicit Outcomes(size_t expected) : open_(expected) {}
  void add(const Status& status) {
    MutexLock lock(mutex_);
    if (!status && status_) status_ = status;
    if (--open_ == 0) answered_.notify_one();
  }
  Status wait() {
    MutexLock lock(mutex_);
    while (open_ > 0) answered_.wait(mutex_);
    return status_;
  }

 private:
  Mutex mutex_;
  CondVar answered_;
  size_t open_ TM_GUARDED_BY(mutex_);
  Status status_ TM_GUARDED_BY(mutex_);
};

class Repeat final : public CommitRequest {
 public:
  Repeat(Versionstamp after, const ReplayCommit& commit, Outcomes& outcomes)
      : after_(after), commit_(commit), outcomes_(outcomes) {}

 private:
  std::optional<GivenCommit> given() const override { return GivenCommit{after_, commit_.point}; }
  Result<Decision> run(Transaction& transaction) override {
    for (const ReplayWrite& write : commit_.writes) {
      if (write.value)
        transaction.put(write.key, *write.value);
      else
        transaction.erase(write.key);
    }
    return Decision::kCommit;
  }
  void done(const CommitOutcome& outcome) override { outcomes_.add(outcome.status); }

  const Versionstamp after_;
  const ReplayCommit& commit_;
  Outcomes& outcomes_;
};

}  // namespace

Status replay(Database& database, const std::vector<ReplayCommit>& commits) {
  if (commits.empty()) return {};
  Outcomes outcomes(commits.size());
  std::deque<Repeat> requests;
  Versionstamp after = database.head();
  for (const ReplayCommit& commit : commits) {
    requests.emplace_back(after, commit, outcomes);
    after = commit.point.stamp;
  }
  // One that fails takes those behind it along: they do not follow the last commit then.
  for (Repeat& request : requests) database.submit(request);
  return outcomes.wait();
}

}  // namespace tidemark::backup
