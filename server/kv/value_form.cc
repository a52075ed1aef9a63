#include "server/kv/value_form.h"

#include <boost/json.hpp>
#include <charconv>

#include "engine/base/base64.h"
#include "engine/base/coding.h"
#include "server/kv/v8_form.h"

namespace tidemark::kv {
namespace {

namespace json = boost::json;

std::unexpected<Error> refuse(std::string what) {
  return fail(ErrorCode::kInvalidArgument, std::move(what));
}

// The text of an object that has nothing but this tag. Null if it is no such object.
const json::string* only(const json::value& value, std::string_view tag) {
  const json::object* const object = value.if_object();
  const json::value* const text =
      object == nullptr || object->size() != 1 ? nullptr : object->if_contains(tag);
  return text == nullptr ? nullptr : text->if_string();
}

}  // namespace

ValueForm value_form(Encoding encoding, std::string_view data) {
  if (encoding == Encoding::kBytes) return {.form = json::object{{"$bytes", base64(data)}}};
  if (encoding == Encoding::kLe64 && data.size() == kLe64Bytes) {
    return {.form = json::object{{"$u64", std::to_string(load_le64(data.data()))}}};
  }
  std::optional<V8Form> shown = v8_to_form(data);
  if (!shown) return {.form = json::object{{"$v8", base64(data)}}};
  const Result<std::string> again = v8_from_form(shown->form, shown->version);
  return {.form = std::move(shown->form), .v8_version = shown->version, .exact = again && *again == data};
}

Result<OwnedValue> value_from_form(const json::value& form, uint32_t v8_version) {
  if (const json::string* const text = only(form, "$u64")) {
    uint64_t number = 0;
    const char* const end = text->data() + text->size();
    const auto [rest, error] = std::from_chars(text->data(), end, number);
    if (error != std::errc() || rest != end) return refuse("the $u64 is no whole number below 2^64");
    OwnedValue out{Encoding::kLe64, {}};
    put_le64(out.data, number);
    return out;
  }
  for (const auto& [tag, encoding] : {std::pair{"$bytes", Encoding::kBytes}, {"$v8", Encoding::kV8}}) {
    const json::string* const text = only(form, tag);
    if (text == nullptr) continue;
    std::optional<std::string> bytes = from_base64(*text);
    if (!bytes) return refuse("the " + std::string(tag) + " is not base64");
    return OwnedValue{encoding, std::move(*bytes)};
  }
  TM_ASSIGN(std::string data, v8_from_form(form, v8_version));
  return OwnedValue{Encoding::kV8, std::move(data)};
}

}  // namespace tidemark::kv
