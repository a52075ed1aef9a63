// Metadata exchange: what a client asks first, and learns which database it talks to, where and with which
// token.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/base/time_text.h"
#include "server/connect/protocol.h"

namespace tidemark::connect {

// Where data-path calls go, relative to the server's root.
inline constexpr char kEndpointPath[] = "/v2";
// A request of ours is some ten bytes long; more than this is refused.
inline constexpr uint64_t kMaxMetadataRequestBytes = 16 << 10;

// The versions that a request offers. No body means version 1 alone, and so does an object that names none.
// Unknown fields are ignored. kInvalidArgument, with a sentence for the client, if it is not JSON of that
// form.
Result<std::vector<int64_t>> parse_metadata_request(std::string_view body);

struct Metadata {
  const ProtocolVersion* version;
  std::string database_id;
  std::string token;
  int64_t expires_at_ms;     // since 1970
  std::string endpoint_url;  // absolute if the version wants it
  // Of servers that have the same a little later: clients may read there what need not be the newest.
  std::vector<std::string> eventual_urls = {};
};

// The JSON answer.
std::string format_metadata(const Metadata& metadata);

// RFC 3339 in UTC with milliseconds and a Z: "2024-05-06T07:08:09.123Z".
using tidemark::format_time;

// Whether this may stand in a URL as host and port: what a Host header must be to be repeated in an answer.
bool is_plain_authority(std::string_view host);

}  // namespace tidemark::connect
