// Settings of the engine. Components (file system, clock, threads) are given apart, in EngineComponents.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/base/log.h"
#include "engine/io/clock.h"
#include "engine/io/executor.h"
#include "engine/io/file_system.h"

namespace tidemark {

// How long versions stay readable after they were superseded.
struct Retention {
  enum class Kind : uint8_t { kNone, kDuration, kForever } kind = Kind::kDuration;
  int64_t duration_ms = int64_t{7} * 24 * 3600 * 1000;  // for kDuration; at least 0

  static Retention none() { return {Kind::kNone, 0}; }
  static Retention forever() { return {Kind::kForever, 0}; }
  static Retention for_ms(int64_t ms) { return {Kind::kDuration, ms}; }
  bool operator==(const Retention&) const = default;
};

enum class Durability : uint8_t {
  kSynced,    // a commit is answered after a data sync that covers it (the default)
  kUnsynced,  // a commit is answered once the system has its bytes: survives the process, not power loss
};

// Shared by all databases of a process.
struct EngineOptions {
  uint64_t block_cache_bytes = uint64_t{256} << 20;  // decoded blocks, segment indexes and filters together
  int max_open_segments = 512;                       // open segment files, over all databases
};

// The machine. Nothing here is owned; all must outlive the Engine. Null members: the real ones.
struct EngineComponents {
  FileSystem* file_system = nullptr;
  Clock* clock = nullptr;
  Executor* executor = nullptr;
  LogSink log;
};

// Of one database. Sizes in bytes.
struct DatabaseOptions {
  bool create_if_missing = true;
  Retention retention;                        // may be changed later by set_retention
  std::optional<uint64_t> history_max_bytes;  // ceiling on history segments; the oldest goes first
  Durability durability = Durability::kSynced;
  // Commits become head, and are answered, only when Database::release() says so: somebody makes them safe
  // elsewhere first. At most so many bytes of them wait; then others are refused with kUnavailable.
  bool gated = false;
  uint64_t gated_bytes_max = uint64_t{64} << 20;

  uint64_t memtable_bytes = uint64_t{64} << 20;  // a memtable is flushed at this size
  int max_frozen_memtables = 2;                  // waiting for their flush, before writers are held
  uint64_t segment_bytes = uint64_t{64} << 20;   // target size of a segment of level 1 and deeper
  uint32_t block_bytes = 4096;                   // target size of a block before compression
  bool compression = true;                       // LZ4 where it saves at least an eighth
  int filter_bits_per_key = 10;
  int level0_compaction_trigger = 4;            // segments in level 0 that start a merge
  int level0_slowdown_trigger = 12;             // from here on writers are slowed, smoothly
  int level0_stop_trigger = 36;                 // here they are as slow as the merging is
  uint64_t level1_bytes = uint64_t{256} << 20;  // target size of level 1
  int level_multiplier = 10;                    // each deeper level is this much larger
  int history_run_trigger = 4;                  // history runs of like size that are merged together

  // A second copy of the clean state is never kept; these bound a single transaction.
  uint64_t max_transaction_bytes = uint64_t{64} << 20;
};

}  // namespace tidemark
