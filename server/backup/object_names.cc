// Version 1: "0001", then the sequence number. Version 0 has no version in front, and instead of the sequence
// number an epoch and a number within it, each below 2^32 - 1, that make one together. The length of the
// first field tells which it is.
#include "server/backup/object_names.h"

#include "engine/base/coding.h"
#include "engine/base/hex.h"

namespace tidemark::backup {
namespace {

constexpr std::string_view kVersion1 = "0001";
constexpr std::string_view kSuffix = ".bin";
constexpr size_t kPositionBytes = Versionstamp::kBytes + 2;

void append_hex64(std::string& out, uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) append_hex(out, static_cast<uint8_t>(value >> shift));
}

// Takes the fields of a name one by one.
class NameReader {
 public:
  explicit NameReader(std::string_view name) : left_(name) {
    ok_ = left_.ends_with(kSuffix);
    if (ok_) left_.remove_suffix(kSuffix.size());
  }

  std::string_view field() {
    const size_t end = left_.find('_');
    const std::string_view out = left_.substr(0, end);
    ended_ = end == std::string_view::npos;
    left_ = ended_ ? std::string_view() : left_.substr(end + 1);
    return out;
  }
  uint64_t number() { return to_number(field()); }
  uint64_t sequence() {
    const std::string_view first = field();
    if (first == kVersion1) return number();
    const uint64_t epoch = to_number(first), number_within = number();
    ok_ = ok_ && epoch < UINT32_MAX && number_within < UINT32_MAX;
    return epoch << 32 | number_within;
  }
  LogPosition position() {
    const std::optional<std::string> bytes = from_hex(field());
    const auto position = bytes ? LogPosition::from_bytes(*bytes) : std::nullopt;
    ok_ = ok_ && position.has_value();
    return position.value_or(LogPosition());
  }
  // Whether all was there and nothing is left.
  bool done() const { return ok_ && ended_; }

 private:
  uint64_t to_number(std::string_view text) {
    const std::optional<std::string> bytes = from_hex(text);
    ok_ = ok_ && bytes && bytes->size() == sizeof(uint64_t);
    return ok_ ? load_be64(bytes->data()) : 0;
  }

  std::string_view left_;
  bool ok_ = true;
  bool ended_ = false;
};

}  // namespace

std::string LogPosition::bytes() const {
  const auto stamp_bytes = stamp.bytes();
  std::string out(stamp_bytes.data(), stamp_bytes.size());
  out.push_back(static_cast<char>(index >> 8));
  out.push_back(static_cast<char>(index));
  return out;
}

std::optional<LogPosition> LogPosition::from_bytes(std::string_view bytes) {
  if (bytes.size() != kPositionBytes) return std::nullopt;
  return LogPosition{Versionstamp::from_bytes(bytes.data()), load_be16(bytes.data() + Versionstamp::kBytes)};
}

std::string format_name(const LogName& name) {
  std::string out = log_start(name.sequence);
  out += "_" + to_hex(name.first.bytes()) + "_" + to_hex(name.last.bytes());
  return out.append(kSuffix);
}

std::string format_name(const SnapshotName& name) {
  std::string out(kSnapshotFolder);
  out.append(kVersion1).push_back('_');
  append_hex64(out, name.sequence);
  out.push_back('_');
  append_hex64(out, name.range);
  return out.append(kSuffix);
}

std::string log_start(uint64_t sequence) {
  std::string out(kLogFolder);
  out.append(kVersion1).push_back('_');
  append_hex64(out, sequence);
  return out;
}

std::optional<LogName> parse_log_name(std::string_view name) {
  NameReader reader(name);
  LogName out;
  out.sequence = reader.sequence();
  out.first = reader.position();
  out.last = reader.position();
  if (!reader.done() || out.last < out.first) return std::nullopt;
  return out;
}

std::optional<SnapshotName> parse_snapshot_name(std::string_view name) {
  NameReader reader(name);
  SnapshotName out;
  out.sequence = reader.sequence();
  out.range = reader.number();
  if (!reader.done()) return std::nullopt;
  return out;
}

}  // namespace tidemark::backup
