// One pass, recursing into what is nested. An object that has a key beginning with '$' is what that key says;
// any other member of it must be one that this kind has.
#include <bit>
#include <boost/json.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "engine/base/base64.h"
#include "engine/base/coding.h"
#include "engine/base/time_text.h"
#include "server/kv/big_integer.h"
#include "server/kv/utf.h"
#include "server/kv/v8_form.h"
#include "server/kv/v8_format.h"
#include "server/kv/v8_number.h"

namespace tidemark::kv {
namespace {

namespace json = boost::json;
using v8::Tag;

constexpr uint32_t kOldestWritten = 13;

std::unexpected<Error> refuse(std::string what) {
  return fail(ErrorCode::kInvalidArgument, std::move(what));
}

std::string quoted(std::string_view name) {
  constexpr size_t kMaxShown = 40;
  return "'" + std::string(name.substr(0, kMaxShown)) + (name.size() > kMaxShown ? "..." : "") + "'";
}

// An object with a tag, whose members are taken one by one.
class Tagged {
 public:
  Tagged(const json::object& object, const json::key_value_pair& tag)
      : object_(object), tag_(tag.key()), content_(tag.value()) {}

  std::string_view tag() const { return tag_; }
  const json::value& content() const { return content_; }
  // Null if it is not there.
  const json::value* take(std::string_view name) {
    const json::value* const found = object_.if_contains(name);
    if (found != nullptr) ++taken_;
    return found;
  }
  Status finish() const {
    if (taken_ == object_.size()) return {};
    return refuse("an object with the tag " + quoted(tag_) + " has a member that does not belong there");
  }
  std::unexpected<Error> wrong(const char* what) const {
    return refuse("the " + std::string(tag_) + " " + what);
  }

 private:
  const json::object& object_;
  const std::string_view tag_;
  const json::value& content_;
  size_t taken_ = 1;
};

const json::key_value_pair* tag_of(const json::object& object) {
  for (const json::key_value_pair& member : object)
    if (member.key().starts_with('$')) return &member;
  return nullptr;
}

// The content of an object that has nothing but this tag. Null if it is no such object.
const json::value* only(const json::value& value, std::string_view tag) {
  const json::object* const object = value.if_object();
  return object == nullptr || object->size() != 1 ? nullptr : object->if_contains(tag);
}

std::optional<double> number_from(const json::value& form) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  switch (form.kind()) {
    case json::kind::int64:
      return static_cast<double>(form.get_int64());
    case json::kind::uint64:
      return static_cast<double>(form.get_uint64());
    case json::kind::double_:
      return form.get_double();
    default:
      break;
  }
  const json::value* const content = only(form, "$number");
  const json::string* const text = content == nullptr ? nullptr : content->if_string();
  if (text == nullptr) return std::nullopt;
  if (*text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (*text == "Infinity") return kInfinity;
  if (*text == "-Infinity") return -kInfinity;
  return std::nullopt;
}

std::optional<BigInteger> big_integer_from(const json::value& form) {
  const json::value* const content = only(form, "$bigint");
  const json::string* const text = content == nullptr ? nullptr : content->if_string();
  return text == nullptr ? std::nullopt : big_integer_from_text(*text);
}

// An even number of bytes.
std::optional<std::string> utf16_from(const json::value& form) {
  const json::value* const content = only(form, "$utf16");
  const json::string* const text = content == nullptr ? nullptr : content->if_string();
  std::optional<std::string> bytes = text == nullptr ? std::nullopt : from_base64(*text);
  if (bytes && bytes->size() % 2 != 0) bytes.reset();
  return bytes;
}

std::optional<uint32_t> uint32_from(const json::value& form) {
  const int64_t* const number = form.if_int64();
  if (number == nullptr || *number < 0 || *number > std::numeric_limits<uint32_t>::max()) return std::nullopt;
  return static_cast<uint32_t>(*number);
}

bool is_true(const json::value* form) {
  return form != nullptr && form->is_bool() && form->get_bool();
}

// The two halves of each of the pairs, if that is what they are.
bool are_pairs(const json::array& pairs) {
  return std::ranges::all_of(pairs, [](const json::value& pair) {
    const json::array* const both = pair.if_array();
    return both != nullptr && both->size() == 2;
  });
}

class Writer {
 public:
  explicit Writer(uint32_t version) : version_(version) {
    out_.push_back(static_cast<char>(Tag::kVersion));
    varint(version);
  }

