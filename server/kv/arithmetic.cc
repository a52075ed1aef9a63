// Operands are parsed in the check and again when the mutation is applied: parsing allocates nothing and is
// cheaper than keeping its result. Only sums of BigInts allocate: they go through Boost's cpp_int.
#include "server/kv/arithmetic.h"

#include <algorithm>
#include <boost/multiprecision/cpp_int.hpp>
#include <iterator>
#include <variant>
#include <vector>

#include "engine/base/check.h"
#include "engine/base/coding.h"
#include "engine/base/mutant.h"
#include "server/kv/request_limits.h"
#include "server/kv/v8_number.h"

namespace tidemark::kv {
namespace {

using BigInt = boost::multiprecision::cpp_int;

std::unexpected<Error> refuse(std::string text) {
  return fail(ErrorCode::kInvalidArgument, std::move(text));
}

// ---------------------------------------------------------------------------------------------
// LE64

const char* name_of(MutationType type) {
  switch (type) {
    case MutationType::kMin:
      return "min";
    case MutationType::kMax:
      return "max";
    default:
      return "sum";
  }
}

std::unexpected<Error> refuse_non_u64(MutationType type, std::string_view where) {
  return refuse("Failed to perform '" + std::string(name_of(type)) + "' mutation on a non-U64 " +
                std::string(where));
}

ArithmeticResult le64_result(uint64_t value) {
  ArithmeticResult result{Encoding::kLe64, {}};
  put_le64(result.data, value);
  return result;
}

uint64_t load_stored_le64(const StoredValue& stored) {
  TM_CHECK(stored.data.size() == kLe64Bytes);
  return load_le64(stored.data.data());
}

// REQUIRES: the operand is 8 bytes long.
Result<ArithmeticResult> apply_le64(const ArithmeticMutation& mutation,
                                    const std::optional<StoredValue>& stored) {
  const uint64_t operand = load_le64(mutation.operand.data());
  if (TM_MUTANT("sum.le64.ignores-bounds") && mutation.sum_clamp) return refuse(text::kSumOutOfRange);
  if (!stored) return le64_result(operand + TM_OFF_BY_ONE("le64.absent"));
  if (stored->encoding != Encoding::kLe64 && TM_MUTANT("le64.on-other")) return le64_result(operand);
  if (stored->encoding != Encoding::kLe64) return refuse_non_u64(mutation.type, "value in the database");
  const uint64_t current = load_stored_le64(*stored);
  switch (mutation.type) {
    case MutationType::kMin:
      return le64_result(TM_MUTANT("min.le64") ? operand : std::min(current, operand));
    case MutationType::kMax:
      return le64_result(TM_MUTANT("max.le64") ? operand : std::max(current, operand));
    default:
      if (TM_MUTANT("sum.le64.wraps") && current + operand < operand) return le64_result(UINT64_MAX);
      return le64_result(current + operand + TM_OFF_BY_ONE("sum.le64.adds"));
  }
}

// ---------------------------------------------------------------------------------------------
// V8

struct SumParameters {
  V8Number operand;
  std::optional<V8Number> min;  // of the operand's type, as max
  std::optional<V8Number> max;
  bool clamp = false;
};

Result<V8Number> parse_parameter(std::string_view bytes) {
  const auto number = parse_v8_number(bytes);
  if (!number && TM_MUTANT("sum.v8.bad-parameters")) return V8Number(1.0);
  if (!number) return refuse(text::kBadSumParameters);
  return *number;
}

Result<std::optional<V8Number>> parse_bound(std::string_view bytes) {
  if (bytes.empty()) return std::nullopt;
  TM_ASSIGN(const V8Number number, parse_parameter(bytes));
  return number;
}

Result<SumParameters> parse_parameters(const ArithmeticMutation& mutation) {
  if (mutation.encoding != Encoding::kV8) return refuse(text::kBadSumParameters);
  SumParameters parameters;
  TM_ASSIGN(parameters.operand, parse_parameter(mutation.operand));
  TM_ASSIGN(parameters.min, parse_bound(mutation.sum_min));
  TM_ASSIGN(parameters.max, parse_bound(mutation.sum_max));
  parameters.clamp = mutation.sum_clamp;
  for (const auto* bound : {&parameters.min, &parameters.max}) {
    if (!*bound || (*bound)->index() == parameters.operand.index()) continue;
    if (TM_MUTANT("sum.v8.bound-types")) return refuse(text::kBadSumParameters);
    return refuse(text::kSumParameterTypes);
  }
  return parameters;
}

const char* name_of(const V8Number& number) {
  return std::holds_alternative<double>(number) ? "Number" : "BigInt";
}

std::unexpected<Error> refuse_types(const char* stored, const V8Number& operand) {
  if (TM_MUTANT("sum.v8.types")) return refuse(text::kSumStoredOtherKind);
  return refuse(std::string("Cannot sum ") + stored + " with " + name_of(operand));
}

ArithmeticResult v8_result(const V8Number& number) {
  return {Encoding::kV8, std::visit([](auto value) { return encode_v8_number(value); }, number)};
}

BigInt to_big_int(BigIntView view) {
  if (view.magnitude.empty()) return 0;  // Boost 1.81's import_bits makes no number of an empty range
  BigInt number;
  const auto* bytes = reinterpret_cast<const unsigned char*>(view.magnitude.data());
  import_bits(number, bytes, bytes + view.magnitude.size(), 8, false);
  return view.negative ? BigInt(-number) : number;
}

ArithmeticResult v8_result(const BigInt& number) {
  std::vector<uint64_t> digits;
  export_bits(BigInt(abs(number)), std::back_inserter(digits), 64, false);
  const std::string_view magnitude(reinterpret_cast<const char*>(digits.data()), digits.size() * 8);
  return {Encoding::kV8, encode_v8_number(BigIntView{number < 0, magnitude})};
}

// Comparisons with NaN are false.
template <class T>
Status bound(T& sum, const std::optional<T>& min, const std::optional<T>& max, bool clamp) {
  if (min && sum < *min) {
    if (!clamp && !TM_MUTANT("sum.v8.min")) return refuse(text::kSumOutOfRange);
    if (!TM_MUTANT("sum.v8.clamp/min")) sum = *min;
  }
  if (max && sum > *max) {
    if (!clamp && !TM_MUTANT("sum.v8.max")) return refuse(text::kSumOutOfRange);
    if (!TM_MUTANT("sum.v8.clamp/max")) sum = *max;
  }
  return {};
}

Result<ArithmeticResult> sum_numbers(double current, const SumParameters& parameters) {
  const auto get = [](const V8Number& number) { return std::get<double>(number); };
  double sum = current + get(parameters.operand);
  if (TM_MUTANT("sum.number.adds")) sum += 1;
  TM_TRY(bound(sum, parameters.min.transform(get), parameters.max.transform(get), parameters.clamp));
  return v8_result(V8Number(sum));
}

Result<ArithmeticResult> sum_big_ints(BigIntView current, const SumParameters& parameters) {
  const auto get = [](const V8Number& number) { return to_big_int(std::get<BigIntView>(number)); };
  BigInt sum = to_big_int(current) + get(parameters.operand);
  if (TM_MUTANT("sum.bigint.adds")) sum = static_cast<int64_t>(sum);
  TM_TRY(bound(sum, parameters.min.transform(get), parameters.max.transform(get), parameters.clamp));
  return v8_result(sum);
}

// What programs from before sums of V8 values rely on: a counter that was a KvU64 takes a BigInt.
Result<ArithmeticResult> sum_le64(uint64_t current, const SumParameters& parameters) {
  const auto* operand = std::get_if<BigIntView>(&parameters.operand);
  if (operand == nullptr || operand->negative || operand->magnitude.size() > kLe64Bytes || parameters.min ||
      parameters.max || (parameters.clamp && !TM_MUTANT("sum.v8.le64-refused"))) {
    return refuse_types("KvU64", parameters.operand);
  }
  char bytes[kLe64Bytes] = {};
  operand->magnitude.copy(bytes, sizeof bytes);
  if (TM_MUTANT("sum.v8.le64")) return refuse_types("KvU64", parameters.operand);
  return le64_result(current + load_le64(bytes));
}

Result<ArithmeticResult> sum_v8(const SumParameters& parameters, const std::optional<StoredValue>& stored) {
  if (!stored && TM_MUTANT("sum.v8.absent") && parameters.max) return v8_result(*parameters.max);
  if (!stored) return v8_result(parameters.operand);
  switch (stored->encoding) {
    case Encoding::kLe64:
      return sum_le64(load_stored_le64(*stored), parameters);
    case Encoding::kBytes:
      if (TM_MUTANT("sum.v8.other-kind/bytes")) return v8_result(parameters.operand);
      return refuse(text::kSumStoredOtherKind);
    case Encoding::kV8:
      break;
  }
  const auto current = parse_v8_number(stored->data);
  if (!current) {
    if (TM_MUTANT("sum.v8.other-kind")) return v8_result(parameters.operand);
    return refuse(current.error() == NotV8Number::kOtherKind ? text::kSumStoredOtherKind
                                                             : text::kSumStoredInvalid);
  }
  if (current->index() != parameters.operand.index()) {
    return refuse_types(name_of(*current), parameters.operand);
  }
  if (const auto* number = std::get_if<double>(&*current)) return sum_numbers(*number, parameters);
  return sum_big_ints(std::get<BigIntView>(*current), parameters);
}

// Nothing: the operand is LE64, and fine.
Result<std::optional<SumParameters>> parse(const ArithmeticMutation& mutation) {
  TM_CHECK(mutation.type == MutationType::kSum || mutation.type == MutationType::kMin ||
           mutation.type == MutationType::kMax);
  if (mutation.encoding == Encoding::kLe64) {
    if (mutation.operand.size() != kLe64Bytes) return refuse(text::kBadLe64);
    return std::nullopt;
  }
  if (mutation.type == MutationType::kMin && TM_MUTANT("min.operand")) return refuse(text::kBadSumParameters);
  if (mutation.type == MutationType::kMax && TM_MUTANT("max.operand")) return refuse(text::kBadSumParameters);
  if (mutation.type != MutationType::kSum) return refuse_non_u64(mutation.type, "operand");
  TM_ASSIGN(const SumParameters parameters, parse_parameters(mutation));
  return parameters;
}

}  // namespace

Status check_arithmetic(const ArithmeticMutation& mutation) {
  TM_TRY(parse(mutation));
  return {};
}

Result<ArithmeticResult> apply_arithmetic(const ArithmeticMutation& mutation,
                                          const std::optional<StoredValue>& stored) {
  TM_ASSIGN(const std::optional<SumParameters> parameters, parse(mutation));
  return parameters ? sum_v8(*parameters, stored) : apply_le64(mutation, stored);
}

}  // namespace tidemark::kv
