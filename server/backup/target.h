// Where a backup goes, as an operator says it: a URL.
//
//   s3://BUCKET/[PREFIX/][?PARAMETER=VALUE&...]     endpoint   https://HOST[:PORT]; none: Amazon's
//                                                   region     none: that of the environment
//                                                   sse        AES256, aws:kms, aws:kms:dsse
//                                                   kms-key    with the latter two
//   file:///ABSOLUTE/PATH/
//
// What would have another meaning in a URL is written as %XX.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/log.h"
#include "engine/base/status.h"
#include "engine/io/clock.h"
#include "engine/io/file_system.h"
#include "server/backup/aws_credentials.h"
#include "server/backup/object_store.h"
#include "server/backup/retrying_object_store.h"

namespace tidemark::backup {

struct Target {
  enum class Kind : uint8_t { kS3, kFolder } kind = Kind::kFolder;
  // Of S3. An endpoint of http:// is taken, for stores on the same machine or behind a tunnel: what is
  // stored, and the signatures that the credentials make, then travel unencrypted.
  std::string bucket;
  std::string prefix;    // ends in a slash, or is empty
  std::string endpoint;  // in its canonical form; empty: Amazon's
  std::string region;    // empty: that of the environment
  std::string sse;       // encryption by the store; empty: as the bucket has it
  std::string kms_key;   // empty: the account's own
  // Of a folder: absolute, without a slash at the end.
  std::string path;

  bool operator==(const Target&) const = default;
};

// kInvalidArgument with a sentence that says what to mend.
Result<Target> parse_target(std::string_view url);
// The one form that is kept: targets are equal if these are. parse_target() reads it back.
std::string target_url(const Target& target);
// "s3://bucket/prefix/", "file:///path/", for people: without the parameters.
std::string describe(const Target& target);

// The folder above the target's own, and what the latter is called there. Nothing if there is none above.
struct ParentFolder {
  Target target;
  std::string name;
};
std::optional<ParentFolder> parent_folder(const Target& target);

struct StoreContext {
  FileSystem& files;
  Clock& clock;
  Environment environment = {};  // for credentials, region and AWS_CA_BUNDLE; a folder needs none
  RetryOptions retry = {};
  LogSink log = {};
};

// The store that the target names, with tries repeated. Its keys are relative to the target: the prefix
// stands before each and is not seen. kInvalidArgument, kDenied as aws_credentials(). What is in `context`
// must outlive the store. REQUIRES: the process ignores SIGPIPE.
Result<std::unique_ptr<ObjectStore>> make_object_store(const Target& target, const StoreContext& context);

}  // namespace tidemark::backup
