// Where the objects of a bucket are found. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "engine/base/status.h"

namespace tidemark::backup {

// "https://HOST[:PORT][/PATH]" in the one form that is kept: scheme and host in lower case, no port that goes
// without saying, no slash at the end. kInvalidArgument with a sentence if it is no such URL.
Result<std::string> canonical_endpoint(std::string_view url);

struct S3Address {
  std::string origin;  // "https://bucket.s3.eu-west-1.amazonaws.com", "http://127.0.0.1:9000"
  std::string host;    // what the header Host says, and the signature covers
  std::string path;    // what stands before a key: "/", "/bucket/"; not encoded
};

// Empty endpoint: Amazon's for the region, with the bucket in the host's name where a certificate covers
// that. Else the bucket is the first part of the path, which all stores understand.
Result<S3Address> s3_address(std::string_view bucket, std::string_view endpoint, std::string_view region);

}  // namespace tidemark::backup
