// One pass, recursing into what is nested. After the first thing that is wrong the ByteReader gives zeros and
// nothing is looked at any more: all loops end when it is not ok().
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

// Holes that are shown as such, beyond one for each element: an array may be long and have little in it.
constexpr size_t kSpareHoles = 16;

json::value tagged(std::string_view tag, json::value content) {
  json::object out;
  out.emplace(tag, std::move(content));
  return out;
}

json::value number_form(double number) {
  if (std::isnan(number)) return tagged("$number", "NaN");
  if (std::isinf(number)) return tagged("$number", number < 0 ? "-Infinity" : "Infinity");
  return number;
}

json::value big_int_form(BigIntView number) {
  return tagged("$bigint", json::value(to_text(number)));
}

class Reader {
 public:
  Reader(std::string_view bytes, uint32_t version) : reader_(bytes), version_(version) {}

  // Nothing if it is not all of the bytes.
  std::optional<json::value> whole() {
    json::value out = value();
    if (!reader_.ok() || !reader_.at_end()) return std::nullopt;
    return out;
  }

 private:
  struct Object {
    bool is_buffer = false;
    bool resizable = false;
    uint32_t size = 0;
  };
  struct Pair {
    json::value key;
    json::value value;
  };
  using Pairs = std::vector<Pair>;

  uint8_t tag() {
    uint8_t tag;
    do {
      tag = reader_.u8();
    } while (tag == Tag::kPadding && reader_.ok());
    return tag;
  }
  // The next tag stays where it is.
  uint8_t peek() {
    const ByteReader here = reader_;
    const uint8_t next = tag();
    const bool there = reader_.ok();
    reader_ = here;
    return there ? next : uint8_t{Tag::kPadding};
  }
  bool next_is(Tag wanted) {
    if (!reader_.ok() || peek() != wanted) return false;
    tag();
    return true;
  }
  uint32_t varint() { return read_v8_varint(reader_); }
  double number() { return std::bit_cast<double>(reader_.le64()); }
  json::value reject() {
    reader_.reject();
    return nullptr;
  }
  Object& add_object() { return objects_.emplace_back(); }

  json::value value() {
    if (depth_ == v8::kMaxDepth) return reject();
    ++depth_;
    json::value out = value_of(tag());
    --depth_;
    return out;
  }

  json::value value_of(uint8_t tag) {
    while (tag == Tag::kVerifyObjectCount && reader_.ok()) {
      varint();
      tag = this->tag();
    }
    switch (tag) {
      case Tag::kUndefined:
        return tagged("$undefined", true);
      case Tag::kNull:
        return nullptr;
      case Tag::kTrue:
        return true;
      case Tag::kFalse:
        return false;
      case Tag::kInt32:
      case Tag::kUint32:
      case Tag::kDouble:
        return number_of(tag);
      case Tag::kBigInt:
        return big_int_form(read_v8_big_int(reader_));
      case Tag::kUtf8String:
      case Tag::kOneByteString:
      case Tag::kTwoByteString:
        return string_of(tag);
      case Tag::kReference:
        return reference();
      case Tag::kObject:
        return object();
      case Tag::kDenseArray:
        return dense_array();
      case Tag::kSparseArray:
        return sparse_array();
      case Tag::kDate:
        return date();
      case Tag::kTrueObject:
      case Tag::kFalseObject:
      case Tag::kNumberObject:
      case Tag::kBigIntObject:
      case Tag::kStringObject:
        return boxed(tag);
      case Tag::kRegExp:
        return reg_exp();
      case Tag::kMap:
        return map();
      case Tag::kSet:
        return set();
      case Tag::kArrayBuffer:
      case Tag::kResizableArrayBuffer:
        return buffer(tag == Tag::kResizableArrayBuffer);
      case Tag::kError:
        return error();
      case Tag::kHost:
        return host();
      default:
        return reject();
    }
  }

