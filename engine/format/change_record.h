// Change files: commits in commit order, with their keys and without values. Byte by byte:
// docs/formats/changes.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/coding.h"
#include "engine/base/status.h"
#include "engine/base/versionstamp.h"
#include "engine/format/change_file_meta.h"
#include "engine/format/wal_payload.h"

namespace tidemark {

inline constexpr uint32_t kChangeFormatVersion = 1;
inline constexpr size_t kChangeHeaderBytes = 32;
inline constexpr size_t kChangeFooterBytes = 32;

std::string encode_change_header(uint64_t salt);
// Gives the salt.
Result<uint64_t> decode_change_header(std::string_view bytes);

// The index: where each block stands and what it begins with.
struct ChangeBlockIndex {
  uint64_t offset = 0;
  uint64_t size = 0;
  Versionstamp first_stamp;
  int64_t first_timestamp_ms = 0;
};
std::string encode_change_index(const std::vector<ChangeBlockIndex>& index);
Result<std::vector<ChangeBlockIndex>> decode_change_index(std::string_view bytes);

std::string encode_change_footer(uint64_t index_offset, uint64_t index_size, uint64_t salt);
struct ChangeFooter {
  uint64_t index_offset = 0;
  uint64_t index_size = 0;
};
Result<ChangeFooter> decode_change_footer(std::string_view bytes, uint64_t salt, uint64_t file_bytes);

// Builds the raw bytes of one block: delta-coded against the commit before it in the block.
class ChangeBlockBuilder {
 public:
  void begin_commit(Versionstamp stamp, int64_t timestamp_ms, uint32_t writes);
  void add_write(WriteKind kind, std::string_view key);
  bool empty() const { return raw_.empty(); }
  size_t raw_bytes() const { return raw_.size(); }
  Versionstamp first_stamp() const { return first_stamp_; }
  int64_t first_timestamp_ms() const { return first_timestamp_ms_; }
  std::string finish();

 private:
  std::string raw_;
  Versionstamp first_stamp_, previous_stamp_;
  int64_t first_timestamp_ms_ = 0, previous_timestamp_ms_ = 0;
  std::string previous_key_;
};

class ChangeVisitor {
 public:
  virtual ~ChangeVisitor() = default;
  virtual void on_commit(Versionstamp stamp, int64_t timestamp_ms, uint32_t writes) = 0;
  virtual void on_write(WriteKind kind, std::string_view key) = 0;
};
Status visit_change_block(std::string_view raw, ChangeVisitor& visitor);

}  // namespace tidemark
