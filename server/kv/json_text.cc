// The reader is Boost's parser with a handler of our own, which takes doubles from the text of the number.
#include "server/kv/json_text.h"

#include <array>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/value_stack.hpp>
#include <charconv>
#include <cmath>

#include "engine/base/check.h"
#include "engine/base/hex.h"

namespace tidemark::kv {
namespace {

namespace json = boost::json;

// Which bytes cannot stand in a string as they are.
constexpr std::array<bool, 256> kEscaped = [] {
  std::array<bool, 256> escaped{};
  for (size_t byte = 0; byte < escaped.size(); ++byte)
    escaped[byte] = byte < 0x20 || byte == 0x7f || byte == '"' || byte == '\\';
  return escaped;
}();

void append_escaped(std::string& out, char c) {
  switch (c) {
    case '"':
    case '\\':
      out.push_back('\\');
      out.push_back(c);
      break;
    case '\n':
      out += "\\n";
      break;
    case '\t':
      out += "\\t";
      break;
    case '\r':
      out += "\\r";
      break;
    default:
      out += "\\u00";
      append_hex(out, static_cast<uint8_t>(c));
  }
}

void append_string(std::string& out, std::string_view text) {
  out.push_back('"');
  while (!text.empty()) {
    size_t plain = 0;
    while (plain < text.size() && !kEscaped[static_cast<uint8_t>(text[plain])]) ++plain;
    out.append(text.substr(0, plain));
    if (plain == text.size()) break;
    append_escaped(out, text[plain]);
    text.remove_prefix(plain + 1);
  }
  out.push_back('"');
}

// Without an exponent where JavaScript writes none either.
void append_double(std::string& out, double number) {
  TM_CHECK(std::isfinite(number));
  char text[64];
  const double size = std::abs(number);
  const bool plain = size == 0 || (size >= 1e-7 && size < 1e21);
  const auto [end, error] = std::to_chars(text, text + sizeof text, number,
                                          plain ? std::chars_format::fixed : std::chars_format::scientific);
  TM_CHECK(error == std::errc());
  const std::string_view digits(text, static_cast<size_t>(end - text));
  out += digits;
  if (digits.find_first_of(".e") == digits.npos) out += ".0";
}

template <class Number>
void append_whole(std::string& out, Number number) {
  char text[24];
  out.append(text, std::to_chars(text, text + sizeof text, number).ptr);
}

struct Handler {
  static constexpr size_t max_object_size = static_cast<size_t>(-1);
  static constexpr size_t max_array_size = static_cast<size_t>(-1);
  static constexpr size_t max_key_size = static_cast<size_t>(-1);
  static constexpr size_t max_string_size = static_cast<size_t>(-1);

  json::value_stack stack;
  std::string number;  // the parts of one that came before its last
  bool out_of_range = false;

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_array_begin(json::error_code&) { return true; }
  bool on_array_end(size_t size, json::error_code&) {
    stack.push_array(size);
    return true;
  }
  bool on_object_begin(json::error_code&) { return true; }
  bool on_object_end(size_t size, json::error_code&) {
    stack.push_object(size);
    return true;
  }
  bool on_string_part(json::string_view part, size_t, json::error_code&) {
    stack.push_chars(part);
    return true;
  }
  bool on_string(json::string_view part, size_t, json::error_code&) {
    stack.push_string(part);
    return true;
  }
  bool on_key_part(json::string_view part, size_t, json::error_code&) {
    stack.push_chars(part);
    return true;
  }
  bool on_key(json::string_view part, size_t, json::error_code&) {
    stack.push_key(part);
    return true;
  }
  bool on_number_part(json::string_view part, json::error_code&) {
    number.append(part.data(), part.size());
    return true;
  }
  bool on_int64(int64_t value, json::string_view text, json::error_code& error) {
    // JavaScript tells them apart.
    if (value == 0 && (number + std::string(text)).front() == '-') return on_double(-0.0, text, error);
    number.clear();
    stack.push_int64(value);
    return true;
  }
  bool on_uint64(uint64_t value, json::string_view, json::error_code&) {
    number.clear();
    stack.push_uint64(value);
    return true;
  }
  bool on_double(double rough, json::string_view last, json::error_code& error) {
    number.append(last.data(), last.size());
    double value = 0;
    const auto [end, failed] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (failed == std::errc::result_out_of_range) {
      // Too small is zero, as everywhere; only what is too large has no double.
      out_of_range = std::abs(rough) > 1;
      value = number.front() == '-' ? -0.0 : 0.0;
    } else {
      TM_CHECK(failed == std::errc() && end == number.data() + number.size());
    }
    number.clear();
    if (out_of_range) {
      error = json::error::exponent_overflow;
      return false;
    }
    stack.push_double(value);
    return true;
  }
  bool on_bool(bool value, json::error_code&) {
    stack.push_bool(value);
    return true;
  }
  bool on_null(json::error_code&) {
    stack.push_null();
    return true;
  }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }
};

std::unexpected<Error> refuse(std::string what) {
  return fail(ErrorCode::kInvalidArgument, std::move(what));
}

}  // namespace

void append_json(std::string& out, const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      out += "null";
      break;
    case json::kind::bool_:
      out += value.get_bool() ? "true" : "false";
      break;
    case json::kind::int64:
      append_whole(out, value.get_int64());
      break;
    case json::kind::uint64:
      append_whole(out, value.get_uint64());
      break;
    case json::kind::double_:
      append_double(out, value.get_double());
      break;
    case json::kind::string:
      append_string(out, value.get_string());
      break;
    case json::kind::array: {
      char before = '[';
      for (const json::value& item : value.get_array()) {
        out.push_back(before);
        append_json(out, item);
        before = ',';
      }
      out += before == '[' ? "[]" : "]";
      break;
    }
    case json::kind::object: {
      char before = '{';
      for (const json::key_value_pair& member : value.get_object()) {
        out.push_back(before);
        append_string(out, member.key());
        out.push_back(':');
        append_json(out, member.value());
        before = ',';
      }
      out += before == '{' ? "{}" : "}";
      break;
    }
  }
}

std::string to_json(const json::value& value) {
  std::string out;
  append_json(out, value);
  return out;
}

Result<json::value> parse_json(std::string_view text, size_t max_depth) {
  json::parse_options options;
  options.max_depth = max_depth;
  json::basic_parser<Handler> parser(options);
  parser.handler().stack.reset();
  json::error_code error;
  const size_t used = parser.write_some(false, text.data(), text.size(), error);
  if (!error && used < text.size()) error = json::error::extra_data;
  if (!error) return parser.handler().stack.release();
  if (parser.handler().out_of_range) return refuse("a number in it is larger than any that there is");
  if (error == json::error::too_deep) {
    return refuse("it is nested more than " + std::to_string(max_depth) + " deep");
  }
  if (error == json::error::incomplete) return refuse("it is cut short");
  return refuse("it is no JSON: " + error.message() + " at byte " + std::to_string(used + 1));
}

}  // namespace tidemark::kv
