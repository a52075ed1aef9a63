// A database with something of everything, and ways to damage it: bytes turned over, or files written again
// with right checksums and wrong contents.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "engine/database.h"
#include "engine/manifest/manifest.h"
#include "engine/verify/verify.h"
#include "tests/engine/database_test.h"

namespace tidemark {

// All keys with their values and versionstamps, at each moment.
using Moment = std::map<std::string, std::pair<std::string, Versionstamp>>;
using Moments = std::map<Versionstamp, Moment>;

class DamagedStoreTest : public DatabaseTest {
 protected:
  // Live segments on level 0 and below, history, change files, published segments, commits in the log alone;
  // closed. Its states are kept in moments_.
  void make_store(uint64_t seed = 1, int scale = 1);
  std::string dir() const { return folder_ / "db"; }

  // The files with this ending (or, for "MANIFEST", beginning), in order of their names.
  std::vector<std::string> files(const std::string& ending) const;
  static std::string read(const std::string& path);
  static void write(const std::string& path, const std::string& bytes);
  static void flip(const std::string& path, uint64_t offset);
  // Makes a manifest that says something else.
  void change_manifest(const std::function<void(const ManifestState&, ManifestEdit&)>& change);
  // The same for the description of a segment or change file.
  void describe_otherwise(uint64_t segment, const std::function<void(SegmentMeta&)>& change);

  struct Checked {
    std::vector<verify::Finding> findings;
    verify::VerifySummary summary;
    bool has(const std::string& code) const;
    std::string text() const;
  };
  static Checked check(const std::string& dir, bool deep = true, uint64_t cross_check_bytes = 256 << 20);

  // Reads the store in `dir` at all of `moments`; those that are not to be read any more are left out.
  Moments look(const std::string& dir, const Moments& moments);

  Moments moments_;
};

// The manifest's state as it stands in the files.
ManifestState state_of(const std::string& dir);

}  // namespace tidemark
