// Reads, through the whole handler.
//
// First byte even: the rest is the body of a request. Odd: it picks the fields of one.
// A legal request gets what the entries that are there say; any other gets a refusal, for good.
#include "server/kv/stored_value.h"
#include "tests/fuzz/server.h"

namespace tidemark::fuzz {
namespace {

namespace pb = connect::pb;

std::string make_request(Input input) {
  pb::SnapshotRead request;
  while (!input.empty() && request.ranges_size() < 8) {
    pb::ReadRange& range = *request.add_ranges();
    const uint8_t form = input.u8();
    range.set_start(some_key(input));
    switch (form % 4) {
      case 0:
        range.set_end(range.start() + std::string(1, '\0'));
        break;
      case 1:
        range.set_end("\xff");
        break;
      default:
        range.set_end(some_key(input));
        break;
    }
    range.set_limit(form & 64 ? static_cast<int32_t>(input.number(4)) : form & 128 ? 1 : input.u8() % 20);
    range.set_reverse(form & 32);
  }
  return request.SerializeAsString();
}

bool legal(const pb::SnapshotRead& request, const kv::Limits& limits) {
  int64_t entries = 0;
  for (const pb::ReadRange& range : request.ranges()) {
    if (range.limit() <= 0 || std::max(range.start().size(), range.end().size()) > limits.max_read_key_bytes)
      return false;
    entries += range.limit();
  }
  return static_cast<size_t>(request.ranges_size()) <= limits.max_read_ranges &&
         entries <= limits.max_read_entries;
}

// What a reader sees of the entries, by the client's keys.
struct Visible {
  std::string key;
  std::string data;
  int encoding;
  std::string versionstamp;
};

std::vector<Visible> expected(const Content& content, const pb::ReadRange& range, int64_t now_ms) {
  std::vector<Visible> out;
  for (const auto& [key, entry] : content) {
    if (key.front() != 'u' || key.substr(1) < range.start() || key.substr(1) >= range.end()) continue;
    const auto value = kv::parse_stored_value(entry.first);
    TM_CHECK(value.has_value());
    if (value->expired_at(now_ms)) continue;
    const auto stamp = entry.second.bytes();
    out.push_back({key.substr(1), std::string(value->data), static_cast<int>(value->encoding),
                   std::string(stamp.data(), stamp.size())});
  }
  if (range.reverse()) std::reverse(out.begin(), out.end());
  if (out.size() > static_cast<size_t>(range.limit())) out.resize(static_cast<size_t>(range.limit()));
  return out;
}

}  // namespace
}  // namespace tidemark::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tidemark::fuzz;
  // Reads change nothing: one server does for all.
  static auto* const server = new Server();
  static const auto* const content = new Content(server->content());
  Input input(data, size);
  const std::string body = input.u8() % 2 == 0 ? std::string(input.rest()) : make_request(input);
  const tidemark::connect::Answer answer = server->post("/v2/snapshot_read", body);

  pb::SnapshotRead request;
  if (!request.ParseFromString(body) || !legal(request, server->limits())) {
    check_refusal(answer);
    return 0;
  }
  TM_CHECK(answer.status == 200 && answer.content_type == "application/x-protobuf" && !answer.source);
  pb::SnapshotReadOutput output;
  TM_CHECK(output.ParseFromString(answer.body));
  TM_CHECK(output.status() == pb::SR_SUCCESS && output.read_is_strongly_consistent() &&
           !output.read_disabled());
  TM_CHECK(output.ranges_size() == request.ranges_size());
  for (int i = 0; i < request.ranges_size(); ++i) {
    const auto& given = output.ranges(i).values();
    const std::vector<Visible> wanted = expected(*content, request.ranges(i), server->now_ms());
    TM_CHECK(static_cast<size_t>(given.size()) == wanted.size());
    for (int k = 0; k < given.size(); ++k) {
      const Visible& entry = wanted[static_cast<size_t>(k)];
      TM_CHECK(given[k].key() == entry.key && given[k].value() == entry.data &&
               given[k].encoding() == entry.encoding && given[k].versionstamp() == entry.versionstamp);
    }
  }
  return 0;
}
