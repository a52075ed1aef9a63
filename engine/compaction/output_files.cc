#include "engine/compaction/output_files.h"

#include "engine/base/hash.h"

namespace tidemark {

OutputFiles::OutputFiles(VersionSet& versions, const DatabaseOptions& options, SegmentKind kind,
                         uint64_t target_bytes)
    : versions_(versions), options_(options), kind_(kind), target_bytes_(target_bytes) {}

OutputFiles::~OutputFiles() {
  writer_.reset();
  for (const std::string& path : created_) (void)versions_.fs().remove(path).has_value();
}

Status OutputFiles::finish_file() {
  TM_ASSIGN(SegmentMeta meta, writer_->finish());
  writer_.reset();
  files_.push_back(std::move(meta));
  return {};
}

Status OutputFiles::add(std::string_view key, Versionstamp stamp, Versionstamp superseded, bool tombstone,
                        std::string_view value) {
  if (writer_ != nullptr && target_bytes_ != 0 && writer_->bytes() >= target_bytes_ && key != last_key_)
    TM_TRY(finish_file());
  if (writer_ == nullptr) {
    const uint64_t number = versions_.new_file_number();
    const std::string path = versions_.path(FileType::kSegment, number);
    // Numbers are never used twice, so this salt is this file's alone.
    const uint64_t salt = xxh3(versions_.database_id(), number);
    SegmentWriterOptions writer_options;
    writer_options.block_bytes = options_.block_bytes;
    writer_options.compression = options_.compression;
    writer_options.filter_bits_per_key = options_.filter_bits_per_key;
    TM_ASSIGN(writer_, SegmentWriter::create(versions_.fs(), path, number, kind_, salt, writer_options));
    created_.push_back(path);
  }
  if (target_bytes_ != 0) last_key_ = key;
  return writer_->add(key, stamp, superseded, tombstone, value);
}

void OutputFiles::append(OutputFiles& behind) {
  files_.insert(files_.end(), behind.files_.begin(), behind.files_.end());
  created_.insert(created_.end(), behind.created_.begin(), behind.created_.end());
  behind.files_.clear();
  behind.created_.clear();
}

Status OutputFiles::finish() {
  return writer_ == nullptr ? Status() : finish_file();
}

}  // namespace tidemark