  Status value(const json::value& form) {
    if (depth_ == v8::kMaxDepth) {
      return refuse("a value is nested more than " + std::to_string(v8::kMaxDepth) + " deep");
    }
    ++depth_;
    Status status = value_of(form);
    --depth_;
    return status;
  }

  std::string take() { return std::move(out_); }

 private:
  struct Object {
    bool is_buffer = false;
    bool resizable = false;
    bool open = false;  // a reference to it from inside could not be read
    uint32_t size = 0;
  };

  void tag(uint8_t tag) { out_.push_back(static_cast<char>(tag)); }
  void varint(size_t number) { put_varint(out_, number); }
  void bytes(std::string_view bytes) {
    varint(bytes.size());
    out_.append(bytes);
  }
  void raw_double(double number) {
    if (std::isnan(number)) number = std::numeric_limits<double>::quiet_NaN();
    put_le64(out_, std::bit_cast<uint64_t>(number));
  }
  void number(double number) {
    tag(Tag::kDouble);
    raw_double(number);
  }
  void int32(int32_t number) {
    tag(Tag::kInt32);
    varint((static_cast<uint32_t>(number) << 1) ^ static_cast<uint32_t>(number >> 31));
  }
  void whole(int64_t whole) {
    const bool small =
        whole >= std::numeric_limits<int32_t>::min() && whole <= std::numeric_limits<int32_t>::max();
    small ? int32(static_cast<int32_t>(whole)) : number(static_cast<double>(whole));
  }
  size_t add_object() { return add_object(Object()); }
  size_t add_object(Object object) {
    objects_.push_back(object);
    return objects_.size() - 1;
  }

  Status value_of(const json::value& form) {
    switch (form.kind()) {
      case json::kind::null:
        tag(Tag::kNull);
        return {};
      case json::kind::bool_:
        tag(form.get_bool() ? Tag::kTrue : Tag::kFalse);
        return {};
      case json::kind::int64:
        whole(form.get_int64());
        return {};
      case json::kind::uint64:
        number(static_cast<double>(form.get_uint64()));
        return {};
      case json::kind::double_:
        number(form.get_double());
        return {};
      case json::kind::string:
        return string(std::string_view(form.get_string()));
      case json::kind::array:
        return dense_array(form.get_array(), nullptr);
      case json::kind::object:
        break;
    }
    const json::object& object = form.get_object();
    const json::key_value_pair* const found = tag_of(object);
    if (found == nullptr) return plain_object(object);
    Tagged tagged(object, *found);
    for (const Kind& kind : kKinds)
      if (kind.tag == tagged.tag()) return (this->*kind.write)(tagged);
    for (const v8::ViewKind& kind : v8::kViewKinds)
      if (kind.form == tagged.tag()) return view(tagged, kind);
    return refuse(
        "an object has the key " + quoted(tagged.tag()) +
        ", which is no tag; an object with such a key is written as {\"$object\":[[key,value],...]}");
  }

  // --- Strings

  Status string(std::string_view text) {
    if (is_ascii(text)) {
      tag(Tag::kOneByteString);
      bytes(text);
      return {};
    }
    const std::optional<std::u16string> units = utf8_to_utf16(text);
    if (!units) return refuse("a string is not UTF-8");
    if (std::ranges::all_of(*units, [](char16_t unit) { return unit <= 0xff; })) {
      tag(Tag::kOneByteString);
      varint(units->size());
      for (const char16_t unit : *units) out_.push_back(static_cast<char>(unit));
      return {};
    }
    std::string stored(units->size() * 2, '\0');
    for (size_t i = 0; i < units->size(); ++i) store_le16(stored.data() + 2 * i, (*units)[i]);
    two_byte_string(stored);
    return {};
  }
  void two_byte_string(std::string_view stored) {
    if ((out_.size() + 1 + varint_bytes(stored.size())) % 2 != 0) tag(Tag::kPadding);
    tag(Tag::kTwoByteString);
    bytes(stored);
  }
  // A string in either form. False if it is none.
  Result<bool> maybe_string(const json::value& form) {
    if (const json::string* const text = form.if_string()) {
      TM_TRY(string(*text));
      return true;
    }
    const std::optional<std::string> utf16 = utf16_from(form);
    if (utf16) two_byte_string(*utf16);
    return utf16.has_value();
  }
  Status inner_string(const Tagged& tagged, const json::value& form) {
    TM_ASSIGN(const bool is_string, maybe_string(form));
    return is_string ? Status() : tagged.wrong("has something else where a string belongs");
  }

