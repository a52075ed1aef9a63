// The request is written down in one agreed form ("canonical"), hashed, and the hash signed with a key that
// is derived from the secret for one day, one region and one service:
//
//   canonical = method \n path \n query \n name:value \n (for each header) \n names \n hash of the body
//   to sign   = "AWS4-HMAC-SHA256" \n time \n scope \n hash of canonical
//   scope     = day/region/s3/aws4_request
//   key       = hmac(hmac(hmac(hmac("AWS4" secret, day), region), "s3"), "aws4_request")
//
// S3 differs from Amazon's other services in that the path is encoded once, and never tidied up.
#include "server/backup/s3_signature.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>

#include "engine/base/check.h"
#include "engine/base/hex.h"
#include "engine/base/time_text.h"
#include "server/backup/uri_text.h"

namespace tidemark::backup {
namespace {

constexpr char kAlgorithm[] = "AWS4-HMAC-SHA256";
constexpr char kService[] = "s3";
constexpr char kScopeEnd[] = "aws4_request";
constexpr size_t kHashBytes = 32;
constexpr size_t kDayDigits = 8;

std::string sha256(std::string_view bytes) {
  std::string out(kHashBytes, '\0');
  unsigned int size = 0;
  TM_CHECK(EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(out.data()), &size,
                      EVP_sha256(), nullptr) == 1);
  TM_CHECK(size == kHashBytes);
  return out;
}

std::string hmac_sha256(std::string_view key, std::string_view message) {
  std::string out(kHashBytes, '\0');
  unsigned int size = 0;
  TM_CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                reinterpret_cast<const unsigned char*>(message.data()), message.size(),
                reinterpret_cast<unsigned char*>(out.data()), &size) != nullptr);
  TM_CHECK(size == kHashBytes);
  return out;
}

// Without spaces at the ends, and with one where there were several.
std::string trimmed(std::string_view value) {
  std::string out;
  for (const char c : value)
    if (c != ' ' || (!out.empty() && out.back() != ' ')) out += c;
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

}  // namespace

std::string sha256_hex(std::string_view bytes) {
  return to_hex(sha256(bytes));
}

std::string encode_query(const NamesAndValues& query) {
  NamesAndValues encoded;
  for (const auto& [name, value] : query)
    encoded.emplace_back(uri_encode(name, false), uri_encode(value, false));
  std::ranges::sort(encoded);
  std::string out;
  for (const auto& [name, value] : encoded) {
    if (!out.empty()) out += '&';
    out += name + "=" + value;
  }
  return out;
}

std::string amz_time(int64_t wall_ms) {
  std::string out;
  for (const char c : format_time(wall_ms)) {
    if (c == '.') break;
    if (c != '-' && c != ':') out += c;
  }
  return out + "Z";
}

NamesAndValues sign(const UnsignedRequest& request, const Credentials& credentials, std::string_view region,
                    int64_t wall_ms) {
  const std::string time = amz_time(wall_ms);
  const std::string day = time.substr(0, kDayDigits);
  NamesAndValues added = {{"x-amz-date", time}, {"x-amz-content-sha256", request.payload_hash}};
  if (!credentials.session_token.empty())
    added.emplace_back("x-amz-security-token", credentials.session_token);

  NamesAndValues headers;
  for (const NamesAndValues* list : {&request.headers, &std::as_const(added)})
    for (const auto& [name, value] : *list) headers.emplace_back(lower_case(name), trimmed(value));
  std::ranges::sort(headers);
  std::string header_lines, names;
  for (const auto& [name, value] : headers) {
    header_lines += name + ":" + value + "\n";
    names += (names.empty() ? "" : ";") + name;
  }
  const std::string canonical = request.method + "\n" + uri_encode(request.path, true) + "\n" +
                                encode_query(request.query) + "\n" + header_lines + "\n" + names + "\n" +
                                request.payload_hash;

  const std::string scope = day + "/" + std::string(region) + "/" + kService + "/" + kScopeEnd;
  const std::string to_sign =
      std::string(kAlgorithm) + "\n" + time + "\n" + scope + "\n" + sha256_hex(canonical);
  std::string key = "AWS4" + credentials.secret_access_key;
  for (const std::string_view part :
       {std::string_view(day), region, std::string_view(kService), std::string_view(kScopeEnd)})
    key = hmac_sha256(key, part);

  added.emplace_back("Authorization", std::string(kAlgorithm) + " Credential=" + credentials.access_key_id +
                                          "/" + scope + ",SignedHeaders=" + names +
                                          ",Signature=" + to_hex(hmac_sha256(key, to_sign)));
  return added;
}

}  // namespace tidemark::backup
