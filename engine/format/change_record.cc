#include "engine/format/change_record.h"

#include <algorithm>

#include "engine/base/check.h"
#include "engine/base/hash.h"

namespace tidemark {
namespace {

constexpr std::string_view kHeaderMagic = "TIDECHG\n";
constexpr std::string_view kFooterMagic = "TIDECHGE";

std::unexpected<Error> corrupt(const char* what) {
  return fail(ErrorCode::kCorruption, what);
}

}  // namespace

void put_change_file_meta(std::string& out, const ChangeFileMeta& meta) {
  put_varint(out, meta.number);
  put_varint(out, meta.file_bytes);
  put_varint(out, meta.commits);
  put_stamp(out, meta.first_stamp);
  put_stamp(out, meta.last_stamp);
  put_le64(out, static_cast<uint64_t>(meta.first_timestamp_ms));
  put_le64(out, static_cast<uint64_t>(meta.last_timestamp_ms));
}

ChangeFileMeta read_change_file_meta(ByteReader& in) {
  ChangeFileMeta meta;
  meta.number = in.varint();
  meta.file_bytes = in.varint();
  meta.commits = in.varint();
  meta.first_stamp = read_stamp(in);
  meta.last_stamp = read_stamp(in);
  meta.first_timestamp_ms = static_cast<int64_t>(in.le64());
  meta.last_timestamp_ms = static_cast<int64_t>(in.le64());
  return meta;
}

std::string encode_change_header(uint64_t salt) {
  std::string out(kHeaderMagic);
  put_le32(out, kChangeFormatVersion);
  put_le32(out, 0);
  put_le64(out, salt);
  put_le64(out, xxh3(out));
  TM_CHECK(out.size() == kChangeHeaderBytes);
  return out;
}

Result<uint64_t> decode_change_header(std::string_view bytes) {
  if (bytes.size() < kChangeHeaderBytes) return corrupt("the file is cut short within its header");
  if (bytes.substr(0, 8) != kHeaderMagic) return corrupt("the file header has a wrong magic");
  if (load_le64(bytes.data() + 24) != xxh3(bytes.substr(0, 24)))
    return corrupt("the file header does not match its checksum");
  const uint32_t version = load_le32(bytes.data() + 8);
  if (version > kChangeFormatVersion)
    return fail(ErrorCode::kNewerFormat, "change file format version " + std::to_string(version) +
                                             " is newer than this program's " +
                                             std::to_string(kChangeFormatVersion));
  return load_le64(bytes.data() + 16);
}

std::string encode_change_index(const std::vector<ChangeBlockIndex>& index) {
  std::string out;
  put_varint(out, index.size());
  for (const ChangeBlockIndex& block : index) {
    put_varint(out, block.offset);
    put_varint(out, block.size);
    put_stamp(out, block.first_stamp);
    put_le64(out, static_cast<uint64_t>(block.first_timestamp_ms));
  }
  return out;
}

Result<std::vector<ChangeBlockIndex>> decode_change_index(std::string_view bytes) {
  ByteReader in(bytes);
  const uint64_t count = in.varint();
  if (!in.ok() || count > bytes.size() / 20) return corrupt("a change file's index is malformed");
  std::vector<ChangeBlockIndex> index;
  index.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    ChangeBlockIndex block;
    block.offset = in.varint();
    block.size = in.varint();
    block.first_stamp = read_stamp(in);
    block.first_timestamp_ms = static_cast<int64_t>(in.le64());
    index.push_back(block);
  }
  if (!in.ok() || !in.at_end()) return corrupt("a change file's index is malformed");
  return index;
}

std::string encode_change_footer(uint64_t index_offset, uint64_t index_size, uint64_t salt) {
  std::string out;
  put_le64(out, index_offset);
  put_le64(out, index_size);
  put_le64(out, xxh3(out, salt));
  out += kFooterMagic;
  TM_CHECK(out.size() == kChangeFooterBytes);
  return out;
}

Result<ChangeFooter> decode_change_footer(std::string_view bytes, uint64_t salt, uint64_t file_bytes) {
  if (bytes.size() != kChangeFooterBytes || bytes.substr(24) != kFooterMagic)
    return corrupt("the file does not end in a change file's footer");
  if (load_le64(bytes.data() + 16) != xxh3(bytes.substr(0, 16), salt))
    return corrupt("the footer does not match its checksum");
  const ChangeFooter footer{load_le64(bytes.data()), load_le64(bytes.data() + 8)};
  if (footer.index_offset > file_bytes || footer.index_size > file_bytes - footer.index_offset)
    return corrupt("the footer points outside of the file");
  return footer;
}

void ChangeBlockBuilder::begin_commit(Versionstamp stamp, int64_t timestamp_ms, uint32_t writes) {
  if (raw_.empty()) {
    first_stamp_ = stamp;
    first_timestamp_ms_ = timestamp_ms;
    put_stamp(raw_, stamp);
    put_le64(raw_, static_cast<uint64_t>(timestamp_ms));
  } else {
    // Tails are stored whole: numbers of one commit and the next may be equal where stamps came from
    // elsewhere.
    TM_CHECK(stamp > previous_stamp_ && timestamp_ms >= previous_timestamp_ms_);
    put_varint(raw_, stamp.number - previous_stamp_.number);
    put_varint(raw_, stamp.tail);
    put_varint(raw_, static_cast<uint64_t>(timestamp_ms) - static_cast<uint64_t>(previous_timestamp_ms_));
  }
  previous_stamp_ = stamp;
  previous_timestamp_ms_ = timestamp_ms;
  put_varint(raw_, writes);
}

void ChangeBlockBuilder::add_write(WriteKind kind, std::string_view key) {
  size_t shared = 0;
  const size_t most = std::min(previous_key_.size(), key.size());
  while (shared < most && previous_key_[shared] == key[shared]) ++shared;
  put_varint(raw_, shared << 1 | static_cast<uint64_t>(kind));
  put_bytes(raw_, key.substr(shared));
  previous_key_ = key;
}

std::string ChangeBlockBuilder::finish() {
  previous_key_.clear();
  std::string out = std::move(raw_);
  raw_.clear();
  return out;
}

Status visit_change_block(std::string_view raw, ChangeVisitor& visitor) {
  ByteReader in(raw);
  Versionstamp stamp;
  int64_t timestamp_ms = 0;
  std::string key;
  for (bool first = true; !in.at_end(); first = false) {
    if (first) {
      stamp = read_stamp(in);
      timestamp_ms = static_cast<int64_t>(in.le64());
    } else {
      stamp.number += in.varint();
      stamp.tail = static_cast<uint16_t>(in.varint());
      timestamp_ms = static_cast<int64_t>(static_cast<uint64_t>(timestamp_ms) + in.varint());
    }
    const uint64_t writes = in.varint();
    if (!in.ok() || writes > UINT32_MAX) return corrupt("a block of changes is malformed");
    visitor.on_commit(stamp, timestamp_ms, static_cast<uint32_t>(writes));
    for (uint64_t i = 0; i < writes; ++i) {
      const uint64_t head = in.varint();
      const std::string_view suffix = in.bytes();
      if (!in.ok() || (head >> 1) > key.size()) return corrupt("a block of changes is malformed");
      key.resize(head >> 1);
      key.append(suffix);
      visitor.on_write(static_cast<WriteKind>(head & 1), key);
    }
  }
  return {};
}

}  // namespace tidemark