  // --- Objects and arrays

  void index(uint32_t index) { whole(index); }

  Status plain_object(const json::object& object) {
    add_object();
    tag(Tag::kObject);
    std::vector<std::pair<uint32_t, const json::value*>> indexes;
    for (const json::key_value_pair& member : object)
      if (const auto index = v8::index_from_name(member.key())) indexes.emplace_back(*index, &member.value());
    std::ranges::sort(indexes, {}, &std::pair<uint32_t, const json::value*>::first);
    for (const auto& [number, member] : indexes) {
      index(number);
      TM_TRY(value(*member));
    }
    for (const json::key_value_pair& member : object) {
      if (!indexes.empty() && v8::index_from_name(member.key())) continue;
      TM_TRY(string(member.key()));
      TM_TRY(value(member.value()));
    }
    tag(Tag::kObjectEnd);
    varint(object.size());
    return {};
  }

  Status properties(const Tagged& tagged, const json::array& pairs) {
    if (!are_pairs(pairs)) return tagged.wrong("has properties that are no list of [key,value]");
    for (const json::value& pair : pairs) {
      const json::array& both = pair.get_array();
      TM_ASSIGN(const bool is_string, maybe_string(both[0]));
      if (!is_string) {
        const std::optional<double> number = number_from(both[0]);
        if (!number) return tagged.wrong("has a key that is neither a string nor a number");
        both[0].is_int64() ? whole(both[0].get_int64()) : this->number(*number);
      }
      TM_TRY(value(both[1]));
    }
    return {};
  }

  Status object(Tagged& tagged) {
    const json::array* const pairs = tagged.content().if_array();
    if (pairs == nullptr) return tagged.wrong("is no list of [key,value]");
    TM_TRY(tagged.finish());
    add_object();
    tag(Tag::kObject);
    TM_TRY(properties(tagged, *pairs));
    tag(Tag::kObjectEnd);
    varint(pairs->size());
    return {};
  }

  static bool is_hole(const json::value& form) { return is_true(only(form, "$hole")); }

  // `more`: null, or what has properties beside the elements.
  Status dense_array(const json::array& items, Tagged* more) {
    static const json::array none;
    const json::value* const named = more == nullptr ? nullptr : more->take("properties");
    if (named != nullptr && !named->is_array()) return more->wrong("has properties that are no list");
    if (more != nullptr) TM_TRY(more->finish());
    add_object();
    tag(Tag::kDenseArray);
    varint(items.size());
    for (const json::value& item : items) {
      if (is_hole(item)) {
        tag(Tag::kHole);
      } else {
        TM_TRY(value(item));
      }
    }
    const json::array& pairs = named == nullptr ? none : named->get_array();
    if (more != nullptr) TM_TRY(properties(*more, pairs));
    tag(Tag::kDenseArrayEnd);
    varint(pairs.size());
    varint(items.size());
    return {};
  }

  Status array(Tagged& tagged) {
    const json::array* const items = tagged.content().if_array();
    return items == nullptr ? tagged.wrong("is no list") : dense_array(*items, &tagged);
  }

