#include "tests/engine/damaged_store.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "engine/io/posix_file_system.h"

namespace tidemark {

namespace fs = std::filesystem;

void DamagedStoreTest::make_store(uint64_t seed, int scale) {
  Random random(seed);
  open(small_options());
  Moment now;
  const auto commit_some = [&](int count) {
    for (int i = 0; i < count * scale; ++i) {
      std::map<std::string, std::optional<std::string>> writes;
      for (uint64_t w = random.below(3) + 1; w > 0; --w) {
        const std::string key = "key" + std::to_string(random.below(static_cast<uint64_t>(30 * scale)));
        if (random.below(4) == 0)
          writes[key] = std::nullopt;
        else
          writes[key] = "value" + std::to_string(i) + std::string(random.below(60), 'x');
      }
      const CommitOutcome outcome = commit(db(), [&](Transaction& t) -> Result<CommitRequest::Decision> {
        for (const auto& [key, value] : writes) value ? t.put(key, *value) : t.erase(key);
        return CommitRequest::Decision::kCommit;
      });
      ASSERT_TRUE(outcome.committed);
      for (const auto& [key, value] : writes) {
        if (value)
          now[key] = {*value, outcome.versionstamp};
        else
          now.erase(key);
      }
      moments_[outcome.versionstamp] = now;
    }
  };
  commit_some(60);
  ASSERT_TRUE(db().flush().has_value());
  commit_some(60);
  ASSERT_TRUE(db().compact().has_value());
  const auto ingest = db().begin_ingest();
  const uint64_t base = db().head().number + 1000;
  for (const char* key : {"ingested1", "ingested2"}) {
    ASSERT_TRUE(ingest->add(key, {base + 1, 7}, "new").has_value());
    ASSERT_TRUE(ingest->add(key, {base, 7}, "old").has_value());
  }
  ASSERT_TRUE(ingest->add("key1", {base, 3}, std::nullopt).has_value());
  ASSERT_TRUE(ingest->publish({{base + 2, 0}, db().head_timestamp_ms() + 1}).committed);
  now.erase("key1");
  moments_[{base, 3}] = now;
  for (const Versionstamp stamp : {Versionstamp{base, 7}, Versionstamp{base + 1, 7}}) {
    for (const char* key : {"ingested1", "ingested2"})
      now[key] = {stamp.number == base ? "old" : "new", stamp};
    moments_[stamp] = now;
  }
  moments_[{base + 2, 0}] = now;
  commit_some(40);
  ASSERT_TRUE(db().flush().has_value());
  commit_some(20);
  ASSERT_TRUE(db().wait_idle().has_value());
  ASSERT_TRUE(db().close().has_value());
  database_.reset();
}

std::vector<std::string> DamagedStoreTest::files(const std::string& ending) const {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(dir())) {
    const std::string name = entry.path().filename();
    if (name.ends_with(ending) || name.starts_with(ending)) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::string DamagedStoreTest::read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void DamagedStoreTest::write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

void DamagedStoreTest::flip(const std::string& path, uint64_t offset) {
  std::string bytes = read(path);
  bytes.at(offset) = static_cast<char>(bytes.at(offset) ^ 0x10);
  write(path, bytes);
}

void DamagedStoreTest::change_manifest(
    const std::function<void(const ManifestState&, ManifestEdit&)>& change) {
  auto manifest = Manifest::open(posix_file_system(), dir());
  ASSERT_TRUE(manifest.has_value());
  ManifestEdit edit;
  change((*manifest)->state(), edit);
  const Status rolled = (*manifest)->roll({edit});
  ASSERT_TRUE(rolled.has_value()) << rolled.error().message;
  ASSERT_TRUE((*manifest)->close().has_value());
}

void DamagedStoreTest::describe_otherwise(uint64_t segment, const std::function<void(SegmentMeta&)>& change) {
  change_manifest([&](const ManifestState& state, ManifestEdit& edit) {
    PlacedSegment placed = state.segments.at(segment);
    change(placed.meta);
    edit.removed_segments.push_back(segment);
    edit.added_segments.push_back(placed);
  });
}

bool DamagedStoreTest::Checked::has(const std::string& code) const {
  return std::any_of(findings.begin(), findings.end(),
                     [&](const verify::Finding& finding) { return finding.kind.code == code; });
}

std::string DamagedStoreTest::Checked::text() const {
  std::string out;
  for (const verify::Finding& finding : findings)
    out += std::string(finding.kind.code) + ": " + finding.file + ": " + finding.what + "\n";
  return out;
}

DamagedStoreTest::Checked DamagedStoreTest::check(const std::string& dir, bool deep,
                                                  uint64_t cross_check_bytes) {
  Checked checked;
  verify::VerifyOptions options;
  options.deep = deep;
  options.cross_check_bytes = cross_check_bytes;
  options.findings = [&](const verify::Finding& finding) { checked.findings.push_back(finding); };
  const auto summary = verify::verify_database(posix_file_system(), dir, options);
  EXPECT_TRUE(summary.has_value()) << summary.error().message;
  if (summary) checked.summary = *summary;
  return checked;
}

Moments DamagedStoreTest::look(const std::string& dir, const Moments& moments) {
  Moments found;
  DatabaseOptions options = small_options();
  options.create_if_missing = false;
  const auto opened = Database::open(*engine_, dir, options);
  EXPECT_TRUE(opened.has_value()) << opened.error().message;
  if (!opened) return found;
  for (const auto& [stamp, unused] : moments) {
    const auto pinned = (*opened)->pin(stamp);
    if (!pinned) continue;
    Moment& moment = found[stamp];
    const auto view = (*opened)->read(**pinned);
    const auto cursor = view->scan({});
    while (true) {
      const auto more = cursor->next();
      EXPECT_TRUE(more.has_value()) << more.error().message;
      if (!more || !*more) break;
      moment[std::string(cursor->key())] = {std::string(cursor->value()), cursor->versionstamp()};
    }
  }
  return found;
}

ManifestState state_of(const std::string& dir) {
  const auto manifest = Manifest::open(posix_file_system(), dir);
  EXPECT_TRUE(manifest.has_value());
  return manifest ? (*manifest)->state() : ManifestState();
}

}  // namespace tidemark
