// Values of all encodings as JSON.
//
// First byte: which. What is shown as exact comes back through its text as the very bytes; what is not, and
// can be written at all, becomes bytes that are shown alike. A form that is accepted makes bytes that are
// shown, and whose form makes bytes that show the same again.
#include <boost/json.hpp>

#include "server/kv/json_text.h"
#include "server/kv/v8_form.h"
#include "server/kv/v8_format.h"
#include "server/kv/value_form.h"
#include "tests/fuzz/input.h"

namespace tidemark::kv {
namespace {

namespace json = boost::json;

template <class T>
bool refused(const Result<T>& result) {
  if (result.has_value()) return false;
  TM_CHECK(result.error().code == ErrorCode::kInvalidArgument && !result.error().message.empty());
  return true;
}

json::value through_text(const json::value& form) {
  const std::string text = to_json(form);
  TM_CHECK(text.find('\n') == text.npos);
  auto read = parse_json(text, v8::kMaxFormDepth);
  TM_CHECK(read.has_value() && to_json(*read) == text);
  return std::move(*read);
}

void read_value(Encoding encoding, std::string_view bytes) {
  const fuzz::Exact exact(bytes);
  const ValueForm shown = value_form(encoding, exact.view());
  const auto again = value_from_form(through_text(shown.form), shown.v8_version);
  if (shown.exact) {
    TM_CHECK(again.has_value() && again->encoding == encoding && again->data == exact.view());
    return;
  }
  TM_CHECK(encoding == Encoding::kV8);
  if (refused(again)) return;
  const ValueForm second = value_form(again->encoding, again->data);
  TM_CHECK(to_json(second.form) == to_json(shown.form) && second.v8_version == shown.v8_version);
}

void write_value(uint32_t version, std::string_view text) {
  const fuzz::Exact exact(text);
  const auto form = parse_json(exact.view(), v8::kMaxFormDepth);
  if (refused(form)) return;
  const auto value = value_from_form(*form, version);
  if (refused(value)) return;
  const ValueForm shown = value_form(value->encoding, value->data);
  const bool opaque = form->is_object() && form->get_object().contains("$v8");
  if (value->encoding == Encoding::kV8 && !opaque) TM_CHECK(v8_to_form(value->data).has_value());
  const auto again = value_from_form(through_text(shown.form), shown.v8_version);
  TM_CHECK(again.has_value() || opaque);
  if (again) TM_CHECK(to_json(value_form(again->encoding, again->data).form) == to_json(shown.form));
}

}  // namespace
}  // namespace tidemark::kv

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tidemark::kv;
  tidemark::fuzz::Input input(data, size);
  const uint8_t which = input.u8();
  switch (which % 4) {
    case 0:
    case 1: {
      // Most inputs would fail at the first two bytes.
      const uint32_t version = v8::kOldestVersion + (which >> 2) % 8;
      read_value(Encoding::kV8, std::string{'\xff', static_cast<char>(version)} + std::string(input.rest()));
      break;
    }
    case 2: {
      const auto encoding = static_cast<Encoding>(1 + (which >> 2) % 3);
      if (encoding != Encoding::kLe64 || input.rest().size() == kLe64Bytes)
        read_value(encoding, input.rest());
      break;
    }
    default:
      write_value(13 + (which >> 2) % 4, input.rest());
      break;
  }
  return 0;
}