  Status sparse_array(Tagged& tagged) {
    const json::array* const items = tagged.content().if_array();
    if (items == nullptr) return tagged.wrong("is no list");
    const json::value* const length_form = tagged.take("length");
    const json::value* const named = tagged.take("properties");
    TM_TRY(tagged.finish());
    const std::optional<uint32_t> length =
        length_form == nullptr ? static_cast<uint32_t>(items->size()) : uint32_from(*length_form);
    if (!length || *length < items->size()) return tagged.wrong("has a length that cannot be");
    if (named != nullptr && !named->is_array()) return tagged.wrong("has properties that are no list");
    add_object();
    tag(Tag::kSparseArray);
    varint(*length);
    size_t count = 0;
    for (size_t i = 0; i < items->size(); ++i) {
      if (is_hole((*items)[i])) continue;
      index(static_cast<uint32_t>(i));
      TM_TRY(value((*items)[i]));
      ++count;
    }
    if (named != nullptr) TM_TRY(properties(tagged, named->get_array()));
    tag(Tag::kSparseArrayEnd);
    varint(count + (named == nullptr ? 0 : named->get_array().size()));
    varint(*length);
    return {};
  }

  Status map(Tagged& tagged) {
    const json::array* const pairs = tagged.content().if_array();
    if (pairs == nullptr || !are_pairs(*pairs)) return tagged.wrong("is no list of [key,value]");
    TM_TRY(tagged.finish());
    add_object();
    tag(Tag::kMap);
    for (const json::value& pair : *pairs)
      for (const json::value& half : pair.get_array()) TM_TRY(value(half));
    tag(Tag::kMapEnd);
    varint(2 * pairs->size());
    return {};
  }

  Status set(Tagged& tagged) {
    const json::array* const items = tagged.content().if_array();
    if (items == nullptr) return tagged.wrong("is no list");
    TM_TRY(tagged.finish());
    add_object();
    tag(Tag::kSet);
    for (const json::value& item : *items) TM_TRY(value(item));
    tag(Tag::kSetEnd);
    varint(items->size());
    return {};
  }

  // --- What has no parts

  Status undefined(Tagged& tagged) {
    TM_TRY(tagged.finish());
    if (!is_true(&tagged.content())) return tagged.wrong("is not true");
    tag(Tag::kUndefined);
    return {};
  }

  Status hole(Tagged& tagged) { return tagged.wrong("stands outside of an array"); }

  Status special_number(Tagged& tagged) {
    TM_TRY(tagged.finish());
    const json::value whole = json::object{{"$number", tagged.content()}};
    const std::optional<double> found = number_from(whole);
    if (!found) return tagged.wrong("is none of NaN, Infinity and -Infinity");
    number(*found);
    return {};
  }

  Status utf16(Tagged& tagged) {
    TM_TRY(tagged.finish());
    return inner_string(tagged, json::object{{"$utf16", tagged.content()}});
  }

  Status big_int(Tagged& tagged) {
    TM_TRY(tagged.finish());
    const auto found = big_integer_from(json::object{{"$bigint", tagged.content()}});
    if (!found) return tagged.wrong("is no whole number");
    tag(Tag::kBigInt);
    append_v8_big_int(out_, found->view());
    return {};
  }

  Status date(Tagged& tagged) {
    TM_TRY(tagged.finish());
    std::optional<double> ms = number_from(tagged.content());
    if (const json::string* const text = tagged.content().if_string()) {
      if (const std::optional<int64_t> parsed = parse_time(*text)) ms = static_cast<double>(*parsed);
    }
    if (!ms) return tagged.wrong("is neither a time nor a number");
    add_object();
    tag(Tag::kDate);
    raw_double(*ms);
    return {};
  }

  Status boxed(Tagged& tagged) {
    TM_TRY(tagged.finish());
    const json::value& content = tagged.content();
    add_object();
    if (const bool* const boolean = content.if_bool()) {
      tag(*boolean ? Tag::kTrueObject : Tag::kFalseObject);
    } else if (const std::optional<double> number = number_from(content)) {
      tag(Tag::kNumberObject);
      raw_double(*number);
    } else if (const std::optional<BigInteger> big = big_integer_from(content)) {
      tag(Tag::kBigIntObject);
      append_v8_big_int(out_, big->view());
    } else {
      tag(Tag::kStringObject);
      return inner_string(tagged, content);
    }
    return {};
  }

