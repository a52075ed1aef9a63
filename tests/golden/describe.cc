#include "tests/golden/describe.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "engine/base/check.h"
#include "engine/changes/change_file.h"
#include "engine/database.h"
#include "engine/format/file_names.h"
#include "engine/io/posix_file_system.h"
#include "engine/manifest/manifest.h"
#include "server/host/host.h"

namespace tidemark::golden {
namespace {

DatabaseOptions options() {
  DatabaseOptions options;
  options.create_if_missing = false;
  options.retention = Retention::forever();
  return options;
}

// Without the words, which may change: the code and the name of the file.
std::string told(const Error& error) {
  std::string out = "error " + std::to_string(static_cast<int>(error.code));
  size_t at = error.message.find("/0");
  for (const char* name : {"/CURRENT", "/MANIFEST"}) at = std::min(at, error.message.find(name));
  if (at != std::string::npos)
    out += " in " + error.message.substr(at + 1, error.message.find_first_of(" :", at) - at - 1);
  return out + "\n";
}

std::string scan(const ReadView& view, const ScanRange& range = {}) {
  std::string out;
  const auto cursor = view.scan(range);
  while (true) {
    const auto more = cursor->next();
    if (!more) return out + "  " + told(more.error());
    if (!*more) return out;
    out += "  " + std::string(cursor->key()) + " = " + std::string(cursor->value()) + " of " +
           cursor->versionstamp().hex() + "\n";
  }
}

// The moments in the change files of a closed database.
std::set<Versionstamp> moments(const std::string& dir, std::string& out) {
  struct Collector final : ChangeVisitor {
    void on_commit(Versionstamp stamp, int64_t, uint32_t) override { stamps.insert(stamp); }
    void on_write(WriteKind, std::string_view) override {}
    std::set<Versionstamp> stamps;
  } collector;
  FileSystem& fs = posix_file_system();
  const auto manifest = Manifest::open(fs, dir);
  if (!manifest) return {};
  for (const auto& [number, meta] : (*manifest)->state().changes) {
    const auto reader = ChangeFileReader::open(fs, file_path(dir, FileType::kChanges, number), meta);
    const Status visited = reader ? (*reader)->visit(collector) : Status(std::unexpected(reader.error()));
    if (!visited) out += "changes: " + told(visited.error());
  }
  return collector.stamps;
}

}  // namespace

std::string describe_database(const std::string& dir) {
  std::string out;
  std::set<Versionstamp> stamps = moments(dir, out);
  const auto engine = Engine::create({});
  auto opened = Database::open(*engine, dir, options());
  if (!opened) return out + "open: " + told(opened.error());
  Database& database = **opened;
  out += "head " + database.head().hex() + " at " + std::to_string(database.head_timestamp_ms()) +
         " ms, horizon " + database.horizon().hex() + "\n";
  stamps.insert(database.head());
  for (const Versionstamp stamp : stamps) {
    const auto pinned = database.pin(stamp);
    out +=
        "at " + stamp.hex() + "\n" + (pinned ? scan(*database.read(**pinned)) : "  " + told(pinned.error()));
  }
  return out;
}

std::string describe_store(const std::string& dir) {
  const auto engine = Engine::create({});
  host::HostOptions host_options;
  host_options.data_dir = dir;
  host_options.create_if_missing = false;
  auto host = host::Host::open(*engine, host_options);
  if (!host) return "open: " + told(host.error());
  std::string out;
  for (const host::DatabaseRecord& record : (*host)->databases()) {
    out += "database " + record.name + " " + record.id.text() + (record.gone() ? ", deleted" : "") + "\n";
    if (record.gone()) continue;
    const host::DatabaseRef database = (*host)->find(record.id);
    TM_CHECK(database);
    struct Sink final : kv::EntrySink {
      void begin_range() override {}
      void entry(std::string_view key, const kv::StoredValue& value, Versionstamp stamp) override {
        out += "  " + std::string(key) + " = " + std::string(value.data) + " (" +
               std::to_string(static_cast<int>(value.encoding)) + ") of " + stamp.hex() + ", expires " +
               std::to_string(value.expire_at_ms) + "\n";
      }
      void end_range() override {}
      std::string out;
    } sink;
    const kv::ReadRange all{"", "\xff", 1000, false};
    const Status read = database->store().read({&all, 1}, {}, sink);
    out += sink.out + (read ? "" : "  " + told(read.error()));
    uint64_t queued = 0;
    const auto view = database->database().read();
    const auto cursor = view->scan({"q", "r"});
    while (*cursor->next()) ++queued;
    out += "  queue messages: " + std::to_string(queued) + "\n";
  }
  for (const host::TokenRecord& token : (*host)->tokens())
    out += "token " + token.grant.token.text() + " '" + token.label + "' " +
           (token.grant.all_databases ? "all" : std::to_string(token.grant.databases.size())) + "\n";
  const Status closed = (*host)->close();
  return out + (closed ? "" : "close: " + told(closed.error()));
}

}  // namespace tidemark::golden
