// Values: numbers as V8 writes them, stored values, and what sum, min and max make of two of them.
//
// First byte: which. Numbers and stored values that are read must be read as the same when they are written
// again. A mutation that is refused without the stored value is refused with any; one that is done gives a
// value that may be stored.
#include <cmath>
#include <optional>

#include "server/kv/arithmetic.h"
#include "server/kv/v8_number.h"
#include "tests/fuzz/input.h"

namespace tidemark::kv {
namespace {

using fuzz::Exact;
using fuzz::Input;

bool same(const V8Number& a, const V8Number& b) {
  if (a.index() != b.index()) return false;
  if (const double* number = std::get_if<double>(&a))
    return std::isnan(*number)
               ? std::isnan(std::get<double>(b))
               : std::bit_cast<uint64_t>(*number) == std::bit_cast<uint64_t>(std::get<double>(b));
  const auto& left = std::get<BigIntView>(a);
  const auto& right = std::get<BigIntView>(b);
  return left.negative == right.negative && left.magnitude == right.magnitude;
}

std::string encode(const V8Number& number) {
  return std::visit([](auto value) { return encode_v8_number(value); }, number);
}

void read_number(std::string_view bytes) {
  const Exact exact(bytes);
  const auto number = parse_v8_number(exact.view());
  if (!number) return;
  const std::string again = encode(*number);
  const auto back = parse_v8_number(again);
  TM_CHECK(back.has_value() && same(*number, *back));
  TM_CHECK(encode(*back) == again);
  TM_CHECK(again.size() <= bytes.size() + 16);
}

void read_stored(std::string_view bytes) {
  const Exact exact(bytes);
  const auto value = parse_stored_value(exact.view());
  if (!value) {
    TM_CHECK(value.error().code == ErrorCode::kCorruption || value.error().code == ErrorCode::kNewerFormat);
    return;
  }
  TM_CHECK(value->expire_at_ms >= 0 && value->data.size() < bytes.size());
  std::string again;
  append_stored_value(again, *value);
  TM_CHECK(again.size() <= bytes.size());
  const auto back = parse_stored_value(again);
  TM_CHECK(back.has_value() && back->encoding == value->encoding && back->data == value->data &&
           back->expire_at_ms == value->expire_at_ms);
}

// What a refusal may be.
template <class T>
bool refused(const Result<T>& result) {
  if (result.has_value()) return false;
  TM_CHECK(result.error().code == ErrorCode::kInvalidArgument && !result.error().message.empty());
  return true;
}

void check_result(const ArithmeticResult& result) {
  std::string stored;
  append_stored_value(stored, {result.encoding, 0, result.data});
  TM_CHECK(parse_stored_value(stored).has_value());
  if (result.encoding == Encoding::kV8) TM_CHECK(parse_v8_number(result.data).has_value());
}

void calculate(Input input) {
  constexpr MutationType kTypes[] = {MutationType::kSum, MutationType::kSum, MutationType::kMin,
                                     MutationType::kMax};
  const uint8_t form = input.u8(), encodings = input.u8();
  const auto encoding = [](unsigned bits) { return static_cast<Encoding>(1 + bits % 3); };
  std::vector<std::string_view> parts = fuzz::split(input.rest());
  parts.resize(4);
  ArithmeticMutation mutation;
  mutation.type = kTypes[form & 3];
  mutation.encoding = encoding(encodings & 15u);
  mutation.operand = parts[0];
  mutation.sum_min = parts[2];
  mutation.sum_max = parts[3];
  mutation.sum_clamp = (form & 4) != 0;
  std::optional<StoredValue> stored;
  if ((form & 8) == 0) {
    stored = StoredValue{encoding(encodings >> 4), 0, parts[1]};
    // As parse_stored_value gives it.
    if (stored->encoding == Encoding::kLe64 && stored->data.size() != kLe64Bytes) stored.reset();
  }

  const bool illegal = refused(check_arithmetic(mutation));
  const Result<ArithmeticResult> result = apply_arithmetic(mutation, stored);
  TM_CHECK(!illegal || !result.has_value());
  if (refused(result)) return;
  check_result(*result);
  if (!stored) {
    TM_CHECK(result->encoding == mutation.encoding);
    return;
  }
  if (stored->encoding != mutation.encoding || !mutation.sum_min.empty() || !mutation.sum_max.empty()) return;
  // Without bounds it does not matter which of the two was there first.
  ArithmeticMutation swapped = mutation;
  swapped.operand = stored->data;
  const auto other = apply_arithmetic(swapped, StoredValue{mutation.encoding, 0, mutation.operand});
  TM_CHECK(other.has_value() && other->encoding == result->encoding && other->data == result->data);
}

}  // namespace
}  // namespace tidemark::kv

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tidemark::fuzz::Input input(data, size);
  switch (input.u8() % 3) {
    case 0:
      tidemark::kv::read_number(input.rest());
      break;
    case 1:
      tidemark::kv::read_stored(input.rest());
      break;
    default:
      tidemark::kv::calculate(input);
      break;
  }
  return 0;
}
