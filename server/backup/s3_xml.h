// What a service that speaks S3 says in XML. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "server/backup/object_store.h"

namespace tidemark::backup {

// The answer of ListObjectsV2.
struct S3Listing {
  std::vector<ObjectInfo> objects;
  std::vector<std::string> folders;  // the common prefixes, whole, with the slash at their ends
  bool truncated = false;
  std::string continuation;  // what to go on with; empty if none was given
};

// kCorruption if it is no such answer, or one that lacks what it must have.
Result<S3Listing> parse_s3_listing(std::string_view xml);

struct S3Error {
  std::string code;     // "NoSuchKey"
  std::string message;  // for people
  std::string region;   // where the bucket is, if the store says so
  std::string endpoint;
  std::string server_time;
};

// Nothing if it is no error in S3's form.
std::optional<S3Error> parse_s3_error(std::string_view xml);

}  // namespace tidemark::backup