  Status reg_exp(Tagged& tagged) {
    const json::value* const flags = tagged.take("flags");
    TM_TRY(tagged.finish());
    uint32_t bits = 0;
    if (flags != nullptr) {
      if (!flags->is_string()) return tagged.wrong("has flags that are no string");
      for (const char flag : flags->get_string()) {
        const size_t bit = v8::kRegExpFlags.find(flag);
        if (bit == v8::kRegExpFlags.npos) return tagged.wrong("has a flag that there is not");
        bits |= 1u << bit;
      }
    }
    add_object();
    tag(Tag::kRegExp);
    TM_TRY(inner_string(tagged, tagged.content()));
    varint(bits);
    return {};
  }

  Status reference(Tagged& tagged) {
    TM_TRY(tagged.finish());
    const std::optional<uint32_t> number = uint32_from(tagged.content());
    if (!number || *number >= objects_.size()) return tagged.wrong("names no object that began before it");
    if (objects_[*number].open)
      return tagged.wrong("names an object that could not be read from inside of it");
    tag(Tag::kReference);
    varint(*number);
    return {};
  }

  // --- Buffers and views

  Status array_buffer(Tagged& tagged) {
    const json::value* const max_size = tagged.take("maxByteLength");
    TM_TRY(tagged.finish());
    const json::string* const text = tagged.content().if_string();
    const std::optional<std::string> content = text == nullptr ? std::nullopt : from_base64(*text);
    if (!content) return tagged.wrong("is not base64");
    return new_buffer(tagged, *content, max_size);
  }

  Status new_buffer(const Tagged& tagged, std::string_view content, const json::value* max_size) {
    const auto size = static_cast<uint32_t>(content.size());
    add_object({.is_buffer = true, .resizable = max_size != nullptr, .size = size});
    if (max_size == nullptr) {
      tag(Tag::kArrayBuffer);
      bytes(content);
      return {};
    }
    const std::optional<uint32_t> largest = uint32_from(*max_size);
    if (!largest || *largest < size) return tagged.wrong("has a maxByteLength that cannot be");
    if (version_ < v8::kViewFlags) return tagged.wrong("is resizable, which this version has not");
    tag(Tag::kResizableArrayBuffer);
    varint(size);
    varint(*largest);
    out_.append(content);
    return {};
  }

  Status view(Tagged& tagged, const v8::ViewKind& kind) {
    const json::value& content = tagged.content();
    const json::value* const offset_form = tagged.take("byteOffset");
    const json::value* const size_form = tagged.take("byteLength");
    const bool tracking = is_true(tagged.take("lengthTracking"));
    TM_TRY(tagged.finish());
    size_t number = objects_.size();
    if (const json::string* const text = content.if_string()) {
      const std::optional<std::string> all = from_base64(*text);
      if (!all) return tagged.wrong("is not base64");
      TM_TRY(new_buffer(tagged, *all, nullptr));
    } else {
      const json::object* const object = content.if_object();
      const json::value* const earlier = only(content, "$ref");
      if (object == nullptr || (earlier == nullptr && !object->contains("$arraybuffer"))) {
        return tagged.wrong("is neither base64 nor an $arraybuffer nor a $ref to one");
      }
      TM_TRY(value(content));
      if (earlier != nullptr) number = *uint32_from(*earlier);
    }
    const Object buffer = objects_[number];
    const std::optional<uint32_t> offset = offset_form == nullptr ? 0u : uint32_from(*offset_form);
    if (!buffer.is_buffer || !offset || *offset > buffer.size)
      return tagged.wrong("lies outside of its buffer");
    const std::optional<uint32_t> size =
        size_form == nullptr ? (tracking ? 0 : buffer.size - *offset) : uint32_from(*size_form);
    if (!size || *size > buffer.size - *offset) return tagged.wrong("lies outside of its buffer");
    if (*size % kind.element_bytes != 0 || *offset % kind.element_bytes != 0) {
      return tagged.wrong("has an offset or a length that is not in whole elements");
    }
    if (tracking && !buffer.resizable) return tagged.wrong("tracks the length of a buffer that has but one");
    add_object();
    tag(Tag::kView);
    varint(kind.tag);
    varint(*offset);
    varint(*size);
    if (version_ >= v8::kViewFlags) {
      varint((tracking ? v8::kLengthTracking : 0) | (buffer.resizable ? v8::kBackedByResizable : 0));
    }
    return {};
  }

