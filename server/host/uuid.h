// UUIDs: 16 bytes inside, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" in lower case outside.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/coding.h"

namespace tidemark::host {

struct Uuid {
  std::array<uint8_t, 16> bytes{};

  bool operator==(const Uuid&) const = default;
  std::string text() const;
  std::string_view raw() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
  // Nothing unless `text` has the form above; digits of either case.
  static std::optional<Uuid> from_text(std::string_view text);
  // Nothing unless `raw` has 16 bytes.
  static std::optional<Uuid> from_raw(std::string_view raw);
};

// For tables of random ids.
struct UuidHash {
  size_t operator()(const Uuid& id) const {
    return load_le64(reinterpret_cast<const char*>(id.bytes.data())) ^
           load_le64(reinterpret_cast<const char*>(id.bytes.data()) + 8);
  }
};

// A new random one (version 4).
Uuid random_uuid();

}  // namespace tidemark::host
