#include "tools/file_dump.h"

#include <boost/json.hpp>
#include <cstdio>

#include "engine/base/base64.h"
#include "engine/base/hex.h"
#include "engine/base/time_text.h"
#include "engine/io/posix_file_system.h"
#include "engine/verify/file_records.h"
#include "engine/verify/reporter.h"
#include "tools/terminal.h"

namespace tidemark::tools {
namespace {

namespace json = boost::json;

constexpr int kFailed = 1;
constexpr int kDamaged = 4;

void put_key(json::object& out, const char* name, std::string_view key) {
  out[name] = base64(key);
  out["keyText"] = verify::shown(key);
}

json::object describe(const SegmentMeta& meta) {
  json::object out{{"number", meta.number},
                   {"kind", meta.kind == SegmentKind::kLive ? "live" : "history"},
                   {"bytes", meta.file_bytes},
                   {"entries", meta.entries},
                   {"tombstones", meta.tombstones},
                   {"smallestKey", base64(meta.smallest_key)},
                   {"largestKey", base64(meta.largest_key)},
                   {"minVersionstamp", meta.min_stamp.hex()},
                   {"maxVersionstamp", meta.max_stamp.hex()}};
  if (meta.kind == SegmentKind::kHistory) {
    out["minSuperseded"] = meta.min_superseded.hex();
    out["maxSuperseded"] = meta.max_superseded.hex();
  }
  return out;
}

json::object describe(const ChangeFileMeta& meta) {
  return {{"number", meta.number},
          {"bytes", meta.file_bytes},
          {"commits", meta.commits},
          {"first", meta.first_stamp.hex()},
          {"last", meta.last_stamp.hex()},
          {"firstTime", format_time(meta.first_timestamp_ms)},
          {"lastTime", format_time(meta.last_timestamp_ms)}};
}

json::object describe(const ManifestEdit& edit) {
  json::object out;
  if (edit.snapshot) out["snapshot"] = true;
  const auto number = [&](const char* name, const auto& value) {
    if (value) out[name] = *value;
  };
  const auto stamp = [&](const char* name, const auto& value) {
    if (value) out[name] = value->hex();
  };
  number("epoch", edit.epoch);
  number("nextFileNumber", edit.next_file_number);
  number("oldestWal", edit.oldest_wal);
  number("newestWal", edit.newest_wal);
  stamp("flushed", edit.flushed_stamp);
  if (edit.flushed_timestamp_ms) out["flushedTime"] = format_time(*edit.flushed_timestamp_ms);
  stamp("horizon", edit.horizon);
  if (edit.retention_clock_ms) out["retentionClock"] = format_time(*edit.retention_clock_ms);
  const auto list = [&](const char* name, const auto& values, auto&& each) {
    json::array all;
    for (const auto& value : values) all.push_back(each(value));
    if (!all.empty()) out[name] = std::move(all);
  };
  const auto itself = [](uint64_t value) { return json::value(value); };
  list("addedSegments", edit.added_segments, [](const PlacedSegment& segment) -> json::value {
    json::object described = describe(segment.meta);
    described[segment.meta.kind == SegmentKind::kLive && !segment.ceiling ? "level" : "run"] = segment.place;
    if (segment.ceiling) described["ceiling"] = segment.ceiling->hex();
    return described;
  });
  list("removedSegments", edit.removed_segments, itself);
  list("addedChanges", edit.added_changes,
       [](const ChangeFileMeta& meta) -> json::value { return describe(meta); });
  list("removedChanges", edit.removed_changes, itself);
  return out;
}

class Dump final : public verify::RecordVisitor {
 public:
  explicit Dump(LineSink& lines) : lines_(lines) {}

