// What a bucket may hold where a backup is expected: names, the index, lists, ranges of snapshots, runs of
// logs. The first byte says which. Nothing of it is trusted.
#include <string>
#include <vector>

#include "server/backup/index.h"
#include "server/backup/log_object.h"
#include "server/backup/object_names.h"
#include "server/backup/s3_xml.h"
#include "server/backup/sealed_object.h"
#include "server/backup/snapshot_object.h"

namespace {

void read_range(const std::string& bytes, bool ours) {
  const auto range = tidemark::backup::SnapshotRangeReader::open("fuzz", bytes, ours);
  for (bool more = range.has_value(); more;) {
    const tidemark::Result<bool> next = (*range)->next();
    more = next && *next;
    // What it gives goes into an engine.
    if (more && ((*range)->key().empty() || (*range)->key().size() > UINT16_MAX)) __builtin_trap();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tidemark;
  using namespace tidemark::backup;
  if (size == 0) return 0;
  std::string bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0] % 6) {
    case 0:
      if (const auto name = parse_log_name(bytes)) {
        // What is read is written in one way, which is read again as the same.
        const std::string text = format_name(*name);
        if (parse_log_name(std::string_view(text).substr(kLogFolder.size())) != name) __builtin_trap();
      }
      if (const auto name = parse_snapshot_name(bytes)) {
        const std::string text = format_name(*name);
        if (parse_snapshot_name(std::string_view(text).substr(kSnapshotFolder.size())) != name)
          __builtin_trap();
      }
      break;
    case 1:
      if (const auto index = decode_index(bytes)) {
        const auto again = decode_index(encode(*index));
        if (!again || !(*again == *index)) __builtin_trap();
      }
      break;
    case 2:
      (void)parse_s3_listing(bytes).has_value();
      break;
    case 3:
      read_range(bytes, false);
      break;
    case 4:
      seal_object(bytes);
      read_range(bytes, true);
      break;
    case 5: {
      std::vector<ReplayCommit> commits;
      LogReplay foreign({}, std::nullopt);
      const LogName name{1, {}, {{0x0106611aba4bcd00, 0}, LogPosition::kLastIndex}};
      (void)foreign.add("fuzz", name, bytes, commits).has_value();
      for (size_t i = 1; i < commits.size(); ++i)
        if (commits[i].point.stamp <= commits[i - 1].point.stamp) __builtin_trap();
      seal_object(bytes);
      LogReplay ours({}, std::vector<WriterSession>{{"s", {}}});
      (void)ours.add("fuzz", name, bytes, commits).has_value();
      break;
    }
  }
  return 0;
}
