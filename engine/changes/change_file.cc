#include "engine/changes/change_file.h"

#include <algorithm>

#include "engine/base/check.h"
#include "engine/format/segment_layout.h"

namespace tidemark {
namespace {

constexpr size_t kBlockBytes = 16 << 10;
constexpr size_t kWriteBytes = 1 << 20;

// Remembers the last commit that is old enough.
struct FloorVisitor final : ChangeVisitor {
  FloorVisitor(Versionstamp stamp_limit, int64_t limit) : limit_stamp(stamp_limit), limit_ms(limit) {}
  void on_commit(Versionstamp stamp, int64_t timestamp_ms, uint32_t) override {
    if (stamp <= limit_stamp && timestamp_ms <= limit_ms) found = CommitPoint{stamp, timestamp_ms};
  }
  void on_write(WriteKind, std::string_view) override {}
  const Versionstamp limit_stamp;
  const int64_t limit_ms;
  std::optional<CommitPoint> found;
};

}  // namespace

ChangeFileWriter::ChangeFileWriter(std::unique_ptr<File> file, uint64_t number, uint64_t salt)
    : file_(std::move(file)), salt_(salt) {
  meta_.number = number;
  buffer_ = encode_change_header(salt);
  offset_ = buffer_.size();
}

Result<std::unique_ptr<ChangeFileWriter>> ChangeFileWriter::create(FileSystem& fs, const std::string& path,
                                                                   uint64_t number, uint64_t salt) {
  TM_ASSIGN(auto file, fs.open(path, OpenMode::kCreate));
  return std::unique_ptr<ChangeFileWriter>(new ChangeFileWriter(std::move(file), number, salt));
}

void ChangeFileWriter::finish_block() {
  ChangeBlockIndex entry{offset_, 0, block_.first_stamp(), block_.first_timestamp_ms()};
  entry.size = seal_block(buffer_, block_.finish(), &compressor_, salt_, offset_);
  offset_ += entry.size;
  index_.push_back(entry);
}

Status ChangeFileWriter::begin_commit(Versionstamp stamp, int64_t timestamp_ms, uint32_t writes) {
  if (block_.raw_bytes() >= kBlockBytes) {
    finish_block();
    if (buffer_.size() >= kWriteBytes) {
      TM_TRY(file_->write_at(offset_ - buffer_.size(), buffer_));
      buffer_.clear();
    }
  }
  block_.begin_commit(stamp, timestamp_ms, writes);
  if (meta_.commits++ == 0) {
    meta_.first_stamp = stamp;
    meta_.first_timestamp_ms = timestamp_ms;
  }
  meta_.last_stamp = stamp;
  meta_.last_timestamp_ms = timestamp_ms;
  return {};
}

Result<ChangeFileMeta> ChangeFileWriter::finish() {
  TM_CHECK(meta_.commits > 0);
  finish_block();
  const uint64_t index_offset = offset_;
  compressor_ = {};  // what the blocks were like says nothing of their index
  const uint64_t index_size =
      seal_block(buffer_, encode_change_index(index_), &compressor_, salt_, index_offset);
  buffer_ += encode_change_footer(index_offset, index_size, salt_);
  offset_ += index_size + kChangeFooterBytes;
  TM_TRY(file_->write_at(offset_ - buffer_.size(), buffer_));
  TM_TRY(file_->sync_data());
  meta_.file_bytes = offset_;
  return meta_;
}

Result<std::string> ChangeFileReader::read(uint64_t offset, uint64_t size) const {
  std::string sealed(size, '\0');
  TM_ASSIGN(const size_t n, file_->read_at(offset, sealed.data(), sealed.size()));
  sealed.resize(n);
  auto raw = unseal_block(sealed, salt_, offset);
  if (!raw) return fail_within(file_->path() + " at offset " + std::to_string(offset), raw.error());
  return raw;
}

Result<std::unique_ptr<ChangeFileReader>> ChangeFileReader::open(FileSystem& fs, const std::string& path,
                                                                 const ChangeFileMeta& meta) {
  std::unique_ptr<ChangeFileReader> reader(new ChangeFileReader());
  reader->meta_ = meta;
  TM_ASSIGN(reader->file_, fs.open(path, OpenMode::kRead));
  TM_ASSIGN(const uint64_t size, reader->file_->size());
  if (size != meta.file_bytes || size < kChangeHeaderBytes + kChangeFooterBytes)
    return fail(ErrorCode::kCorruption, path + " has " + std::to_string(size) + " bytes instead of " +
                                            std::to_string(meta.file_bytes));
  char head[kChangeHeaderBytes], foot[kChangeFooterBytes];
  TM_ASSIGN(const size_t head_read, reader->file_->read_at(0, head, sizeof head));
  auto salt = decode_change_header({head, head_read});
  if (!salt) return fail_within(path + " at offset 0", salt.error());
  reader->salt_ = *salt;
  const uint64_t foot_offset = size - kChangeFooterBytes;
  TM_ASSIGN(const size_t foot_read, reader->file_->read_at(foot_offset, foot, sizeof foot));
  auto footer = decode_change_footer({foot, foot_read}, reader->salt_, size);
  if (!footer) return fail_within(path + " at offset " + std::to_string(foot_offset), footer.error());
  TM_ASSIGN(const std::string raw, reader->read(footer->index_offset, footer->index_size));
  auto index = decode_change_index(raw);
  if (!index) return fail_within(path + " at offset " + std::to_string(footer->index_offset), index.error());
  for (const ChangeBlockIndex& block : *index)
    if (block.offset > size || block.size > size - block.offset)
      return fail(ErrorCode::kCorruption, path + ": the index points outside of the file");
  reader->index_ = std::move(*index);
  return reader;
}

Result<std::optional<CommitPoint>> ChangeFileReader::floor(Versionstamp stamp, int64_t timestamp_ms) const {
  // The last block that begins at or below both holds the commit sought.
  const auto it = std::ranges::partition_point(index_, [&](const ChangeBlockIndex& block) {
    return block.first_stamp <= stamp && block.first_timestamp_ms <= timestamp_ms;
  });
  if (it == index_.begin()) return std::nullopt;
  FloorVisitor visitor(stamp, timestamp_ms);
  TM_TRY(visit_block(static_cast<size_t>(it - index_.begin()) - 1, visitor));
  return visitor.found;
}

Status ChangeFileReader::visit_block(size_t block, ChangeVisitor& visitor) const {
  const ChangeBlockIndex& place = index_[block];
  TM_ASSIGN(const std::string raw, read(place.offset, place.size));
  if (auto visited = visit_change_block(raw, visitor); !visited)
    return fail_within(file_->path() + " at offset " + std::to_string(place.offset), visited.error());
  return {};
}

Status ChangeFileReader::visit(ChangeVisitor& visitor) const {
  for (size_t block = 0; block < index_.size(); ++block) TM_TRY(visit_block(block, visitor));
  return {};
}

}  // namespace tidemark
