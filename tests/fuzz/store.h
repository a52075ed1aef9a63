// Databases on files in memory, some of whose bytes a fuzzer chose, opened by the engine's own code and used
// as far as that goes. The outcome must be an error that says so, or a store that can be used.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/database.h"
#include "engine/format/file_names.h"
#include "engine/manifest/manifest.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/pumped_executor.h"

namespace tidemark::fuzz {

inline constexpr char kFolder[] = "db";

// An engine whose files, time and threads are the target's.
struct Machine {
  explicit Machine(const MemoryFileSystem& from) : files(from) {}

  MemoryFileSystem files;
  FakeClock clock;
  PumpedExecutor executor;
  const std::unique_ptr<Engine> engine = Engine::create(
      {.block_cache_bytes = 256 << 10, .max_open_segments = 4}, {&files, &clock, &executor, {}});
};

// A small database with versions, tombstones, history and commits that are in the log alone, as a crash
// leaves it. Always the same, byte by byte.
struct SeedStore {
  MemoryFileSystem files;
  uint64_t manifest_number = 0;
  ManifestState state;
};
const SeedStore& seed_store();

// The seed store with the given state in place of its own, as the only record of its manifest, and without
// its log, if there is no newest_wal.
MemoryFileSystem store_with(const ManifestState& state);
// A number that no file of the seed store has.
inline constexpr uint64_t kFreeNumber = 60;

// Where in the folder a file lies.
std::string path_of(FileType type, uint64_t number);

// How a store is used; any bits will do.
struct Usage {
  enum Bit : uint16_t {
    kRetentionNone = 1 << 0,   // else as kRetentionShort says
    kRetentionShort = 1 << 1,  // of a second; else for ever
    kTimePasses = 1 << 2,      // an hour, before anything is done
    kMergeEagerly = 1 << 3,    // one segment in level 0 is enough
    kMergeHistory = 1 << 4,    // two runs are
    kNoHistory = 1 << 5,       // a ceiling of no bytes
    kNoFilters = 1 << 6,       // in what is written
    kWriteFirst = 1 << 7,      // before background work had its turn
    kFlush = 1 << 8,
    kCompact = 1 << 9,
    kCrash = 1 << 10,  // in place of closing it before it is opened again
    kNoReopen = 1 << 11,
    kNoSalvage = 1 << 12,
  };
  uint16_t bits = 0;
  bool has(Bit bit) const { return (bits & bit) != 0; }
};

// What damage may be called.
void check_damage(const Error& error);

// Checks the files as fsck does, and saves what can be saved of them; opens the store, reads all of it both
// ways, writes, lets background work run, closes it and opens it again. What fsck calls sound must open and
// be read, and what it has saved must be sound. `true_to_itself`: nothing in the files contradicts anything
// else, so that all must show the same at all times.
void use_store(Machine& machine, Usage usage, bool true_to_itself);

}  // namespace tidemark::fuzz
