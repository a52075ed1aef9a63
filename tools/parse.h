// Values of the command line: durations, sizes, addresses, tokens. Errors are kInvalidArgument, their message
// a phrase that follows the option's name.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/status.h"
#include "engine/options.h"
#include "tools/log.h"

namespace tidemark::tools {

// "45s", "30m", "12h", "7d", "2w" or "500ms", in milliseconds. At most 100 years.
Result<int64_t> parse_duration_ms(std::string_view text);

// A duration, "forever" or "none".
Result<Retention> parse_retention(std::string_view text);

// The same again: "7d", "90s", "1500ms", "forever", "none".
std::string retention_text(const Retention& retention);

// Bytes: a whole number, alone or with K, M, G or T (also written KiB and so on), which are powers of 1024.
Result<uint64_t> parse_bytes(std::string_view text);

// The same within bounds, both inclusive.
Result<uint64_t> parse_bytes_between(std::string_view text, uint64_t min, uint64_t max);

// A whole number within bounds, both inclusive.
Result<uint64_t> parse_count(std::string_view text, uint64_t min, uint64_t max);

// HOST:PORT or [V6]:PORT, given back as it is. A bare port is an error: say the host, so that nobody listens
// wider than meant.
Result<std::string> parse_address(std::string_view text);

// "text" or "json".
Result<LogFormat> parse_log_format(std::string_view text);
// "debug", "info", "warning" or "error".
Result<LogLevel> parse_log_level(std::string_view text);

// Whether HOST:PORT, with a host in numbers, can be reached from this machine alone.
bool is_loopback(std::string_view address);

// "http://..." or "https://..." with a host, perhaps a port and a path, without user, query or fragment;
// given back without slashes at the end.
Result<std::string> parse_public_url(std::string_view text);

// An access token as it stands in an argument, the environment or, with a line end behind it, a file: long
// enough, and fit for a header.
Result<std::string> parse_access_token(std::string_view text);

}  // namespace tidemark::tools
