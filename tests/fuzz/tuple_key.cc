// Keys as the tuple encoding has them, and as JSON.
//
// First byte: which. Any bytes come back from their form, through its text; what decodes is encoded as the
// same. A form that is accepted makes a key that is shown and made again.
#include "server/kv/tuple_key.h"

#include <boost/json.hpp>

#include "server/kv/json_text.h"
#include "tests/fuzz/input.h"

namespace tidemark::kv {
namespace {

constexpr size_t kMaxDepth = 8;

void check_key(std::string_view key) {
  const std::string text = to_json(key_form(key));
  const auto form = parse_json(text, kMaxDepth);
  TM_CHECK(form.has_value() && to_json(*form) == text);
  const auto again = key_from_form(*form);
  TM_CHECK(again.has_value() && *again == key);
}

void read_key(std::string_view bytes) {
  const fuzz::Exact exact(bytes);
  check_key(exact.view());
  const auto parts = decode_key(exact.view());
  if (!parts) return;
  const auto again = encode_key(*parts);
  TM_CHECK(again.has_value() && *again == exact.view());
}

void read_form(std::string_view text) {
  const fuzz::Exact exact(text);
  const auto form = parse_json(exact.view(), kMaxDepth);
  if (!form) {
    TM_CHECK(form.error().code == ErrorCode::kInvalidArgument && !form.error().message.empty());
    return;
  }
  const auto key = key_from_form(*form);
  if (!key) {
    TM_CHECK(key.error().code == ErrorCode::kInvalidArgument && !key.error().message.empty());
    return;
  }
  TM_CHECK(form->is_object() || decode_key(*key).has_value());
  check_key(*key);
}

}  // namespace
}  // namespace tidemark::kv

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tidemark::fuzz::Input input(data, size);
  input.u8() % 2 == 0 ? tidemark::kv::read_key(input.rest()) : tidemark::kv::read_form(input.rest());
  return 0;
}
