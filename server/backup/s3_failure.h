// What it means when a store refuses. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/status.h"
#include "server/backup/http_client.h"

namespace tidemark::backup {

// The question that the store has answered so, for the sentence.
struct S3Question {
  std::string what;  // "put s3://bucket/key"
  std::string bucket;
  std::string region;   // that the request was signed for
  std::string origin;   // "https://s3.eu-west-1.amazonaws.com"
  int64_t wall_ms = 0;  // when it was signed
};

struct S3Failure {
  Error error;
  bool renew = false;  // newer credentials might help
};

// REQUIRES: the answer is none of those that the operation takes for a success.
S3Failure s3_failure(const S3Question& question, const HttpAnswer& answer);

}  // namespace tidemark::backup
