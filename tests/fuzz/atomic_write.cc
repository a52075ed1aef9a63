// Atomic writes, through the whole handler, each input on a server of its own.
//
// First byte: how many writes there are and, bit by bit, whether each is the body of a request as it stands
// in the input or picked from it. Parts are the writes. A write does all that it says and nothing else, or
// nothing at all; a refusal is for good.
#include "server/kv/stored_value.h"
#include "tests/fuzz/server.h"

namespace tidemark::fuzz {
namespace {

namespace pb = connect::pb;

void set_value(Input& input, pb::Mutation& mutation) {
  const uint8_t form = input.u8();
  if (form < 16) return;  // none
  const int encoding = form < 240 ? 1 + form % 3 : form % 8;
  mutation.mutable_value()->set_encoding(static_cast<pb::ValueEncoding>(encoding));
  mutation.mutable_value()->set_data(some_value(input, encoding));
}

std::string make_request(Input input, const Content& content) {
  pb::AtomicWrite request;
  while (!input.empty()) {
    const uint8_t form = input.u8();
    if (form % 8 == 0) {
      pb::Check& check = *request.add_checks();
      check.set_key(some_key(input));
      const auto found = content.find("u" + check.key());
      if (form & 64) {
        check.set_versionstamp(std::string(input.bytes(10)));
      } else if (found != content.end() && (form & 128) == 0) {
        const auto stamp = found->second.second.bytes();
        check.set_versionstamp(std::string(stamp.data(), stamp.size()));
      }
    } else if (form % 8 == 1) {
      pb::Enqueue& enqueue = *request.add_enqueues();
      enqueue.set_payload(some_value(input, 1));
      enqueue.set_deadline_ms(form & 32 ? static_cast<int64_t>(input.u64()) : 0);
      for (int i = form >> 6; i > 0; --i) enqueue.add_keys_if_undelivered(some_key(input));
      for (int i = form >> 6; i > 0; --i) enqueue.add_backoff_schedule(input.u16());
    } else {
      pb::Mutation& mutation = *request.add_mutations();
      constexpr int kTypes[] = {1, 1, 2, 3, 3, 4, 5, 9};
      mutation.set_mutation_type(
          static_cast<pb::MutationType>(form >= 248 ? input.u8() : kTypes[form / 8 % 8]));
      mutation.set_key(some_key(input));
      set_value(input, mutation);
      if (form & 64) mutation.set_expire_at_ms(static_cast<int64_t>(input.u64()) >> (input.u8() % 64));
      if (form % 8 == 3) mutation.set_sum_min(some_value(input, 1));
      if (form % 8 >= 3 && form % 8 <= 4) mutation.set_sum_max(some_value(input, 1));
      mutation.set_sum_clamp(form & 128);
    }
  }
  return request.SerializeAsString();
}

// Indexes of the checks that do not hold.
std::vector<uint32_t> failing_checks(const pb::AtomicWrite& request, const Content& before, int64_t now_ms) {
  std::vector<uint32_t> failing;
  for (int i = 0; i < request.checks_size(); ++i) {
    const pb::Check& check = request.checks(i);
    const auto found = before.find("u" + check.key());
    bool present = found != before.end();
    if (present) present = !kv::parse_stored_value(found->second.first)->expired_at(now_ms);
    const auto stamp = present ? found->second.second.bytes() : std::array<char, Versionstamp::kBytes>{};
    const bool holds = check.versionstamp().empty()
                           ? !present
                           : present && check.versionstamp() == std::string_view(stamp.data(), stamp.size());
    if (!holds) failing.push_back(static_cast<uint32_t>(i));
  }
  return failing;
}

// The message that an enqueue stores, by docs/formats/keyspace.md.
void check_message(std::string_view stored, const pb::Enqueue& enqueue) {
  ByteReader in(stored);
  TM_CHECK(in.u8() == 1);
  TM_CHECK(in.varint() == static_cast<uint64_t>(enqueue.backoff_schedule_size()));
  for (const uint32_t ms : enqueue.backoff_schedule()) TM_CHECK(in.varint() == ms);
  TM_CHECK(in.varint() == static_cast<uint64_t>(enqueue.keys_if_undelivered_size()));
  for (const std::string& key : enqueue.keys_if_undelivered()) TM_CHECK(in.bytes() == key);
  TM_CHECK(in.ok() && in.raw(in.remaining()) == enqueue.payload());
}

// What a write that succeeded made of `before`: all that it says, all under its versionstamp, and nothing
// else.
void check_success(const pb::AtomicWrite& request, const Content& before, const Content& after,
                   Versionstamp stamp) {
  std::map<std::string, const pb::Mutation*> last;  // to each key
  for (const pb::Mutation& mutation : request.mutations()) {
    std::string key = "u" + mutation.key();
    if (mutation.mutation_type() == pb::M_SET_SUFFIX_VERSIONSTAMPED_KEY)
      key += '\x02' + stamp.hex() + std::string(1, '\0');
    last[key] = &mutation;
  }
  for (const auto& [key, mutation] : last) {
    const auto found = after.find(key);
    if (mutation->mutation_type() == pb::M_DELETE) {
      TM_CHECK(found == after.end());
      continue;
    }
    TM_CHECK(found != after.end() && found->second.second == stamp);
    const auto value = kv::parse_stored_value(found->second.first);
    TM_CHECK(value.has_value());
    const bool set = mutation->mutation_type() == pb::M_SET ||
                     mutation->mutation_type() == pb::M_SET_SUFFIX_VERSIONSTAMPED_KEY;
    if (!set) continue;
    TM_CHECK(value->data == mutation->value().data() &&
             static_cast<int>(value->encoding) == mutation->value().encoding() &&
             value->expire_at_ms == std::max<int64_t>(mutation->expire_at_ms(), 0));
  }
  std::vector<const std::string*> messages;
  for (const auto& [key, entry] : after) {
    if (entry.second != stamp) {  // as it was
      const auto was = before.find(key);
      TM_CHECK(was != before.end() && was->second == entry);
      continue;
    }
    if (key.front() == 'u') TM_CHECK(last.contains(key));
    if (key.front() == 'e') TM_CHECK(entry.first.empty() && last.contains("u" + key.substr(9)));
    if (key.front() == 'q') messages.push_back(&entry.first);
    TM_CHECK(key.front() == 'u' || key.front() == 'e' || key.front() == 'q');
  }
  for (const auto& [key, entry] : before) TM_CHECK(after.contains(key) || last.contains(key));
  TM_CHECK(messages.size() == static_cast<size_t>(request.enqueues_size()));
  if (messages.size() == 1) check_message(*messages.front(), request.enqueues(0));
}

void write(Server& server, std::string_view body) {
  const Content before = server.content();
  const Versionstamp head = server.database().head();
  const connect::Answer answer = server.post("/v2/atomic_write", body);
  const Content after = server.content();
  const bool unchanged = before == after && server.database().head() == head;

  pb::AtomicWrite request;
  const bool understood = request.ParseFromArray(body.data(), static_cast<int>(body.size()));
  if (!understood || answer.status != 200) {
    check_refusal(answer);
    TM_CHECK(unchanged);
    return;
  }
  TM_CHECK(answer.content_type == "application/x-protobuf" && answer.source == nullptr);
  pb::AtomicWriteOutput output;
  TM_CHECK(output.ParseFromString(answer.body));
  const std::vector<uint32_t> failing = failing_checks(request, before, server.now_ms());
  TM_CHECK(std::ranges::equal(output.failed_checks(), failing));
  if (!failing.empty()) {
    TM_CHECK(output.status() == pb::AW_CHECK_FAILURE && unchanged);
    return;
  }
  TM_CHECK(output.status() == pb::AW_SUCCESS && output.versionstamp().size() == Versionstamp::kBytes);
  const Versionstamp stamp = Versionstamp::from_bytes(output.versionstamp().data());
  TM_CHECK(stamp > head && stamp == server.database().head());
  check_success(request, before, after, stamp);
}

}  // namespace
}  // namespace tidemark::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tidemark::fuzz;
  Server server;
  Input input(data, size);
  uint8_t picked = input.u8();
  const std::vector<std::string_view> parts = split(input.rest());
  for (size_t i = 0; i < parts.size() && i < 8; ++i, picked >>= 1)
    write(server, picked % 2 == 0 ? std::string(parts[i]) : make_request(Input(parts[i]), server.content()));
  return 0;
}
