// Requests to S3, signed as Amazon's Signature Version 4 has it. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/backup/aws_credentials.h"

namespace tidemark::backup {

using NamesAndValues = std::vector<std::pair<std::string, std::string>>;

struct UnsignedRequest {
  std::string method;        // "GET"
  std::string path;          // as people read it, not encoded; begins with a slash
  NamesAndValues query;      // not encoded, in any order
  NamesAndValues headers;    // all that are to be signed, "host" among them
  std::string payload_hash;  // sha256_hex() of the body
};

// The headers to add to those of the request: Authorization, x-amz-date, x-amz-content-sha256 and, if the
// credentials have a session token, x-amz-security-token.
NamesAndValues sign(const UnsignedRequest& request, const Credentials& credentials, std::string_view region,
                    int64_t wall_ms);

// SHA-256 in lower-case hex.
std::string sha256_hex(std::string_view bytes);
// "a=1&b=%2F": encoded, in the order that is signed, and just as well the one to send.
std::string encode_query(const NamesAndValues& query);
// "20130524T000000Z".
std::string amz_time(int64_t wall_ms);

}  // namespace tidemark::backup
