// Versions of KV Connect, and what they change. A table, since more are to come.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string_view>

namespace tidemark::connect {

struct ProtocolVersion {
  int number;
  std::string_view header;  // value of x-denokv-version on the data path; empty: version 1 sends none
  bool absolute_urls;       // endpoint URLs must be absolute
};

inline constexpr std::array<ProtocolVersion, 3> kProtocolVersions = {{
    {1, "", true},
    {2, "2", false},
    {3, "3", false},
}};

// The highest version that both sides know, null if there is none.
const ProtocolVersion* negotiate(std::span<const int64_t> client_versions);
// The version that a data-path request says it speaks, null if it is none of ours.
const ProtocolVersion* version_of_header(std::string_view header);

// The token of "Bearer <token>"; the scheme in any case, as HTTP has it.
std::optional<std::string_view> bearer_token(std::string_view authorization);

// The texts that denokv's users know. Plain text, kept word for word.
namespace text {

inline constexpr char kMalformedAuthorization[] = "Malformed authorization header.";
inline constexpr char kInvalidToken[] = "Invalid access token.";
inline constexpr char kInvalidDatabaseId[] = "Invalid database id.";
inline constexpr char kExpectedVersion[] = "Expected protocol version 2.";
inline constexpr char kNoCommonVersion[] =
    "The server could not negotiate a protocol version. The server requires protocol version 2 or 3.";
inline constexpr char kNotFound[] = "Resource not found.";
inline constexpr char kNoDatabaseForToken[] =
    "There is no database at this URL that this access token opens.";
inline constexpr char kNoMoment[] =
    "What stands behind the @ is no moment: it must be a versionstamp of 20 hex digits or a time with a "
    "zone, as "
    "2026-11-21T14:31:00Z.";
inline constexpr char kDatabaseDeleted[] = "This database was deleted.";
inline constexpr char kUnavailable[] = "The server is temporarially unavailable, try again later.";

}  // namespace text
}  // namespace tidemark::connect
