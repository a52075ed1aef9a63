// What the benchmarks need of the machine: a clock, threads, folders, and the bare log that a synced store is
// measured against. The benchmarks measure the machine itself, so this file, and no other of bench/, calls it
// directly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace tidemark::bench {

// Prints one line to stderr and ends the process with code 1. What lies on the disk stays there. Any thread.
[[noreturn]] void die(const std::string& message);
inline void require(bool condition, const char* message) {
  if (!condition) [[unlikely]] {
    die(message);
  }
}

// Monotonic nanoseconds.
int64_t now_ns();
// Milliseconds since 1970.
int64_t wall_ms();

// Runs `body(0)` .. `body(threads - 1)`, each on a thread of its own, and waits for all.
void run_threads(int threads, const std::function<void(int)>& body);

struct Turn {
  uint64_t operations = 0;
  double seconds = 0;
  double rate() const { return seconds > 0 ? static_cast<double>(operations) / seconds : 0; }
};
// A worker does `count` operations.
using Worker = std::function<void(uint64_t count)>;
struct TurnOptions {
  int threads = 1;
  int64_t warm_ms = 0;  // not measured
  int64_t measured_ms = 1000;
  uint64_t stride = 1;  // operations between two looks at the clock
};
// Lets `threads` workers (made by `make_worker(thread)` on their own threads) work for the time given, all
// starting together after the warm-up. The time runs from the first start to the last end.
Turn run_turn(const TurnOptions& options, const std::function<Worker(int)>& make_worker);

// Folders. Creation makes the parents too.
void make_folder(const std::string& path);
// Makes a new, empty folder in `parent` (which is made if need be) and gives its path.
std::string make_fresh_folder(const std::string& parent);
void remove_folder(const std::string& path);
// Copies every file of the folder `from` to the new folder `to` and syncs the copies: what the disk would
// hold had the process died now.
void copy_folder(const std::string& from, const std::string& to);
// Disk blocks in use by all files below `path`, in bytes.
uint64_t disk_bytes(const std::string& path);
// Writes back everything dirty in the file system that holds `path`, so that a turn starts with a quiet disk.
void sync_file_system(const std::string& path);

// The floor under a synced put: a file with its space preallocated, each record appended with one pwrite and
// made durable with one fdatasync.
class BareLog {
 public:
  // kAllocated: space reserved by fallocate, as a log would (each first write to a block still turns an
  // unwritten extent into a written one). kZeroed: written with zeros and synced before, so that nothing but
  // data is synced.
  enum class Space { kAllocated, kZeroed };
  BareLog(std::string path, Space space);
  ~BareLog();
  BareLog(const BareLog&) = delete;
  BareLog& operator=(const BareLog&) = delete;
  void append(std::string_view record);

 private:
  void start_file();

  std::string path_;
  Space space_;
  int fd_ = -1;
  uint64_t offset_ = 0;
};

}  // namespace tidemark::bench
