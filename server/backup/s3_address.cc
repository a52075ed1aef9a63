#include "server/backup/s3_address.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "server/backup/uri_text.h"

namespace tidemark::backup {
namespace {

constexpr std::string_view kSchemes[] = {"https://", "http://"};
constexpr int kDefaultPorts[] = {443, 80};

// The URL is not repeated: somebody may have put a password into it.
std::unexpected<Error> bad_endpoint(std::string_view why) {
  return fail(ErrorCode::kInvalidArgument,
              "the endpoint " + std::string(why) + "; it should look like https://s3.example.com:9000");
}

bool is_host(std::string_view host) {
  const bool is_v6 = host.starts_with('[');
  if (is_v6) {
    if (!host.ends_with(']') || host.size() < 4) return false;
    host = host.substr(1, host.size() - 2);
  }
  return !host.empty() && std::ranges::all_of(host, [is_v6](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '.' ||
           (is_v6 ? c == ':' : c == '-' || c == '_');
  });
}

// Nothing if it is no port.
std::optional<int> parse_port(std::string_view text) {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port < 1 || port > 65535)
    return std::nullopt;
  return port;
}

// Whether a bucket's name can be the first part of a host's name under a certificate for *.s3...: a dot would
// make it two.
bool is_host_label(std::string_view bucket) {
  return std::ranges::all_of(
      bucket, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-'; });
}

}  // namespace

Result<std::string> canonical_endpoint(std::string_view url) {
  const std::string_view* scheme = std::ranges::find_if(
      kSchemes, [url](std::string_view s) { return lower_case(url.substr(0, s.size())) == s; });
  if (scheme == std::end(kSchemes)) return bad_endpoint("begins with neither https:// nor http://");
  url.remove_prefix(scheme->size());
  if (url.contains('@')) return bad_endpoint("has a user or password in it");
  if (url.find_first_of("?#") != url.npos) return bad_endpoint("has more behind its path");

  const size_t slash = std::min(url.find('/'), url.size());
  std::string_view host = url.substr(0, slash);
  std::string_view path = url.substr(slash);
  while (path.ends_with('/')) path.remove_suffix(1);
  std::optional<int> port;
  if (const size_t colon = host.rfind(':'); colon != host.npos && host.find(']', colon) == host.npos) {
    port = parse_port(host.substr(colon + 1));
    if (!port) return bad_endpoint("has a port that is no number from 1 to 65535");
    host = host.substr(0, colon);
  }
  const std::string name = lower_case(host);
  if (!is_host(name)) return bad_endpoint("has no host, or one with odd characters");
  const std::optional<std::string> decoded = uri_decode(path);
  if (!decoded) return bad_endpoint("has a % in its path that two digits should follow");

  std::string out = std::string(*scheme) + name;
  if (port && *port != kDefaultPorts[scheme - kSchemes]) out += ":" + std::to_string(*port);
  return out + uri_encode(*decoded, true);
}

Result<S3Address> s3_address(std::string_view bucket, std::string_view endpoint, std::string_view region) {
  S3Address address;
  std::string_view path;
  std::string canonical;
  bool in_host = false;
  if (endpoint.empty()) {
    const std::string place(region);
    const bool is_china = place.starts_with("cn-");
    in_host = is_host_label(bucket);
    address.origin = "https://" + (in_host ? std::string(bucket) + "." : "") + "s3." + place +
                     (is_china ? ".amazonaws.com.cn" : ".amazonaws.com");
  } else {
    TM_ASSIGN(canonical, canonical_endpoint(endpoint));
    const size_t host_end = canonical.find('/', canonical.find("://") + 3);
    address.origin = canonical.substr(0, host_end);
    if (host_end != canonical.npos) path = std::string_view(canonical).substr(host_end);
  }
  address.host = address.origin.substr(address.origin.find("://") + 3);
  address.path = uri_decode(path).value_or("") + (in_host ? "/" : "/" + std::string(bucket) + "/");
  return address;
}

}  // namespace tidemark::backup
