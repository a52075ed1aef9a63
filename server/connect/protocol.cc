#include "server/connect/protocol.h"

#include <algorithm>

#include "engine/base/mutant.h"

namespace tidemark::connect {

const ProtocolVersion* negotiate(std::span<const int64_t> client_versions) {
  const ProtocolVersion* best = nullptr;
  for (const ProtocolVersion& version : kProtocolVersions) {
    if (TM_MUTANT("metadata.newest-version") && best != nullptr) break;
    if (std::ranges::find(client_versions, version.number) != client_versions.end()) best = &version;
  }
  return best;
}

const ProtocolVersion* version_of_header(std::string_view header) {
  const auto place = std::ranges::find(kProtocolVersions, header, &ProtocolVersion::header);
  return place == kProtocolVersions.end() ? nullptr : &*place;
}

std::optional<std::string_view> bearer_token(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer ";
  if (authorization.size() <= kScheme.size()) return std::nullopt;
  const bool is_bearer = std::ranges::equal(
      authorization.substr(0, kScheme.size()), kScheme,
      [](char a, char b) { return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + 32) : a) == b; });
  if (!is_bearer && !TM_MUTANT("auth.malformed")) return std::nullopt;
  return authorization.substr(kScheme.size());
}

}  // namespace tidemark::connect
