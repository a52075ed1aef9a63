// V8's ValueSerializer format, versions 9 to 16: what the reader and the writer of values share. From the
// sources of V8 (src/objects/value-serializer.cc), where stored numbers never change their meaning.
//
//   FF, varint version, one value
//
//   value                            tag, then
//     undefined null true false      _  0  T  F
//     int32, uint32, double          I zigzag varint;  U varint;  N 8 bytes
//     BigInt                         Z v8_number.h
//     string                         " size, Latin-1;  c size in bytes, UTF-16, at an even offset, for which
//     a
//                                    00 may stand before the tag;  S size, UTF-8
//     object                         o (key value)*  { count
//     array, dense                   A length  value or - (hole)...  (key value)*  $ count length
//     array, sparse                  a length  (key value)*  @ count length
//     Date                           D 8 bytes, a double: milliseconds since 1970
//     boxed                          y (true)  x (false)  n 8 bytes  z as Z  s string
//     RegExp                         R string, flags
//     Map, Set                       ; (key value)*  : 2 * count         ' value*  , count
//     ArrayBuffer                    B size, bytes;  resizable: ~ size, largest size, bytes
//     view                           an ArrayBuffer or a reference to one, then V kind offset size flags
//     Error                          r, then in any order: kind;  m string;  s string;  c value;  at the end
//     . earlier object                 ^ its number what only the host knows       \ then as the host likes
//
// Sizes, counts and numbers are varints. Objects (all but the primitives) are numbered from 0 as they begin;
// of a view, the buffer comes before it. Version 12 brought tags to the strings inside of RegExp, boxed and
// Error, which were UTF-8 without one; 14 the flags of views; 16 Float16Array, and the stack of an Error
// before its cause. Before 11, undefined in a dense array was a hole.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tidemark::kv::v8 {

inline constexpr uint32_t kOldestVersion = 9;
inline constexpr uint32_t kNewestVersion = 16;
inline constexpr uint32_t kTaggedInnerStrings = 12;
inline constexpr uint32_t kViewFlags = 14;
inline constexpr uint32_t kStackBeforeCause = 16;
inline constexpr uint32_t kUndefinedIsNoHole = 11;

enum Tag : uint8_t {
  kPadding = 0,
  kVersion = 0xff,
  kVerifyObjectCount = '?',  // a varint follows, which is ignored; nobody writes it any more
  kHole = '-',
  kUndefined = '_',
  kNull = '0',
  kTrue = 'T',
  kFalse = 'F',
  kInt32 = 'I',
  kUint32 = 'U',
  kDouble = 'N',
  kBigInt = 'Z',
  kUtf8String = 'S',
  kOneByteString = '"',
  kTwoByteString = 'c',
  kReference = '^',
  kObject = 'o',
  kObjectEnd = '{',
  kSparseArray = 'a',
  kSparseArrayEnd = '@',
  kDenseArray = 'A',
  kDenseArrayEnd = '$',
  kDate = 'D',
  kTrueObject = 'y',
  kFalseObject = 'x',
  kNumberObject = 'n',
  kBigIntObject = 'z',
  kStringObject = 's',
  kRegExp = 'R',
  kMap = ';',
  kMapEnd = ':',
  kSet = '\'',
  kSetEnd = ',',
  kArrayBuffer = 'B',
  kResizableArrayBuffer = '~',
  kView = 'V',
  kError = 'r',
  kHost = '\\',
  // Within an Error.
  kErrorMessage = 'm',
  kErrorStack = 's',
  kErrorCause = 'c',
  kErrorEnd = '.',
};

// What a host object of Deno starts with (Deno.core's "cloneable" objects: DOMException, Blob and such); a
// value follows. Node writes the kind of a view there instead.
inline constexpr uint32_t kDenoHost = 0xffffffff;

struct ViewKind {
  uint8_t tag;
  uint8_t element_bytes;
  std::string_view form;  // its tag in the form for people
};
inline constexpr std::array<ViewKind, 13> kViewKinds = {{{'b', 1, "$int8array"},
                                                         {'B', 1, "$uint8array"},
                                                         {'C', 1, "$uint8clampedarray"},
                                                         {'w', 2, "$int16array"},
                                                         {'W', 2, "$uint16array"},
                                                         {'d', 4, "$int32array"},
                                                         {'D', 4, "$uint32array"},
                                                         {'h', 2, "$float16array"},
                                                         {'f', 4, "$float32array"},
                                                         {'F', 8, "$float64array"},
                                                         {'q', 8, "$bigint64array"},
                                                         {'Q', 8, "$biguint64array"},
                                                         {'?', 1, "$dataview"}}};
inline constexpr uint32_t kLengthTracking = 1;
inline constexpr uint32_t kBackedByResizable = 2;

// By the number that Node's v8.serialize() writes.
inline constexpr std::array<std::string_view, 13> kNodeViews = {
    "Int8Array",  "Uint8Array",    "Uint8ClampedArray", "Int16Array",   "Uint16Array",
    "Int32Array", "Uint32Array",   "Float32Array",      "Float64Array", "DataView",
    "Buffer",     "BigInt64Array", "BigUint64Array"};

struct ErrorKind {
  uint8_t tag;  // 0: none is written
  std::string_view name;
};
inline constexpr std::array<ErrorKind, 7> kErrorKinds = {{{0, "Error"},
                                                          {'E', "EvalError"},
                                                          {'R', "RangeError"},
                                                          {'F', "ReferenceError"},
                                                          {'S', "SyntaxError"},
                                                          {'T', "TypeError"},
                                                          {'U', "URIError"}}};

// Bit i of a RegExp's flags. 'l' is V8's own.
inline constexpr std::string_view kRegExpFlags = "gimyusldv";

// Nested objects beyond this are not shown, and not made.
inline constexpr int kMaxDepth = 200;
// What the form of kMaxDepth nested objects may take in JSON: a Map three levels for each.
inline constexpr int kMaxFormDepth = 3 * kMaxDepth + 8;

// The largest index of an array; a property named by a larger number is an ordinary one.
inline constexpr uint32_t kMaxIndex = 0xfffffffe;

inline const ViewKind* view_kind(uint32_t tag) {
  const auto found = std::ranges::find(kViewKinds, tag, &ViewKind::tag);
  return found == kViewKinds.end() ? nullptr : &*found;
}

// Not for the tag 0.
inline const ErrorKind* error_kind(uint32_t tag) {
  const auto found = std::ranges::find(kErrorKinds, tag, &ErrorKind::tag);
  return tag == 0 || found == kErrorKinds.end() ? nullptr : &*found;
}

// The index that a property's name is, written the one way in which it is an index.
inline std::optional<uint32_t> index_from_name(std::string_view name) {
  uint32_t index = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
  const bool whole = error == std::errc() && end == name.data() + name.size();
  if (!whole || index > kMaxIndex || (name.front() == '0' && name.size() > 1)) return std::nullopt;
  return index;
}

}  // namespace tidemark::kv::v8