  json::value number_of(uint8_t tag) {
    if (tag == Tag::kDouble) return number_form(number());
    const uint32_t bits = varint();
    if (tag == Tag::kUint32) return int64_t{bits};
    return int64_t{static_cast<int32_t>((bits >> 1) ^ (0 - (bits & 1)))};
  }

  json::value string_of(uint8_t tag) {
    const std::string_view bytes = reader_.raw(varint());
    if (tag == Tag::kOneByteString)
      return is_ascii(bytes) ? json::value(bytes) : json::value(latin1_to_utf8(bytes));
    if (tag == Tag::kUtf8String) return is_utf8(bytes) ? json::value(bytes) : reject();
    if (bytes.size() % 2 != 0) return reject();
    if (auto text = utf16_to_utf8(bytes)) return json::value(*text);
    return tagged("$utf16", json::value(base64(bytes)));
  }

  json::value inner_string() {
    if (version_ < v8::kTaggedInnerStrings) return string_of(Tag::kUtf8String);
    const uint8_t tag = this->tag();
    const bool is_string =
        tag == Tag::kUtf8String || tag == Tag::kOneByteString || tag == Tag::kTwoByteString;
    return is_string ? string_of(tag) : reject();
  }

  json::value reference() {
    const uint32_t number = varint();
    if (number >= objects_.size()) return reject();
    json::value out = tagged("$ref", int64_t{number});
    return objects_[number].is_buffer ? maybe_view(std::move(out), {}, objects_[number]) : out;
  }

  // Properties up to `end`, and the count behind it.
  Pairs properties(Tag end) {
    Pairs out;
    while (reader_.ok() && !next_is(end)) {
      Pair& pair = out.emplace_back();
      const uint8_t tag = this->tag();
      switch (tag) {
        case Tag::kInt32:
        case Tag::kUint32:
        case Tag::kDouble:
          pair.key = number_of(tag);
          break;
        case Tag::kUtf8String:
        case Tag::kOneByteString:
        case Tag::kTwoByteString:
          pair.key = string_of(tag);
          break;
        default:
          reject();
      }
      pair.value = value();
    }
    if (varint() != out.size()) reject();
    return out;
  }

  static json::value as_array(Pairs pairs) {
    json::array out;
    out.reserve(pairs.size());
    for (Pair& pair : pairs) {
      json::array one;
      one.reserve(2);
      one.push_back(std::move(pair.key));
      one.push_back(std::move(pair.value));
      out.push_back(std::move(one));
    }
    return out;
  }

  json::value object() {
    add_object();
    Pairs pairs = properties(Tag::kObjectEnd);
    if (!reader_.ok()) return nullptr;
    // As itself, if writing that gives these very keys again: indexes in their order, then names.
    json::object out;
    out.reserve(pairs.size());
    int64_t last_index = -1;
    bool names_began = false;
    for (const Pair& pair : pairs) {
      bool fits = false;
      std::string_view key;
      std::string digits;
      if (const json::string* name = pair.key.if_string()) {
        key = *name;
        fits = !key.starts_with('$') && !v8::index_from_name(key);
        names_began = true;
      } else if (const std::optional<uint32_t> index = index_of(pair.key)) {
        key = digits = std::to_string(*index);
        fits = !names_began && *index > last_index;
        last_index = *index;
      }
      if (!fits || !out.emplace(key, nullptr).second) return tagged("$object", as_array(std::move(pairs)));
    }
    auto pair = pairs.begin();
    for (json::key_value_pair& member : out) member.value() = std::move((pair++)->value);
    return out;
  }

  // Of a key that was written the way V8 writes an index.
  static std::optional<uint32_t> index_of(const json::value& key) {
    constexpr double kFirstAsDouble = double{std::numeric_limits<int32_t>::max()} + 1;
    if (const int64_t* number = key.if_int64()) {
      if (*number >= 0 && *number <= std::numeric_limits<int32_t>::max())
        return static_cast<uint32_t>(*number);
    } else if (const double* large = key.if_double()) {
      if (*large >= kFirstAsDouble && *large <= v8::kMaxIndex && std::trunc(*large) == *large) {
        return static_cast<uint32_t>(*large);
      }
    }
    return std::nullopt;
  }

