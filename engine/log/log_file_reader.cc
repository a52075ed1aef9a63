#include "engine/log/log_file_reader.h"

#include <algorithm>

// Where no intact record stands, three things can be: the end of the log, a record that was being written
// when power went, or damage. It is damage if anyone who wrote later knew these bytes to be durable: a
// promise in a record further on, or the successor's header. Nothing else can be told apart
// (docs/formats/log.md).

namespace tidemark {
namespace {

// A WAL file holds about one memtable and one group; a manifest is rolled long before.
constexpr uint64_t kMaxLogFileBytes = uint64_t{8} << 30;

}  // namespace

Result<LogFileReader> LogFileReader::open(FileSystem& fs, const std::string& path, LogKind kind,
                                          const std::string& database_id, uint64_t number) {
  LogFileReader reader;
  reader.fs_ = &fs;
  reader.path_ = path;
  TM_ASSIGN(const auto file, fs.open(path, OpenMode::kRead));
  char bytes[kLogHeaderBytes];
  TM_ASSIGN(const size_t size, file->read_at(0, bytes, sizeof bytes));
  auto header = decode_log_header({bytes, size}, kind);
  if (!header) return fail_within(path + " at offset 0", header.error());
  reader.header_ = std::move(*header);
  if (reader.header_.database_id != database_id)
    return fail(ErrorCode::kCorruption, path + " at offset 16: the file belongs to another database");
  if (reader.header_.file_number != number)
    return fail(ErrorCode::kCorruption, path + " at offset 32: the file was written as number " +
                                            std::to_string(reader.header_.file_number));
  reader.salt_ = log_salt(kind, database_id, number);
  return reader;
}

Result<std::optional<RecordView>> LogFileReader::next(std::optional<uint64_t> limit) {
  if (limit && offset_ == *limit) return std::nullopt;
  if (!bytes_) {
    TM_ASSIGN(bytes_, read_file(*fs_, path_, kMaxLogFileBytes));
  }
  std::optional<RecordView> record = read_record(*bytes_, salt_, offset_);
  if (record && (!limit || record->end <= *limit)) {
    offset_ = record->end;
    promised_ = std::max(promised_, record->promised);
    return record;
  }
  const uint64_t durable =
      limit ? *limit : std::max(promised_, largest_promise_after(*bytes_, salt_, offset_));
  if (offset_ < durable)
    return fail(ErrorCode::kCorruption, path_ + " at offset " + std::to_string(offset_) +
                                            ": no intact record, though everything below offset " +
                                            std::to_string(durable) + " was durable");
  return std::nullopt;
}

}  // namespace tidemark
