#include "tools/parse.h"

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>
#include <charconv>
#include <utility>

#include "server/host/access_token.h"

namespace tidemark::tools {
namespace {

constexpr int64_t kMaxDurationMs = int64_t{100} * 366 * 24 * 3600 * 1000;

struct Unit {
  std::string_view name;
  uint64_t factor;
};

constexpr std::array<Unit, 6> kTimeUnits = {{{"ms", 1},
                                             {"s", 1000},
                                             {"m", 60 * 1000},
                                             {"h", 3600 * 1000},
                                             {"d", 24 * 3600 * 1000},
                                             {"w", 7 * 24 * 3600 * 1000}}};

constexpr std::array<Unit, 9> kSizeUnits = {{{"", 1},
                                             {"K", uint64_t{1} << 10},
                                             {"KiB", uint64_t{1} << 10},
                                             {"M", uint64_t{1} << 20},
                                             {"MiB", uint64_t{1} << 20},
                                             {"G", uint64_t{1} << 30},
                                             {"GiB", uint64_t{1} << 30},
                                             {"T", uint64_t{1} << 40},
                                             {"TiB", uint64_t{1} << 40}}};

std::unexpected<Error> refuse(std::string what) {
  return fail(ErrorCode::kInvalidArgument, std::move(what));
}

std::string quoted(std::string_view text) {
  return "'" + std::string(text) + "'";
}

bool is_bracketed(std::string_view host) {
  return host.size() > 2 && host.starts_with('[') && host.ends_with(']');
}

bool is_port(std::string_view text) {
  uint16_t number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return !text.empty() && error == std::errc{} && rest == text.data() + text.size();
}

// HOST, HOST:PORT or [V6]:PORT, of a URL.
bool is_authority(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (text.starts_with('[') && (colon == text.npos || text.ends_with(']'))) return is_bracketed(text);
  const std::string_view host = text.substr(0, colon);
  if (host.empty() || (host.find_first_of(":[]") != host.npos && !is_bracketed(host))) return false;
  return colon == text.npos || is_port(text.substr(colon + 1));
}

// "64 MiB", with the largest unit that divides it.
std::string size_text(uint64_t bytes) {
  const auto is_whole = [bytes](const Unit& unit) {
    return unit.name.ends_with("iB") && bytes % unit.factor == 0;
  };
  const auto unit = std::ranges::find_if(kSizeUnits.rbegin(), kSizeUnits.rend(), is_whole);
  if (unit == kSizeUnits.rend() || bytes == 0) return std::to_string(bytes) + " bytes";
  return std::to_string(bytes / unit->factor) + " " + std::string(unit->name);
}

// A whole number and one of the units; `form` says what would have been right.
template <size_t kUnits>
Result<uint64_t> parse_quantity(std::string_view text, const std::array<Unit, kUnits>& units, uint64_t max,
                                const char* form) {
  uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  const std::string_view name(rest, static_cast<size_t>(end - rest));
  const auto unit = std::ranges::find(units, name, &Unit::name);
  if (error == std::errc::invalid_argument || unit == units.end())
    return refuse(quoted(text) + " is not " + form);
  uint64_t value;
  if (error != std::errc{} || __builtin_mul_overflow(number, unit->factor, &value) || value > max) {
    return refuse(quoted(text) + " is too large");
  }
  return value;
}

}  // namespace

Result<int64_t> parse_duration_ms(std::string_view text) {
  TM_ASSIGN(const uint64_t ms, parse_quantity(text, kTimeUnits, static_cast<uint64_t>(kMaxDurationMs),
                                              "a duration like 45s, 30m, 12h or 7d"));
  return static_cast<int64_t>(ms);
}

Result<Retention> parse_retention(std::string_view text) {
  if (text == "forever") return Retention::forever();
  if (text == "none") return Retention::none();
  const Result<int64_t> ms = parse_duration_ms(text);
  if (!ms) return refuse(ms.error().message + ", and neither 'forever' nor 'none'");
  return Retention::for_ms(*ms);
}

std::string retention_text(const Retention& retention) {
  switch (retention.kind) {
    case Retention::Kind::kNone:
      return "none";
    case Retention::Kind::kForever:
      return "forever";
    case Retention::Kind::kDuration:
      break;
  }
  constexpr std::pair<int64_t, const char*> kUnits[] = {
      {86'400'000, "d"}, {3'600'000, "h"}, {60'000, "m"}, {1000, "s"}};
  for (const auto& [unit, name] : kUnits) {
    if (retention.duration_ms > 0 && retention.duration_ms % unit == 0)
      return std::to_string(retention.duration_ms / unit) + name;
  }
  return std::to_string(retention.duration_ms) + "ms";
}

Result<uint64_t> parse_bytes(std::string_view text) {
  return parse_quantity(text, kSizeUnits, INT64_MAX, "a size in bytes like 1048576, 64KiB, 256MiB or 4GiB");
}

Result<uint64_t> parse_bytes_between(std::string_view text, uint64_t min, uint64_t max) {
  TM_ASSIGN(const uint64_t bytes, parse_bytes(text));
  if (bytes < min) return refuse(quoted(text) + " is too small: at least " + size_text(min));
  if (bytes > max) return refuse(quoted(text) + " is too large: at most " + size_text(max));
  return bytes;
}

Result<uint64_t> parse_count(std::string_view text, uint64_t min, uint64_t max) {
  uint64_t number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc::invalid_argument || rest != text.data() + text.size())
    return refuse(quoted(text) + " is not a whole number");
  if (error != std::errc{} || number < min || number > max)
    return refuse(quoted(text) + " is not between " + std::to_string(min) + " and " + std::to_string(max));
  return number;
}

Result<std::string> parse_address(std::string_view text) {
  const auto wrong = [&] { return refuse(quoted(text) + " is not HOST:PORT"); };
  const size_t colon = text.rfind(':');
  if (colon == text.npos || colon == 0) return wrong();
  const std::string_view host = text.substr(0, colon);
  if (host.contains(':') && !is_bracketed(host))
    return refuse(quoted(text) + " needs brackets around its IPv6 address: [::1]:4512");
  if (!is_port(text.substr(colon + 1))) return wrong();
  return std::string(text);
}

Result<LogFormat> parse_log_format(std::string_view text) {
  if (text == "text") return LogFormat::kText;
  if (text == "json") return LogFormat::kJson;
  return refuse(quoted(text) + " is neither text nor json");
}

Result<LogLevel> parse_log_level(std::string_view text) {
  if (text == "debug") return LogLevel::kDebug;
  if (text == "info") return LogLevel::kInfo;
  if (text == "warning") return LogLevel::kWarning;
  if (text == "error") return LogLevel::kError;
  return refuse(quoted(text) + " is none of debug, info, warning and error");
}

bool is_loopback(std::string_view address) {
  std::string_view host = address.substr(0, address.rfind(':'));
  if (is_bracketed(host)) host = host.substr(1, host.size() - 2);
  boost::system::error_code error;
  const auto parsed = boost::asio::ip::make_address(std::string(host), error);
  return !error && parsed.is_loopback();
}

Result<std::string> parse_public_url(std::string_view text) {
  std::string_view rest = text;
  if (rest.starts_with("https://")) {
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return refuse(quoted(text) + " does not start with http:// or https://");
  }
  const bool clean = std::ranges::all_of(rest, [](char c) {
    return c > ' ' && c <= '~' && std::string_view("?#\"<>\\^`{|}@").find(c) == std::string_view::npos;
  });
  if (!clean || !is_authority(rest.substr(0, rest.find('/'))))
    return refuse(quoted(text) + " is not a plain URL like https://kv.example.org");
  while (text.ends_with('/')) text.remove_suffix(1);
  return std::string(text);
}

Result<std::string> parse_access_token(std::string_view text) {
  while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
  if (text.size() < host::kMinAccessTokenChars) {
    return refuse("the access token must have at least " + std::to_string(host::kMinAccessTokenChars) +
                  " characters");
  }
  const bool visible = std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
  if (!visible || text.front() == ' ' || text.back() == ' ') {
    return refuse("the access token must be one line of ASCII characters without spaces around it");
  }
  return std::string(text);
}

}  // namespace tidemark::tools
