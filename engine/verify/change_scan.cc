// Blocks are decoded twice: once to see whether all of one makes sense and follows what came before, and only
// then for the visitor.
#include "engine/verify/change_scan.h"

#include <algorithm>
#include <vector>

#include "engine/format/segment_layout.h"
#include "engine/verify/sealed_search.h"

namespace tidemark::verify {
namespace {

constexpr uint64_t kMaxChangeFileBytes = uint64_t{4} << 30;

struct OrderCheck final : ChangeVisitor {
  explicit OrderCheck(const ChangeFileMeta& before) : seen(before) {}
  void on_commit(Versionstamp stamp, int64_t timestamp_ms, uint32_t) override {
    if (seen.commits > 0 && (stamp <= seen.last_stamp || timestamp_ms < seen.last_timestamp_ms))
      ordered = false;
    if (first_here.commits++ == 0) {
      first_here.first_stamp = stamp;
      first_here.first_timestamp_ms = timestamp_ms;
    }
    if (seen.commits++ == 0) {
      seen.first_stamp = stamp;
      seen.first_timestamp_ms = timestamp_ms;
    }
    seen.last_stamp = stamp;
    seen.last_timestamp_ms = timestamp_ms;
  }
  void on_write(WriteKind, std::string_view key) override {
    if (key.empty() || key.size() > UINT16_MAX) keys_fit = false;
  }

  ChangeFileMeta seen;
  ChangeFileMeta first_here;
  bool ordered = true;
  bool keys_fit = true;
};

class Scan {
 public:
  Scan(FileSystem& fs, const std::string& path, const std::optional<ChangeFileMeta>& meta,
       const ChangeScanOptions& options, ChangeVisitor& visitor, Reporter& reporter)
      : fs_(fs), path_(path), meta_(meta), options_(options), visitor_(visitor), reporter_(reporter) {}

  ChangeScanResult run() {
    const auto bytes = read_file(fs_, path_, kMaxChangeFileBytes);
    if (!bytes) {
      result_.whole = false;
      if (bytes.error().code != ErrorCode::kNotFound)
        reporter_.report(kChangesDamaged, path_, std::nullopt, bytes.error());
      return result_;
    }
    bytes_ = *bytes;
    reporter_.advance(bytes_.size());
    if (meta_ && bytes_.size() != meta_->file_bytes)
      mismatch(std::nullopt, "the file has " + std::to_string(bytes_.size()) + " bytes instead of " +
                                 std::to_string(meta_->file_bytes));
    std::vector<ChangeBlockIndex> index;
    if (read_index(index)) {
      for (const ChangeBlockIndex& block : index) read_block(block);
    } else if (options_.search_blocks && salt_ != 0) {
      search_sealed(bytes_, salt_, kChangeHeaderBytes,
                    [&](uint64_t offset, std::string content, bool adjacent) {
                      if (!adjacent) gap();
                      (void)take(offset, content, nullptr);
                    });
    }
    if (meta_ && result_.whole) {
      result_.found.number = meta_->number;
      result_.found.file_bytes = meta_->file_bytes;
      if (result_.found != *meta_)
        mismatch(std::nullopt, "its commits are not those that the manifest describes");
    }
    return result_;
  }

 private:
  void damaged(std::optional<uint64_t> offset, const Error& error) {
    result_.whole = false;
    reporter_.report(kChangesDamaged, path_, offset, error);
  }
  void mismatch(std::optional<uint64_t> offset, std::string what) {
    result_.whole = false;
    reporter_.report(kChangesMismatch, path_, offset, std::move(what));
  }

  bool read_index(std::vector<ChangeBlockIndex>& index) {
    const auto salt = decode_change_header(bytes_.substr(0, kChangeHeaderBytes));
    salt_ = salt ? *salt : options_.salt;
    if (!salt) {
      damaged(0, salt.error());
      if (salt.error().code == ErrorCode::kNewerFormat || salt_ == 0) return salt_ = 0, false;
    }
    if (bytes_.size() < kChangeHeaderBytes + kChangeFooterBytes)
      return damaged(std::nullopt, {ErrorCode::kCorruption, "the file is cut short"}), false;
    const uint64_t foot_offset = bytes_.size() - kChangeFooterBytes;
    const auto footer = decode_change_footer(bytes_.substr(foot_offset), salt_, bytes_.size());
    if (!footer) return damaged(foot_offset, footer.error()), false;
    const auto raw =
        unseal_block(bytes_.substr(footer->index_offset, footer->index_size), salt_, footer->index_offset);
    if (!raw)
      return damaged(footer->index_offset, {raw.error().code, "the index: " + raw.error().message}), false;
    auto decoded = decode_change_index(*raw);
    if (!decoded) return damaged(footer->index_offset, decoded.error()), false;
    index = std::move(*decoded);
    return true;
  }

  void gap() const {
    if (options_.gap) options_.gap();
  }

  void read_block(const ChangeBlockIndex& block) {
    const Status taken = take_place(block);
    if (taken) return;
    gap();
    if (taken.error().code == ErrorCode::kInvalidArgument)
      mismatch(block.offset, taken.error().message);
    else
      damaged(block.offset, taken.error());
  }

  Status take_place(const ChangeBlockIndex& block) {
    if (block.offset > bytes_.size() || block.size > bytes_.size() - block.offset)
      return fail(ErrorCode::kCorruption, "the index points outside of the file");
    TM_ASSIGN(const std::string raw,
              unseal_block(bytes_.substr(block.offset, block.size), salt_, block.offset));
    return take(block.offset, raw, &block);
  }

  // kCorruption: malformed; kInvalidArgument: it does not fit here.
  Status take(uint64_t offset, std::string_view raw, const ChangeBlockIndex* index) {
    OrderCheck check(result_.found);
    TM_TRY(visit_change_block(raw, check));
    if (check.first_here.commits == 0) return fail(ErrorCode::kCorruption, "a block of changes is empty");
    if (!check.keys_fit)
      return fail(ErrorCode::kCorruption, "a block of changes names no key, or one too long");
    if (!check.ordered)
      return fail(ErrorCode::kInvalidArgument, "its commits do not follow those before them");
    if (index != nullptr && (index->first_stamp != check.first_here.first_stamp ||
                             index->first_timestamp_ms != check.first_here.first_timestamp_ms))
      return fail(ErrorCode::kInvalidArgument,
                  "the block does not begin with the commit that the index names");
    result_.found = check.seen;
    if (options_.block) options_.block(offset);
    return visit_change_block(raw, visitor_);
  }

  FileSystem& fs_;
  const std::string& path_;
  const std::optional<ChangeFileMeta>& meta_;
  const ChangeScanOptions& options_;
  ChangeVisitor& visitor_;
  Reporter& reporter_;
  std::string_view bytes_;
  uint64_t salt_ = 0;
  ChangeScanResult result_;
};

}  // namespace

ChangeScanResult scan_changes(FileSystem& fs, const std::string& path,
                              const std::optional<ChangeFileMeta>& meta, const ChangeScanOptions& options,
                              ChangeVisitor& visitor, Reporter& reporter) {
  return Scan(fs, path, meta, options, visitor, reporter).run();
}

}  // namespace tidemark::verify
