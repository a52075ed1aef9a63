// Reading one key.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "engine/base/status.h"
#include "engine/mvcc/version.h"
#include "engine/segment/segment_reader.h"

namespace tidemark {

struct PointRead {
  std::string_view value;
  Versionstamp stamp;
  // Keeps `value` alive where it lies in a block; null where it lies in a memtable of the state.
  std::shared_ptr<const Block> block;
};

// The value that the key has at `at`, or nothing. Versionstamp::max() reads the newest, acknowledged or not.
Result<std::optional<PointRead>> read_point(const ReadState& state, std::string_view key, Versionstamp at,
                                            const SegmentReadOptions& options);

// Whether any live segment from a level on, or what is shared with another database, may hold an entry of the
// key. May read filters from disk; true on any error.
bool live_may_contain(const Version& version, size_t from_level, std::string_view key, uint64_t hash);

}  // namespace tidemark
