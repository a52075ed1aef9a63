// Watches, through the whole handler, and the writes that they see.
//
// First byte even: the next part is the body of a request; odd: its keys are picked from it. Each further
// part is one key that is written, or time that passes. Every frame shows all keys as they are at that
// moment; a watch that may not be gets a refusal, for good.
#include "server/kv/stored_value.h"
#include "tests/fuzz/server.h"

namespace tidemark::fuzz {
namespace {

namespace pb = connect::pb;
using Next = connect::PieceSource::Next;

std::string make_request(Input input) {
  pb::Watch request;
  while (!input.empty() && request.keys_size() < 16) request.add_keys()->set_key(some_key(input));
  return request.SerializeAsString();
}

bool legal(const pb::Watch& request, const kv::Limits& limits) {
  for (const pb::WatchKey& key : request.keys())
    if (key.key().size() > limits.max_read_key_bytes) return false;
  return static_cast<size_t>(request.keys_size()) <= limits.max_watched_keys;
}

// A frame must show this.
void check_frame(std::string_view piece, const pb::Watch& request, const Content& content, int64_t now_ms) {
  TM_CHECK(piece.size() >= 4 && load_le32(piece.data()) == piece.size() - 4);
  pb::WatchOutput output;
  TM_CHECK(output.ParseFromArray(piece.data() + 4, static_cast<int>(piece.size() - 4)));
  TM_CHECK(output.status() == pb::SR_SUCCESS && output.keys_size() == request.keys_size());
  for (int i = 0; i < request.keys_size(); ++i) {
    const pb::WatchKeyOutput& shown = output.keys(i);
    const auto found = content.find("u" + request.keys(i).key());
    TM_CHECK(shown.changed());
    std::optional<kv::StoredValue> value;
    if (found != content.end()) value = *kv::parse_stored_value(found->second.first);
    if (value && value->expired_at(now_ms)) value.reset();
    TM_CHECK(shown.has_entry_if_changed() == value.has_value());
    if (!value) continue;
    const pb::KvEntry& entry = shown.entry_if_changed();
    const auto stamp = found->second.second.bytes();
    TM_CHECK(entry.key() == request.keys(i).key() && entry.value() == value->data &&
             entry.encoding() == static_cast<int>(value->encoding) &&
             entry.versionstamp() == std::string_view(stamp.data(), stamp.size()));
  }
}

// The next frame, also when it has to be made in the background.
Next next_piece(Server& server, connect::PieceSource& source, std::string& piece) {
  Next next = source.next(piece);
  if (next != Next::kNothing || source.bytes_in_making() == 0) return next;
  server.machine().executor.run();
  return source.next(piece);
}

void write(Server& server, Input input) {
  if (input.u8() % 8 == 0) return server.machine().clock.pass_ms(input.u16() * 100);
  pb::AtomicWrite request;
  pb::Mutation& mutation = *request.add_mutations();
  mutation.set_key(some_key(input));
  mutation.set_mutation_type(input.u8() % 4 == 0 ? pb::M_DELETE : pb::M_SET);
  mutation.mutable_value()->set_encoding(pb::VE_BYTES);
  mutation.mutable_value()->set_data(some_value(input, 3));
  (void)server.post("/v2/atomic_write", request.SerializeAsString());
}

}  // namespace
}  // namespace tidemark::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tidemark::fuzz;
  Server server;
  Input input(data, size);
  const bool raw = input.u8() % 2 == 0;
  const std::vector<std::string_view> parts = split(input.rest());
  const std::string body = raw ? std::string(parts[0]) : make_request(Input(parts[0]));
  tidemark::connect::Answer answer = server.post("/v2/watch", body);
  pb::Watch request;
  if (!request.ParseFromString(body) || !legal(request, server.limits())) {
    check_refusal(answer);
    return 0;
  }
  TM_CHECK(answer.status == 200 && answer.source != nullptr && answer.body.empty());
  TM_CHECK(answer.content_type == "application/octet-stream");
  std::string piece;
  TM_CHECK(next_piece(server, *answer.source, piece) == Next::kPiece);
  check_frame(piece, request, server.content(), server.now_ms());
  for (size_t i = 1; i < parts.size() && i < 16; ++i) {
    write(server, Input(parts[i]));
    piece.clear();
    const Next next = next_piece(server, *answer.source, piece);
    if (next == Next::kPiece) check_frame(piece, request, server.content(), server.now_ms());
    if (next == Next::kEnd) break;  // the token's time is over
  }
  return 0;
}