  json::value dense_array() {
    const uint32_t length = varint();
    if (length > reader_.remaining()) return reject();
    add_object();
    json::array items;
    for (uint32_t i = 0; i < length && reader_.ok(); ++i)
      items.push_back(next_is(Tag::kHole) ? tagged("$hole", true) : value());
    Pairs more = properties(Tag::kDenseArrayEnd);
    if (varint() != length) return reject();
    if (more.empty()) return items;
    json::object out;
    out.emplace("$array", std::move(items));
    out.emplace("properties", as_array(std::move(more)));
    return out;
  }

  json::value sparse_array() {
    const uint32_t length = varint();
    add_object();
    Pairs pairs = properties(Tag::kSparseArrayEnd);
    if (varint() != length || !reader_.ok()) return reject();
    // The elements that come first, in their order and without large gaps, are shown as a list.
    json::array items;
    Pairs more;
    size_t holes = 0;
    for (Pair& pair : pairs) {
      const std::optional<uint32_t> index = more.empty() ? index_of(pair.key) : std::nullopt;
      const size_t gap = index && *index >= items.size() ? *index - items.size() : SIZE_MAX;
      if (!index || *index >= length || gap > kSpareHoles + items.size() - 2 * holes) {
        more.push_back(std::move(pair));
        continue;
      }
      holes += gap;
      for (size_t i = 0; i < gap; ++i) items.push_back(tagged("$hole", true));
      items.push_back(std::move(pair.value));
    }
    json::object out;
    const bool all = items.size() == length;
    out.emplace("$sparse", std::move(items));
    if (!all) out.emplace("length", int64_t{length});
    if (!more.empty()) out.emplace("properties", as_array(std::move(more)));
    return out;
  }

  json::value date() {
    const double ms = number();
    add_object();
    const bool as_text =
        ms >= kFirstTextMs && ms <= kLastTextMs && std::trunc(ms) == ms && !(ms == 0 && std::signbit(ms));
    return tagged("$date", as_text ? json::value(format_time(static_cast<int64_t>(ms))) : number_form(ms));
  }

  json::value boxed(uint8_t tag) {
    add_object();
    switch (tag) {
      case Tag::kTrueObject:
      case Tag::kFalseObject:
        return tagged("$boxed", tag == Tag::kTrueObject);
      case Tag::kNumberObject:
        return tagged("$boxed", number_form(number()));
      case Tag::kBigIntObject:
        return tagged("$boxed", big_int_form(read_v8_big_int(reader_)));
      default:
        return tagged("$boxed", inner_string());
    }
  }

  json::value reg_exp() {
    add_object();
    json::object out;
    out.emplace("$regexp", inner_string());
    const uint32_t bits = varint();
    if (bits >> v8::kRegExpFlags.size() != 0) return reject();
    std::string flags;
    for (size_t i = 0; i < v8::kRegExpFlags.size(); ++i)
      if ((bits >> i & 1) != 0) flags.push_back(v8::kRegExpFlags[i]);
    out.emplace("flags", flags);
    return out;
  }

  json::value map() {
    add_object();
    Pairs pairs;
    while (reader_.ok() && !next_is(Tag::kMapEnd)) {
      Pair& pair = pairs.emplace_back();
      pair.key = value();
      pair.value = value();
    }
    if (varint() != 2 * pairs.size()) return reject();
    return tagged("$map", as_array(std::move(pairs)));
  }

  json::value set() {
    add_object();
    json::array items;
    while (reader_.ok() && !next_is(Tag::kSetEnd)) items.push_back(value());
    if (varint() != items.size()) return reject();
    return tagged("$set", std::move(items));
  }

