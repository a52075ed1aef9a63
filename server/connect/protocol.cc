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

}  // namespace tidemark::connect
