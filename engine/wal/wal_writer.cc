#include "engine/wal/wal_writer.h"

#include <algorithm>

#include "engine/base/check.h"
#include "engine/base/mutant.h"
#include "engine/format/file_names.h"
#include "engine/format/log_record.h"

// Space is reserved by doubling, from a small start: a server holds many databases, most of them small, and a
// file that need not grow is synced about 1.5 times faster than one that does.

namespace tidemark {
namespace {

constexpr uint64_t kFirstAllocationBytes = uint64_t{128} << 10;
constexpr uint64_t kLargestStepBytes = uint64_t{16} << 20;

}  // namespace

WalWriter::WalWriter(FileSystem& fs, std::string dir, std::string database_id, uint64_t number,
                     std::unique_ptr<File> file)
    : fs_(fs),
      dir_(std::move(dir)),
      database_id_(std::move(database_id)),
      number_(number),
      salt_(log_salt(LogKind::kWal, database_id_, number)),
      file_(std::move(file)),
      end_(kLogHeaderBytes) {}

Result<std::unique_ptr<WalWriter>> WalWriter::create(FileSystem& fs, const std::string& dir,
                                                     const std::string& database_id, uint64_t number) {
  TM_ASSIGN(auto file, fs.open(file_path(dir, FileType::kWal, number), OpenMode::kCreate));
  std::unique_ptr<WalWriter> writer(new WalWriter(fs, dir, database_id, number, std::move(file)));
  if (Status room = writer->reserve(kLogHeaderBytes); !room) {
    (void)fs.remove(writer->file_->path()).has_value();
    return std::unexpected<Error>(std::move(room).error());
  }
  return writer;
}

Status WalWriter::reserve(uint64_t end) {
  if (end <= allocated_) return {};
  const uint64_t step = std::clamp(allocated_, kFirstAllocationBytes, kLargestStepBytes);
  const uint64_t target = std::max(end, allocated_ + step);
  TM_TRY(file_->allocate(allocated_, target - allocated_));
  allocated_ = target;
  return {};
}

Status WalWriter::start(uint64_t predecessor_number, uint64_t predecessor_end) {
  TM_CHECK(promised_ == 0);
  const LogHeader header{LogKind::kWal, database_id_, number_, predecessor_number, predecessor_end};
  TM_TRY(file_->write_at(0, encode_log_header(header)));
  TM_TRY(file_->sync_data());
  if (!TM_MUTANT("engine.skip-folder-sync")) TM_TRY(fs_.sync_dir(dir_));
  promised_ = kLogHeaderBytes;
  return {};
}

Status WalWriter::append(std::string& record) {
  TM_CHECK(promised_ >= kLogHeaderBytes);
  const uint64_t offset = end();
  finish_record(record, salt_, offset, promised_);
  TM_TRY(file_->write_at(offset, record));
  end_.store(offset + record.size(), std::memory_order_relaxed);
  return {};
}

Status WalWriter::sync() {
  if (!TM_MUTANT("engine.skip-sync")) TM_TRY(file_->sync_data());
  promised_ = end();
  return {};
}

void WalWriter::trim() {
  (void)file_->truncate(end()).has_value();
}

}  // namespace tidemark