  Status node_view(Tagged& tagged) {
    const json::value* const content = tagged.take("bytes");
    TM_TRY(tagged.finish());
    const json::string* const name = tagged.content().if_string();
    const json::string* const text = content == nullptr ? nullptr : content->if_string();
    const auto kind =
        name == nullptr ? v8::kNodeViews.end() : std::ranges::find(v8::kNodeViews, std::string_view(*name));
    const std::optional<std::string> all = text == nullptr ? std::nullopt : from_base64(*text);
    if (kind == v8::kNodeViews.end() || !all) return tagged.wrong("is no view of Node with its bytes");
    add_object();
    tag(Tag::kHost);
    varint(static_cast<size_t>(kind - v8::kNodeViews.begin()));
    bytes(*all);
    return {};
  }

  // --- Errors, and what Deno brings back

  Status error(Tagged& tagged) {
    const json::string* const name = tagged.content().if_string();
    const auto kind = name == nullptr
                          ? v8::kErrorKinds.end()
                          : std::ranges::find(v8::kErrorKinds, std::string_view(*name), &v8::ErrorKind::name);
    if (kind == v8::kErrorKinds.end()) return tagged.wrong("is none of the errors that there are");
    const json::value* const message = tagged.take("message");
    const json::value* const stack = tagged.take("stack");
    const json::value* const cause = tagged.take("cause");
    TM_TRY(tagged.finish());
    const bool stack_first = version_ >= v8::kStackBeforeCause;
    const size_t number = add_object({.open = !stack_first});
    tag(Tag::kError);
    if (kind->tag != 0) tag(kind->tag);
    TM_TRY(error_part(tagged, Tag::kErrorMessage, message));
    if (stack_first) TM_TRY(error_part(tagged, Tag::kErrorStack, stack));
    if (cause != nullptr) {
      tag(Tag::kErrorCause);
      TM_TRY(value(*cause));
    }
    if (!stack_first) TM_TRY(error_part(tagged, Tag::kErrorStack, stack));
    tag(Tag::kErrorEnd);
    objects_[number].open = false;
    return {};
  }
  Status error_part(const Tagged& tagged, Tag part, const json::value* text) {
    if (text == nullptr) return {};
    tag(part);
    return inner_string(tagged, *text);
  }

  Status host(Tagged& tagged) {
    TM_TRY(tagged.finish());
    const size_t number = add_object({.open = true});
    tag(Tag::kHost);
    varint(v8::kDenoHost);
    TM_TRY(value(tagged.content()));
    objects_[number].open = false;
    return {};
  }

  struct Kind {
    std::string_view tag;
    Status (Writer::*write)(Tagged&);
  };
  static const std::array<Kind, 18> kKinds;

  const uint32_t version_;
  std::string out_;
  int depth_ = 0;
  std::vector<Object> objects_;
};

const std::array<Writer::Kind, 18> Writer::kKinds = {{{"$undefined", &Writer::undefined},
                                                      {"$hole", &Writer::hole},
                                                      {"$number", &Writer::special_number},
                                                      {"$utf16", &Writer::utf16},
                                                      {"$bigint", &Writer::big_int},
                                                      {"$date", &Writer::date},
                                                      {"$boxed", &Writer::boxed},
                                                      {"$regexp", &Writer::reg_exp},
                                                      {"$ref", &Writer::reference},
                                                      {"$object", &Writer::object},
                                                      {"$array", &Writer::array},
                                                      {"$sparse", &Writer::sparse_array},
                                                      {"$map", &Writer::map},
                                                      {"$set", &Writer::set},
                                                      {"$arraybuffer", &Writer::array_buffer},
                                                      {"$error", &Writer::error},
                                                      {"$host", &Writer::host},
                                                      {"$node", &Writer::node_view}}};

}  // namespace

Result<std::string> v8_from_form(const json::value& form, uint32_t version) {
  if (version < kOldestWritten || version > v8::kNewestVersion) {
    return refuse("version " + std::to_string(version) + " of V8's format cannot be written, only 13 to 16");
  }
  Writer writer(version);
  TM_TRY(writer.value(form));
  return writer.take();
}

}  // namespace tidemark::kv
