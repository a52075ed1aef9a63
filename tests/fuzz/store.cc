#include "tests/fuzz/store.h"

#include "engine/format/file_names.h"
#include "engine/verify/salvage.h"
#include "engine/verify/verify.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/records.h"

namespace tidemark::fuzz {
namespace {

// No input comes near to it, LZ4's factor of 255 included.
constexpr size_t kMaxEntries = 1 << 20;

struct Entry {
  std::string key;
  std::string value;
  Versionstamp stamp;
  bool operator==(const Entry&) const = default;
};
using Entries = std::vector<Entry>;

// Nothing after an error.
std::optional<Entries> scan(const ReadView& view, bool reverse) {
  Entries entries;
  const auto cursor = view.scan({{}, {}, reverse});
  while (true) {
    const auto more = cursor->next();
    if (!more) {
      check_damage(more.error());
      return std::nullopt;
    }
    if (!*more) return entries;
    TM_CHECK(entries.size() < kMaxEntries);
    TM_CHECK(cursor->versionstamp() <= view.versionstamp());
    if (!entries.empty())
      TM_CHECK(reverse ? cursor->key() < entries.back().key : cursor->key() > entries.back().key);
    entries.push_back({std::string(cursor->key()), std::string(cursor->value()), cursor->versionstamp()});
  }
}

// All that the view shows, by scans both ways and key by key. Nothing if any of it is damaged.
std::optional<Entries> look(const ReadView& view, bool true_to_itself) {
  std::optional<Entries> entries = scan(view, false);
  std::optional<Entries> backwards = scan(view, true);
  bool whole = entries && backwards;
  if (whole) {
    std::reverse(backwards->begin(), backwards->end());
    TM_CHECK(*entries == *backwards);
  }
  for (size_t i = 0; entries && i < entries->size() && i < 64; ++i) {
    const auto found = view.get((*entries)[i].key);
    if (!found) {
      check_damage(found.error());
      whole = false;
    } else if (true_to_itself) {
      TM_CHECK(found->has_value() && (*found)->bytes() == (*entries)[i].value &&
               (*found)->versionstamp() == (*entries)[i].stamp);
    }
  }
  if (!whole) return std::nullopt;
  return entries;
}

std::optional<Entries> look(const Database& database, bool true_to_itself) {
  return look(*database.read(), true_to_itself);
}

// What shows at the oldest moment that can be read, if that can still be pinned.
std::optional<Entries> look_back(Database& database, bool true_to_itself) {
  const auto snapshot = database.pin(database.horizon());
  if (!snapshot) {
    TM_CHECK(snapshot.error().code == ErrorCode::kBeyondHorizon);
    return std::nullopt;
  }
  return look(*database.read(**snapshot), true_to_itself);
}

DatabaseOptions options_of(Usage usage) {
  DatabaseOptions options;
  options.create_if_missing = false;
  options.retention = usage.has(Usage::kRetentionNone)    ? Retention::none()
                      : usage.has(Usage::kRetentionShort) ? Retention::for_ms(1000)
                                                          : Retention::forever();
  if (usage.has(Usage::kNoHistory)) options.history_max_bytes = 0;
  options.memtable_bytes = 16 << 10;
  options.segment_bytes = 512;
  options.block_bytes = 128;
  if (usage.has(Usage::kNoFilters)) options.filter_bits_per_key = 0;
  options.level0_compaction_trigger = usage.has(Usage::kMergeEagerly) ? 1 : 4;
  options.level1_bytes = 1024;
  options.history_run_trigger = usage.has(Usage::kMergeHistory) ? 2 : 4;
  return options;
}

// A commit of a put and an erase; false if the database takes none.
bool write(Database& database, const std::string& value, const std::string& erased) {
  const Versionstamp before = database.head();
  const CommitOutcome outcome = commit(database, [&](Transaction& t) -> Result<CommitRequest::Decision> {
    TM_CHECK(t.versionstamp() > before || before.number == UINT64_MAX);
    t.put("fuzzed", value);
    if (!erased.empty() && erased != "fuzzed") t.erase(erased);
    return CommitRequest::Decision::kCommit;
  });
  if (!outcome.status) {
    const ErrorCode code = outcome.status.error().code;
    TM_CHECK(code == ErrorCode::kReadOnly || code == ErrorCode::kCorruption);
    return false;
  }
  TM_CHECK(outcome.committed && outcome.versionstamp > before && database.head() == outcome.versionstamp);
  const auto view = database.read();
  const auto found = view->get("fuzzed");
  TM_CHECK(found.has_value() && found->has_value() && (*found)->bytes() == value);
  return true;
}

void apply(std::optional<Entries>& entries, const std::string& value, const std::string& erased,
           Versionstamp stamp) {
  if (!entries) return;
  std::erase_if(*entries, [&](const Entry& e) { return e.key == erased || e.key == "fuzzed"; });
  const auto after =
      std::find_if(entries->begin(), entries->end(), [](const Entry& e) { return e.key > "fuzzed"; });
  entries->insert(after, {"fuzzed", value, stamp});
}

void close(Machine& machine, std::unique_ptr<Database>& database) {
  machine.executor.run();  // from here on nothing has to be waited for
  if (const Status closed = database->close(); !closed) check_damage(closed.error());
  database.reset();
}

// What a deep check finds.
std::vector<verify::FindingKind> findings(FileSystem& files, const std::string& folder) {
  std::vector<verify::FindingKind> kinds;
  verify::VerifyOptions options;
  options.deep = true;
  options.findings = [&](const verify::Finding& finding) {
    TM_CHECK(!finding.what.empty() && finding.file.starts_with(folder));
    kinds.push_back(finding.kind);
  };
  options.versions = [](const verify::VersionView& version) { TM_CHECK(!version.file.empty()); };
  const auto summary = verify::verify_database(files, folder, options);
  TM_CHECK(summary.has_value() && summary->findings >= kinds.size() &&
           (summary->findings > 0) == !kinds.empty());
  return kinds;
}

// Into a store of its own, which must then be sound, but for versions and change files that do not agree:
// none of them is made up to please the others.
void salvage(MemoryFileSystem& files) {
  const std::string folder = "saved";
  TM_CHECK(files.create_dir(folder).has_value());
  const auto summary = verify::salvage_database(files, kFolder, folder, {});
  if (!summary) return check_damage(summary.error());
  for (const verify::FindingKind& kind : findings(files, folder)) {
    const std::string_view code = kind.code;
    TM_CHECK(code == verify::kVersionUnlisted.code || code == verify::kVersionBound.code);
  }
  Machine machine(files);
  DatabaseOptions options = options_of({0});
  auto opened = Database::open(*machine.engine, folder, options);
  TM_CHECK(opened.has_value() && (*opened)->head() == summary->head);
  TM_CHECK(look(**opened, true).has_value());
  (void)look_back(**opened, true);
  close(machine, *opened);
}

}  // namespace

std::string path_of(FileType type, uint64_t number) {
  return file_path(kFolder, type, number);
}

void check_damage(const Error& error) {
  TM_CHECK(error.code == ErrorCode::kCorruption || error.code == ErrorCode::kNewerFormat);
  TM_CHECK(!error.message.empty());
}

const SeedStore& seed_store() {
  static const auto* const store = [] {
    MemoryFileSystem empty;
    TM_CHECK(empty.create_dir(kFolder).has_value());
    ManifestEdit beginning;
    beginning.epoch = 1;
    beginning.retention_clock_ms = FakeClock().wall_ms();
    TM_CHECK(Manifest::create(empty, kFolder, kDatabaseId, beginning).has_value());
    Machine machine(empty);
    DatabaseOptions options = options_of({0});
    options.segment_bytes = 4096;
    auto opened = Database::open(*machine.engine, kFolder, options);
    TM_CHECK(opened.has_value());
    Database& database = **opened;
    const auto put = [&](const std::string& text, int round) {
      machine.clock.pass_ms(700);
      TM_CHECK(commit(database, [&](Transaction& t) -> Result<CommitRequest::Decision> {
                 for (const char c : text)
                   t.put(std::string("key/") + c, std::string(1, c) + std::to_string(round));
                 if (round % 2 == 1) t.erase(std::string("key/") + text.front());
                 return CommitRequest::Decision::kCommit;
               }).status.has_value());
    };
    for (int round = 0; round < 3; ++round) {
      put("abcdefgh", 2 * round);
      put("cegikm", 2 * round + 1);
      machine.executor.run_beside([&] { TM_CHECK(database.flush().has_value()); });
      if (round == 1) machine.executor.run_beside([&] { TM_CHECK(database.compact().has_value()); });
    }
    put("az", 6);
    put("zy", 7);
    auto seed = std::make_unique<SeedStore>(machine.files);
    {
      const auto manifest = Manifest::open(seed->files, kFolder);
      TM_CHECK(manifest.has_value());
      seed->manifest_number = (*manifest)->file_number();
      seed->state = (*manifest)->state();
    }
    close(machine, *opened);
    return seed.release();
  }();
  return *store;
}

MemoryFileSystem store_with(const ManifestState& state) {
  const SeedStore& seed = seed_store();
  MemoryFileSystem files(seed.files);
  if (state.newest_wal != seed.state.newest_wal)
    TM_CHECK(files.remove(path_of(FileType::kWal, seed.state.newest_wal)).has_value());
  std::string manifest = log_header(LogKind::kManifest, seed.manifest_number);
  add_record(manifest, LogKind::kManifest, seed.manifest_number, encode_manifest_edit(state.as_snapshot()),
             {});
  files.put(path_of(FileType::kManifest, seed.manifest_number), manifest);
  return files;
}

void use_store(Machine& machine, Usage usage, bool true_to_itself) {
  const DatabaseOptions options = options_of(usage);
  const bool sound = std::ranges::all_of(findings(machine.files, kFolder), [](const auto& kind) {
    return kind.severity == verify::Severity::kMinor;
  });
  if (!usage.has(Usage::kNoSalvage)) {
    MemoryFileSystem copy(machine.files);
    salvage(copy);
  }
  if (usage.has(Usage::kTimePasses)) machine.clock.pass_ms(3'600'000);
  auto opened = Database::open(*machine.engine, kFolder, options);
  if (!opened) {
    check_damage(opened.error());
    TM_CHECK(!sound);
    TM_CHECK(opened.error().message.find(kFolder) != std::string::npos);
    return;
  }
  std::unique_ptr<Database> database = std::move(*opened);
  std::optional<Entries> expected = look(*database, true_to_itself);
  TM_CHECK(expected || (!true_to_itself && !sound));
  const auto check = [&](const Database& now) {
    const auto seen = look(now, true_to_itself);
    TM_CHECK(!true_to_itself || seen == expected);
  };
  if (!usage.has(Usage::kWriteFirst)) machine.executor.run();
  (void)look_back(*database, true_to_itself);
  for (int i = 0; i < 2; ++i) {
    const std::string erased = expected && !expected->empty() ? expected->front().key : std::string();
    const std::string value = "value " + std::to_string(i);
    const bool written = write(*database, value, erased);
    // When versionstamps are used up, there is nothing to be written any more.
    TM_CHECK(written || !true_to_itself || database->head().number == UINT64_MAX);
    if (written) apply(expected, value, erased, database->head());
    machine.clock.pass_ms(1);
    check(*database);
    machine.executor.run();
    check(*database);
  }
  if (usage.has(Usage::kFlush) || usage.has(Usage::kCompact)) {
    machine.executor.run_beside([&] {
      const Status done = usage.has(Usage::kCompact) ? database->compact() : database->flush();
      if (!done) TM_CHECK(!true_to_itself);
    });
    check(*database);
    (void)look_back(*database, true_to_itself);
  }
  (void)database->stats();
  if (usage.has(Usage::kNoReopen)) return close(machine, database);

  if (usage.has(Usage::kCrash)) {
    Machine other(machine.files);
    close(machine, database);
    auto again = Database::open(*other.engine, kFolder, options);
    TM_CHECK(again.has_value() || !true_to_itself);
    if (!again) return check_damage(again.error());
    check(**again);
    return close(other, *again);
  }
  close(machine, database);
  auto again = Database::open(*machine.engine, kFolder, options);
  TM_CHECK(again.has_value() || !true_to_itself);
  if (!again) return check_damage(again.error());
  check(**again);
  close(machine, *again);
}

}  // namespace tidemark::fuzz