  Status on_damage(std::optional<uint64_t> offset, const std::string& what) override {
    ++damaged_;
    json::object out;
    if (offset) out["offset"] = *offset;
    out["damage"] = what;
    return lines_.line(json::serialize(out));
  }
  Status on_log_header(const LogHeader& header) override {
    return line(0, "header",
                json::object{{"kind", header.kind == LogKind::kWal ? "wal" : "manifest"},
                             {"databaseId", to_hex(header.database_id)},
                             {"number", header.file_number},
                             {"predecessor", header.predecessor_number},
                             {"predecessorEnd", header.predecessor_end}});
  }
  Status on_wal_record(uint64_t offset, WalRecordType type, bool copy) override {
    json::object out{{"offset", offset}};
    out["record"] = type == WalRecordType::kGroup    ? "group"
                    : type == WalRecordType::kIngest ? "ingest"
                    : type == WalRecordType::kClose  ? "close"
                                                     : "unknown";
    if (copy) out["copy"] = true;
    return lines_.line(json::serialize(out));
  }
  Status on_edit(uint64_t offset, const ManifestEdit& edit) override {
    return line(offset, "edit", describe(edit));
  }
  Status on_ingest(uint64_t offset, const WalIngest& ingest) override {
    json::array segments, changes;
    for (const SegmentMeta& meta : ingest.segments) segments.push_back(describe(meta));
    for (const ChangeFileMeta& meta : ingest.changes) changes.push_back(describe(meta));
    json::object out{{"versionstamp", ingest.last_stamp.hex()},
                     {"time", format_time(ingest.timestamp_ms)},
                     {"segments", std::move(segments)},
                     {"changes", std::move(changes)}};
    if (ingest.horizon) out["horizon"] = ingest.horizon->hex();
    return line(offset, "ingest", std::move(out));
  }
  Status on_commit(uint64_t offset, Versionstamp stamp, int64_t timestamp_ms) override {
    return lines_.line(json::serialize(
        json::object{{"offset", offset}, {"commit", stamp.hex()}, {"time", format_time(timestamp_ms)}}));
  }
  Status on_write(uint64_t offset, WriteKind kind, std::string_view key,
                  std::optional<std::string_view> value) override {
    json::object out{{"offset", offset}};
    put_key(out, kind == WriteKind::kPut ? "put" : "erase", key);
    if (value) out["value"] = base64(*value);
    return lines_.line(json::serialize(out));
  }
  Status on_version(const verify::VersionSource& v) override {
    json::object out{{"offset", v.offset()}};
    put_key(out, v.tombstone() ? "erase" : "put", v.key());
    out["versionstamp"] = v.stamp().hex();
    if (v.superseded() != Versionstamp::max()) out["superseded"] = v.superseded().hex();
    if (!v.tombstone()) out["value"] = base64(v.value());
    return lines_.line(json::serialize(out));
  }

  uint64_t damaged() const { return damaged_; }

 private:
  Status line(uint64_t offset, const char* name, json::object content) {
    return lines_.line(json::serialize(json::object{{"offset", offset}, {name, std::move(content)}}));
  }

  LineSink& lines_;
  uint64_t damaged_ = 0;
};

}  // namespace

CLI::Option_group* add_file_dump_options(CLI::App& command, FileDumpArguments& arguments) {
  CLI::Option_group* group = command.add_option_group("Files", "A single file, as far as damage allows");
  group->add_option("--wal", arguments.wal, "A WAL file")->type_name("FILE");
  group->add_option("--segment", arguments.segment, "A segment")->type_name("FILE");
  group->add_option("--changes", arguments.changes, "A change file")->type_name("FILE");
  group->add_option("--manifest", arguments.manifest, "A manifest, or the folder of a database")
      ->type_name("FILE");
  group->require_option(0, 1);
  return group;
}

Result<uint64_t> dump_file(FileSystem& fs, const FileDumpArguments& arguments, LineSink& lines) {
  Dump dump(lines);
  if (!arguments.wal.empty()) TM_TRY(verify::visit_wal_file(fs, arguments.wal, dump));
  if (!arguments.segment.empty()) TM_TRY(verify::visit_segment_file(fs, arguments.segment, dump));
  if (!arguments.changes.empty()) TM_TRY(verify::visit_change_file(fs, arguments.changes, dump));
  if (!arguments.manifest.empty()) {
    std::string path = arguments.manifest;
    // Only a folder can be listed.
    if (fs.list_dir(path)) {
      TM_ASSIGN(path, verify::current_manifest(fs, path));
    }
    TM_TRY(verify::visit_manifest_file(fs, path, dump));
  }
  return dump.damaged();
}

int run_file_dump(const FileDumpArguments& arguments) {
  FileLines lines(stdout);
  Result<uint64_t> damaged = dump_file(posix_file_system(), arguments, lines);
  if (const Status written = lines.flush(); damaged && !written) damaged = std::unexpected(written.error());
  if (damaged) return *damaged > 0 ? kDamaged : 0;
  std::fprintf(stderr, "tidemark: %s\n", damaged.error().message.c_str());
  return kFailed;
}

}  // namespace tidemark::tools
