// The only door to threads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace tidemark {

// What a task is for; each lane has threads of its own, so that a long merge never delays a commit.
enum class Lane : uint8_t {
  kCommit,      // leading a commit group: validate, write, sync, answer
  kRead,        // reads that need the disk or many steps
  kFlush,       // memtable to segments
  kCompaction,  // merging segments
  kBackup,      // requests to machines elsewhere, which take their time
};
inline constexpr int kLanes = 5;

class Executor {
 public:
  // Stops taking tasks, runs those it has taken, joins.
  virtual ~Executor() = default;
  // Runs `task` some time later on a thread of that lane. Tasks must not throw.
  virtual void post(Lane lane, std::function<void()> task) = 0;
  // The same, but not before `us` microseconds have passed; sooner if the executor is being destroyed.
  // No thread is held meanwhile.
  virtual void post_after(Lane lane, int64_t us, std::function<void()> task) = 0;
};

struct ThreadCounts {
  int commit = 2;  // two, so that one group can be validated while the one before is being synced
  int read = 2;
  int flush = 1;
  int compaction = 2;  // so that a long merge of history leaves one for level 0
  int backup = 8;      // they wait for the network most of the time
};

std::unique_ptr<Executor> make_thread_executor(const ThreadCounts& counts);

}  // namespace tidemark
