// What an access token opens.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/host/uuid.h"

namespace tidemark::host {

// Stored, and in data-path tokens; do not change.
enum class Rights : uint8_t {
  kReadWrite = 1,
  kReadOnly = 2,
};

// Names an access token without giving it away; 16 hex digits in lower case outside.
struct TokenId {
  uint64_t number = 0;

  bool operator==(const TokenId&) const = default;
  std::string text() const;
  // Nothing unless `text` has the form above; digits of either case.
  static std::optional<TokenId> from_text(std::string_view text);
};

struct Grant {
  TokenId token;
  Rights rights = Rights::kReadWrite;
  bool all_databases = false;   // also of those made later
  std::vector<Uuid> databases;  // else these

  bool opens(const Uuid& database) const {
    return all_databases || std::ranges::find(databases, database) != databases.end();
  }
};

}  // namespace tidemark::host
