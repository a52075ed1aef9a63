// Keys are asked for with encoding-type=url, as XML cannot hold every character that a key may have. A store
// that knows this says so in its answer, and encodes as forms do: Amazon writes a space as a plus.
#include "server/backup/s3_xml.h"

#include <charconv>
#include <pugixml.hpp>

#include "engine/base/time_text.h"
#include "server/backup/uri_text.h"

namespace tidemark::backup {
namespace {

// A key may be one space.
constexpr unsigned kParseOptions = pugi::parse_default | pugi::parse_ws_pcdata_single;

std::unexpected<Error> senseless(std::string_view why) {
  return fail(ErrorCode::kCorruption, "the store's list of objects makes no sense: " + std::string(why));
}

// Nothing if there is no such element, which is not the same as an empty one.
std::optional<std::string> text_of(const pugi::xml_node& parent, const char* name) {
  const pugi::xml_node node = parent.child(name);
  if (!node) return std::nullopt;
  return node.child_value();
}

std::optional<std::string> key_of(const pugi::xml_node& parent, const char* name, bool encoded) {
  std::optional<std::string> text = text_of(parent, name);
  if (text && encoded) text = uri_decode(*text, true);
  if (text && text->empty()) return std::nullopt;
  return text;
}

}  // namespace

Result<S3Listing> parse_s3_listing(std::string_view xml) {
  pugi::xml_document document;
  const pugi::xml_parse_result parsed = document.load_buffer(xml.data(), xml.size(), kParseOptions);
  if (!parsed) return senseless(std::string("it is not XML (") + parsed.description() + ")");
  const pugi::xml_node root = document.child("ListBucketResult");
  if (!root) return senseless("it has no ListBucketResult");

  S3Listing listing;
  const std::optional<std::string> truncated = text_of(root, "IsTruncated");
  if (truncated != "true" && truncated != "false") return senseless("it does not say whether it is all");
  listing.truncated = truncated == "true";
  listing.continuation = text_of(root, "NextContinuationToken").value_or("");

  const bool encoded = text_of(root, "EncodingType") == "url";
  for (const pugi::xml_node node : root.children("Contents")) {
    ObjectInfo& info = listing.objects.emplace_back();
    std::optional<std::string> key = key_of(node, "Key", encoded);
    if (!key) return senseless("an object has no key");
    info.key = std::move(*key);
    const std::string size = text_of(node, "Size").value_or("");
    const auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), info.size);
    if (error != std::errc() || end != size.data() + size.size()) return senseless(info.key + " has no size");
    const std::optional<int64_t> modified_ms = parse_time(text_of(node, "LastModified").value_or(""));
    if (!modified_ms) return senseless(info.key + " has no time");
    info.modified_ms = *modified_ms;
  }
  for (const pugi::xml_node node : root.children("CommonPrefixes")) {
    std::optional<std::string> folder = key_of(node, "Prefix", encoded);
    if (!folder) return senseless("a folder has no name");
    listing.folders.push_back(std::move(*folder));
  }
  return listing;
}

std::optional<S3Error> parse_s3_error(std::string_view xml) {
  pugi::xml_document document;
  if (!document.load_buffer(xml.data(), xml.size(), kParseOptions)) return std::nullopt;
  const pugi::xml_node root = document.child("Error");
  const std::optional<std::string> code = text_of(root, "Code");
  if (!code || code->empty()) return std::nullopt;
  return S3Error{*code, text_of(root, "Message").value_or(""), text_of(root, "Region").value_or(""),
                 text_of(root, "Endpoint").value_or(""), text_of(root, "ServerTime").value_or("")};
}

}  // namespace tidemark::backup