  json::value buffer(bool resizable) {
    Object object{.is_buffer = true, .resizable = resizable, .size = varint()};
    const uint32_t max_size = resizable ? varint() : object.size;
    const std::string_view bytes = reader_.raw(object.size);
    if (!reader_.ok() || max_size < object.size) return reject();
    add_object() = object;
    json::object out;
    out.emplace("$arraybuffer", base64(bytes));
    if (resizable) out.emplace("maxByteLength", int64_t{max_size});
    return maybe_view(std::move(out), bytes, object);
  }

  // The view of a buffer, if there is one behind it; else the buffer. `bytes`: of a buffer that began here.
  json::value maybe_view(json::value buffer, std::optional<std::string_view> bytes, Object object) {
    if (!next_is(Tag::kView)) return buffer;
    const uint32_t tag = varint(), offset = varint(), size = varint();
    const uint32_t flags = version_ >= v8::kViewFlags ? varint() : 0;
    const v8::ViewKind* const kind = v8::view_kind(tag);
    if (kind == nullptr || offset > object.size || size > object.size - offset ||
        offset % kind->element_bytes != 0 || size % kind->element_bytes != 0) {
      return reject();
    }
    const bool tracking = (flags & v8::kLengthTracking) != 0;
    if (((flags & v8::kBackedByResizable) != 0) != object.resizable || (tracking && !object.resizable) ||
        flags > (v8::kLengthTracking | v8::kBackedByResizable)) {
      return reject();
    }
    add_object();
    if (bytes && !object.resizable && offset == 0 && size == object.size) {
      return tagged(kind->form, json::value(base64(*bytes)));
    }
    json::object out;
    out.emplace(kind->form, std::move(buffer));
    out.emplace("byteOffset", int64_t{offset});
    // V8 writes 0 for a length that is that of the buffer.
    if (!tracking || size != 0) out.emplace("byteLength", int64_t{size});
    if (tracking) out.emplace("lengthTracking", true);
    return out;
  }

  json::value error() {
    add_object();
    std::string_view name = v8::kErrorKinds.front().name;
    std::optional<json::value> message, stack, cause;
    const auto set = [&](std::optional<json::value>& part, json::value content) {
      if (part) reject();
      part = std::move(content);
    };
    for (uint32_t tag = varint(); tag != Tag::kErrorEnd && reader_.ok(); tag = varint()) {
      if (tag == Tag::kErrorMessage) {
        set(message, inner_string());
      } else if (tag == Tag::kErrorStack) {
        set(stack, inner_string());
      } else if (tag == Tag::kErrorCause) {
        set(cause, value());
      } else if (const v8::ErrorKind* const kind = v8::error_kind(tag)) {
        name = kind->name;
      } else {
        reject();
      }
    }
    json::object out;
    out.emplace("$error", name);
    if (message) out.emplace("message", std::move(*message));
    if (stack) out.emplace("stack", std::move(*stack));
    if (cause) out.emplace("cause", std::move(*cause));
    return out;
  }

  json::value host() {
    add_object();
    const uint32_t kind = varint();
    if (kind == v8::kDenoHost) return tagged("$host", value());
    if (kind >= v8::kNodeViews.size()) return reject();
    const std::string_view bytes = reader_.raw(varint());
    json::object out;
    out.emplace("$node", v8::kNodeViews[kind]);
    out.emplace("bytes", base64(bytes));
    return out;
  }

  ByteReader reader_;
  const uint32_t version_;
  int depth_ = 0;
  std::vector<Object> objects_;
};

}  // namespace

std::optional<V8Form> v8_to_form(std::string_view bytes) {
  ByteReader header(bytes);
  const uint8_t tag = header.u8();
  const uint32_t version = read_v8_varint(header);
  if (!header.ok() || tag != Tag::kVersion || version < v8::kOldestVersion || version > v8::kNewestVersion) {
    return std::nullopt;
  }
  std::optional<json::value> form = Reader(header.raw(header.remaining()), version).whole();
  if (!form) return std::nullopt;
  return V8Form{std::move(*form), version};
}

}  // namespace tidemark::kv
